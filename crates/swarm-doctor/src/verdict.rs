//! What was found when something was looked at: how bad it is, what it is, and what to do about it.

use std::fmt;

use serde_json::{Value, json};

/// How bad it is; the order is that of exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing has to be done; a finding of this level is a note.
    Healthy = 0,
    /// It works, and somebody should look.
    Warning = 1,
    /// Clients are turned away.
    Critical = 2,
}

/// Something that is not as it should be.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    pub level: Level,
    /// What is so.
    pub what: String,
    /// What a person can do; may be empty.
    pub todo: String,
}

/// All of it.
#[derive(Debug)]
pub struct Verdict {
    /// In a sentence.
    pub summary: String,
    /// What was looked at and is as it should be.
    pub facts: Vec<String>,
    /// What is not, the worst first.
    pub findings: Vec<Finding>,
}

impl Level {
    /// The word before a finding.
    pub fn of_finding(self) -> &'static str {
        match self {
            Self::Healthy => "note",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl Verdict {
    /// Nothing was looked at yet.
    pub fn new(summary: impl Into<String>) -> Self {
        Self { summary: summary.into(), facts: Vec::new(), findings: Vec::new() }
    }

    /// This is as it should be.
    pub fn fact(&mut self, fact: impl Into<String>) {
        self.facts.push(fact.into());
    }

    /// This is not.
    pub fn find(&mut self, level: Level, what: impl Into<String>, todo: impl Into<String>) {
        let (what, todo) = (what.into(), todo.into());
        let before = self.findings.partition_point(|one| one.level >= level);
        self.findings.insert(before, Finding { level, what, todo });
    }

    /// Takes in what was found of another thing.
    pub fn join(&mut self, other: Self) {
        self.facts.extend(other.facts);
        for Finding { level, what, todo } in other.findings {
            self.find(level, what, todo);
        }
    }

    /// The worst of it.
    pub fn level(&self) -> Level {
        self.findings.iter().map(|one| one.level).max().unwrap_or(Level::Healthy)
    }

    /// For people.
    pub fn words(&self) -> String {
        let mut words = format!("{}: {}\n", self.level(), self.summary);
        for fact in &self.facts {
            words = format!("{words}  ok: {fact}\n");
        }
        for Finding { level, what, todo } in &self.findings {
            words = format!("{words}  {}: {what}\n", level.of_finding());
            if !todo.is_empty() {
                words = format!("{words}    {todo}\n");
            }
        }
        words
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let findings = self.findings.iter().map(|Finding { level, what, todo }| {
            json!({"Level": level.of_finding(), "What": what, "ToDo": todo})
        });
        json!({
            "Status": self.level().to_string(),
            "Summary": self.summary,
            "Facts": self.facts,
            "Findings": findings.collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Healthy => "healthy",
            Self::Warning => "warning",
            Self::Critical => "critical",
        })
    }
}
