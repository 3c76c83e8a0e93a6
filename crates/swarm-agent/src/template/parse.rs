//! Reading a template: text and actions, and in an action what is called with what.
//!
//! Total: any text is read or refused, in time linear in its length and to a bounded depth.

use super::TemplateError;

/// Parentheses within parentheses.
const DEEPEST: usize = 16;

/// What Go's language has and this one has not.
const KEYWORDS: [&str; 10] =
    ["block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"];

/// A part of a template.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// As it is.
    Text(&'a str),
    /// To be evaluated.
    Action(Expr),
}

/// An expression.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Expr {
    /// A text in quotes.
    Text(String),
    /// `.Service.Name`.
    Field(Vec<String>),
    /// A function and what it is given.
    Call(String, Vec<Expr>),
}

fn refuse<T>(words: impl Into<String>) -> Result<T, TemplateError> {
    Err(TemplateError(words.into()))
}

const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// Cuts a template into its pieces.
pub(super) fn parse(mut rest: &str) -> Result<Vec<Piece<'_>>, TemplateError> {
    let mut pieces = Vec::new();
    let mut trim = false;
    loop {
        let (text, action) = match rest.split_once("{{") {
            Some((text, action)) => (text, Some(action)),
            None => (rest, None),
        };
        let text = if trim { text.trim_start_matches(SPACE) } else { text };
        let Some(action) = action else {
            push(&mut pieces, text);
            return Ok(pieces);
        };
        let (action, trims_before) = match action.strip_prefix('-') {
            Some(after) if after.starts_with(SPACE) => (after, true),
            _ => (action, false),
        };
        push(&mut pieces, if trims_before { text.trim_end_matches(SPACE) } else { text });
        if let Some(comment) = action.trim_start_matches(SPACE).strip_prefix("/*") {
            let Some((_, after)) = comment.split_once("*/") else {
                return refuse("a comment is not closed");
            };
            (rest, trim) = close(after)?;
            continue;
        }
        let mut reader = Reader { rest: action, depth: 0 };
        let expr = reader.pipeline()?;
        (rest, trim) = close(reader.rest)?;
        pieces.push(Piece::Action(expr));
    }
}

fn push<'a>(pieces: &mut Vec<Piece<'a>>, text: &'a str) {
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
}

/// The end of an action: what follows it, and whether the text there is trimmed.
fn close(rest: &str) -> Result<(&str, bool), TemplateError> {
    let bare = rest.trim_start_matches(SPACE);
    if bare.len() < rest.len()
        && let Some(after) = bare.strip_prefix("-}}")
    {
        return Ok((after, true));
    }
    match bare.strip_prefix("}}") {
        Some(after) => Ok((after, false)),
        None => refuse("an action is not closed, or has something that is not supported in it"),
    }
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl Reader<'_> {
    /// Takes the mark that is next; else nothing, not even space, which the end of an action needs.
    fn takes(&mut self, mark: char) -> bool {
        let after = self.rest.trim_start_matches(SPACE).strip_prefix(mark);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    /// `a b | c d`: what is before a bar is the last argument of what follows.
    fn pipeline(&mut self) -> Result<Expr, TemplateError> {
        let mut before = self.command()?;
        while self.takes('|') {
            match self.command()? {
                Expr::Call(name, mut arguments) => {
                    arguments.push(before);
                    before = Expr::Call(name, arguments);
                }
                _ => return refuse("what follows | has to be a function"),
            }
        }
        Ok(before)
    }

    fn command(&mut self) -> Result<Expr, TemplateError> {
        let Some(first) = self.operand()? else { return refuse("an action is empty") };
        let Expr::Call(name, mut arguments) = first.expr else { return Ok(first.expr) };
        if first.closed {
            return Ok(Expr::Call(name, arguments));
        }
        while let Some(argument) = self.operand()? {
            arguments.push(argument.expr);
        }
        Ok(Expr::Call(name, arguments))
    }

    fn operand(&mut self) -> Result<Option<Operand>, TemplateError> {
        let bare = self.rest.trim_start_matches(SPACE);
        let Some(first) = bare.chars().next() else { return Ok(None) };
        let starts = matches!(first, '"' | '`' | '.' | '(' | '$' | '_') || first.is_alphanumeric();
        if !starts {
            return Ok(None);
        }
        self.rest = bare;
        let open = |expr| Ok(Some(Operand { expr, closed: false }));
        match first {
            '"' => open(Expr::Text(self.quoted()?)),
            '`' => {
                let Some((text, after)) = self.rest.get(1..).and_then(|all| all.split_once('`'))
                else {
                    return refuse("a text is not closed");
                };
                self.rest = after;
                open(Expr::Text(text.to_owned()))
            }
            '.' => open(Expr::Field(self.path()?)),
            '(' => {
                self.depth += 1;
                if self.depth > DEEPEST {
                    return refuse(format!("parentheses are deeper than {DEEPEST}"));
                }
                self.rest = self.rest.get(1..).unwrap_or_default();
                let expr = self.pipeline()?;
                if !self.takes(')') {
                    return refuse("a parenthesis is not closed");
                }
                self.depth -= 1;
                Ok(Some(Operand { expr, closed: true }))
            }
            letter if letter.is_alphabetic() || letter == '_' => {
                let name = self.name();
                if KEYWORDS.contains(&name.as_str()) {
                    return refuse(format!("{name:?} is not supported"));
                }
                open(Expr::Call(name, Vec::new()))
            }
            '$' => refuse("variables are not supported"),
            _ => refuse("numbers are not supported"),
        }
    }

    fn name(&mut self) -> String {
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        let (name, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        name.to_owned()
    }

    fn path(&mut self) -> Result<Vec<String>, TemplateError> {
        let mut path = Vec::new();
        while let Some(after) = self.rest.strip_prefix('.') {
            self.rest = after;
            let name = self.name();
            if name.is_empty() {
                return refuse("a field has no name");
            }
            path.push(name);
        }
        Ok(path)
    }

    fn quoted(&mut self) -> Result<String, TemplateError> {
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, char)) = chars.next() {
            match char {
                '"' => {
                    self.rest = self.rest.get(at + 1..).unwrap_or_default();
                    return Ok(text);
                }
                '\n' => break,
                '\\' => match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, 'r')) => text.push('\r'),
                    Some((_, same @ ('\\' | '"'))) => text.push(same),
                    _ => return refuse("an escape in a text is not supported"),
                },
                other => text.push(other),
            }
        }
        refuse("a text is not closed")
    }
}

struct Operand {
    expr: Expr,
    /// In parentheses: nothing that follows is its argument.
    closed: bool,
}
