//! Placement constraints: `node.labels.disk==ssd`. Docker's syntax and its words for what is wrong
//! (swarmkit's constraint package): `==` and `!=`, a whole value compared without case, no patterns.
//!
//! What a key means on a node is for the scheduler to say.

use std::fmt;

/// Equal or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
}

/// One constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    /// What it is about.
    pub key: String,
    /// Equal or not.
    pub operator: Operator,
    /// The value.
    pub value: String,
}

/// What is wrong with a constraint, in Docker's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConstraintError {
    /// Neither operator is in it.
    #[error("constraint expected one operator from ==, !=")]
    NoOperator,
    /// The key is empty or has a character it may not have.
    #[error("key '{0}' is invalid")]
    Key(String),
    /// The value is empty or has a character it may not have.
    #[error("value '{0}' is invalid")]
    Value(String),
}

impl Constraint {
    /// Reads one.
    pub fn parse(text: &str) -> Result<Self, ConstraintError> {
        let (operator, (key, value)) = match (text.split_once("=="), text.split_once("!=")) {
            (Some(parts), _) => (Operator::Equal, parts),
            (None, Some(parts)) => (Operator::NotEqual, parts),
            (None, None) => return Err(ConstraintError::NoOperator),
        };
        let (key, value) = (key.trim(), value.trim());
        if !valid_key(key) {
            return Err(ConstraintError::Key(key.to_owned()));
        }
        if !valid_value(value) {
            return Err(ConstraintError::Value(value.to_owned()));
        }
        Ok(Self { key: key.to_owned(), operator, value: value.to_owned() })
    }

    /// Whether it holds for what the node has there.
    pub fn holds_for(&self, what: &str) -> bool {
        self.holds(same(&self.value, what))
    }

    /// Applies the operator to "it is equal".
    pub fn holds(&self, equal: bool) -> bool {
        equal == (self.operator == Operator::Equal)
    }
}

/// Equal without case, as Go's `strings.EqualFold` for what a value may hold.
fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

/// A letter or `_`, then at least one of letters, digits, `-`, `_`, `.`.
fn valid_key(key: &str) -> bool {
    let mut bytes = key.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && key.len() > 1
        && bytes.all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// What Docker lets a value hold: regular expressions were once meant to be possible.
fn valid_value(value: &str) -> bool {
    let other = b":-_.*()?+[]\\^$|/ \t\n\r\x0c";
    !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || other.contains(&b))
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operator = if self.operator == Operator::Equal { "==" } else { "!=" };
        write!(f, "{}{operator}{}", self.key, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn constraints_are_read_as_docker_reads_them() {
        let read = |text| Constraint::parse(text).map(|c| c.to_string());
        for (text, expected) in [
            ("node.role==manager", "node.role==manager"),
            (" node.role != Manager ", "node.role!=Manager"),
            ("node.labels.a == b c", "node.labels.a==b c"),
            ("node.ip==10.0.0.0/8", "node.ip==10.0.0.0/8"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(expected));
        }
        for (text, words) in [
            ("node.role=manager", "constraint expected one operator from ==, !="),
            ("", "constraint expected one operator from ==, !="),
            ("==x", "key '' is invalid"),
            ("1a==x", "key '1a' is invalid"),
            ("node.role==", "value '' is invalid"),
            ("node.role==a,b", "value 'a,b' is invalid"),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), words, "{text}");
        }
    }

    #[test]
    fn values_are_compared_without_case() {
        let constraint = Constraint::parse("node.role==Manager").unwrap();
        assert!(constraint.holds_for("manager") && !constraint.holds_for("worker"));
        let constraint = Constraint::parse("node.role!=manager").unwrap();
        assert!(!constraint.holds_for("MANAGER") && constraint.holds_for(""));
    }

    proptest! {
        #[test]
        fn what_is_read_is_read_again(text in "\\PC{0,30}|[a-z.]{1,9}[=!]=[a-z*/ ]{1,9}") {
            if let Ok(constraint) = Constraint::parse(&text) {
                prop_assert_eq!(Constraint::parse(&constraint.to_string()), Ok(constraint));
            }
        }
    }
}
