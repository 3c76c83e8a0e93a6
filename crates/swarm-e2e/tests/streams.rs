//! Raw streams through the pool: terminals, half-closed input, exec, logs, archives, websockets.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context as _, Result};
use swarm_e2e::{Client, IMAGE, Pool, Ran, connect, shared, until};

const SOON: Duration = Duration::from_secs(30);
/// What a 300 MB stream may add to the manager's memory: some buffers, never the stream.
const STREAM: u64 = 300_000_000;
const GROWTH_KIB: u64 = 24 << 10;

fn feed(pool: &Pool, arguments: &[&str], input: &str) -> Ran {
    pool.client("docker").feed(arguments, input.as_bytes())
}

/// `docker LINE` on a terminal of its own, with `keys` typed into it.
fn on_terminal(pool: &Pool, line: &str, keys: &str) -> Ran {
    let terminal: Client = pool.client("script");
    terminal.feed(
        &["-qec", &format!("stty cols 123 rows 45; docker {line}"), "/dev/null"],
        keys.as_bytes(),
    )
}

#[test]
fn a_terminal_is_attached_resized_and_detached() -> Result<()> {
    let lab = shared()?;
    let pool = Pool::start(&lab, &[])?;
    let wait = "until [ \"$(stty size)\" = '45 123' ]; do :; done; echo size is right\n";
    let typed = format!("{wait}echo sum=$((40+2)); tty\nexit 5\n");
    let output = on_terminal(&pool, &format!("run -it --rm {IMAGE} sh"), &typed).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(
        said.contains("\nsize is right") && said.contains("\nsum=42") && said.contains("/dev/"),
        "{said}"
    );

    pool.docker(&["run", "-dit", "--name", "term", IMAGE, "sh"]).ok()?;
    // Docker takes the keys only where they are read apart from what was typed before.
    let typing = "echo 'echo sum=$((1+1))'; \
                  until docker logs term | grep -q '^sum=2'; do sleep 0.1; done; printf zz";
    let attach =
        "script -qec 'stty cols 123 rows 45; docker attach --detach-keys z,z term' /dev/null";
    let detached = pool.client("sh").run(&["-c", &format!("({typing}) | {attach}")]).output()?;
    let said = String::from_utf8_lossy(&detached.stdout).into_owned();
    assert!(said.contains("read escape sequence") || detached.status.success(), "{said}");
    until(SOON, "what was typed was run", || {
        Ok(pool.docker(&["logs", "term"]).ok()?.contains("\nsum=2").then_some(()))
    })?;
    assert_eq!(pool.docker(&["inspect", "-f", "{{.State.Running}}", "term"]).ok()?, "true");
    let said = on_terminal(&pool, "exec -it term sh", &format!("{wait}exit 0\n")).ok()?;
    assert!(said.contains("\nsize is right"), "{said}");
    pool.docker(&["rm", "--force", "term"]).ok().map(drop)
}

#[test]
fn input_that_ends_leaves_the_output_open() -> Result<()> {
    let lab = shared()?;
    let pool = Pool::start(&lab, &[])?;
    // `sort` says nothing before its input has ended.
    assert_eq!(feed(&pool, &["run", "-i", "--rm", IMAGE, "sort"], "b\na\n").ok()?, "a\nb");
    pool.sleeper("half", &[]).ok()?;
    assert_eq!(feed(&pool, &["exec", "-i", "half", "sort"], "2\n1\n").ok()?, "1\n2");
    let million = "0123456789abcde\n".repeat(1 << 16);
    let sum = feed(&pool, &["exec", "-i", "half", "md5sum"], &million).ok()?;
    let own = Client::new("md5sum", "").feed(&[], million.as_bytes()).ok()?;
    assert_eq!(sum, own);
    pool.docker(&["rm", "--force", "half"]).ok().map(drop)
}

#[test]
fn a_process_run_in_a_container_keeps_its_status_streams_and_surroundings() -> Result<()> {
    let lab = shared()?;
    let pool = Pool::start(&lab, &[])?;
    pool.sleeper("host", &[]).ok()?;
    let line = "echo out; echo err >&2; echo $WHO in $PWD; exit 42";
    let output =
        pool.docker(&["exec", "-e", "WHO=me", "-w", "/tmp", "host", "sh", "-c", line]).output()?;
    assert_eq!(output.status.code(), Some(42));
    assert_eq!((&*output.stdout, &*output.stderr), (&b"out\nme in /tmp\n"[..], &b"err\n"[..]));
    pool.docker(&["exec", "-d", "host", "touch", "/detached"]).ok()?;
    until(SOON, "the detached one ran", || {
        let there = pool.docker(&["exec", "host", "test", "-e", "/detached"]).output()?;
        Ok(there.status.success().then_some(()))
    })?;
    let created = pool.ask("POST", "/containers/host/exec", r#"{"Cmd":["true"]}"#)?;
    let id = created.json()["Id"].as_str().context("no exec id")?.to_owned();
    let another = Pool::start(&lab, &[])?;
    assert_eq!(
        another.ask("POST", &format!("/exec/{id}/start"), r#"{"Detach":true}"#)?.status,
        200
    );
    let ended = || -> Result<_> {
        Ok(another.manager().get(&format!("/exec/{id}/json"))?["ExitCode"].as_i64())
    };
    assert_eq!(until(SOON, "it ends", ended)?, 0, "any manager finds an exec");
    let unknown = pool.ask("GET", "/exec/0123456789ab/json", "")?;
    assert_eq!(
        (unknown.status, unknown.message().as_str()),
        (404, "No such exec instance: 0123456789ab")
    );
    assert!(
        pool.docker(&["exec", "nobody", "true"]).fails()?.contains("No such container: nobody")
    );
    pool.docker(&["rm", "--force", "host"]).ok().map(drop)
}

#[test]
fn followed_logs_arrive_as_they_are_written_and_end_with_the_container() -> Result<()> {
    let lab = shared()?;
    let pool = Pool::start(&lab, &[])?;
    let script = "echo first; until [ -e /go ]; do sleep 0.1; done; echo second; exec sleep 1d";
    pool.docker(&[
        "run",
        "-d",
        "--name",
        "loud",
        "--stop-signal",
        "KILL",
        IMAGE,
        "sh",
        "-c",
        script,
    ])
    .ok()?;
    let mut follow = pool.watch(&["logs", "--follow", "--timestamps", "loud"])?;
    let first = follow.wait_for("first", SOON)?;
    assert!(first.starts_with("20") && first.contains("Z first"), "{first}");
    assert_eq!(follow.lines().len(), 1);
    pool.docker(&["exec", "loud", "touch", "/go"]).ok()?;
    follow.wait_for("second", SOON)?;
    assert!(follow.runs()?);
    pool.docker(&["stop", "loud"]).ok()?;
    assert!(follow.wait_end(SOON)?.success());
    assert_eq!(pool.docker(&["logs", "--tail", "1", "loud"]).ok()?, "second");
    pool.docker(&["rm", "loud"]).ok().map(drop)
}

#[test]
fn files_are_copied_both_ways() -> Result<()> {
    let lab = shared()?;
    let pool = Pool::start(&lab, &[])?;
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::create_dir_all(path("in/sub"))?;
    fs::write(path("in/sub/file"), "content\n")?;
    pool.docker(&["create", "--name", "files", IMAGE]).ok()?;
    pool.docker(&["cp", &path("in"), "files:/tmp/in"]).ok()?;
    pool.docker(&["cp", "files:/tmp/in", &path("out")]).ok()?;
    assert_eq!(fs::read_to_string(path("out/sub/file"))?, "content\n");
    let node = pool.node_of("files")?;
    let stat =
        pool.ask("HEAD", &format!("/containers/{node}/files/archive?path=/tmp/in/sub/file"), "")?;
    assert_eq!(stat.status, 200);
    assert!(stat.head.to_lowercase().contains("x-docker-container-path-stat"), "{}", stat.head);
    let missing = pool.docker(&["cp", "files:/none", &path("none")]).fails()?;
    assert!(missing.contains("/none"), "{missing}");
    pool.docker(&["rm", "files"]).ok().map(drop)
}

/// A number of `/proc/PID/status`, in KiB.
fn memory(pool: &Pool, field: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", pool.manager().pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).context("no such field")?;
    Ok(line.trim_start_matches(':').trim().trim_end_matches(" kB").parse()?)
}

#[test]
fn a_large_copy_does_not_grow_the_manager() -> Result<()> {
    let lab = shared()?;
    let pool = Pool::start(&lab, &[])?;
    let folder = tempfile::tempdir()?;
    let large = folder.path().join("large");
    fs::File::create(&large)?.set_len(STREAM)?;
    pool.sleeper("bulk", &[]).ok()?;
    pool.docker(&["ps"]).ok()?;
    // The high-water mark counts from here.
    fs::write(format!("/proc/{}/clear_refs", pool.manager().pid()), "5")?;
    let before = memory(&pool, "VmRSS")?;
    pool.docker(&["cp", &large.display().to_string(), "bulk:/large"]).ok()?;
    assert_eq!(
        pool.docker(&["exec", "bulk", "stat", "-c", "%s", "/large"]).ok()?,
        STREAM.to_string()
    );
    let copy = "docker cp bulk:/large - | wc -c; docker exec bulk cat /large | wc -c";
    let sizes = pool.client("sh").run(&["-c", copy]).ok()?;
    let sizes: Vec<u64> = sizes.lines().map(str::parse).collect::<Result<_, _>>()?;
    assert!(sizes[0] > STREAM && sizes[1] == STREAM, "{sizes:?}");
    let peak = memory(&pool, "VmHWM")?;
    assert!(peak < before + GROWTH_KIB, "from {before} to {peak} KiB");
    pool.docker(&["rm", "--force", "bulk"]).ok().map(drop)
}

#[test]
fn a_websocket_is_attached() -> Result<()> {
    let lab = shared()?;
    let pool = Pool::start(&lab, &[])?;
    pool.docker(&["run", "-dit", "--name", "socket", IMAGE, "cat"]).ok()?;
    let mut stream = connect(pool.manager().sock())?;
    write!(
        stream,
        "GET /v1.41/containers/socket/attach/ws?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: x\r\n\
         Origin: http://x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )?;
    let head = read_until(&mut stream, "\r\n\r\n")?;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "the key's answer: {head}");
    // One masked text frame; a mask of zeros leaves the text as it is.
    stream.write_all(b"\x81\x86\0\0\0\0hello\n")?;
    read_until(&mut stream, "hello")?;
    pool.docker(&["rm", "--force", "socket"]).ok()?;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).context("it ends with the container")?;
    Ok(())
}

fn read_until(stream: &mut UnixStream, text: &str) -> Result<String> {
    let mut seen = Vec::new();
    loop {
        let mut piece = [0; 512];
        let count = stream.read(&mut piece)?;
        seen.extend_from_slice(&piece[..count]);
        // Frame heads are not text: without them the echo is one piece.
        let said: String = String::from_utf8_lossy(&seen).chars().filter(char::is_ascii).collect();
        anyhow::ensure!(count > 0, "it ended after {said:?}");
        if said.contains(text) {
            return Ok(said);
        }
    }
}
