//! The table: what was measured, against its target.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::machine::Machine;

/// What a figure must satisfy.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    Below(f64),
    Above(f64),
    Exactly(f64),
    /// Shown for orientation.
    None,
}

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Row {
    pub name: String,
    pub value: f64,
    pub unit: &'static str,
    pub target: Target,
    pub note: String,
}

impl Row {
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str, target: Target) -> Self {
        Self { name: name.into(), value, unit, target, note: String::new() }
    }

    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// Whether the target is met; `None` without one.
    pub fn met(&self) -> Option<bool> {
        match self.target {
            Target::Below(limit) => Some(self.value < limit),
            Target::Above(limit) => Some(self.value > limit),
            Target::Exactly(wanted) => Some((self.value - wanted).abs() < f64::EPSILON),
            Target::None => None,
        }
    }

    fn target_text(&self) -> String {
        match self.target {
            Target::Below(limit) => format!("< {} {}", number(limit), self.unit),
            Target::Above(limit) => format!("> {} {}", number(limit), self.unit),
            Target::Exactly(wanted) => format!("{} {}", number(wanted), self.unit),
            Target::None => String::new(),
        }
    }

    /// One line for the terminal.
    pub fn line(&self) -> String {
        let verdict = match self.met() {
            Some(true) => "  ok",
            Some(false) => "MISS",
            None => "    ",
        };
        format!(
            "{verdict}  {}: {} {}  {}  {}",
            self.name,
            number(self.value),
            self.unit,
            self.target_text(),
            self.note
        )
    }
}

/// Figures as a person writes them: three significant digits, no more.
fn number(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 || v.fract() == 0.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 0.01 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

/// The whole table as Markdown.
pub fn markdown(rows: &[Row], machine: &Machine) -> String {
    let mut out = format!(
        "{}\n\n| what | measured | target | met | remark |\n|---|---|---|---|---|\n",
        machine.markdown()
    );
    for row in rows {
        let met = match row.met() {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "",
        };
        let _ = writeln!(
            out,
            "| {} | {} {} | {} | {met} | {} |",
            row.name,
            number(row.value),
            row.unit,
            row.target_text(),
            row.note
        );
    }
    out
}

/// The whole table as JSON.
pub fn as_json(rows: &[Row], machine: &Machine) -> Value {
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({ "name": row.name, "value": row.value, "unit": row.unit,
                "target": row.target_text(), "met": row.met(), "note": row.note })
        })
        .collect();
    json!({ "machine": machine.json(), "rows": rows })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_judge_themselves() {
        let row = |value, target| Row::new("x", value, "ms", target);
        assert_eq!(row(1.0, Target::Below(2.0)).met(), Some(true));
        assert_eq!(row(2.0, Target::Below(2.0)).met(), Some(false));
        assert_eq!(row(0.0, Target::Exactly(0.0)).met(), Some(true));
        assert_eq!(row(301.0, Target::Above(300.0)).met(), Some(true));
        assert_eq!(row(5.0, Target::None).met(), None);
        assert_eq!(number(0.1234), "0.12");
        assert_eq!(number(12345.6), "12346");
    }
}
