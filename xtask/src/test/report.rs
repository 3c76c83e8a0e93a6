//! What ran, how long it took and how it ended.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::count::{Count, summary};
use crate::progress::time;

struct Line {
    what: &'static str,
    took: Duration,
    outcome: Result<Count>,
}

#[derive(Default)]
pub struct Report {
    lines: Vec<Line>,
    notes: Vec<&'static str>,
    passed: u64,
    failed: u64,
}

impl Report {
    pub fn step(&mut self, what: &'static str, work: impl FnOnce() -> Result<Count>) {
        println!("\n── {what}");
        let start = Instant::now();
        let outcome = work();
        if let Err(error) = &outcome {
            println!("{what}: {error:#}");
        }
        self.lines.push(Line { what, took: start.elapsed(), outcome });
    }

    pub fn note(&mut self, note: &'static str) {
        println!("\n── {note}");
        self.notes.push(note);
    }

    /// A failed step counts as one failed test where it counted none itself.
    pub fn end(mut self) -> Result<()> {
        println!("\n── What ran");
        for line in &self.lines {
            let (mark, text) = match &line.outcome {
                Ok(count) if *count == Count::default() => ("✓", String::new()),
                Ok(count) => ("✓", format!("{} tests", count.passed)),
                Err(error) => ("✗", format!("{error:#}").lines().take(1).collect()),
            };
            println!("{mark} {:<36} {:>12}  {text}", line.what, time(line.took));
            match &line.outcome {
                Ok(count) => self.passed += count.passed,
                Err(error) => {
                    let told = format!("{error:#}");
                    let told = told.lines().next().unwrap_or_default();
                    let told = summary(&format!("test result: {told}")).unwrap_or_default();
                    self.passed += told.passed;
                    self.failed += told.failed.max(1);
                }
            }
        }
        for note in &self.notes {
            println!("! {note}");
        }
        println!("{} passed, {} failed", self.passed, self.failed);
        if self.failed > 0 {
            bail!("not everything passed");
        }
        Ok(())
    }
}
