//! Asks whoever sits at the terminal whether a manifest on trial is kept, and listens for signals meanwhile.
//!
//! A terminal that hangs up, a session that is closed and Ctrl-C all mean the same: take it back.

use crate::reconcile::trial::{Answer, Asked};
use anyhow::{Context, Result};
use std::io::{BufRead, IsTerminal};
use std::sync::mpsc::{Receiver, Sender, channel};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// Where answers come from.
#[derive(Debug)]
pub struct Confirmation {
    /// Whether there is anybody to ask.
    pub asked: Asked,
    /// What was said so far.
    pub answers: Receiver<Answer>,
    /// A second signal: whoever sends it does not want to wait for the way back.
    pub impatient: oneshot::Receiver<()>,
}

/// Begins to listen.
///
/// # Errors
/// A process without signals.
pub fn listen() -> Result<Confirmation> {
    let (tell, answers) = channel();
    let (hurry, impatient) = oneshot::channel();
    signals(tell.clone(), hurry)?;
    // Both: a question that nobody can read, or answer, is none.
    let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if terminal {
        // A thread of its own: reading a line cannot be given up, and ends with the process.
        std::thread::spawn(move || {
            let mut line = String::new();
            let read = std::io::stdin().lock().read_line(&mut line);
            // Nobody listens any more once the trial is over.
            let _ = tell.send(meaning(read.is_ok_and(|bytes| bytes > 0), &line));
        });
    }
    Ok(Confirmation { asked: if terminal { Asked::Somebody } else { Asked::Nobody }, answers, impatient })
}

/// What a line means; without one the terminal is gone.
fn meaning(there: bool, line: &str) -> Answer {
    match line.trim().to_ascii_lowercase().as_str() {
        "" | "y" | "yes" if there => Answer::Keep,
        _ if there => Answer::TakeBack("the answer at the terminal was no".into()),
        _ => Answer::TakeBack("the terminal was closed".into()),
    }
}

fn signals(tell: Sender<Answer>, hurry: oneshot::Sender<()>) -> Result<()> {
    let listen = |kind| signal(kind).context("cannot wait for signals");
    let (mut interrupt, mut terminate, mut hangup) =
        (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?, listen(SignalKind::hangup())?);
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = interrupt.recv() => "interrupted",
                _ = terminate.recv() => "told to end",
                _ = hangup.recv() => "the session was lost",
            }
        };
        let _ = tell.send(Answer::TakeBack(next().await.into()));
        next().await;
        let _ = hurry.send(());
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enter_keeps_and_everything_else_takes_back() {
        let table = [
            (true, "\n", true),
            (true, "Y\n", true),
            (true, "n\n", false),
            (true, "what?\n", false),
            (false, "", false),
        ];
        for (there, line, kept) in table {
            assert_eq!(meaning(there, line) == Answer::Keep, kept, "{line:?}");
        }
    }
}
