//! What templates may say, and what they may not; the ready ones against golden files.

use serde_json::json;

use super::*;
use crate::sight::Answers;

fn sight() -> Sight {
    let mut answers = Answers {
        nodes: Some(json!([
            {"ID": "n1", "Spec": {"Labels": {"zone": "east"}}, "Description": {"Hostname": "alpha"},
             "Status": {"State": "ready", "Addr": "10.0.0.1:2375"}},
            {"ID": "n2", "Description": {"Hostname": "beta"},
             "Status": {"State": "down", "Addr": "[fd00::2]:2375"}}])),
        containers: json!([
            {"Id": "aa", "Names": ["/alpha/one"], "Image": "shop:1", "State": "running", "Status": "Up",
             "Labels": {"com.docker.swarm.proxy.host": "shop.example.com", "tier": "front", "note": "two words"},
             "Ports": [{"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8001, "Type": "tcp"},
                       {"PrivatePort": 53, "Type": "udp"}]},
            {"Id": "bb", "Names": ["/beta/two"], "Image": "shop:1", "State": "running", "Status": "Host Down",
             "Labels": {"interlock.hostname": "shop", "interlock.domain": "example.com"},
             "Ports": [{"IP": "::", "PrivatePort": 80, "PublicPort": 8001, "Type": "tcp"}]},
            {"Id": "cc", "Names": ["/alpha/api"], "State": "running", "Status": "Up (healthy)",
             "Ports": [{"IP": "0.0.0.0", "PrivatePort": 9000, "PublicPort": 8002, "Type": "tcp"}]},
            {"Id": "dd", "Names": ["/alpha/idle"], "State": "running", "Status": "Up (unhealthy)",
             "Labels": {"com.docker.swarm.proxy.host": "*.idle.example.com"},
             "Ports": [{"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8003, "Type": "tcp"}]}]),
        ..Answers::default()
    };
    let inspected =
        json!({"Config": {"Env": ["VIRTUAL_HOST=shop.example.com", "VIRTUAL_PATH=/api"]}});
    answers.lasting.insert("cc".into(), crate::Lasting::read(&inspected));
    Sight::of(&answers)
}

fn read(source: &str) -> Result<Template, BadTemplate> {
    let vars = BTreeMap::from([("port".to_owned(), "8080".to_owned())]);
    Template::read("t", source.to_owned(), Settings::default(), vars)
}

fn said(source: &str) -> String {
    let rendered = read(source).and_then(|template| template.render(sight()));
    rendered.map_or_else(|error| error.to_string(), |(text, _)| text)
}

#[test]
fn the_ready_templates_make_what_they_made() {
    // UPDATE_GOLDEN=1 writes them anew, for a reader's eye.
    for (kind, name) in [(Kind::Nginx, "nginx.conf"), (Kind::Haproxy, "haproxy.cfg")] {
        let source = Template::ready(kind).to_owned();
        let template = Template::read(name, source, Settings::default(), BTreeMap::new()).unwrap();
        let (text, refused) = template.render(sight()).unwrap();
        assert_eq!(refused.len(), 0, "{refused:?}");
        let golden = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&golden, &text).unwrap();
        }
        let golden = std::fs::read_to_string(&golden).unwrap();
        assert!(text == golden, "{name}: it made\n{text}");
    }
}

#[test]
fn everything_that_is_documented_is_there() {
    for (source, expected) in [
        ("{{ vars.port }}", "8080"),
        (
            "{% for n in nodes %}{{ n.name }}={{ n.address }},{% endfor %}",
            "alpha=10.0.0.1,beta=fd00::2,",
        ),
        ("{% for n in nodes | with_label('zone', 'east') %}{{ n.name }}{% endfor %}", "alpha"),
        ("{% for c in containers | with_label('tier') %}{{ c.name }}{% endfor %}", "one"),
        ("{% for c in containers | with_port(9000) %}{{ c.name }}{% endfor %}", "api"),
        ("{% for c in containers | with_port(53) %}{{ c.name }}{% endfor %}", ""),
        (
            "{% for c in containers %}{{ endpoint(c, 80).endpoint | default('-') }} {% endfor %}",
            "- 10.0.0.1:8003 10.0.0.1:8001 [fd00::2]:8001 ",
        ),
        (
            "{% for c in containers if c.env.VIRTUAL_PATH %}{{ c.env.VIRTUAL_PATH }}{% endfor %}",
            "/api",
        ),
        ("{% for s in sites %}{{ s.host }} {% endfor %}", "shop.example.com *.idle.example.com "),
        ("{{ services | length }}{{ tasks | length }}", "00"),
        ("{{ containers[2].labels.note | word }}", "two_words"),
        ("{{ containers[2].labels.note | safe }}", "two words"),
        ("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(1) }}", "<1>"),
    ] {
        assert_eq!(said(source), expected, "{source}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    for (source, expected) in [
        ("a\n{% for %}", "the template t: line 2: syntax error"),
        ("a\n{{ containers[2].labels.note }}", "line 2: \"two words\" has ' ' in it"),
        ("\n\n{{ nothing.at.all }}", "line 3: undefined value"),
        ("{{ containers[0].labels.none }}", "line 1: undefined value"),
        ("{{ endpoint(nodes[0], 80) }}", "needs a container or a task"),
        ("{{ endpoint(containers[0], 1) }}", "nothing to print"),
        ("{{ containers[2].labels }}", "has '{' in it"),
        ("{% include 'other' %}", "line 1: template not found"),
        (
            "{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}",
            "circles",
        ),
    ] {
        let found = said(source);
        assert!(found.contains(expected), "{source}: {found}");
    }
}
