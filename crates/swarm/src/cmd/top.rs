//! `swarm top`: the pool, or the swarm, at a glance in the terminal, followed live. What is shown and how is
//! `swarm-top`'s; here the manager is asked, the terminal is opened, and put back as it was however
//! this ends.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use http::Method;
use serde_json::Value;
use swarm_top::ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use swarm_top::ratatui::{self, DefaultTerminal};
use swarm_top::{Answers, Key, Next, Screen, Sight};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, timeout};

use super::manager::Manager;
use super::node::print;
use super::status;
use crate::cli::TopFlags;
use crate::config::Env;
use crate::usage::UsageError;
use crate::values::duration;

/// Between two looks, where nothing happens.
const INTERVAL: Duration = Duration::from_secs(2);
/// The shortest time between two looks: a pool in a rush is not asked for each of its events.
const BREATH: Duration = Duration::from_millis(300);
/// How long before the start events are shown from, in seconds.
const PAST: i64 = 600;
/// Before a stream of events that ended is opened again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long the reader of keys sleeps before it looks whether all is over.
const NAP: Duration = Duration::from_millis(100);
/// Columns of what is printed once, where nobody says how wide it may be.
const WIDTH: u16 = 160;

/// Shows until the reader has seen enough.
pub async fn run(flags: TopFlags, env: Env<'_>) -> anyhow::Result<()> {
    let manager = Arc::new(Manager::new(&flags.manager, env)?);
    let interval = match &flags.interval {
        Some(text) => match duration("--interval", text)? {
            short if short < BREATH => {
                return Err(UsageError::value("--interval", text, "at least 300ms").into());
            }
            interval => interval,
        },
        None => INTERVAL,
    };
    if flags.once {
        let mut sight = Sight::default();
        sight.answered(&look(&manager).await?);
        let columns = env("COLUMNS").and_then(|text| text.parse().ok()).filter(|n| *n > 0);
        let text = swarm_top::text(&sight, &mut Screen::default(), columns.unwrap_or(WIDTH));
        return print(&text);
    }
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        return Err(UsageError::flags(
            "swarm top draws on a terminal, and this is none; swarm top --once prints one look",
        )
        .into());
    }
    // A manager that cannot be asked at all is told of before the screen is taken.
    let mut sight = Sight::default();
    sight.answered(&look(&manager).await?);
    let mut terminal = ratatui::try_init().context("cannot draw on this terminal")?;
    let outcome = follow(&mut terminal, manager, sight, interval).await;
    ratatui::restore();
    outcome
}

/// One look at the pool or the swarm.
async fn look(manager: &Manager) -> anyhow::Result<Answers> {
    let get = async |path: &str| manager.ask(Method::GET, path, None).await;
    let info = get("/info").await?;
    let (mut services, mut tasks) = (Value::Null, Value::Null);
    if status::is_swarm(&info) {
        services = get("/services?status=1").await?;
        tasks = get(&status::wanted_tasks()).await?;
    }
    let nodes = get("/nodes").await?;
    let containers = get("/containers/json?all=1").await?;
    Ok(Answers { info, nodes, containers, services, tasks })
}

/// Something to show.
enum News {
    Key(Key),
    Resized,
    Looked(Box<anyhow::Result<Answers>>),
    Happened(Value),
}

async fn follow(
    terminal: &mut DefaultTerminal,
    manager: Arc<Manager>,
    mut sight: Sight,
    interval: Duration,
) -> anyhow::Result<()> {
    let (tell, mut news) = mpsc::channel(64);
    let wanted = Arc::new(Notify::new());
    let over = Ended(Arc::new(AtomicBool::new(false)));
    std::thread::spawn({
        let (tell, over) = (tell.clone(), Arc::clone(&over.0));
        move || read_keys(&tell, &over)
    });
    let looking = tokio::spawn(keep_looking(
        Arc::clone(&manager),
        tell.clone(),
        Arc::clone(&wanted),
        interval,
    ));
    let hearing = tokio::spawn(hear_events(manager, tell));
    let mut screen = Screen::default();
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    let mut hangup = signal(SignalKind::hangup()).context("cannot listen for signals")?;
    loop {
        terminal.draw(|frame| swarm_top::draw(frame, &sight, &mut screen))?;
        let told = tokio::select! {
            told = news.recv() => told,
            _ = terminate.recv() => None,
            _ = hangup.recv() => None,
        };
        match told {
            None => break,
            Some(News::Key(key)) => match screen.press(key) {
                Next::Go => {}
                Next::Look => wanted.notify_one(),
                Next::Quit => break,
            },
            Some(News::Resized) => {}
            Some(News::Looked(looked)) => match *looked {
                Ok(answers) => sight.answered(&answers),
                Err(error) => sight.failed(crate::said_once(&error)),
            },
            Some(News::Happened(event)) => {
                sight.happened(&event);
                wanted.notify_one();
            }
        }
    }
    looking.abort();
    hearing.abort();
    Ok(())
}

/// Ends the reader of keys when this goes.
struct Ended(Arc<AtomicBool>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Looks again by and by, and soon after something happened.
async fn keep_looking(
    manager: Arc<Manager>,
    tell: mpsc::Sender<News>,
    wanted: Arc<Notify>,
    interval: Duration,
) {
    loop {
        let begun = Instant::now();
        let _ = timeout(interval, wanted.notified()).await;
        sleep(BREATH.saturating_sub(begun.elapsed())).await;
        if tell.send(News::Looked(Box::new(look(&manager).await))).await.is_err() {
            return;
        }
    }
}

/// Tells what happens, through every break of the stream.
async fn hear_events(manager: Arc<Manager>, tell: mpsc::Sender<News>) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut since = i64::try_from(now.as_secs()).unwrap_or_default() - PAST;
    loop {
        // Why it fails is told by the looks, which fail as well.
        if let Ok(mut lines) = manager.lines(Method::GET, &format!("/events?since={since}")).await {
            while let Ok(Some(event)) = lines.next().await {
                since = event["time"].as_i64().unwrap_or(since);
                if tell.send(News::Happened(event)).await.is_err() {
                    return;
                }
            }
        }
        sleep(AGAIN).await;
    }
}

fn read_keys(tell: &mpsc::Sender<News>, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        match event::poll(NAP) {
            Ok(false) => continue,
            Ok(true) => {}
            Err(_) => return,
        }
        let news = match event::read() {
            Ok(Event::Key(key)) if key.kind == KeyEventKind::Press => {
                let control = key.modifiers.contains(KeyModifiers::CONTROL);
                match key_of(key.code, control) {
                    Some(key) => News::Key(key),
                    None => continue,
                }
            }
            Ok(Event::Resize(..)) => News::Resized,
            Ok(_) => continue,
            Err(_) => return,
        };
        if tell.blocking_send(news).is_err() {
            return;
        }
    }
}

fn key_of(code: KeyCode, control: bool) -> Option<Key> {
    Some(match code {
        // Whatever is being typed, this ends a program.
        KeyCode::Char('c' | 'd') if control => Key::Interrupt,
        KeyCode::Char(_) if control => return None,
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Esc => Key::Escape,
        KeyCode::Enter => Key::Enter,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Tab => Key::Tab,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        _ => return None,
    })
}
