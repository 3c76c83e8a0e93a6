//! The table: medians of both sides, their ratio, and the goal.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use swarm_testkit::lab::{Newer, run};

use super::Figures;
use super::cluster::Side;

/// What a figure has to be.
#[derive(Debug, Clone, Copy)]
enum Goal {
    /// At most so much of Docker's.
    Ratio(f64),
    /// Below this, in the figure's own unit.
    Below(f64),
    /// Shown for orientation.
    None,
}

/// One line: the figure's name, what it is, its unit.
type Line = (&'static str, &'static str, &'static str, Goal);

const NEVER_SLOWER: Goal = Goal::Ratio(1.0);
const CPU: Goal = Goal::Ratio(0.7);
const FAIL_OVER: Goal = Goal::Ratio(0.2);

const LINES: [Line; 35] = [
    ("form", "1 manager and 4 workers form a swarm", "s", NEVER_SLOWER),
    ("create 20", "create 20 replicas: all run", "s", NEVER_SLOWER),
    ("create 20, daemons", "CPU of the daemons", "CPU s", CPU),
    ("create 20, swarm", "`swarm daemon` alone", "CPU s", Goal::None),
    ("create 20, all", "CPU of everything on the hosts", "CPU s", Goal::None),
    ("create 50", "create 50 replicas: all run", "s", NEVER_SLOWER),
    ("create 50, daemons", "CPU of the daemons", "CPU s", CPU),
    ("create 50, swarm", "`swarm daemon` alone", "CPU s", Goal::None),
    ("create 50, all", "CPU of everything on the hosts", "CPU s", Goal::None),
    ("up", "scale 1 to 30: all run", "s", NEVER_SLOWER),
    ("up, daemons", "CPU of the daemons", "CPU s", CPU),
    ("up, swarm", "`swarm daemon` alone", "CPU s", Goal::None),
    ("up, all", "CPU of everything on the hosts", "CPU s", Goal::None),
    ("down", "scale 30 to 1: one runs", "s", NEVER_SLOWER),
    ("down, daemons", "CPU of the daemons", "CPU s", CPU),
    ("down, swarm", "`swarm daemon` alone", "CPU s", Goal::None),
    ("down, all", "CPU of everything on the hosts", "CPU s", Goal::None),
    ("update", "rolling update of 10 by 2: ten new ones run", "s", NEVER_SLOWER),
    ("completed", "the same: told as completed (it watches for 5 s)", "s", NEVER_SLOWER),
    ("update, daemons", "CPU of the daemons", "CPU s", CPU),
    ("update, swarm", "`swarm daemon` alone", "CPU s", Goal::None),
    ("update, all", "CPU of everything on the hosts", "CPU s", Goal::None),
    ("worker cut", "a worker's power cut: its tasks run elsewhere", "s", FAIL_OVER),
    ("leader cut, write", "the leader's, of 3: the first write is taken", "s", FAIL_OVER),
    ("leader cut, tasks", "the same: its tasks run elsewhere", "s", FAIL_OVER),
    (
        "losses, median",
        "20 power cuts of the leader: the first write, median",
        "s",
        Goal::Below(1.0),
    ),
    ("losses, worst", "the same, the slowest", "s", Goal::Below(3.0)),
    ("manager MiB", "memory of the manager's host: all daemons", "MiB", Goal::None),
    ("manager MiB, swarm", "`swarm daemon` alone", "MiB", Goal::None),
    ("manager CPU", "idle CPU of the manager's host: all daemons", "% of a core", Goal::None),
    ("manager CPU, swarm", "`swarm daemon` alone", "% of a core", Goal::None),
    ("worker MiB", "memory of a worker's host with 50 tasks: all daemons", "MiB", Goal::None),
    ("worker MiB, swarm", "`swarm daemon` alone", "MiB", Goal::Below(30.0)),
    ("worker CPU", "idle CPU of that host: all daemons", "% of a core", Goal::None),
    ("worker CPU, swarm", "`swarm daemon` alone", "% of a core", Goal::Below(1.0)),
];

/// The table of the figures that there are.
pub fn markdown(all: &BTreeMap<Side, Vec<Figures>>) -> String {
    let mut out =
        "\n| what | unit | swarm | Docker | ratio | goal | met |\n|---|---|---|---|---|---|---|\n"
            .to_owned();
    for (name, what, unit, goal) in LINES {
        let of = |side| all.get(&side).and_then(|turns| median(turns, name));
        let (ours, theirs) = (of(Side::Ours), of(Side::Dockers));
        let Some(own) = ours else { continue };
        // Docker's swarm mode has no daemon of its own.
        let theirs = theirs.filter(|figure| *figure > 0.0);
        let ratio = theirs.map(|theirs| own / theirs);
        let (wanted, met) = judge(goal, own, ratio);
        let show = |figure: Option<f64>| figure.map_or_else(String::new, number);
        let _ = writeln!(
            out,
            "| {what} | {unit} | {} | {} | {} | {wanted} | {met} |",
            number(own),
            show(theirs),
            ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"))
        );
    }
    out
}

fn judge(goal: Goal, own: f64, ratio: Option<f64>) -> (String, &'static str) {
    let told = |met: bool| if met { "yes" } else { "**no**" };
    match (goal, ratio) {
        (Goal::Ratio(most), Some(ratio)) => (format!("≤ {most}"), told(ratio <= most)),
        (Goal::Ratio(most), None) => (format!("≤ {most}"), ""),
        (Goal::Below(limit), _) => (format!("< {limit}"), told(own < limit)),
        (Goal::None, _) => (String::new(), ""),
    }
}

fn median(turns: &[Figures], name: &str) -> Option<f64> {
    let mut figures: Vec<f64> = turns.iter().filter_map(|turn| turn.get(name)).copied().collect();
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    match figures.len() {
        0 => None,
        n if n % 2 == 1 => figures.get(middle).copied(),
        _ => Some(f64::midpoint(*figures.get(middle - 1)?, *figures.get(middle)?)),
    }
}

/// As a person writes it.
fn number(figure: f64) -> String {
    match figure {
        f if f >= 100.0 => format!("{f:.0}"),
        f if f >= 10.0 => format!("{f:.1}"),
        f => format!("{f:.2}"),
    }
}

/// The machine, the programs, the load.
pub fn head(newer: &Newer, swarm: &Path, loads: &[String]) -> Result<String> {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split(':').nth(1));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let version = run(Command::new(newer.dockerd()).arg("--version"))?;
    let size = std::fs::metadata(swarm)?.len();
    let mib = |bytes: u64| f64::from(u32::try_from(bytes / 1024).unwrap_or(u32::MAX)) / 1024.0;
    Ok(format!(
        "Machine: {}, {cores} cores. Engine of both: {}. Load average \
         (1 min) before the first turn and after each: {}. The binary has {:.1} MiB, stripped \
         {:.1} MiB (goal: < 25 MB).\n",
        model.unwrap_or("unknown").trim(),
        String::from_utf8_lossy(&version.stdout).trim(),
        loads.join(", "),
        mib(size),
        mib(stripped(swarm)?),
    ))
}

/// The binary's size without its symbols.
fn stripped(swarm: &Path) -> Result<u64> {
    let folder = std::env::temp_dir().join(format!("swarm-stripped-{}", std::process::id()));
    let done = run(Command::new("strip").arg("-o").arg(&folder).arg(swarm))
        .and_then(|_| Ok(std::fs::metadata(&folder)?.len()));
    let _ = std::fs::remove_file(&folder);
    done
}

/// The last minute's load.
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(name: &'static str, figure: f64) -> Figures {
        Figures::from([(name, figure)])
    }

    #[test]
    fn the_median_stands_against_its_goal() {
        let of = |figures: &[f64]| figures.iter().map(|f| turn("create 20", *f)).collect();
        let all =
            BTreeMap::from([(Side::Ours, of(&[9.0, 2.0, 3.0])), (Side::Dockers, of(&[4.0, 8.0]))]);
        let text = markdown(&all);
        assert!(text.contains("| s | 3.00 | 6.00 | 0.50 | ≤ 1 | yes |"), "{text}");
        assert_eq!(text.lines().count(), 4, "nothing of what was not measured: {text}");
    }

    #[test]
    fn own_limits_need_no_other_side() {
        let all = BTreeMap::from([(Side::Ours, vec![turn("worker MiB, swarm", 31.0)])]);
        assert!(markdown(&all).contains("| MiB | 31.0 |  |  | < 30 | **no** |"));
    }
}
