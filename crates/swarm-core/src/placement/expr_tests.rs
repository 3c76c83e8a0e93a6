//! Tables and properties of the expression language.

use proptest::prelude::*;

use super::*;

fn expr(text: &str) -> Expr {
    Expr::parse(text).unwrap()
}

#[test]
fn well_formed_expressions_are_taken_apart() {
    for (text, key, operator, soft, value) in [
        ("node==node-1", "node", Operator::Equal, false, "node-1"),
        ("node!=node-1", "node", Operator::NotEqual, false, "node-1"),
        ("storage==~ssd", "storage", Operator::Equal, true, "ssd"),
        ("storage!=~ssd", "storage", Operator::NotEqual, true, "ssd"),
        ("com.acme_2.rack-1==/r[0-9]+/", "com.acme_2.rack-1", Operator::Equal, false, "/r[0-9]+/"),
        ("_x==a b", "_x", Operator::Equal, false, "a b"),
        ("image==repo:5000/app:1.0", "image", Operator::Equal, false, "repo:5000/app:1.0"),
        ("image==app@sha256:00ff", "image", Operator::Equal, false, "app@sha256:00ff"),
        ("key===value", "key", Operator::Equal, false, "=value"),
        ("Region==EU", "Region", Operator::Equal, false, "EU"),
        ("node==/~x/", "node", Operator::Equal, false, "/~x/"),
    ] {
        let parsed = expr(text);
        assert_eq!(
            (parsed.key(), parsed.operator(), parsed.is_soft(), parsed.value()),
            (key, operator, soft, value),
            "{text}"
        );
    }
}

#[test]
fn malformed_expressions_name_the_place_and_the_trouble() {
    for (text, message) in [
        ("", r#""": one of the operators == and != is expected (at offset 0)"#),
        (
            "storage=ssd",
            r#""storage=ssd": one of the operators == and != is expected (at offset 11)"#,
        ),
        ("==ssd", r#""==ssd": a key is expected before the operator (at offset 0)"#),
        ("storage==", r#""storage==": a value is expected after the operator (at offset 9)"#),
        ("storage==~", r#""storage==~": a value is expected after the operator (at offset 10)"#),
        ("storage==~~ssd", r#""storage==~~ssd": '~' is not allowed in the value (at offset 10)"#),
        ("storage==s,d", r#""storage==s,d": ',' is not allowed in the value (at offset 10)"#),
        ("storage==ä", r#""storage==ä": 'ä' is not allowed in the value (at offset 9)"#),
        (
            "1node==a",
            r#""1node==a": '1' is not allowed in the key (letters, digits, '-', '_' and '.', a letter or '_' first) (at offset 0)"#,
        ),
        (
            "no de==a",
            r#""no de==a": ' ' is not allowed in the key (letters, digits, '-', '_' and '.', a letter or '_' first) (at offset 2)"#,
        ),
        (
            "node==/a(/",
            r#""node==/a(/": the regular expression is invalid: unclosed group (at offset 6)"#,
        ),
    ] {
        assert_eq!(Expr::parse(text).unwrap_err().to_string(), message);
    }
    let long = format!("node=={}", "a".repeat(MAX_EXPRESSION));
    assert_eq!(Expr::parse(&long).unwrap_err().problem, ExprProblem::TooLong);
    assert!(Expr::parse("node==/(a{1000}){1000}/").is_err(), "memory of a compiled one is bounded");
}

#[test]
fn values_are_exact_globs_or_regular_expressions() {
    for (text, what, matched) in [
        ("node==node-1", "node-1", true),
        ("node==node-1", "node-12", false),
        ("node==ub*t*", "ubuntu-trusty", true),
        ("node==ub*t*", "xubuntu", false),
        ("node==*", "", true),
        ("node==*-1", "node-1", true),
        ("node==a*a", "a", false),
        ("node==a*bc*c", "abc", false),
        ("node==a*bc*c", "a_bc_c", true),
        ("node==/ode/", "node-1", true),
        ("node==/^ode/", "node-1", false),
        ("node==/node-[12]$/", "node-2", true),
        ("node==/(?i)NODE/", "node-1", true),
        // A dot is a dot, and becomes "any" together with a star.
        ("image==redis:3.2", "redis:3x2", false),
        ("node==node.*", "node-1", true),
        // Classic's unquoted expressions are anchored.
        ("node==node-(1|2)", "node-2", true),
        ("node==node-(1|2)", "node-22", false),
        ("node==node-1|node-2", "xnode-2", false),
        // What cannot be an expression is a text.
        ("lib==c(", "c(", true),
        ("node==/", "/", true),
        ("node!=node-1", "node-1", false),
        ("node!=node-1", "node-2", true),
        ("node!=~/^node/", "other", true),
    ] {
        assert_eq!(expr(text).matches([what]), matched, "{text} on {what:?}");
    }
}

#[test]
fn of_several_names_one_must_match_and_none_may() {
    assert!(expr("node==a").matches(["b", "a"]));
    assert!(!expr("node==a").matches(["b", "c"]));
    assert!(!expr("node==a").matches([]));
    assert!(!expr("node!=a").matches(["b", "a"]));
    assert!(expr("node!=a").matches(["b", "c"]));
    assert!(expr("node!=a").matches([]));
}

proptest! {
    #[test]
    fn the_parser_takes_anything(text in "\\PC{0,60}") {
        let _ = Expr::parse(&text);
    }

    #[test]
    fn the_parser_takes_anything_that_looks_right(text in "[a-z]{0,3}[=!~]{0,4}[a-z*/.()\\[\\]|+?^$\\\\~!= -]{0,16}") {
        if let Ok(parsed) = Expr::parse(&text) {
            let again = Expr::parse(&parsed.to_string());
            prop_assert_eq!(again, Ok(parsed.clone()));
            prop_assert_eq!(parsed.to_string(), text);
            prop_assert!(!parsed.value().is_empty());
            prop_assert_ne!(parsed.holds(true), parsed.holds(false));
        }
    }

    #[test]
    fn an_error_points_into_the_expression(text in "\\PC{0,60}") {
        if let Err(error) = Expr::parse(&text) {
            prop_assert!(text.is_char_boundary(error.offset), "{}", error);
        }
    }

    #[test]
    fn globs_agree_with_regular_expressions(pattern in "[ab*]{1,8}", what in "[ab]{0,8}") {
        let regex = Regex::new(&format!("^{}$", pattern.replace('*', ".*"))).unwrap();
        prop_assert_eq!(glob_matches(&pattern, &what), regex.is_match(&what), "{} {}", pattern, what);
    }

    #[test]
    fn exactly_takes_any_value(value in "\\PC{1,20}") {
        prop_assert!(Expr::exactly("image", &value, false).matches([value.as_str()]));
    }
}
