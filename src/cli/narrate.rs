//! Tells a run of reconcile as it happens: lines for a terminal, structured entries for the journal, one status
//! line for systemd.
//!
//! One line per fact: a wait that goes on is told once, and again only when its reason changes.

use crate::journal::{self, Log, chain};
use crate::message::Message;
use crate::plan::{Blocked, Hold, Plan};
use crate::reconcile::Action;
use crate::reconcile::apply::{Event, Failure};
use crate::status::human::{Paint, Tone};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::time::Duration;
use tokio::time::Instant;

/// Where lines go.
#[derive(Debug)]
enum Sink {
    /// To whoever started the program.
    Stderr(Paint),
    /// To the console, beside what others write there.
    Console,
    /// To a test.
    #[cfg(test)]
    Kept(std::rc::Rc<std::cell::RefCell<Vec<u8>>>),
}

/// Tells one run.
#[derive(Debug)]
pub struct Narrator {
    log: Log,
    /// For lines: stderr of a shell; beside the journal, a console that stdout is connected to.
    lines: Option<Sink>,
    started: Instant,
    /// When the run gives up waiting.
    until: Timestamp,
    told: BTreeSet<Blocked>,
    /// What was awaited since something was last done.
    awaited: BTreeSet<String>,
}

impl Narrator {
    /// For this process, whose run waits for `patience` at most.
    pub fn new(patience: Duration) -> Self {
        let log = journal::start();
        let paint = |terminal| if terminal { Paint::Colour } else { Paint::Plain };
        let lines = match log {
            Log::Stderr => Some(Sink::Stderr(paint(std::io::stderr().is_terminal()))),
            // Whoever stands at the console of a master that waits has to see for what; a pipe is nobody.
            Log::Journal => std::io::stdout().is_terminal().then_some(Sink::Console),
        };
        Self::to(log, lines, patience)
    }

    fn to(log: Log, lines: Option<Sink>, patience: Duration) -> Self {
        let until = now().checked_add(patience).unwrap_or(Timestamp::MAX);
        Self { log, lines, started: Instant::now(), until, told: BTreeSet::new(), awaited: BTreeSet::new() }
    }

    /// Tells one event.
    pub fn tell(&mut self, event: &Event<'_>) {
        match event {
            Event::Planned(_, plan) => self.planned(plan),
            Event::Begun(step) => systemd_status(&step.action.to_string()),
            Event::Progress(text) => self.awaits(&format!("{text}; {}", self.limit())),
            Event::Done(step) => {
                self.awaited.clear();
                if self.log == Log::Journal {
                    tracing::info!(message_id = Message::Done.id(), quorate_step = %step.action, quorate_reason = %step.why, "done: {} ({})", step.action, step.why);
                }
                self.line(Tone::Good, Message::Done, &step.action.to_string(), &step.why);
            }
            Event::Failed(failure) => self.failed(failure),
        }
    }

    /// Tells something that is not part of a plan, such as a refused drop.
    pub fn note(&mut self, message: Message, tone: Tone, text: &str) {
        let message_id = message.id();
        if self.log == Log::Journal {
            match tone {
                Tone::Bad => tracing::error!(message_id, "{message}: {text}"),
                Tone::Watch => tracing::warn!(message_id, "{message}: {text}"),
                Tone::Good | Tone::Faint | Tone::Strong => tracing::info!(message_id, "{message}: {text}"),
            }
        }
        self.line(tone, message, text, "");
    }

    fn planned(&mut self, plan: &Plan<Action>) {
        let now: BTreeSet<Blocked> = plan.blocked.iter().cloned().collect();
        for blocked in now.difference(&self.told) {
            let limit = match blocked.hold {
                Hold::Waiting => format!("; {}", self.limit()),
                Hold::Refused => String::new(),
            };
            self.obstacle(blocked, &limit);
        }
        if let Some(blocked) = plan.blocked.first() {
            systemd_status(&format!("{}: {}; {}", blocked.what, blocked.why, self.limit()));
        }
        self.told = now;
    }

    /// Tells what is not done, why, and what unblocks it.
    pub fn blocked(&self, blocked: &Blocked) {
        self.obstacle(blocked, "");
    }

    fn obstacle(&self, blocked: &Blocked, limit: &str) {
        let (what, why) = (format!("{}: {}", blocked.part, blocked.what), &blocked.why);
        let unblock = &blocked.unblock;
        let (tone, message) = match blocked.hold {
            Hold::Refused => (Tone::Bad, Message::Refused),
            Hold::Waiting => (Tone::Watch, Message::Waiting),
        };
        let message_id = message.id();
        match (self.log, blocked.hold) {
            (Log::Journal, Hold::Refused) => {
                tracing::error!(message_id, quorate_reason = %why, "{message}: {what} ({why}; unblocked by: {unblock}{limit})");
            }
            (Log::Journal, Hold::Waiting) => {
                tracing::warn!(message_id, quorate_reason = %why, "{message}: {what} ({why}; unblocked by: {unblock}{limit})");
            }
            (Log::Stderr, _) => {}
        }
        self.line(tone, message, &what, &format!("{why}; unblocked by: {unblock}{limit}"));
    }

    /// The end of waiting, as a time of day: a line that is not written again has to stay true.
    pub fn limit(&self) -> String {
        format!("until {} UTC at most", self.until.strftime("%H:%M:%S"))
    }

    /// Tells what is awaited, once.
    pub fn awaits(&mut self, text: &str) {
        if !self.awaited.insert(text.to_owned()) {
            return;
        }
        systemd_status(text);
        if self.log == Log::Journal {
            tracing::info!(message_id = Message::Waiting.id(), "{text}");
        }
        self.line(Tone::Watch, Message::Waiting, text.strip_prefix("waiting ").unwrap_or(text), "");
    }

    fn failed(&mut self, failure: &Failure) {
        let (step, causes) = (&failure.step.action, chain(&failure.error));
        if self.log == Log::Journal {
            tracing::error!(message_id = Message::Failed.id(), quorate_step = %step, quorate_reason = %causes, "failed: {step} ({causes})");
        }
        self.line(Tone::Bad, Message::Failed, &step.to_string(), &causes);
    }

    fn line(&self, tone: Tone, message: Message, text: &str, why: &str) {
        let Some(sink) = &self.lines else { return };
        let paint = match sink {
            Sink::Stderr(paint) => *paint,
            _ => Paint::Plain,
        };
        let seconds = paint.tone(Tone::Faint, &format!("{:6.1}s", self.started.elapsed().as_secs_f32()));
        let why = if why.is_empty() { String::new() } else { paint.tone(Tone::Faint, &format!("  {why}")) };
        let line = format!("{seconds} {} {text}{why}", paint.tone(tone, &format!("{message:>9}")));
        // A terminal that hung up is no reason to leave a run half done.
        let _ = match sink {
            Sink::Stderr(_) => writeln!(std::io::stderr(), "{line}"),
            Sink::Console => writeln!(std::io::stdout(), "quorate: {line}"),
            #[cfg(test)]
            Sink::Kept(text) => writeln!(text.borrow_mut(), "{line}"),
        };
    }
}

#[expect(clippy::disallowed_methods, reason = "a face: it tells when waiting ends")]
fn now() -> Timestamp {
    Timestamp::now()
}

/// What `systemctl status` shows while a unit works. Outside a unit there is nobody to tell, which is no error.
fn systemd_status(text: &str) {
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Status(text)]);
}

#[cfg(test)]
mod tests;
