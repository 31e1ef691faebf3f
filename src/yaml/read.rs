//! From nodes to typed structs, collecting every mistake on the way.
//!
//! A type says how it is read with [`Read`]; for what is written as one piece of text, [`Scalar`] is enough. Objects with
//! keys are declared with [`super::object`].

use super::finding::{Finding, Weight};
use super::{Node, Place, Value};
use serde_json::{Value as Json, json};

/// A value with the place it was written at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub place: Place,
}

/// A type that can be read from a document.
pub trait Read: Sized {
    /// Reads it, or reports why not.
    fn read(node: &Node, reader: &mut Reader) -> Option<Self>;

    /// Its JSON Schema.
    fn schema() -> Json;
}

/// A type that is written as one piece of text or one number.
pub trait Scalar: Sized {
    /// What it is, with an article: `an IP address`.
    const WHAT: &'static str;
    /// What to write, as an example.
    const EXAMPLE: &'static str;

    /// Reads the text.
    ///
    /// # Errors
    /// Why the text is not such a value.
    fn from_text(text: &str) -> Result<Self, String>;

    /// What restricts the text, as JSON Schema keywords.
    fn schema() -> Json {
        json!({ "type": "string" })
    }

    /// For a fixed set of words: all of them, to suggest the nearest.
    fn words() -> &'static [&'static str] {
        &[]
    }
}

/// A number in YAML, with its bounds.
pub trait Bounds {
    /// Smallest and largest, both allowed.
    const BOUNDS: (u64, u64);
    /// What it is, with an article and its unit.
    const WHAT: &'static str;
}

/// An unsigned number within the bounds that `B` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounded<B> {
    /// The number.
    pub number: u64,
    bounds: std::marker::PhantomData<B>,
}

/// What reading found, and where in the document it is.
#[derive(Debug, Default)]
pub struct Reader {
    findings: Vec<Finding>,
    path: String,
}

impl Reader {
    /// Everything that was found.
    pub fn into_findings(self) -> Vec<Finding> {
        self.findings
    }

    /// Reports a value that is not what it should be.
    pub(super) fn report(
        &mut self,
        rule: &'static str,
        place: &Place,
        what: String,
        why: impl Into<String>,
        instead: String,
    ) {
        self.findings.push(Finding {
            weight: Weight::Invalid,
            rule,
            field: self.path.clone(),
            place: place.clone(),
            what,
            why: why.into(),
            instead,
            related: Vec::new(),
        });
    }

    /// Adds other places to the latest finding.
    pub(super) fn see(&mut self, related: Vec<(Place, String)>) {
        if let Some(finding) = self.findings.last_mut() {
            finding.related = related;
        }
    }

    /// Reports a value of another kind, for the reason that makes people write it.
    pub(super) fn wrong_type(&mut self, node: &Node, wanted: &str, why: &str, instead: String) {
        let subject = if self.path.is_empty() { "the document".to_owned() } else { format!("'{}'", self.path) };
        let (what, why) = match node.value {
            Value::Null => (format!("{subject} has no value"), "a key without a value says nothing"),
            _ => (format!("{subject} has to be {wanted}, this is {}", node.value.kind()), why),
        };
        self.report("wrong-type", &node.place, what, why, instead);
    }

    /// Runs `read` one level deeper.
    pub(super) fn within<T>(&mut self, step: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        if !step.starts_with('[') && length > 0 {
            self.path.push('.');
        }
        self.path.push_str(step);
        let result = read(self);
        self.path.truncate(length);
        result
    }
}

/// Text from a document, fit to be shown: bounded, and with control characters made visible.
pub fn shown(text: &str) -> String {
    const MOST: usize = 60;
    let escaped: String = text.escape_debug().take(MOST + 1).collect();
    if escaped.chars().count() > MOST {
        format!("{}…", escaped.chars().take(MOST).collect::<String>())
    } else {
        escaped
    }
}

/// The word that was probably meant: at most a third of its letters differ.
pub fn nearest<'a>(text: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_'], "");
    let written = plain(text);
    words
        .into_iter()
        .map(|word| (strsim::osa_distance(&written, &plain(word)), word))
        .filter(|(distance, word)| distance * 3 <= word.len().max(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// `'a', 'b' or 'c'`.
fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    match quoted.as_slice() {
        [most @ .., last] if !most.is_empty() => format!("{} or {last}", most.join(", ")),
        _ => quoted.concat(),
    }
}

impl<T: Read> Read for Written<T> {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        // A list entry that is a mapping has no text of its own: its first key stands for it.
        let place = match &node.value {
            Value::Mapping(entries) => entries.first().map_or(&node.place, |(key, _)| &key.place),
            _ => &node.place,
        };
        T::read(node, reader).map(|value| Written { value, place: place.clone() })
    }

    fn schema() -> Json {
        T::schema()
    }
}

impl<T: Scalar> Read for T {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        // A number is fine where text is meant: `hostname: 17` and an all-digit machine id are text to us.
        let (Value::Text(text) | Value::Number(text)) = &node.value else {
            reader.wrong_type(node, T::WHAT, "there is one value here", format!("write it like {}", T::EXAMPLE));
            return None;
        };
        match T::from_text(text) {
            Ok(value) => Some(value),
            Err(why) => {
                let instead = match nearest(text, T::words().iter().copied()) {
                    Some(word) => format!("did you mean '{word}'?"),
                    None if T::words().is_empty() => format!("write it like {}", T::EXAMPLE),
                    None => format!("write {}", listed(T::words())),
                };
                let why = if T::words().is_empty() { why } else { format!("it is {}", listed(T::words())) };
                let what = format!("'{}' is not {}", shown(text), T::WHAT);
                reader.report("wrong-value", &node.place, what, why, instead);
                None
            }
        }
    }

    fn schema() -> Json {
        let mut schema = <T as Scalar>::schema();
        if let Some(map) = schema.as_object_mut() {
            if T::words().is_empty() {
                map.insert("examples".into(), json!([T::EXAMPLE]));
            } else {
                map.insert("enum".into(), json!(T::words()));
            }
        }
        schema
    }
}

impl Read for bool {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        match &node.value {
            Value::Bool(value) => Some(*value),
            value => {
                let meant = match value {
                    Value::Text(text) if matches!(text.as_str(), "yes" | "on" | "y" | "Yes" | "On") => "true",
                    Value::Text(text) if matches!(text.as_str(), "no" | "off" | "n" | "No" | "Off") => "false",
                    _ => "true or false, without quotes",
                };
                let why = "programs differ in which other words they take for true or false";
                reader.wrong_type(node, "true or false", why, format!("write {meant}"));
                None
            }
        }
    }

    fn schema() -> Json {
        json!({ "type": "boolean" })
    }
}

impl<B: Bounds> Read for Bounded<B> {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let (least, most) = B::BOUNDS;
        let example = format!("a number from {least} to {most}, without quotes");
        let text = match &node.value {
            Value::Number(text) => text,
            Value::Text(text) if text.parse::<u64>().is_ok() => {
                reader.wrong_type(
                    node,
                    "a number",
                    "quotes make text of a number",
                    format!("write {text} without quotes"),
                );
                return None;
            }
            _ => {
                reader.wrong_type(node, "a number", "there is a number here", format!("write {example}"));
                return None;
            }
        };
        match text.parse::<u64>() {
            Ok(number) if (least..=most).contains(&number) => Some(Self { number, bounds: std::marker::PhantomData }),
            _ => {
                let what = format!("'{}' is not {}", shown(text), B::WHAT);
                let why = format!("it is a whole number from {least} to {most}");
                reader.report("out-of-bounds", &node.place, what, why, format!("write {example}"));
                None
            }
        }
    }

    fn schema() -> Json {
        json!({ "type": "integer", "minimum": B::BOUNDS.0, "maximum": B::BOUNDS.1 })
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let Value::Sequence(items) = &node.value else {
            let instead = match &node.value {
                Value::Text(text) | Value::Number(text) => format!("write [{}]", shown(text)),
                _ => "write one line per entry, each beginning with '- '".to_owned(),
            };
            reader.wrong_type(node, "a list", "one entry is a list of one", instead);
            return None;
        };
        let read = |(at, item): (usize, &Node)| reader.within(&format!("[{at}]"), |reader| T::read(item, reader));
        // All entries are read for their findings; a list with a gap would be judged as a shorter one.
        let entries: Vec<Option<T>> = items.iter().enumerate().map(read).collect();
        entries.into_iter().collect()
    }

    fn schema() -> Json {
        json!({ "type": "array", "items": T::schema() })
    }
}
