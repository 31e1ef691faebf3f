//! Draws two failovers of one fault as timelines: who answered for the address when, when the masters advertised, and
//! when the successor announced itself. Every mark is a frame that was measured; nothing is drawn that was not seen.

use super::failover::{Failover, NEW, OLD};
use crate::wire::Heard;
use std::fmt::Write;

const WIDTH: f64 = 960.0;
/// Left of the time axis stand the names of the masters.
const MARGIN: f64 = 150.0;
const PANEL_HEIGHT: f64 = 150.0;
const LANE_HEIGHT: f64 = 26.0;
/// Answers closer together than this are drawn as one bar: some questions of the prober are late on a busy machine.
const JOINED_MS: f64 = 25.0;
/// The second look at quorate, which the scale of seconds does not show.
const CLOSE_MS: (f64, f64) = (-20.0, 100.0);

const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600}.small{font-size:11px;fill:#59636e}\
.old{fill:#7aa5d8}.new{fill:#5fb078}.both{fill:#d1242f;opacity:.18}.none{fill:#bf8700;opacity:.16}\
.advert{stroke:#1f2328;stroke-width:1.2}.fault{stroke:#d1242f;stroke-width:1.5;stroke-dasharray:5 3}.axis{stroke:#d1d9e0}\
.announcement{fill:#1f2328}";

/// A picture of both failovers on one scale, and of the first one on a finer scale.
pub fn draw(ours: &Failover, peer: &Failover) -> String {
    let end = [ours, peer]
        .iter()
        .flat_map(|run| run.frames.last().map(|last| last.at.ms_since(run.fault)))
        .fold(0.0, f64::max);
    let wide = (-0.1 * end, end);
    let panels = [("keepalived", peer, wide), ("quorate", ours, wide), ("quorate, the first 100 ms", ours, CLOSE_MS)];
    let height = 40.0 + PANEL_HEIGHT * 3.0 + 30.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"Who answers for the virtual address when the active daemon is killed\"><style>{STYLE}</style>\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" rx=\"8\" fill=\"#fff\"/>\n\
         <text class=\"title\" x=\"20\" y=\"26\">The active daemon is killed (SIGKILL), advertising every second: who answers for the address?</text>\n"
    );
    for (number, (title, run, span)) in (0_u8..).zip(panels) {
        Panel { run, span, top: 44.0 + PANEL_HEIGHT * f64::from(number) }.draw(&mut svg, title);
    }
    let legend = "bar: answers for the address · upright line: advertisement · triangle: announcement (gratuitous ARP) · \
                  red: two holders · amber: no holder · dashed: the fault";
    let _ = writeln!(svg, "<text class=\"small\" x=\"20\" y=\"{}\">{legend}</text>\n</svg>", height - 14.0);
    svg
}

/// One failover on one scale.
struct Panel<'a> {
    run: &'a Failover,
    /// Milliseconds from the fault at the left and the right edge.
    span: (f64, f64),
    top: f64,
}

impl Panel<'_> {
    fn draw(&self, svg: &mut String, title: &str) {
        let (bottom, right) = (self.top + PANEL_HEIGHT - 40.0, WIDTH - 20.0);
        let _ = writeln!(svg, "<text class=\"title\" x=\"20\" y=\"{}\">{title}</text>", self.top + 16.0);
        self.axis(svg, bottom);
        let holders = [OLD, NEW].map(|host| self.answers(host));
        for (shade, from, to) in shades(&holders, self.span) {
            let _ = writeln!(
                svg,
                "<rect class=\"{shade}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
                self.x(from),
                self.top + 24.0,
                self.x(to) - self.x(from),
                bottom - self.top - 24.0
            );
        }
        for (host, (class, name)) in [("old", "m1 (was active)"), ("new", "m2 (takes over)")].into_iter().enumerate() {
            let y = self.top + 30.0 + if host == OLD { 0.0 } else { LANE_HEIGHT + 12.0 };
            let _ = writeln!(svg, "<text x=\"20\" y=\"{:.1}\">{name}</text>", y + 18.0);
            for (from, to) in &holders[host] {
                let (from, to) = (self.x(*from), self.x(*to));
                let _ = writeln!(
                    svg,
                    "<rect class=\"{class}\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
                    y + 7.0,
                    (to - from).max(1.0),
                    LANE_HEIGHT - 7.0
                );
            }
            self.marks(svg, host, y);
        }
        let x = self.x(0.0);
        let _ = writeln!(svg, "<path class=\"fault\" d=\"M{x:.1} {:.1}V{bottom:.1}\"/>", self.top + 22.0);
        let _ = writeln!(svg, "<path class=\"axis\" d=\"M{MARGIN} {bottom:.1}H{right}\"/>");
    }

    /// Advertisements and announcements of one host.
    fn marks(&self, svg: &mut String, host: usize, y: f64) {
        for frame in self.run.frames.iter().filter(|frame| frame.host == host) {
            let at = frame.at.ms_since(self.run.fault);
            if at < self.span.0 || at > self.span.1 {
                continue;
            }
            let x = self.x(at);
            let _ = match frame.heard {
                Heard::Advert(_) => writeln!(svg, "<path class=\"advert\" d=\"M{x:.1} {y:.1}v{LANE_HEIGHT}\"/>"),
                Heard::Announcement(_) => {
                    writeln!(svg, "<path class=\"announcement\" d=\"M{x:.1} {:.1}l-4 7h8z\"/>", y + LANE_HEIGHT)
                }
                Heard::Answer { .. } => Ok(()),
            };
        }
    }

    /// Round times along the bottom.
    fn axis(&self, svg: &mut String, bottom: f64) {
        let length = self.span.1 - self.span.0;
        let step = [5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0]
            .into_iter()
            .find(|step| length / step <= 10.0)
            .unwrap_or(1000.0);
        // Zero is added because the ceiling of a small negative number is written '-0'.
        let mut at = (self.span.0 / step).ceil() * step + 0.0;
        while at <= self.span.1 {
            let x = self.x(at);
            let _ = writeln!(svg, "<path class=\"axis\" d=\"M{x:.1} {:.1}V{bottom:.1}\"/>", self.top + 24.0);
            let _ = writeln!(
                svg,
                "<text class=\"small\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{at:.0} ms</text>",
                bottom + 15.0
            );
            at += step;
        }
    }

    /// When `host` answered: spans of milliseconds from the fault, within the panel.
    fn answers(&self, host: usize) -> Vec<(f64, f64)> {
        let mut spans: Vec<(f64, f64)> = Vec::new();
        for frame in
            self.run.frames.iter().filter(|frame| frame.host == host && matches!(frame.heard, Heard::Answer { .. }))
        {
            let at = frame.at.ms_since(self.run.fault);
            match spans.last_mut() {
                Some(last) if at - last.1 < JOINED_MS => last.1 = at,
                _ => spans.push((at, at)),
            }
        }
        spans.retain(|(from, to)| *to >= self.span.0 && *from <= self.span.1);
        spans.into_iter().map(|(from, to)| (from.max(self.span.0), to.min(self.span.1))).collect()
    }

    fn x(&self, ms: f64) -> f64 {
        MARGIN + (ms - self.span.0) / (self.span.1 - self.span.0) * (WIDTH - 20.0 - MARGIN)
    }
}

/// Where both answer, and, from the fault on, where nobody does until somebody does again.
fn shades(holders: &[Vec<(f64, f64)>; 2], span: (f64, f64)) -> Vec<(&'static str, f64, f64)> {
    let mut shades = Vec::new();
    for old in &holders[OLD] {
        for new in &holders[NEW] {
            let (from, to) = (old.0.max(new.0), old.1.min(new.1));
            if from < to {
                shades.push(("both", from, to));
            }
        }
    }
    let old_until = holders[OLD].iter().map(|old| old.1).fold(span.0, f64::max);
    if let Some(new) = holders[NEW].first()
        && old_until < new.0
    {
        shades.push(("none", old_until, new.0));
    }
    shades
}
