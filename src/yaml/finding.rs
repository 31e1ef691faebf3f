//! What is wrong with a document, worded for the person who has to repair it.
//!
//! A finding says where, what, why it matters and what to write instead. It is shown in three forms: the whole report
//! with the source lines underlined, as a compiler does (terminals only: it prints neighbouring lines); one line
//! without source text (journal, status); and JSON for editors and CI.

use super::Place;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde::Serialize;
use std::fmt::{self, Write as _};

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// The document does not say something valid.
    Invalid,
    /// It does, and doing it could cost the cluster its quorum.
    Unsafe,
    /// Accepted; the risk is named.
    Warning,
}

/// One thing that is wrong, or risky.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How much it weighs.
    pub weight: Weight,
    /// The rule it breaks, in kebab case; the key into the table of refusals in `spec/manifest.md`.
    pub rule: &'static str,
    /// The field, for example `spec.masters[1].address`.
    pub field: String,
    /// Where it stands.
    pub place: Place,
    /// What is wrong.
    pub what: String,
    /// Why it matters.
    pub why: String,
    /// What to write instead.
    pub instead: String,
    /// Other places that belong to it, each with what is there.
    pub related: Vec<(Place, String)>,
}

/// Everything that was found in one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    file: String,
    text: String,
    list: Vec<Finding>,
}

impl Findings {
    /// What was found in `text`, in the order of its lines.
    pub fn new(file: &str, text: &str, mut list: Vec<Finding>) -> Self {
        list.sort_by(|a, b| (a.place.start, a.rule).cmp(&(b.place.start, b.rule)));
        Self { file: file.to_owned(), text: text.to_owned(), list }
    }

    /// The findings, in the order of lines.
    pub fn list(&self) -> &[Finding] {
        &self.list
    }

    /// The heaviest finding: [`Weight::Invalid`] before [`Weight::Unsafe`] before [`Weight::Warning`].
    pub fn heaviest(&self) -> Option<Weight> {
        self.list.iter().map(|finding| finding.weight).min()
    }

    /// Line and column, counted from 1 in characters.
    fn position(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        // A byte order mark is no column.
        let column = before[line_start..].chars().filter(|character| *character != '\u{feff}').count();
        (before.matches('\n').count() + 1, column + 1)
    }

    /// The whole report with the source lines underlined.
    pub fn render(&self, look: Look) -> String {
        let renderer = match look {
            Look::Plain => Renderer::plain(),
            Look::Coloured => Renderer::styled(),
        };
        let mut report = String::new();
        for finding in &self.list {
            let level = match finding.weight {
                Weight::Invalid => Level::ERROR,
                Weight::Unsafe => Level::ERROR.with_name("refused"),
                Weight::Warning => Level::WARNING,
            };
            let related = finding
                .related
                .iter()
                .map(|(place, label)| AnnotationKind::Context.span(place.clone()).label(label.as_str()));
            let snippet = Snippet::source(self.text.as_str())
                .path(self.file.as_str())
                .annotation(AnnotationKind::Primary.span(self.underlined(&finding.place)))
                .annotations(related);
            let group = level
                .primary_title(finding.what.as_str())
                .id(finding.rule)
                .element(snippet)
                .element(Level::NOTE.with_name("why").message(finding.why.as_str()))
                .element(Level::HELP.message(finding.instead.as_str()));
            let _ = writeln!(report, "{}\n", renderer.render(&[group]));
        }
        report
    }

    /// An empty place (a value that is missing) still needs something to point at.
    fn underlined(&self, place: &Place) -> Place {
        let next = self.text.get(place.start..).and_then(|rest| rest.chars().next());
        match next {
            Some(character) if place.is_empty() => place.start..place.start + character.len_utf8(),
            _ => place.clone(),
        }
    }

    /// The findings for programs.
    pub fn to_json(&self) -> serde_json::Value {
        let span = |place: &Place| {
            let ((line, column), (end_line, end_column)) = (self.position(place.start), self.position(place.end));
            serde_json::json!({ "line": line, "column": column, "endLine": end_line, "endColumn": end_column })
        };
        let list = self.list.iter().map(|finding| {
            let related =
                finding.related.iter().map(|(place, what)| serde_json::json!({ "place": span(place), "what": what }));
            serde_json::json!({
                "file": self.file,
                "place": span(&finding.place),
                "weight": finding.weight,
                "rule": finding.rule,
                "field": finding.field,
                "what": finding.what,
                "why": finding.why,
                "help": finding.instead,
                "related": related.collect::<Vec<_>>(),
            })
        });
        list.collect()
    }
}

/// One line per finding, without source text: fit for the journal.
impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, finding) in self.list.iter().enumerate() {
            let (line, column) = self.position(finding.place.start);
            let Finding { what, why, instead, .. } = finding;
            let separator = if at == 0 { "" } else { "\n" };
            write!(f, "{separator}{}:{line}:{column}: {what}; {why}; {instead}", self.file)?;
        }
        Ok(())
    }
}

impl std::error::Error for Findings {}

/// Whether a report may use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Text only.
    Plain,
    /// With terminal colours.
    Coloured,
}
