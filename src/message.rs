//! What quorate tells the journal, one id per kind of fact (`MESSAGE_ID=`, systemd.journal-fields(7)).
//!
//! An id is what a filter, an alert or a catalogue holds on to; the words of a line may get better. An id is never
//! used for another fact. `spec/operations.md` gives each its meaning and its remedy.

use std::fmt;

/// One kind of fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Message {
    /// A manifest is in force that was not before.
    Accepted,
    /// A dropped manifest is not accepted.
    DropRefused,
    /// A step was carried out.
    Done,
    /// A step failed.
    Failed,
    /// Something is not done until somebody changes something.
    Refused,
    /// Something is not done yet, and ends by itself.
    Waiting,
    /// A run ended with an empty plan.
    Converged,
    /// Worth knowing; nobody has to act.
    Note,
    /// A manifest on trial is not kept.
    TakenBack,
    /// This host's part in the virtual router changed.
    RouterMoved,
    /// The VRRP daemon died holding the VIP, and its unit took the address off.
    AddressReleased,
}

impl Message {
    /// Every kind.
    pub const ALL: [Message; 11] = [
        Message::Accepted,
        Message::DropRefused,
        Message::Done,
        Message::Failed,
        Message::Refused,
        Message::Waiting,
        Message::Converged,
        Message::Note,
        Message::TakenBack,
        Message::RouterMoved,
        Message::AddressReleased,
    ];

    /// Its id: drawn once at random, written in 32 hexadecimal digits as `journalctl MESSAGE_ID=` wants it.
    pub fn id(self) -> &'static str {
        match self {
            Message::Accepted => "3611ea5de7b8435d894fa4f18ae3eb6d",
            Message::DropRefused => "658a71252e524897b55d4beb8be171e4",
            Message::Done => "d41cbe3e018044bba918536e274d511d",
            Message::Failed => "ed98ac8db0514e7686705f0a423734f2",
            Message::Refused => "3250f10d968b4968b4b01da6fd097bd2",
            Message::Waiting => "f228fdac356a4262813b92a28ef557b3",
            Message::Converged => "bae70b6e6e4447f19ec5fbd478f90738",
            Message::Note => "229772cfcac94186890aad5e306dea48",
            Message::TakenBack => "f2b7862b527e490dac2bc44539a6a18e",
            Message::RouterMoved => "8e9902518a4d44c0a677a4cf8b7970a1",
            Message::AddressReleased => "56ac3c6c59514dff85660c69c015157f",
        }
    }
}

impl fmt::Display for Message {
    /// The word that a line begins with.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Message::Accepted => "accepted",
            Message::DropRefused | Message::Refused => "refused",
            Message::Done => "done",
            Message::Failed => "failed",
            Message::Waiting => "waiting",
            Message::Converged => "converged",
            Message::Note => "note",
            Message::TakenBack => "reverted",
            Message::RouterMoved => "moved",
            Message::AddressReleased => "released",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_id_is_32_hexadecimal_digits_and_stands_for_one_kind() {
        let ids: BTreeSet<&str> = Message::ALL.iter().map(|message| message.id()).collect();
        assert_eq!(ids.len(), Message::ALL.len());
        assert!(
            ids.iter().all(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)))
        );
    }

    #[test]
    fn the_runbook_has_every_id_in_the_order_of_the_kinds() {
        let runbook = include_str!("../spec/operations.md");
        let hexadecimal = |id: &&str| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
        let first = |line: &'static str| Some(line.strip_prefix("| `")?.split_once("` |")?.0);
        let listed: Vec<&str> = runbook.lines().filter_map(first).filter(hexadecimal).collect();
        assert_eq!(listed, Message::ALL.map(Message::id));
    }
}
