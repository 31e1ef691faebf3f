//! What changed from one status document to the next, for a live view: one short line per fact.

use super::findings::verdict;
use super::human::words;
use super::{MemberRole, Status};
use jiff::Timestamp;

/// The facts that differ between two documents, each with the time at which it was read. Ages and counters are no
/// facts here, but the same document read again later may have become too old.
pub fn changes((before, read_before): (&Status, Timestamp), (after, read): (&Status, Timestamp)) -> Vec<String> {
    let mut lines = Vec::new();
    let (was, is) = (verdict(before, read_before), verdict(after, read));
    if was != is {
        lines.push(format!("{was} → {is}"));
    }
    let generation = |status: &Status| status.manifest.as_ref().map(|manifest| manifest.generation);
    if let (was, Some(is)) = (generation(before), generation(after))
        && was != Some(is)
    {
        lines.push(format!("manifest generation {is} in force"));
    }
    let active = |status: &Status| status.vip.as_ref().and_then(|vip| vip.active.clone());
    match (active(before), active(after)) {
        (was, is) if was == is => {}
        (Some(was), Some(is)) => lines.push(format!("the VIP moved from {was} to {is}")),
        (None, Some(is)) => lines.push(format!("{is} answers for the VIP")),
        (_, None) => lines.push("no active master known".into()),
    }
    masters(before, after, &mut lines);
    lines
}

fn masters(before: &Status, after: &Status, lines: &mut Vec<String>) {
    for master in &after.masters {
        let name = &master.name;
        let Some(earlier) = before.masters.iter().find(|earlier| earlier.name == *name) else {
            lines.push(format!("{name} is new in the manifest"));
            continue;
        };
        let (_, (was_member, _), (was_health, _)) = words(earlier);
        let (_, (member, _), (health, _)) = words(master);
        // The lead moves between voters now and then; that a voter stays a voter is the fact.
        let votes = |role| matches!(role, MemberRole::Leader | MemberRole::Voter);
        if was_member != member && !(votes(earlier.member) && votes(master.member)) {
            lines.push(format!("{name}: {was_member} → {member}"));
        }
        if was_health != health {
            lines.push(format!("{name}: {was_health} → {health}"));
        }
    }
    let gone = before.masters.iter().filter(|earlier| after.masters.iter().all(|master| master.name != earlier.name));
    lines.extend(gone.map(|master| format!("{} is no longer in the manifest", master.name)));
}
