//! YAML as people write it, read so that every mistake can be pointed at.
//!
//! [`Node`] is a document with the place of every key and value; [`read`] and [`object`] turn it into typed structs and collect
//! *all* mistakes instead of stopping at the first; a [`finding`] is one of them, worded for the person who has to
//! repair it. Serde's derived structs stop at their first error, so they are not used for documents that people write.
//!
//! This file is the only one that imports serde-saphyr. It is strict where YAML is generous: no anchors, aliases,
//! merge keys, tags or second document, bounded depth and size, and text is taken as it was written, so that a
//! machine id such as `1e10…` is not a number. Repeated keys are all kept in the [`Node`]: reading reports each.

pub mod finding;
pub mod object;
pub mod read;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Location, Spanned};
use std::fmt;
use std::ops::Range;

/// Nobody writes a deeper manifest; a parser bomb would.
const MOST_DEPTH: usize = 16;
/// Far above the largest sensible manifest (some 200 nodes), and read in some 5 ms; 16 000 nodes take 16.
const MOST_NODES: usize = 5_000;

/// A place in the text, in bytes.
pub type Place = Range<usize>;

/// A key or value with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it stands; for a block collection, where it begins.
    pub place: Place,
    /// What it is.
    pub value: Value,
}

/// What stands at a place.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false` without quotes.
    Bool(bool),
    /// A number without quotes; its text as written.
    Number(String),
    /// Text, unquoted.
    Text(String),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in the order as written, repeated keys included.
    Mapping(Vec<(Node, Node)>),
}

impl Value {
    /// For messages: what was found.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::Text(_) => "text",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
        }
    }
}

/// Why a text is not a YAML document of the strict kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where it was noticed.
    pub place: Place,
    /// A name for the kind of fault, as in `finding::Finding::rule`.
    pub rule: &'static str,
    /// What is wrong.
    pub what: String,
    /// Why it is not accepted.
    pub why: String,
    /// What to write instead.
    pub instead: String,
}

/// Reads a document.
///
/// # Errors
/// The first fault: after it the structure of the rest is guesswork.
pub fn document(text: &str) -> Result<Node, Fault> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_documents: 1,
            max_aliases: 0,
            max_anchors: 0,
            max_depth: MOST_DEPTH,
            max_nodes: MOST_NODES,
        },
        strict_booleans: true,
        // Passed on so that each repetition is reported with both of its places; `read` accepts none of them.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::Error,
        reject_unsupported_tags: true,
        // Numbers are kept as text, so none can overflow.
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options::<Spanned<Loose>>(text, options)
        .map(|spanned| node(spanned, text))
        .map_err(|error| fault(&error, text))
}

/// A node as serde hands it over; places and number texts are taken from the source afterwards.
enum Loose {
    Null,
    Bool(bool),
    Number,
    Text(String),
    Sequence(Vec<Spanned<Loose>>),
    Mapping(Vec<(Spanned<Loose>, Spanned<Loose>)>),
}

fn node(spanned: Spanned<Loose>, text: &str) -> Node {
    let place = place(spanned.defined, text);
    let value = match spanned.value {
        Loose::Null => Value::Null,
        Loose::Bool(value) => Value::Bool(value),
        Loose::Number => Value::Number(text.get(place.clone()).unwrap_or_default().to_owned()),
        Loose::Text(value) => Value::Text(value),
        Loose::Sequence(items) => Value::Sequence(items.into_iter().map(|item| node(item, text)).collect()),
        Loose::Mapping(entries) => {
            Value::Mapping(entries.into_iter().map(|(key, value)| (node(key, text), node(value, text))).collect())
        }
    };
    Node { place, value }
}

/// The bytes a location covers. Some faults only carry a position in characters.
fn place(location: Location, text: &str) -> Place {
    let span = location.span();
    let clamp = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(text.len());
    if let (Some(start), Some(length)) = (span.byte_offset(), span.byte_len()) {
        let (start, end) = (clamp(start), clamp(start.saturating_add(length)));
        if text.is_char_boundary(start) && text.is_char_boundary(end) {
            return start..end;
        }
    }
    let start = line_start(text, usize::try_from(location.line()).unwrap_or(usize::MAX));
    let column = usize::try_from(location.column()).unwrap_or(usize::MAX).saturating_sub(1);
    let rest = text.get(start..).unwrap_or_default();
    let line = rest.lines().next().unwrap_or_default();
    let (at, length) =
        line.char_indices().nth(column).map_or((line.len(), 0), |(at, character)| (at, character.len_utf8()));
    start + at..start + at + length
}

/// The byte at which a line (counted from 1) starts.
fn line_start(text: &str, line: usize) -> usize {
    match line {
        0 | 1 => 0,
        _ => text.match_indices('\n').nth(line - 2).map_or(text.len(), |(at, _)| at + 1),
    }
}

fn fault(error: &serde_saphyr::Error, text: &str) -> Fault {
    use serde_saphyr::Error;
    use serde_saphyr::budget::BudgetBreach;
    let place = error.location().map_or(0..0, |location| place(location, text));
    let (rule, what, why, instead) = match error {
        Error::Budget { breach, .. } => match breach {
            BudgetBreach::Documents { .. } => (
                "second-document",
                "a second document begins here".to_owned(),
                "a reader that stops at '---' would see something other than what was signed",
                "keep one document per file: remove '---' and what follows it".to_owned(),
            ),
            BudgetBreach::Anchors { .. } | BudgetBreach::Aliases { .. } => (
                "anchor",
                "anchors (&) and aliases (*) are not accepted".to_owned(),
                "aliases can multiply a small file into gigabytes, and hide what a line means",
                "write the value out where it is used".to_owned(),
            ),
            BudgetBreach::Depth { .. } => (
                "too-deep",
                format!("more than {MOST_DEPTH} levels of nesting"),
                "a manifest has no more than five; deeper nesting is a parser bomb",
                "remove the nesting".to_owned(),
            ),
            _ => (
                "too-large",
                format!("more than {MOST_NODES} keys and values"),
                "a manifest has a few hundred; more is a parser bomb",
                "remove what does not belong here".to_owned(),
            ),
        },
        Error::MergeKeyNotAllowed { .. } => (
            "merge-key",
            "the merge key '<<' is not accepted".to_owned(),
            "it hides what a line means",
            "write the keys out where they belong".to_owned(),
        ),
        _ if error.without_snippet().to_string().starts_with("unsupported tag") => (
            "tag",
            "tags ('!name') are not accepted".to_owned(),
            "a tag changes how a value is read, and no field needs one",
            "remove the tag".to_owned(),
        ),
        _ => ("syntax", syntax(error), "the file cannot be read as YAML", syntax_advice(text, &place)),
    };
    Fault { place, rule, what, why: why.to_owned(), instead }
}

/// The parser's words without its own ` at line 1, column 2`.
fn syntax(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(what, _)| what.to_owned())
}

/// What usually causes a syntax fault at this place.
fn syntax_advice(text: &str, place: &Place) -> String {
    let start = text.get(..place.start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    let line = text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    let indentation: String = line.chars().take_while(|character| character.is_whitespace()).collect();
    if indentation.contains('\t') {
        "indent with spaces, not with tabs".to_owned()
    } else if line.matches(": ").count() > 1 || line.contains(":\"") || line.contains(":'") {
        "one 'key: value' per line, with a space after the colon; text that contains ': ' goes in quotes".to_owned()
    } else {
        "check the indentation, and that brackets and quotes are closed, on this line and the one before".to_owned()
    }
}

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LooseVisitor)
    }
}

struct LooseVisitor;

impl<'de> Visitor<'de> for LooseVisitor {
    type Value = Loose;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Loose, E> {
        Ok(Loose::Null)
    }

    fn visit_none<E>(self) -> Result<Loose, E> {
        Ok(Loose::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Loose, E> {
        Ok(Loose::Bool(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Loose, E> {
        Ok(Loose::Number)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Loose, E> {
        Ok(Loose::Number)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Loose, E> {
        Ok(Loose::Number)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Loose, E> {
        Ok(Loose::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Loose, E> {
        Ok(Loose::Number)
    }

    fn visit_str<E>(self, text: &str) -> Result<Loose, E> {
        Ok(Loose::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Loose, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Loose::Sequence(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Loose, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Loose::Mapping(entries))
    }
}

#[cfg(test)]
mod tests;
