//! `quorate status --watch`: the screen, drawn again every second, with what changed while somebody looks.
//!
//! It reads a file and nothing else, so it goes on when masters die, when etcd hangs, and when the file disappears and
//! comes back. Without a terminal it prints the screen once and then one line per change, for a log.

use super::Exit;
use super::status::{now, paint, read};
use crate::status::Status;
use crate::status::changes::changes;
use crate::status::human::{self, Paint, Tone};
use anyhow::{Context, Result};
use jiff::Timestamp;
use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// How often the document is read: as often as its ages change.
const PERIOD: Duration = Duration::from_secs(1);
/// How many changes stay on the screen.
const CHANGES_KEPT: usize = 8;

/// Watches the document at `path` until it is told to end.
///
/// # Errors
/// A terminal that went away, or a process without signals.
pub fn run(path: &Path) -> Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(watch(path))
}

async fn watch(path: &Path) -> Result<Exit> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    let mut resized = signal(SignalKind::window_change()).context("cannot wait for signals")?;
    let mut period = tokio::time::interval(PERIOD);
    let terminal = io::stdout().is_terminal().then(Terminal::take).transpose()?;
    let mut view = View::default();
    loop {
        tokio::select! {
            _ = period.tick() => {}
            _ = resized.recv() => {}
            _ = interrupt.recv() => return Ok(Exit::Fine),
            _ = terminate.recv() => return Ok(Exit::Fine),
        }
        let now = now();
        let first = view.is_new();
        let news = view.see(read(path).map_err(|error| format!("{error:#}")), now);
        let mut out = io::stdout().lock();
        let written = match &terminal {
            Some(_) => out.write_all(frame(&view, now, size(), paint()).as_bytes()),
            None if first => write!(out, "{}", view.screen(now, Paint::Plain)),
            None => news.iter().try_for_each(|line| writeln!(out, "{now:.0}  {line}")),
        };
        match written.and_then(|()| out.flush()) {
            // The reader of a pipe left: there is nobody to tell any more.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Exit::Fine),
            result => result.context("cannot write to the terminal")?,
        }
    }
}

/// What was seen so far.
#[derive(Debug, Default)]
struct View {
    /// The last document, with the time at which it was read.
    last: Option<(Status, Timestamp)>,
    /// Why there is none just now.
    fault: Option<String>,
    /// Newest first.
    changes: VecDeque<(Timestamp, String)>,
}

impl View {
    fn is_new(&self) -> bool {
        self.last.is_none() && self.fault.is_none()
    }

    /// Takes one reading and tells what it changes.
    fn see(&mut self, reading: Result<Status, String>, now: Timestamp) -> Vec<String> {
        let news = match reading {
            Ok(status) => {
                let mut news = Vec::new();
                if self.fault.take().is_some() {
                    news.push("the status document can be read".into());
                }
                if let Some((before, read)) = &self.last {
                    news.extend(changes((before, *read), (&status, now)));
                }
                self.last = Some((status, now));
                news
            }
            Err(fault) if self.fault.as_ref() == Some(&fault) => Vec::new(),
            Err(fault) => {
                self.fault = Some(fault.clone());
                vec![fault]
            }
        };
        for line in &news {
            self.changes.push_front((now, line.clone()));
        }
        self.changes.truncate(CHANGES_KEPT);
        news
    }

    /// The screen of the last document; a document that cannot be read does not hide what was seen before.
    fn screen(&self, now: Timestamp, paint: Paint) -> String {
        let fault = self.fault.as_ref().map(|fault| format!("{}  {fault}\n\n", paint.tone(Tone::Bad, "unreadable")));
        let screen = self.last.as_ref().map(|(status, _)| human::render(status, now, paint));
        fault.unwrap_or_default() + &screen.unwrap_or_default()
    }
}

/// Columns and rows.
type Size = (usize, usize);

/// One frame: the screen above, the changes below; what does not fit is cut at the end of the screen, and said.
fn frame(view: &View, now: Timestamp, (columns, rows): Size, paint: Paint) -> String {
    let mut below = vec![String::new()];
    below.extend(
        view.changes.iter().map(|(at, line)| format!("{}  {line}", paint.tone(Tone::Faint, &format!("{at:.0}")))),
    );
    below.push(paint.tone(Tone::Faint, "every second; Ctrl-C ends"));
    below.truncate(rows);
    let screen = view.screen(now, paint);
    let mut above: Vec<String> = screen.lines().map(str::to_owned).collect();
    let room = rows - below.len();
    if above.len() > room {
        let hidden = above.len() + 1 - room.max(1);
        above.truncate(room.saturating_sub(1));
        if room > 0 {
            above.push(paint.tone(Tone::Faint, &format!("… {hidden} more lines: 'quorate status'")));
        }
    }
    // Home; each line clears its own rest; the rest of the window is cleared at the end. So nothing flickers.
    let lines: Vec<String> = above.iter().chain(&below).map(|line| clipped(line, columns)).collect();
    format!("\x1b[H{}\x1b[K\x1b[J", lines.join("\x1b[K\r\n"))
}

/// `line` cut to `columns` letters, the last one saying so; escape sequences take no room.
fn clipped(line: &str, columns: usize) -> String {
    let (mut out, mut taken, mut escape) = (String::new(), 0, false);
    let mut cut_at = 0;
    for letter in line.chars() {
        escape |= letter == '\x1b';
        if escape {
            escape = letter != 'm';
        } else {
            taken += 1;
            if taken == columns {
                cut_at = out.len();
            }
        }
        out.push(letter);
    }
    if taken > columns {
        out.truncate(cut_at);
        // Whatever colour was open ends here.
        out.push_str(if columns > 0 { "…\x1b[0m" } else { "\x1b[0m" });
    }
    out
}

/// The size of the window; a terminal that does not say has the size of the first ones.
fn size() -> Size {
    terminal_size::terminal_size().map_or((80, 24), |(columns, rows)| (columns.0.into(), rows.0.into()))
}

/// The alternate screen without a cursor; what was in the window comes back at the end.
#[derive(Debug)]
struct Terminal;

impl Terminal {
    fn take() -> Result<Self> {
        io::stdout().write_all(b"\x1b[?1049h\x1b[?25l").context("cannot write to the terminal")?;
        Ok(Self)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let mut out = io::stdout();
        // A terminal that is gone needs no restoring.
        let _ = out.write_all(b"\x1b[?25h\x1b[?1049l").and_then(|()| out.flush());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(case: &str) -> Status {
        let path = format!("{}/tests/status/cases/{case}/status.json", env!("CARGO_MANIFEST_DIR"));
        read(Path::new(&path)).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        // 2026-11-22T20:00:00Z, when the cases were seen.
        Timestamp::from_second(1_795_377_600 + second).unwrap()
    }

    #[test]
    fn the_view_outlives_its_document_and_its_masters() {
        let mut view = View::default();
        assert!(view.see(Ok(document("converged")), at(1)).is_empty());
        assert_eq!(view.see(Err("gone".into()), at(2)), ["gone"]);
        assert!(view.see(Err("gone".into()), at(3)).is_empty(), "told once");
        let screen = view.screen(at(3), Paint::Plain);
        assert!(screen.starts_with("unreadable  gone\n") && screen.contains("m3"), "{screen}");
        let news = view.see(Ok(document("active-master-dead")), at(4));
        assert_eq!(news[0], "the status document can be read");
        assert!(news.contains(&"the VIP moved from m1 to m2".to_owned()), "{news:?}");
    }

    #[test]
    fn a_frame_never_exceeds_the_window_and_keeps_the_changes() {
        let mut view = View::default();
        view.see(Ok(document("quorum-lost")), at(1));
        view.see(Ok(document("active-master-dead")), at(2));
        for (columns, rows) in [(80, 24), (20, 6), (200, 100), (1, 1), (40, 0)] {
            let frame = frame(&view, at(2), (columns, rows), Paint::Colour);
            assert!(frame.lines().count() <= rows.max(1), "{columns}×{rows}");
            assert!(rows < 24 || frame.contains("→"), "{columns}×{rows}: {frame}");
        }
        let frame = frame(&view, at(2), (80, 24), Paint::Plain);
        assert!(frame.contains("more lines"), "what is hidden is said: {frame}");
    }

    #[test]
    fn escape_sequences_take_no_room() {
        assert_eq!(clipped("\x1b[31mdown\x1b[0m", 4), "\x1b[31mdown\x1b[0m");
        assert_eq!(clipped("\x1b[31mdown\x1b[0m", 3), "\x1b[31mdo…\x1b[0m");
        assert_eq!(clipped("down", 0), "\x1b[0m");
    }
}
