//! The picture: a head, nodes, containers or services, events, and a foot that says which keys do
//! what. Every state is a word; colours only repeat it.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Table, Widget};

use crate::screen::{Order, Pane, Screen};
use crate::sight::{Container, Event, Node, Service, Sight, Use, cpu_words, memory_words};

/// Digits of a bar.
const BAR: u16 = 10;
/// Lines of a pane besides its rows: its title and its header.
const AROUND: usize = 2;
/// Below this width shares are numbers without bars, and what matters least is left out.
const NARROW: u16 = 130;
/// From this share on an amount is worth a look, in percent.
const FULL: u16 = 90;

const HELP: &str = "q ends  Tab next table  ↑↓ PgUp PgDn Home End move  / looks for a text  \
                    Esc forgets it  s order  c containers or services  r looks at once";

/// Draws the pool on a frame.
pub fn draw(frame: &mut Frame<'_>, sight: &Sight, screen: &mut Screen) {
    let area = frame.area();
    paint(sight, screen, area, frame.buffer_mut());
}

/// How many lines it takes to show everything.
pub fn height(sight: &Sight, screen: &Screen) -> u16 {
    let second = if screen.services { sight.services.len() } else { sight.containers.len() };
    let rows = sight.nodes.len() + second + sight.events.len();
    u16::try_from(rows + 3 * AROUND + 4).unwrap_or(u16::MAX)
}

/// The same as text, whole lines without what is empty at their ends: for who has no terminal.
pub fn text(sight: &Sight, screen: &mut Screen, width: u16) -> String {
    let area = Rect::new(0, 0, width, height(sight, screen));
    let mut buffer = Buffer::empty(area);
    paint(sight, screen, area, &mut buffer);
    let mut lines = String::new();
    // The last line tells of keys, which nobody presses here.
    for y in 0..area.height.saturating_sub(1) {
        let line: String = (0..width)
            .filter_map(|x| buffer.cell((x, y)))
            .map(ratatui::buffer::Cell::symbol)
            .collect();
        lines.push_str(line.trim_end());
        lines.push('\n');
    }
    lines
}

fn paint(sight: &Sight, screen: &mut Screen, area: Rect, buffer: &mut Buffer) {
    let nodes = screen.nodes(sight).len() + AROUND;
    let second =
        if screen.services { screen.services(sight).len() } else { screen.containers(sight).len() }
            + AROUND;
    let events = screen.events(sight).len() + AROUND;
    let parts = Layout::vertical([
        Constraint::Length(3),
        Constraint::Length(share(nodes, [second, events], area.height)),
        Constraint::Fill(1),
        Constraint::Length(share(events, [nodes, second], area.height)),
        Constraint::Length(1),
    ]);
    let [top, upper, middle, lower, foot] = parts.areas(area);
    head(sight).render(top, buffer);
    let narrow = area.width < NARROW;
    node_table(sight, screen, narrow, upper, buffer);
    if screen.services {
        service_table(sight, screen, middle, buffer);
    } else {
        container_table(sight, screen, narrow, middle, buffer);
    }
    event_table(sight, screen, lower, buffer);
    foot_line(screen).render(foot, buffer);
}

/// Lines for a table that needs `own`, beside two others: what it needs where all have room, and
/// otherwise no more than a third of the screen.
fn share(own: usize, others: [usize; 2], height: u16) -> u16 {
    let room = usize::from(height).saturating_sub(4);
    let lines = if own + others[0] + others[1] <= room { own } else { own.min(room / 3) };
    u16::try_from(lines).unwrap_or(u16::MAX)
}

fn head(sight: &Sight) -> Paragraph<'static> {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let mut first = vec![
        Span::styled("swarm ", bold),
        Span::raw(format!("{} of {} nodes ready", sight.ready(), sight.nodes.len())),
        Span::raw(format!(
            "  {} of {} {} running",
            sight.running(),
            sight.containers.len(),
            if sight.is_swarm { "tasks and containers" } else { "containers" }
        )),
    ];
    for (what, said) in [
        ("strategy", &sight.strategy),
        ("this manager is", &sight.role),
        ("primary", &sight.primary),
        ("leader", &sight.leader),
    ] {
        if !said.is_empty() {
            first.push(Span::raw(format!("  {what} {said}")));
        }
    }
    let load = Line::from(vec![
        Span::raw("reserved  CPUs "),
        bar(sight.cpus),
        Span::raw(format!(" {}   memory ", cpu_words(sight.cpus))),
        bar(sight.memory),
        Span::raw(format!(" {}", memory_words(sight.memory))),
    ]);
    let bad = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
    let third = match &sight.trouble {
        Some(why) => Line::styled(format!("what is shown is old: {why}"), bad),
        None if !sight.waiting.is_empty() => {
            Line::styled(format!("not rescheduled: {}", sight.waiting), bad)
        }
        None => Line::styled(warned(&sight.warnings), Style::new().fg(Color::Yellow)),
    };
    Paragraph::new(vec![Line::from(first), load, third])
}

/// The first warning, and where the others are.
fn warned(warnings: &[String]) -> String {
    match warnings {
        [] => String::new(),
        [only] => format!("warning: {only}"),
        [first, ..] => format!("{} warnings, see docker info: {first}", warnings.len()),
    }
}

/// A share as a bar of fixed width.
fn bar(amount: Use) -> Span<'static> {
    let percent = amount.percent();
    let full = usize::from((percent.min(100) * BAR).div_ceil(100));
    let text = format!("[{}{}]", "|".repeat(full), " ".repeat(usize::from(BAR) - full));
    let colour = if percent >= FULL { Color::Red } else { Color::Green };
    Span::styled(text, Style::new().fg(colour))
}

fn state_style(state: &str) -> Style {
    match state {
        "ready" | "running" | "active" => Style::new().fg(Color::Green),
        "down" | "dead" | "disconnected" | "failed" | "rejected" => Style::new().fg(Color::Red),
        "exited" | "created" | "complete" | "shutdown" => Style::new().add_modifier(Modifier::DIM),
        _ => Style::new().fg(Color::Yellow),
    }
}

/// The frame of a pane, and which of `rows` are seen in it.
fn pane(
    screen: &mut Screen,
    kind: Pane,
    title: &str,
    rows: usize,
    area: Rect,
) -> (Block<'static>, std::ops::Range<usize>) {
    let room = usize::from(area.height).saturating_sub(AROUND);
    let first = screen.first(kind, rows, room);
    let last = rows.min(first + room);
    let place = if last - first < rows && room > 0 {
        format!(" {title} {} to {last} of {rows} ", first + 1)
    } else {
        format!(" {title} {rows} ")
    };
    let style = if screen.focus == kind {
        Style::new().add_modifier(Modifier::BOLD | Modifier::REVERSED)
    } else {
        Style::new().add_modifier(Modifier::BOLD)
    };
    (Block::new().borders(Borders::TOP).title(Span::styled(place, style)), first..last)
}

fn table<const N: usize>(
    block: Block<'static>,
    header: [&'static str; N],
    widths: [Constraint; N],
    rows: Vec<Row<'static>>,
) -> Table<'static> {
    let head = Row::new(header).style(Style::new().add_modifier(Modifier::DIM));
    Table::new(rows, widths).header(head).block(block).column_spacing(2)
}

fn node_table(sight: &Sight, screen: &mut Screen, narrow: bool, area: Rect, buffer: &mut Buffer) {
    let nodes = screen.nodes(sight);
    let longest = longest(nodes.iter().map(|node| &*node.name));
    let (block, seen) = pane(screen, Pane::Nodes, "nodes", nodes.len(), area);
    let row = |node: &&Node| {
        let load = |amount: Use, words: String| {
            if narrow {
                return Cell::from(format!("{}%", amount.percent()));
            }
            Cell::from(Line::from(vec![bar(amount), Span::raw(format!(" {words}"))]))
        };
        let mut cells = vec![
            Cell::from(node.name.clone()),
            Cell::from(Span::styled(node.state.clone(), state_style(&node.state))),
            Cell::from(Span::styled(node.availability.clone(), state_style(&node.availability))),
            Cell::from(format!("{} of {}", node.running, node.containers)),
            load(node.cpus, cpu_words(node.cpus)),
            load(node.memory, memory_words(node.memory)),
        ];
        if !narrow {
            cells.push(Cell::from(node.engine.clone()));
        }
        cells.push(Cell::from(node.note.clone()));
        Row::new(cells)
    };
    let rows = nodes[seen].iter().map(row).collect();
    let (name, state) = (Constraint::Length(longest), Constraint::Length(12));
    let count = Constraint::Length(10);
    let drawn = if narrow {
        let header = ["NODE", "STATE", "AVAIL", "RUNNING", "CPUS", "MEM", "NOTE"];
        let share = Constraint::Length(5);
        let widths = [name, state, Constraint::Length(6), count, share, share, Constraint::Fill(1)];
        table(block, header, widths, rows)
    } else {
        let (cpus, memory) = (Constraint::Length(22), Constraint::Length(34));
        let header = ["NODE", "STATE", "AVAIL", "RUNNING", "CPUS", "MEMORY", "ENGINE", "NOTE"];
        let (engine, note) = (Constraint::Length(12), Constraint::Fill(1));
        let widths = [name, state, Constraint::Length(6), count, cpus, memory, engine, note];
        table(block, header, widths, rows)
    };
    Widget::render(drawn, area, buffer);
}

fn container_table(
    sight: &Sight,
    screen: &mut Screen,
    narrow: bool,
    area: Rect,
    buffer: &mut Buffer,
) {
    let containers = screen.containers(sight);
    let title = if sight.is_swarm { "tasks and containers" } else { "containers" };
    let (block, seen) = pane(screen, Pane::Containers, title, containers.len(), area);
    let (name, node) = (
        longest(containers.iter().map(|one| &*one.name)),
        longest(containers.iter().map(|one| &*one.node)),
    );
    let row = |one: &&Container| {
        let mut cells = vec![
            Cell::from(one.name.clone()),
            Cell::from(one.node.clone()),
            Cell::from(Span::styled(one.state.clone(), state_style(&one.state))),
            Cell::from(one.status.clone()),
        ];
        if !narrow {
            cells.push(Cell::from(one.service.clone()));
        }
        cells.push(Cell::from(one.image.clone()));
        Row::new(cells)
    };
    let rows = containers[seen].iter().map(row).collect();
    let (name, node) = (Constraint::Length(name), Constraint::Length(node));
    let (state, status) = (Constraint::Length(10), Constraint::Length(28));
    let drawn = if narrow {
        let header = ["CONTAINER", "NODE", "STATE", "STATUS", "IMAGE"];
        table(block, header, [name, node, state, status, Constraint::Fill(1)], rows)
    } else {
        let header = ["CONTAINER", "NODE", "STATE", "STATUS", "SERVICE", "IMAGE"];
        let widths = [name, node, state, status, Constraint::Fill(1), Constraint::Fill(2)];
        table(block, header, widths, rows)
    };
    Widget::render(drawn, area, buffer);
}

fn service_table(sight: &Sight, screen: &mut Screen, area: Rect, buffer: &mut Buffer) {
    let services = screen.services(sight);
    let (block, seen) = pane(screen, Pane::Services, "services", services.len(), area);
    let name = longest(services.iter().map(|one| &*one.name));
    let row = |one: &&Service| {
        let whole = if one.running == one.containers { "running" } else { "partly" };
        let running = format!("{} of {}", one.running, one.containers);
        Row::new([
            Cell::from(one.name.clone()),
            Cell::from(Span::styled(running, state_style(whole))),
            Cell::from(one.nodes.to_string()),
            Cell::from(one.images.clone()),
        ])
    };
    let rows = services[seen].iter().map(row).collect();
    let widths = [
        Constraint::Length(name),
        Constraint::Length(14),
        Constraint::Length(6),
        Constraint::Fill(1),
    ];
    let drawn = table(block, ["SERVICE", "RUNNING", "NODES", "IMAGE"], widths, rows);
    Widget::render(drawn, area, buffer);
}

fn event_table(sight: &Sight, screen: &mut Screen, area: Rect, buffer: &mut Buffer) {
    let events = screen.events(sight);
    let (block, seen) = pane(screen, Pane::Events, "events", events.len(), area);
    let row = |one: &&Event| {
        let seconds = one.nanos.div_euclid(1_000_000_000).rem_euclid(86_400);
        let clock = format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
        Row::new([clock, one.node.clone(), one.what.clone(), one.whom.clone()])
    };
    let rows = events[seen].iter().map(row).collect();
    let node = longest(events.iter().map(|one| &*one.node));
    let widths = [
        Constraint::Length(8),
        Constraint::Length(node),
        Constraint::Length(28),
        Constraint::Fill(1),
    ];
    let drawn = table(block, ["UTC", "NODE", "EVENT", "OF"], widths, rows);
    Widget::render(drawn, area, buffer);
}

fn foot_line(screen: &Screen) -> Paragraph<'static> {
    let order = match screen.order {
        Order::Name => "name",
        Order::Load => "load",
        Order::State => "state",
    };
    let words = if screen.typing {
        format!("look for: {}_", screen.wanted)
    } else if screen.help {
        HELP.to_owned()
    } else if screen.wanted.is_empty() {
        format!("q ends  ? keys  ordered by {order}")
    } else {
        format!("q ends  ? keys  ordered by {order}  only \"{}\" (Esc: all)", screen.wanted)
    };
    Paragraph::new(words).style(Style::new().add_modifier(Modifier::DIM))
}

/// The width of a column of names.
fn longest<'t>(texts: impl Iterator<Item = &'t str>) -> u16 {
    let longest = texts.map(|text| text.chars().count()).max().unwrap_or_default();
    u16::try_from(longest.clamp(10, 32)).unwrap_or(32)
}

#[cfg(test)]
mod tests;
