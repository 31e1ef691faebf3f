//! Telling what happens, line by line: what is done, what is awaited, how long it took. Colours only on a terminal.

use super::wait;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// A teller.
#[derive(Debug)]
pub struct Story {
    colours: bool,
    start: Instant,
}

impl Story {
    /// Begins to tell.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self {
            colours: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
            start: Instant::now(),
        }
    }

    /// A new chapter.
    pub fn chapter(&self, title: &str) {
        println!("\n{}", self.paint("1", title));
    }

    /// Does something and says how long it took.
    pub fn step<T>(&self, what: &str, act: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        let start = Instant::now();
        let outcome = act();
        match &outcome {
            Ok(_) => println!("  {} {what}  {}", self.paint("32", "✓"), self.paint("2", &seconds(start.elapsed()))),
            Err(_) => println!("  {} {what}", self.paint("31", "✗")),
        }
        outcome
    }

    /// Waits for something and says what was in the way meanwhile.
    pub fn wait<T>(&self, what: &str, limit: Duration, look: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
        println!("  {} waiting: {what}", self.paint("33", "…"));
        let told = |after: Duration, reason: &str| {
            let reason = reason.lines().next().unwrap_or_default();
            println!("      {}", self.paint("2", &format!("{:>7}  {reason}", seconds(after))));
        };
        let outcome = wait::until(what, limit, told, look);
        match &outcome {
            Ok((_, after)) => println!("  {} {what}  {}", self.paint("32", "✓"), self.paint("2", &seconds(*after))),
            Err(_) => println!("  {} {what}", self.paint("31", "✗")),
        }
        outcome.map(|(answer, _)| answer)
    }

    /// Shows a command and what it printed.
    pub fn shown(&self, command: &str, output: &str) {
        println!("    {}", self.paint("36", &format!("$ {command}")));
        output.trim_end().lines().for_each(|line| println!("    {line}"));
    }

    /// A remark.
    pub fn say(&self, text: &str) {
        println!("  {text}");
    }

    /// How long it all took.
    pub fn end(&self, text: &str) {
        println!("\n{} {}", self.paint("1", text), self.paint("2", &seconds(self.start.elapsed())));
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A duration for people.
pub fn seconds(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}
