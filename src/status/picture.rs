//! Two pictures of the status document as inline SVG: the cluster, and this host's part over time.
//!
//! Colour is never the only sign: every box and segment carries its word. Coordinates are whole pixels of a view box
//! that the page scales.

use super::human::{self, Tone};
use super::page::{Escaped, class};
use super::{EtcdStatus, Health, MasterStatus, MemberRole, Status, VipStatus, VrrpRole, elapsed};
use jiff::Timestamp;
use std::fmt::{self, Write};

const BOX_WIDTH: usize = 176;
const BOX_HEIGHT: usize = 96;
const GAP: usize = 24;
/// Where the boxes of the masters begin, below the VIP.
const BOX_TOP: usize = 108;
/// Where the line that joins the etcd members runs.
const ETCD_LINE: usize = BOX_TOP + BOX_HEIGHT + 36;

/// The VIP above its active master, the masters side by side, and the etcd cluster as the line that joins its members.
pub fn cluster(status: &Status) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail; the Result is the trait's.
    let _ = draw_cluster(&mut out, status);
    out
}

/// The left edge of the box of one master.
fn left(at: usize) -> usize {
    GAP + at * (BOX_WIDTH + GAP)
}

fn draw_cluster(out: &mut String, status: &Status) -> fmt::Result {
    let width = left(status.masters.len());
    writeln!(
        out,
        "<svg id=\"cluster\" viewBox=\"0 0 {width} {}\" width=\"{width}\" role=\"img\" aria-label=\"the masters, the VIP and etcd\">",
        ETCD_LINE + 48
    )?;
    draw_vip(out, status, width)?;
    for (at, master) in status.masters.iter().enumerate() {
        draw_master(out, status, master, left(at))?;
    }
    draw_etcd(out, status)?;
    writeln!(out, "</svg>")
}

fn draw_vip(out: &mut String, status: &Status, width: usize) -> fmt::Result {
    let Some(vip) = &status.vip else { return Ok(()) };
    let middle = width / 2;
    let active = status.masters.iter().position(|master| Some(&master.name) == vip.active.as_ref());
    let tone = class(if active.is_some() { Tone::Good } else { Tone::Watch });
    if let Some(at) = active {
        let to = left(at) + BOX_WIDTH / 2;
        writeln!(out, "<path class=\"link {tone}\" d=\"M{middle} 56 C{middle} 84 {to} 76 {to} {BOX_TOP}\"/>")?;
    }
    let addresses = vip.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    // Four more letters than the address has, each at most ten pixels wide in bold.
    let shown = 40 + 10 * (4 + addresses.chars().count()).max(16);
    let (x, text) = (middle.saturating_sub(shown / 2), Escaped(addresses));
    writeln!(
        out,
        "<g class=\"{tone}\"><rect class=\"box\" x=\"{x}\" y=\"8\" width=\"{shown}\" height=\"48\" rx=\"24\"/>"
    )?;
    writeln!(out, "<text class=\"name\" x=\"{middle}\" y=\"29\" text-anchor=\"middle\">VIP {text}</text>")?;
    let answers = match &vip.active {
        Some(name) => format!("answered by {name}"),
        None => "no active master known".into(),
    };
    writeln!(
        out,
        "<text class=\"quiet\" x=\"{middle}\" y=\"46\" text-anchor=\"middle\">{}</text></g>",
        Escaped(answers)
    )
}

fn draw_master(out: &mut String, status: &Status, master: &MasterStatus, x: usize) -> fmt::Result {
    let (role, member, health) = human::words(master);
    let tone = match (master.health, master.vrrp) {
        (Health::Unhealthy, _) => Tone::Bad,
        (Health::Healthy, _) => Tone::Good,
        (Health::Unknown, _) => Tone::Watch,
    };
    let here = if Some(&master.name) == status.host.as_ref() { " (this host)" } else { "" };
    let text = x + 14;
    writeln!(out, "<g class=\"master {}\">", class(tone))?;
    writeln!(
        out,
        "<rect class=\"box\" x=\"{x}\" y=\"{BOX_TOP}\" width=\"{BOX_WIDTH}\" height=\"{BOX_HEIGHT}\" rx=\"8\"/>"
    )?;
    let line = |down: usize| BOX_TOP + down;
    writeln!(out, "<text class=\"name\" x=\"{text}\" y=\"{}\">{}{here}</text>", line(24), Escaped(&master.name))?;
    writeln!(out, "<text class=\"quiet\" x=\"{text}\" y=\"{}\">{}</text>", line(42), master.address)?;
    writeln!(out, "<text x=\"{text}\" y=\"{}\">{}, {}</text>", line(64), role.0, member.0)?;
    writeln!(out, "<text class=\"word\" x=\"{text}\" y=\"{}\">{}</text></g>", line(84), health.0)
}

fn draw_etcd(out: &mut String, status: &Status) -> fmt::Result {
    let (words, tone) = match &status.etcd {
        EtcdStatus::Unformed => ("etcd: not formed yet".to_owned(), Tone::Watch),
        EtcdStatus::Quorate { voters, healthy, may_lose, .. } => {
            let tone = if *may_lose == 0 { Tone::Bad } else { Tone::Good };
            (format!("etcd: quorate, {healthy} of {voters} voters healthy, {}", human::may_lose_words(*may_lose)), tone)
        }
        EtcdStatus::NoQuorum { .. } => ("etcd: no quorum".to_owned(), Tone::Bad),
        EtcdStatus::Unknown { .. } => ("etcd: unknown".to_owned(), Tone::Watch),
    };
    let bottom = BOX_TOP + BOX_HEIGHT;
    let member =
        |master: &MasterStatus| matches!(master.member, MemberRole::Leader | MemberRole::Voter | MemberRole::Learner);
    let members: Vec<(usize, &MasterStatus)> =
        status.masters.iter().enumerate().filter(|(_, master)| member(master)).collect();
    writeln!(out, "<g class=\"{}\">", class(tone))?;
    for (at, master) in &members {
        let x = left(*at) + BOX_WIDTH / 2;
        // A member that does not vote, or does not answer, holds on by a broken line.
        let whole = master.member != MemberRole::Learner && master.health == Health::Healthy;
        let cut = if whole { "" } else { " cut" };
        writeln!(out, "<path class=\"link{cut}\" d=\"M{x} {bottom} V{ETCD_LINE}\"/>")?;
    }
    if let (Some((first, _)), Some((last, _))) = (members.first(), members.last()) {
        let (from, to) = (left(*first) + BOX_WIDTH / 2, left(*last) + BOX_WIDTH / 2);
        writeln!(out, "<path class=\"link\" d=\"M{from} {ETCD_LINE} H{to}\"/>")?;
    }
    let (middle, y) = (left(status.masters.len()) / 2, ETCD_LINE + 26);
    writeln!(out, "<text class=\"word\" x=\"{middle}\" y=\"{y}\" text-anchor=\"middle\">{words}</text></g>")
}

/// Width of the timeline's bar.
const BAR: i64 = 720;
/// Room beside the bar, so that the first and the last time are not cut off.
const MARGIN: i64 = 40;
/// A part that lasted too short for its width is still to be seen.
const LEAST: i64 = 3;
/// A segment narrower than this has no room for its word; the table below has it.
const WORD_ROOM: i64 = 70;
/// Times below the bar.
const TICKS: i64 = 4;

/// This host's part in the virtual router, from its first kept transition until `until`.
pub fn timeline(vip: &VipStatus, until: Timestamp) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail; the Result is the trait's.
    let _ = draw_timeline(&mut out, vip, until);
    out
}

fn draw_timeline(out: &mut String, vip: &VipStatus, until: Timestamp) -> fmt::Result {
    let Some(first) = vip.transitions.first().map(|moved| moved.at) else { return Ok(()) };
    let whole_s = elapsed::seconds(first, until).max(1);
    let place = |at: Timestamp| MARGIN + elapsed::seconds(first, at).clamp(0, whole_s) * BAR / whole_s;
    writeln!(
        out,
        "<svg id=\"timeline\" viewBox=\"0 0 {} 64\" width=\"{}\" role=\"img\" aria-label=\"this host's part over time\">",
        BAR + 2 * MARGIN,
        BAR + 2 * MARGIN
    )?;
    let ends = vip.transitions.iter().skip(1).map(|moved| moved.at).chain([until]);
    for (moved, end) in vip.transitions.iter().zip(ends) {
        let (x, width) = (place(moved.at), (place(end) - place(moved.at)).max(LEAST));
        let (word, _) = human::vrrp(moved.to);
        writeln!(
            out,
            "<g class=\"{}\"><rect class=\"segment\" x=\"{x}\" y=\"8\" width=\"{width}\" height=\"26\">",
            part(moved.to)
        )?;
        writeln!(out, "<title>{word} since {}: {}</title></rect></g>", moved.at, Escaped(&moved.why))?;
        if width >= WORD_ROOM {
            writeln!(out, "<text class=\"on\" x=\"{}\" y=\"26\" text-anchor=\"middle\">{word}</text>", x + width / 2)?;
        }
    }
    for tick in 0..=TICKS {
        let x = MARGIN + tick * BAR / TICKS;
        let at = first.as_second() + tick * whole_s / TICKS;
        let clock = Timestamp::from_second(at).map(clock).unwrap_or_default();
        writeln!(
            out,
            "<path class=\"axis\" d=\"M{x} 34 V40\"/><text class=\"quiet\" x=\"{x}\" y=\"56\" text-anchor=\"middle\">{clock}</text>"
        )?;
    }
    writeln!(out, "</svg>")
}

fn part(role: VrrpRole) -> &'static str {
    class(human::vrrp(role).1)
}

/// The time of day, UTC; the table beside the picture has the date.
fn clock(at: Timestamp) -> String {
    at.to_string().chars().skip("2026-11-22T".len()).take("20:00:00".len()).collect()
}
