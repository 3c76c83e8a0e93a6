//! `swarm top`, printed once and on a terminal.

use std::io::{Read, Write};
use std::num::NonZero;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use nix::pty::{Winsize, openpty};

use super::*;

/// Lines and columns.
const SIZE: (u16, u16) = (40, 140);

/// A program on a terminal of its own.
struct OnTerminal {
    child: Child,
    keys: std::fs::File,
    output: Receiver<Vec<u8>>,
    screen: vt100::Parser,
}

impl OnTerminal {
    fn start(arguments: &[&str], manager: &str) -> Self {
        let (ws_row, ws_col) = SIZE;
        let size = Winsize { ws_row, ws_col, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None).unwrap();
        let end = || Stdio::from(pty.slave.try_clone().unwrap());
        let child = Command::new(assert_cmd::cargo::cargo_bin!("swarm"))
            .args(arguments)
            .env_clear()
            .env("DOCKER_HOST", manager)
            .env("TERM", "xterm-256color")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        let keys = std::fs::File::from(pty.master);
        let mut shown = keys.try_clone().unwrap();
        let (tell, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The read fails once nobody holds the other end.
            while let Ok(count @ 1..) = shown.read(&mut buffer) {
                if tell.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        let cells = |count| NonZero::new(count).unwrap();
        let screen = vt100::Parser::new(cells(ws_row), cells(ws_col), 0);
        Self { child, keys, output, screen }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until this stands on the screen.
    fn until(&mut self, text: &str) {
        self.until_it(text, |screen| screen.contents().contains(text));
    }

    fn until_it(&mut self, what: &str, met: impl Fn(&vt100::Screen) -> bool) {
        let end = Instant::now() + SOON;
        while !met(self.screen.screen()) {
            let Ok(bytes) = self.output.recv_timeout(end.saturating_duration_since(Instant::now()))
            else {
                panic!("{what} was not shown:\n{}", self.screen.screen().contents());
            };
            self.screen.process(&bytes);
        }
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_is_seen_at_a_glance_and_followed_live() {
    let rig = Rig::of(2).await;
    let once = rig.swarm(&["top", "--once"]).await;
    assert_eq!(once.status.code(), Some(0), "{once:?}");
    let text = stdout(&once);
    assert!(text.starts_with("swarm 2 of 2 nodes ready  0 of 0 containers running"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
    let engine = rig.fleet.engines()[0].clone();
    rig.run("seen-at-once", json!({"Image": "busybox"})).await;
    let address = rig.address.clone();
    let mut top = tokio::task::spawn_blocking(move || {
        let mut top = OnTerminal::start(&["top", "--interval", "300ms"], &address);
        top.until("seen-at-once");
        // So that what was on the terminal is there again at the end.
        assert!(top.screen.screen().alternate_screen());
        top
    })
    .await
    .unwrap();
    rig.run("seen-live", json!({"Image": "busybox"})).await;
    let mut top = tokio::task::spawn_blocking(move || {
        top.until("seen-live");
        top.press("/live");
        top.until("look for: live_");
        top.press("\r");
        top.until("only \"live\"");
        top.press("\u{1b}");
        top
    })
    .await
    .unwrap();
    engine.stop();
    tokio::task::spawn_blocking(move || {
        top.until("down");
        top.press("q");
        top.until_it("the first screen", |screen| !screen.alternate_screen());
        let status = top.child.wait().unwrap();
        assert_eq!(status.code(), Some(0));
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_shown_is_said_in_words() {
    let rig = Rig::of(1).await;
    for (arguments, code, words) in [
        (&["top"][..], 2, "draws on a terminal, and this is none; swarm top --once"),
        (&["top", "--interval", "1ms"], 2, "at least 300ms"),
        (&["top", "--once", "-H", "tcp://127.0.0.1:1"], 1, "cannot reach the manager at"),
    ] {
        let output = rig.swarm(arguments).await;
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
        assert!(stderr(&output).contains(words), "{arguments:?}: {output:?}");
    }
}
