//! `swarm up`: machines become nodes of a swarm, or a pool, over SSH. What that takes is decided in
//! `swarm-install`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use swarm_install::{
    Action, Authority, EndpointWish, Goods, Look, Part, Plan, Program, USUAL_PORT, UpWish, part,
    place, plan_pool_up, plan_up, quote,
};

use super::machines::{Machines, not_done, say};
use crate::cli::UpFlags;
use crate::config::{Env, set};
use crate::usage::UsageError;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Looks, plans, does.
pub async fn run(flags: UpFlags, env: Env<'_>) -> anyhow::Result<()> {
    let mut machines = Machines::new(&flags.hosts, &flags.ssh, env)?;
    let mut managers = Vec::new();
    for host in &flags.managers {
        managers.push(machines.add("--manager", host)?);
    }
    let program = program(flags.binary.as_deref())?;
    let what = match &flags.binary {
        Some(file) => format!("{file} ({} MB)", program.megabytes()),
        None => format!("swarm {VERSION} ({} MB)", program.megabytes()),
    };
    let port = flags.endpoint.as_deref().map(|text| port(text, flags.pool)).transpose()?;
    if flags.certs.is_some() && port.is_none() && !flags.pool {
        return Err(UsageError::flags("--certs is the endpoint's: give --endpoint PORT too").into());
    }
    let wish = UpWish {
        name: flags.name,
        managers,
        count: flags.count.as_deref().map(number).transpose()?,
        advertise: advertise(&machines, &flags.advertise)?,
        what,
        program,
        endpoint: None,
    };
    let asked = Asked { pool: flags.pool, port, folder: flags.certs };
    machines.unless_interrupted(up(&machines, wish, asked, flags.dry_run, env)).await
}

/// `--pool`, `--endpoint` and `--certs`.
struct Asked {
    pool: bool,
    port: Option<u16>,
    folder: Option<String>,
}

impl Asked {
    /// The port of the endpoint. A pool has one in any case: that which it has.
    fn port(&self, look: &Look) -> Option<u16> {
        let there = || look.hosts.iter().find_map(part).map(|part| part.port);
        self.port.or_else(|| self.pool.then(|| there().unwrap_or(USUAL_PORT)))
    }
}

async fn up(
    machines: &Machines,
    mut wish: UpWish,
    asked: Asked,
    dry_run: bool,
    env: Env<'_>,
) -> anyhow::Result<()> {
    let look = machines.look().await?;
    let refused = |refusals| not_done("nothing was changed:", refusals);
    let name = swarm_install::name(&look, wish.name.as_deref()).map_err(refused)?;
    let mut authority = None;
    let port = asked.port(&look);
    let folder = match port {
        None => None,
        Some(port) => {
            let folder = certs(asked.folder.as_deref(), &name, env)?;
            authority = Authority::load(&folder)?;
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            wish.endpoint = Some(EndpointWish {
                port,
                authority: authority.as_ref().map(Authority::sum),
                folder: folder.display().to_string(),
                now: i64::try_from(now.as_secs())?,
            });
            Some(folder)
        }
    };
    let plan = if asked.pool { plan_pool_up } else { plan_up };
    let plan = plan(&look, &wish).map_err(refused)?;
    if let Some(folder) = folder.as_ref().filter(|_| authority.is_none() && !plan.is_empty()) {
        say(&format!(
            "here: make the {}'s authority and a client's certificate in {}",
            if asked.pool { "pool" } else { "endpoint" },
            folder.display()
        ))?;
        if !dry_run {
            authority = Some(Authority::create(folder, &name, SystemTime::now())?);
        }
    }
    let goods = Goods { program: wish.program, authority };
    let applied = machines.carry_out(&look, &plan, Some(&goods), dry_run).await?;
    if plan.is_empty() {
        let all =
            if plan.notes.is_empty() { ": all is as it should be" } else { "; see the notes" };
        say(&format!("{name}: nothing to do{all}"))?;
    } else if let Some(applied) = applied {
        let (steps, took) = (applied.steps, applied.took.as_secs_f64());
        say(&format!("{name}: done, {steps} steps in {took:.1} s"))?;
        for words in &plan.afterwards {
            say(&format!("left to do: {words}"))?;
        }
        if let (true, Some(folder), Some(part)) = (asked.pool, &folder, pool(&look, &plan)) {
            let manager = part.managers.first().map_or("ADDRESS", String::as_str);
            say("all engines as one, from here:")?;
            say(&format!("  export DOCKER_HOST=tcp://{}", place(manager, part.port)))?;
            say("  export DOCKER_TLS_VERIFY=1")?;
            say(&format!("  export DOCKER_CERT_PATH={}", quote(&folder.display().to_string())))?;
        } else if let Some(manager) = plan.manager() {
            let host = machines.name(manager);
            say(&format!("on {host}: DOCKER_HOST=unix:///run/swarm/docker.sock docker node ls"))?;
            say(
                "all nodes as one engine, there: DOCKER_HOST=unix:///run/swarm/cluster.sock docker ps",
            )?;
            if let (Some(folder), Some(port)) = (&folder, port) {
                let address = look.hosts.get(manager).and_then(|seen| seen.address.as_deref());
                let client = client(folder, address.unwrap_or("ADDRESS"), port);
                say(&format!("the same from here: {client} docker ps"))?;
            }
        }
    }
    Ok(())
}

/// What a client of an endpoint needs, for a shell.
fn client(folder: &Path, address: &str, port: u16) -> String {
    let folder = quote(&folder.display().to_string());
    // The address needs no quotes: no shell reads brackets as a pattern in an assignment.
    let place = place(address, port);
    format!("DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH={folder} DOCKER_HOST=tcp://{place}")
}

/// What the machines of a pool are after that plan.
fn pool(look: &Look, plan: &Plan) -> Option<Part> {
    let noted = plan.steps().find_map(|step| match &step.action {
        Action::Manifest(manifest) => manifest.pool.clone(),
        _ => None,
    });
    noted.or_else(|| look.hosts.iter().find_map(part).cloned())
}

/// The folder of the endpoint's certificates.
fn certs(given: Option<&str>, name: &str, env: Env<'_>) -> Result<PathBuf, UsageError> {
    if let Some(folder) = given {
        return Ok(PathBuf::from(folder));
    }
    let home = || set(env, "HOME").map(|home| PathBuf::from(home).join(".config"));
    let base = set(env, "XDG_CONFIG_HOME").map(PathBuf::from).or_else(home);
    let base = base.ok_or_else(|| UsageError::flags("there is no HOME: give --certs FOLDER"))?;
    Ok(base.join("swarm").join(name))
}

/// The endpoint's port: none at which something else of a swarm's, or a pool's, listens.
fn port(text: &str, pool: bool) -> Result<u16, UsageError> {
    let (taken, words): (&[u16], _) = if pool {
        (
            &[2376, 2378],
            "expected a port, 1 to 65535 but not 2376 or 2378, which a pool has for itself",
        )
    } else {
        (&[2377], "expected a port, 1 to 65535 but not 2377, which a swarm has for itself")
    };
    let port = text.parse().ok().filter(|port| *port != 0 && !taken.contains(port));
    port.ok_or_else(|| UsageError::value("--endpoint", text, words))
}

fn number(text: &str) -> Result<usize, UsageError> {
    let wrong = || UsageError::value("--managers", text, "expected a number, 1 or more");
    text.parse().ok().filter(|number| *number > 0).ok_or_else(wrong)
}

fn advertise(machines: &Machines, texts: &[String]) -> Result<BTreeMap<usize, String>, UsageError> {
    let each = texts.iter().map(|text| {
        let wrong = |problem: &str| UsageError::value("--advertise-addr", text, problem);
        let (host, address) =
            text.rsplit_once('=').ok_or_else(|| wrong("expected HOST=ADDRESS"))?;
        if address.is_empty() {
            return Err(wrong("the address is missing"));
        }
        let at = machines.find(host).ok_or_else(|| wrong("none of the machines is named so"))?;
        Ok((at, address.to_owned()))
    });
    each.collect()
}

/// The binary: the one that was named, or this very program.
fn program(file: Option<&str>) -> anyhow::Result<Program> {
    let path = match file {
        Some(file) => PathBuf::from(file),
        None => std::env::current_exe().context("this program's own file cannot be found")?,
    };
    Program::read(&path, VERSION).map_err(|error| match file {
        Some(file) => UsageError::value("--binary", file, error.to_string()).into(),
        None => error.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::SshFlags;

    #[test]
    fn flags_are_read_and_wrong_ones_refused_in_words() {
        let hosts = ["root@h1".to_owned(), "h2".to_owned(), "h1".to_owned()];
        let mut machines = Machines::new(&hosts, &SshFlags::default(), &|_| None).unwrap();
        assert_eq!(machines.add("--manager", "h2").unwrap(), 1);
        assert_eq!(machines.add("--manager", "h3").unwrap(), 2, "the same machine counts once");
        assert!(machines.add("--manager", "-x").is_err());
        let given = |text: &str| advertise(&machines, &[text.to_owned()]);
        assert_eq!(given("h1=10.0.0.1").unwrap(), BTreeMap::from([(0, "10.0.0.1".to_owned())]));
        for (text, words) in [("h1", "HOST=ADDRESS"), ("h1=", "missing"), ("h9=a", "none of")] {
            assert!(given(text).unwrap_err().to_string().contains(words), "{text}");
        }
        assert_eq!(number("3").unwrap(), 3);
        assert!(number("0").is_err() && number("x").is_err());
        for (text, in_swarm, in_pool) in [
            ("3376", true, true),
            // Docker's own for TLS: of a pool the agents' are there.
            ("2376", true, false),
            ("2377", false, true),
            ("2378", true, false),
            ("0", false, false),
            ("x", false, false),
        ] {
            assert_eq!([port(text, false).is_ok(), port(text, true).is_ok()], [in_swarm, in_pool]);
        }
        let env = |name: &str| (name == "HOME").then(|| "/h".to_owned());
        assert_eq!(certs(None, "prod", &env).unwrap(), PathBuf::from("/h/.config/swarm/prod"));
        assert_eq!(certs(Some("/c"), "prod", &env).unwrap(), PathBuf::from("/c"));
        assert!(certs(None, "prod", &|_| None).is_err());
        let words = client(Path::new("/my certs"), "fd00::1", 3376);
        assert!(
            words.ends_with("DOCKER_CERT_PATH='/my certs' DOCKER_HOST=tcp://[fd00::1]:3376"),
            "{words}"
        );
        assert!(
            client(Path::new("/c"), "10.0.0.1", 1).ends_with("=/c DOCKER_HOST=tcp://10.0.0.1:1")
        );
        assert!(program(Some("/no/such")).unwrap_err().is::<UsageError>());
        assert_eq!(program(None).unwrap().version, VERSION);
    }
}
