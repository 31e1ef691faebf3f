//! The status document as one self-contained page, to be attached to an incident and read months later.
//!
//! Everything is inside: style, pictures, and the account itself as JSON. The page loads nothing and runs nothing (its
//! own content policy forbids both), so it can be opened from a ticket. Every text of the document is escaped: a
//! manifest's words must not become markup.

use super::findings::{Account, Finding, Verdict};
use super::human::{self, Tone};
use super::{Status, elapsed, picture};
use jiff::Timestamp;
use std::fmt::{self, Display, Write};

/// The page, as read at `now`.
pub fn render(status: &Status, now: Timestamp) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail; the Result is the trait's.
    let _ = page(&mut out, status, now);
    out
}

/// A text as HTML shows it.
pub(super) struct Escaped<T>(pub T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.to_string().chars() {
            match letter {
                '&' => f.write_str("&amp;"),
                '<' => f.write_str("&lt;"),
                '>' => f.write_str("&gt;"),
                '"' => f.write_str("&quot;"),
                '\'' => f.write_str("&#39;"),
                other => f.write_char(other),
            }?;
        }
        Ok(())
    }
}

/// The class that colours a tone; the style sheet holds one rule for each.
pub(super) fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Watch => "watch",
        Tone::Bad => "bad",
        Tone::Faint => "faint",
        Tone::Strong => "strong",
    }
}

const STYLE: &str = include_str!("page.css");

fn page(out: &mut String, status: &Status, now: Timestamp) -> fmt::Result {
    let account = Account::new(status, now);
    let cluster = status.manifest.as_ref().map_or("quorate", |manifest| manifest.cluster.as_str());
    let host = status.host.as_ref().map_or("a host without a manifest", |name| name.as_str());
    let tone = class(account.verdict.tone());
    writeln!(out, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">")?;
    writeln!(
        out,
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    )?;
    writeln!(out, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")?;
    writeln!(out, "<title>{} {} — quorate status</title>", Escaped(cluster), account.verdict)?;
    writeln!(out, "<style>\n{STYLE}</style>\n</head>\n<body>\n<header class=\"{tone}\">")?;
    writeln!(out, "<h1>{} <span id=\"verdict\">{}</span></h1>", Escaped(cluster), account.verdict)?;
    writeln!(out, "<p id=\"answer\">{}</p>", Escaped(human::answer(status, account.verdict, &account.findings)))?;
    writeln!(
        out,
        "<p class=\"faint\">as seen from {} at <time>{}</time>, {} before this page was made</p>\n</header>\n<main>",
        Escaped(host),
        status.at,
        elapsed::words(account.age_seconds)
    )?;
    advice(out, &account.findings)?;
    if !status.masters.is_empty() {
        writeln!(out, "<section><h2>Cluster</h2>\n{}", picture::cluster(status))?;
        masters(out, status)?;
        writeln!(out, "</section>")?;
    }
    transitions(out, status)?;
    writeln!(
        out,
        "<section><h2>Screen</h2>\n<pre id=\"screen\">{}</pre></section>",
        Escaped(human::render(status, now, human::Paint::Plain))
    )?;
    writeln!(out, "</main>\n<footer>quorate {}</footer>", env!("CARGO_PKG_VERSION"))?;
    // Inside a script element only "</" could end the data early; '<' never needs to stand there as itself.
    let data = serde_json::to_string(&account).map_err(|_| fmt::Error)?.replace('<', "\\u003c");
    writeln!(out, "<script type=\"application/json\" id=\"account\">{data}</script>\n</body>\n</html>")
}

fn advice(out: &mut String, found: &[Finding]) -> fmt::Result {
    writeln!(out, "<section id=\"findings\"><h2>What to do</h2>")?;
    if found.is_empty() {
        writeln!(out, "<p>Nothing.</p>")?;
    }
    for finding in found {
        let (word, tone) = match finding.verdict {
            Verdict::Fine => ("note".to_owned(), Tone::Faint),
            verdict => (verdict.to_string(), verdict.tone()),
        };
        let part = finding.part.map(|part| format!("{part}: ")).unwrap_or_default();
        writeln!(
            out,
            "<article class=\"{}\"><h3>{word} <span>{part}{}</span></h3>",
            class(tone),
            Escaped(&finding.what)
        )?;
        if !finding.why.is_empty() {
            writeln!(out, "<p class=\"why\">{}</p>", Escaped(&finding.why))?;
        }
        let label = if human::awaited(finding.verdict) { "until" } else { "do" };
        writeln!(out, "<p><b>{label}</b> {}</p></article>", Escaped(&finding.remedy))?;
    }
    writeln!(out, "</section>")
}

fn masters(out: &mut String, status: &Status) -> fmt::Result {
    writeln!(
        out,
        "<table id=\"masters\"><thead><tr><th>master<th>address<th>VRRP<th>etcd<th>health</tr></thead><tbody>"
    )?;
    for master in &status.masters {
        let (role, member, health) = human::words(master);
        write!(out, "<tr><td>{}<td>{}", Escaped(&master.name), master.address)?;
        for (word, tone) in [role, member, health] {
            write!(out, "<td class=\"{}\">{word}", class(tone))?;
        }
        writeln!(out, "</tr>")?;
    }
    writeln!(out, "</tbody></table>")
}

fn transitions(out: &mut String, status: &Status) -> fmt::Result {
    let Some(vip) = status.vip.as_ref().filter(|vip| !vip.transitions.is_empty()) else { return Ok(()) };
    writeln!(
        out,
        "<section><h2>This host's part in the virtual router, times in UTC</h2>\n{}",
        picture::timeline(vip, status.at)
    )?;
    writeln!(out, "<table id=\"transitions\"><thead><tr><th>when<th>from<th>to<th>why</tr></thead><tbody>")?;
    for moved in vip.transitions.iter().rev() {
        let ((from, _), (to, tone)) = (human::vrrp(moved.from), human::vrrp(moved.to));
        writeln!(
            out,
            "<tr><td><time>{}</time><td>{from}<td class=\"{}\">{to}<td>{}</tr>",
            moved.at,
            class(tone),
            Escaped(&moved.why)
        )?;
    }
    writeln!(out, "</tbody></table></section>")
}
