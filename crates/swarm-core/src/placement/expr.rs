//! Scheduling expressions such as `storage==ssd`, `node!=/^db-[0-9]+$/`, `image==~redis*`: a total
//! parser, the pattern they hold, and matching.
//!
//! The language is classic Swarm's (release 1.2.9): a key, `==` or `!=`, an optional `~` for soft,
//! and a value that is an exact text, a glob with `*`, or a regular expression between slashes
//! (RE2, which the regex crate speaks). What the expression is about (nodes, containers, images) is
//! for the filters to say.
//!
//! Three places are friendlier than classic on purpose: a value may hold `@` (digests); a dot is a
//! dot unless `.*` shows that the writer thought of an expression; and a regular expression that
//! does not compile is an error here, where classic logged it and let nothing match.
//!
//! Invariants: parsing never panics; `parse(x.to_string()) == x` for every parsed `x`; a parsed
//! value is never empty.

use std::fmt;

use regex::{Regex, RegexBuilder};

/// Longest accepted expression, in bytes: far above any real one (a list of 200 node names fits),
/// and low enough that compiling it costs nothing worth attacking.
pub const MAX_EXPRESSION: usize = 8 * 1024;

/// Most memory a compiled regular expression may take, in bytes; a tenth of the crate's default.
const MAX_COMPILED: usize = 1 << 20;

/// Equal or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `==`: something must match.
    Equal,
    /// `!=`: nothing may match.
    NotEqual,
}

impl Operator {
    /// As written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
        }
    }
}

/// How a value is compared.
#[derive(Debug, Clone)]
enum Pattern {
    Exact,
    Glob,
    Regex(Regex),
}

/// One parsed expression.
#[derive(Debug, Clone)]
pub struct Expr {
    key: String,
    operator: Operator,
    soft: bool,
    value: String,
    pattern: Pattern,
}

/// What is wrong with an expression, and at which byte.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{expression:?}: {problem} (at offset {offset})")]
pub struct ExprError {
    /// The expression as it was given (cut short where it is very long).
    pub expression: String,
    /// Byte offset of the trouble in the expression.
    pub offset: usize,
    /// What is wrong there.
    pub problem: ExprProblem,
}

/// The kinds of trouble.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExprProblem {
    /// Neither `==` nor `!=` is in it.
    #[error("one of the operators == and != is expected")]
    NoOperator,
    /// Nothing stands before the operator.
    #[error("a key is expected before the operator")]
    EmptyKey,
    /// The key has a character it may not have.
    #[error(
        "{0:?} is not allowed in the key (letters, digits, '-', '_' and '.', a letter or '_' first)"
    )]
    BadKey(char),
    /// Nothing stands after the operator.
    #[error("a value is expected after the operator")]
    EmptyValue,
    /// The value has a character it may not have.
    #[error("{0:?} is not allowed in the value")]
    BadValue(char),
    /// `/.../` does not compile.
    #[error("the regular expression is invalid: {0}")]
    BadRegex(String),
    /// Longer than [`MAX_EXPRESSION`].
    #[error("longer than {MAX_EXPRESSION} bytes")]
    TooLong,
}

impl Expr {
    /// Reads one expression.
    pub fn parse(text: &str) -> Result<Self, ExprError> {
        parse(text).map_err(|(offset, problem)| {
            let shown: String = text.chars().take(200).collect();
            ExprError { expression: shown, offset, problem }
        })
    }

    /// `key==value` (or `key==~value`) compared exactly, for expressions the system adds itself:
    /// the value is taken as it is, whatever characters it has.
    pub fn exactly(key: &str, value: &str, soft: bool) -> Self {
        Self {
            key: key.to_owned(),
            operator: Operator::Equal,
            soft,
            value: value.to_owned(),
            pattern: Pattern::Exact,
        }
    }

    /// What stands before the operator; its case is kept, as label keys have case.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The operator.
    pub fn operator(&self) -> Operator {
        self.operator
    }

    /// The value as written, without the `~`.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether it may be dropped when no node would remain.
    pub fn is_soft(&self) -> bool {
        self.soft
    }

    /// The value, when it is compared as it is: such an expression can be answered by a look-up.
    pub fn exact(&self) -> Option<&str> {
        matches!(self.pattern, Pattern::Exact).then_some(self.value.as_str())
    }

    /// Whether the value itself (the operator left aside) covers `what`.
    pub fn covers(&self, what: &str) -> bool {
        match &self.pattern {
            Pattern::Exact => self.value == what,
            Pattern::Glob => glob_matches(&self.value, what),
            Pattern::Regex(regex) => regex.is_match(what) || self.value == what,
        }
    }

    /// Applies the operator to "one of them is covered".
    pub fn holds(&self, covered: bool) -> bool {
        match self.operator {
            Operator::Equal => covered,
            Operator::NotEqual => !covered,
        }
    }

    /// Whether the expression holds for a thing that has these names: with `==` one of them must be
    /// covered, with `!=` none may be.
    pub fn matches<'a>(&self, whats: impl IntoIterator<Item = &'a str>) -> bool {
        self.holds(whats.into_iter().any(|what| self.covers(what)))
    }
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        (&self.key, self.operator, self.soft, &self.value)
            == (&other.key, other.operator, other.soft, &other.value)
    }
}

impl Eq for Expr {}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let soft = if self.soft { "~" } else { "" };
        write!(f, "{}{}{soft}{}", self.key, self.operator.as_str(), self.value)
    }
}

impl std::str::FromStr for Expr {
    type Err = ExprError;

    fn from_str(text: &str) -> Result<Self, ExprError> {
        Self::parse(text)
    }
}

fn parse(text: &str) -> Result<Expr, (usize, ExprProblem)> {
    if text.len() > MAX_EXPRESSION {
        return Err((MAX_EXPRESSION, ExprProblem::TooLong));
    }
    let at = [text.find("=="), text.find("!=")].into_iter().flatten().min();
    let at = at.ok_or((text.len(), ExprProblem::NoOperator))?;
    let (key, rest) = text.split_at(at);
    let (operator, rest) = match rest.strip_prefix("==") {
        Some(rest) => (Operator::Equal, rest),
        None => (Operator::NotEqual, rest.strip_prefix("!=").unwrap_or(rest)),
    };
    check_key(key)?;
    let (soft, value) = match rest.strip_prefix('~') {
        Some(value) => (true, value),
        None => (false, rest),
    };
    let offset = text.len() - value.len();
    check_value(value, offset)?;
    let pattern = pattern_of(value).map_err(|problem| (offset, problem))?;
    Ok(Expr { key: key.to_owned(), operator, soft, value: value.to_owned(), pattern })
}

fn check_key(key: &str) -> Result<(), (usize, ExprProblem)> {
    if key.is_empty() {
        return Err((0, ExprProblem::EmptyKey));
    }
    for (offset, c) in key.char_indices() {
        let first = c.is_ascii_alphabetic() || c == '_';
        let allowed = first || (offset > 0 && (c.is_ascii_digit() || matches!(c, '-' | '.')));
        if !allowed {
            return Err((offset, ExprProblem::BadKey(c)));
        }
    }
    Ok(())
}

fn check_value(value: &str, start: usize) -> Result<(), (usize, ExprProblem)> {
    if value.is_empty() {
        return Err((start, ExprProblem::EmptyValue));
    }
    for (offset, c) in value.char_indices() {
        let allowed = c.is_ascii_alphanumeric()
            || c.is_ascii_whitespace()
            || ":-_.*/()?+[]\\^$|@".contains(c)
            // One leading sign, as classic takes: `key===value` means the value "=value".
            || (offset == 0 && matches!(c, '=' | '!'))
            || (offset == 1 && c == '~' && value.starts_with(['=', '!', '/']));
        if !allowed {
            return Err((start + offset, ExprProblem::BadValue(c)));
        }
    }
    Ok(())
}

fn pattern_of(value: &str) -> Result<Pattern, ExprProblem> {
    let compile = |source: &str| RegexBuilder::new(source).size_limit(MAX_COMPILED).build();
    let inner = value.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
    if let Some(source) = inner {
        return compile(source)
            .map(Pattern::Regex)
            .map_err(|error| ExprProblem::BadRegex(last_line(&error.to_string())));
    }
    // Classic turned every plain value into an anchored expression, so `node==db-(1|2)` works there
    // and here; what does not compile ("c++(") was surely meant as it is.
    let marked = value.contains(['(', ')', '?', '+', '[', ']', '\\', '^', '$', '|']);
    if (marked || value.contains(".*"))
        && let Ok(regex) = compile(&format!("^(?:{})$", value.replace('*', ".*")))
    {
        return Ok(Pattern::Regex(regex));
    }
    Ok(if value.contains('*') { Pattern::Glob } else { Pattern::Exact })
}

/// The regex crate draws the place over several lines and says what is wrong in the last.
fn last_line(text: &str) -> String {
    let line = text.lines().last().unwrap_or(text).trim();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// `*` stands for any text, also none; every other character for itself. Linear: the first place a
/// middle part fits is always a right one.
fn glob_matches(pattern: &str, what: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == what;
    };
    let Some(mut what) = what.strip_prefix(head) else { return false };
    let (middle, tail) = rest.rsplit_once('*').map_or(("", rest), |(middle, tail)| (middle, tail));
    for part in middle.split('*') {
        match what.find(part) {
            Some(at) => what = what.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    what.ends_with(tail)
}

#[cfg(test)]
#[path = "expr_tests.rs"]
mod tests;
