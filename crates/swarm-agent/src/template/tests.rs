//! Against what Go's text/template does with the same texts.

use proptest::prelude::*;

use super::*;

struct Names;

impl Scope for Names {
    fn field(&self, path: &[String]) -> Option<Value> {
        match path.join(".").as_str() {
            "Service.Name" => Some(Value::Text("web".into())),
            "Task.Slot" => Some(Value::Text("3".into())),
            "Service.Labels" => {
                let labels = [("a", "1"), ("b", "2")];
                let owned = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
                Some(Value::Map(owned.into()))
            }
            _ => None,
        }
    }

    fn call(&self, name: &str, argument: &str) -> Option<Result<String, TemplateError>> {
        (name == "env").then(|| Ok(format!("<{argument}>")))
    }
}

#[test]
fn what_is_supported_is_as_go_s() {
    for (template, filled) in [
        ("plain } {", "plain } {"),
        ("{{.Service.Name}}-{{ .Task.Slot }}", "web-3"),
        ("a {{- .Task.Slot -}} b", "a3b"),
        ("a {{/* no */ -}} b", "a b"),
        ("{{env \"X}}\"}}", "<X}}>"),
        ("{{ env `X` | join \"-\" .Service.Name }}", "web-<X>"),
        ("{{ join \", \" .Service.Name (env (join \"\" \"A\" \"B\")) }}", "web, <AB>"),
        ("{{ index .Service.Labels \"a\" }}{{ index .Service.Labels \"none\" }}", "1"),
        ("{{.Service.Labels.b}}", "2"),
        ("{{.Service.Labels}}", "map[a:1 b:2]"),
        (r#"{{ "a\t\"b\"" }}"#, "a\t\"b\""),
    ] {
        assert_eq!(fill(template, &Names).as_deref(), Ok(filled), "{template}");
    }
}

#[test]
fn everything_else_is_refused_in_words() {
    for (template, words) in [
        ("{{.Node.Secret}}", "there is no field .Node.Secret"),
        ("{{.Service.Labels.c}}", "map has no entry for key \"c\""),
        ("{{ if .Service.Name }}x{{ end }}", "\"if\" is not supported"),
        ("{{ $x := 1 }}", "variables are not supported"),
        ("{{ printf \"%s\" .Service.Name }}", "function \"printf\" not defined"),
        ("{{ env 1 }}", "numbers are not supported"),
        ("{{ env }}", "env takes one text, and was given 0"),
        ("{{ env \"a\" \"b\" }}", "env takes one text, and was given 2"),
        ("{{ env .Service.Labels }}", "env takes texts, not labels"),
        ("{{ }}", "an action is empty"),
        ("{{ . }}", "a field has no name"),
        ("{{ \"a }}", "a text is not closed"),
        ("{{ .Service.Name", "an action is not closed"),
        ("{{ (env \"a\" }}", "a parenthesis is not closed"),
        ("{{/* a", "a comment is not closed"),
        ("{{ env \"a\" | .Service.Name }}", "what follows | has to be a function"),
    ] {
        let error = fill(template, &Names).unwrap_err().to_string();
        assert!(error.contains(words), "{template}: {error}");
    }
    let deep = format!("{{{{ {}", "(".repeat(100_000));
    assert!(fill(&deep, &Names).is_err());
}

proptest! {
    #[test]
    fn any_text_is_filled_or_refused(text in "([{}(). |\"`a-zA-Z-]|\\{\\{|\\}\\}|\\PC){0,60}") {
        let _ = fill(&text, &Names);
    }

    #[test]
    fn text_without_an_action_stays_as_it_is(text in "[^{]{0,60}") {
        prop_assert_eq!(fill(&text, &Names).unwrap(), text);
    }

    #[test]
    fn a_quoted_text_comes_out_as_it_went_in(text in "[^`]{0,40}") {
        let template = format!("{{{{ `{text}` }}}}");
        prop_assert_eq!(fill(&template, &Names).unwrap(), text);
    }
}
