//! Requests that no well-behaved client sends, and those a pool does not serve: each is refused
//! with Docker's status and `{"message": …}`, and changes nothing.

use anyhow::{Result, ensure};
use swarm_e2e::{Answered, IMAGE, Pool, Shared, ask_raw, shared};

fn pool() -> Result<(Shared, Pool)> {
    let lab = shared()?;
    let pool = Pool::start(&lab, &[])?;
    Ok((lab, pool))
}

/// Refused with that status, as JSON, in words that hold `words`.
fn check(answer: &Answered, status: u16, words: &str) -> Result<()> {
    let (head, text) = (&answer.head, answer.text());
    ensure!(answer.status == status, "{status} expected: {head}\n{text}");
    ensure!(head.to_lowercase().contains("content-type: application/json"), "{head}");
    ensure!(answer.json().as_object().is_some_and(|fields| fields.len() == 1), "{text}");
    let message = answer.message();
    ensure!(!message.is_empty() && message.contains(words), "{words:?} expected: {message}");
    Ok(())
}

#[test]
fn bodies_that_cannot_be_read_are_refused_and_create_nothing() -> Result<()> {
    let (_lab, pool) = pool()?;
    for (body, words) in [
        ("{", "EOF"),
        ("nonsense", "JSON"),
        ("[]", "object"),
        (r#"{"Image":"busybox"} trailing"#, "trailing"),
        (r#"{"Image":7}"#, "Image"),
        (r#"{"Image":"busybox","Env":["constraint:node=x"]}"#, "constraint"),
        (
            r#"{"Image":"busybox","Labels":{"com.docker.swarm.constraints":"x"}}"#,
            "com.docker.swarm.constraints",
        ),
    ] {
        let answer = pool.ask("POST", "/containers/create?name=refused", body)?;
        check(&answer, 400, "").map_err(|error| error.context(body))?;
        ensure!(
            answer.message().to_lowercase().contains(&words.to_lowercase()),
            "{body}: {}",
            answer.text()
        );
    }
    for name in ["a", "-x", "a b", "sl/ash", "é", "..%2Fup"] {
        let path = format!("/containers/create?name={}", name.replace(' ', "%20"));
        let answer = pool.ask("POST", &path, &format!(r#"{{"Image":"{IMAGE}"}}"#))?;
        check(&answer, 400, "Invalid container name").map_err(|error| error.context(name))?;
    }
    let missing = pool.ask("POST", "/containers/create", r#"{"Image":"no/such:image"}"#)?;
    check(&missing, 404, "No such image: no/such:image")?;
    let plain = b"POST /containers/create HTTP/1.0\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}";
    check(&ask_raw(pool.manager().sock(), plain)?, 400, "text/plain")?;
    let large = format!(r#"{{"Image":"{}"}}"#, "x".repeat(5 << 20));
    check(&pool.ask("POST", "/containers/create?name=refused", &large)?, 413, "larger than")?;
    let list = pool.ask(
        "GET",
        "/containers/json?all=1&filters=%7B%22name%22%3A%5B%22refused%22%5D%7D",
        "",
    )?;
    assert_eq!(list.text(), "[]");
    Ok(())
}

#[test]
fn queries_that_make_no_sense_are_refused() -> Result<()> {
    let (_lab, pool) = pool()?;
    for (path, status, words) in [
        ("/containers/json?filters=%7B%22color%22%3A%5B%22red%22%5D%7D", 400, "color"),
        ("/containers/json?filters=notjson", 400, "filter"),
        ("/containers/json?filters=%7B%22status%22%3A%5B%22flying%22%5D%7D", 400, "flying"),
        ("/containers/json?filters=%7B%22exited%22%3A%5B%22x%22%5D%7D", 400, "x"),
        ("/containers/json?filters=%7B%22before%22%3A%5B%22nobody%22%5D%7D", 404, "nobody"),
        ("/containers/json?limit=many", 400, "many"),
        ("/events?until=soon", 400, "soon"),
        ("/events?since=20&until=10", 400, "since"),
    ] {
        check(&pool.ask("GET", path, "")?, status, words).map_err(|error| error.context(path))?;
    }
    let prune = "/containers/prune?filters=%7B%22color%22%3A%5B%22red%22%5D%7D";
    check(&pool.ask("POST", prune, "")?, 400, "color")?;
    let node =
        pool.ask("GET", "/containers/json?filters=%7B%22node%22%3A%5B%22host-9%22%5D%7D", "")?;
    assert_eq!((node.status, node.text().as_str()), (200, "[]"), "a node is a filter, not a name");
    Ok(())
}

#[test]
fn versions_out_of_range_are_refused_in_dockers_words() -> Result<()> {
    let (_lab, pool) = pool()?;
    let newest =
        pool.manager().get("/version")?["ApiVersion"].as_str().unwrap_or_default().to_owned();
    let too_old = "client version 1.12 is too old. Minimum supported API version is 1.24";
    check(&pool.ask("GET", "/v1.12/info", "")?, 400, too_old)?;
    let too_new =
        format!("client version 1.99 is too new. Maximum supported API version is {newest}");
    check(&pool.ask("GET", "/v1.99/containers/json", "")?, 400, &too_new)?;
    for version in ["v1.24", &format!("v{newest}")] {
        assert_eq!(
            pool.ask("GET", &format!("/{version}/containers/json"), "")?.status,
            200,
            "{version}"
        );
    }
    let old = pool.client("docker").env("DOCKER_API_VERSION", "1.24").run(&["ps", "--all"]).ok()?;
    assert!(old.starts_with("CONTAINER ID"), "{old}");
    Ok(())
}

#[test]
fn unknown_routes_wrong_methods_and_climbing_paths_are_refused() -> Result<()> {
    let (_lab, pool) = pool()?;
    for (method, path, status, words) in [
        ("GET", "/nonsense", 404, "page not found"),
        ("GET", "/v1.41/", 404, "page not found"),
        ("GET", "/", 404, "page not found"),
        ("PUT", "/containers/json", 404, "page not found"),
        ("DELETE", "/info", 404, "page not found"),
        ("GET", "/containers/x/start", 404, "page not found"),
        ("GET", "/containers/../images/json", 400, ".."),
        ("GET", "/containers/%2e%2e%2fimages/json", 400, ".."),
        ("GET", "/containers/..%2f..%2fversion/json", 400, ".."),
        ("DELETE", "/containers/%2e%2e", 400, ".."),
        ("GET", "/containers/a%00b/json", 400, "control"),
        ("GET", "/containers/a%0d%0aX:y/json", 400, "control"),
        ("GET", "/containers/%ff/json", 400, "UTF-8"),
        ("GET", &format!("/containers/{}/json", "a".repeat(3000)), 400, "3000 bytes"),
        ("POST", "/containers/nobody/start", 404, "No such container: nobody"),
        ("GET", "/exec/nobody/json", 404, "No such exec instance"),
        ("GET", "/images/no/such/json", 404, "No such image"),
        ("GET", "/volumes/nobody", 404, "no such volume"),
        ("GET", "/networks/nobody", 404, "nobody"),
    ] {
        let answer = pool.ask(method, path, "")?;
        check(&answer, status, words).map_err(|error| error.context(format!("{method} {path}")))?;
    }
    Ok(())
}

#[test]
fn swarm_mode_is_refused_as_by_an_engine_outside_a_swarm() -> Result<()> {
    let (_lab, pool) = pool()?;
    for (method, path) in [
        ("GET", "/swarm"),
        ("POST", "/swarm/init"),
        ("GET", "/services"),
        ("POST", "/services/create"),
        ("GET", "/tasks"),
        ("GET", "/v1.41/secrets"),
        ("GET", "/v1.41/configs"),
    ] {
        let body = if method == "POST" { "{}" } else { "" };
        check(&pool.ask(method, path, body)?, 503, "This node is not a swarm manager")?;
    }
    let words = pool.docker(&["service", "ls"]).fails()?;
    assert!(words.contains("This node is not a swarm manager"), "{words}");
    Ok(())
}

#[test]
fn heads_that_are_no_http_or_too_large_are_refused_in_words() -> Result<()> {
    let (_lab, pool) = pool()?;
    let sock = pool.manager().sock();
    let wide = format!("GET /info HTTP/1.1\r\nHost: x\r\nX-Wide: {}\r\n\r\n", "w".repeat(2 << 20));
    check(&ask_raw(sock, wide.as_bytes())?, 431, "too large")?;
    let many = format!("GET /info HTTP/1.1\r\nHost: x\r\n{}\r\n", "X-A: b\r\n".repeat(500));
    check(&ask_raw(sock, many.as_bytes())?, 431, "too large")?;
    for nonsense in
        ["nonsense\r\n\r\n", "GET /info HTTP/9.9\r\n\r\n", "\x16\x03\x01\x02\0\x01\0\x01\r\n\r\n"]
    {
        check(&ask_raw(sock, nonsense.as_bytes())?, 400, "malformed")?;
    }
    assert!(pool.manager().answers(), "it goes on serving");
    Ok(())
}
