//! From nodes to typed structs, collecting every mistake on the way.
//!
//! [`object!`] declares a struct once: its keys, their types, defaults and documentation. From this one declaration
//! come the reading (unknown, repeated and missing keys, wrong types), the suggestions for misspelt keys, and the JSON
//! Schema. Every field is an `Option`: a value that could not be read is reported and left out, so that the fields
//! beside it are still read and checked.

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
    fn report(&mut self, rule: &'static str, place: &Place, what: String, why: impl Into<String>, instead: String) {
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

    /// Reports a value of another kind, for the reason that makes people write it.
    fn wrong_type(&mut self, node: &Node, wanted: &str, why: &str, instead: String) {
        let subject = if self.path.is_empty() { "the document".to_owned() } else { format!("'{}'", self.path) };
        let (what, why) = match node.value {
            Value::Null => {
                (format!("{subject} has no value"), "a key without a value says nothing; left out, its default holds")
            }
            _ => (format!("{subject} has to be {wanted}, this is {}", node.value.kind()), why),
        };
        self.report("wrong-type", &node.place, what, why, instead);
    }

    /// Runs `read` one level deeper.
    fn within<T>(&mut self, step: &str, read: impl FnOnce(&mut Self) -> T) -> T {
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

/// A key of an object.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// As written.
    pub name: &'static str,
    /// Whether it may be left out, and what holds then.
    pub presence: Presence,
    /// What it is for.
    pub doc: &'static str,
    /// The schema of its value.
    pub schema: fn() -> Json,
}

/// Whether a key may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It may not; the text says why.
    Required(&'static str),
    /// It may; the text says what holds then.
    Default(&'static str),
}

/// A key that the object knows, and what is written below it.
pub(crate) type Entry<'a> = (&'a str, &'a Node, &'a Node);

/// The entries of a mapping by key, each known key at most once; everything else is reported.
pub(crate) fn entries<'a>(node: &'a Node, what: &str, keys: &[Key], reader: &mut Reader) -> Option<Vec<Entry<'a>>> {
    let Value::Mapping(written) = &node.value else {
        let instead = format!("write its keys below it, for example '{}: …'", keys.first()?.name);
        reader.wrong_type(node, what, "it has parts with names", instead);
        return None;
    };
    let mut found: Vec<Entry<'_>> = Vec::new();
    // What a misspelt key was probably meant to be is not reported as missing as well.
    let mut suggested: Vec<&str> = Vec::new();
    for (key, value) in written {
        let (Value::Text(name) | Value::Number(name)) = &key.value else {
            let what = format!("a key has to be text, this is {}", key.value.kind());
            reader.report("unknown-key", &key.place, what, "keys are names", "write 'name: value'".into());
            continue;
        };
        if let Some((_, first, _)) = found.iter().find(|(known, _, _)| known == name) {
            let related = vec![(first.place.clone(), "first written here".to_owned())];
            reader.within(name, |reader| {
                reader.report(
                    "duplicate-key",
                    &key.place,
                    format!("'{}' is written twice", shown(name)),
                    "programs differ in which of the two they take, so nobody knows what was signed",
                    "remove one of the two".into(),
                );
                if let Some(finding) = reader.findings.last_mut() {
                    finding.related = related;
                }
            });
            continue;
        }
        if !keys.iter().any(|known| known.name == name) {
            let written_elsewhere: Vec<&str> = written
                .iter()
                .filter_map(|(key, _)| if let Value::Text(text) = &key.value { Some(text.as_str()) } else { None })
                .collect();
            let free = keys.iter().map(|key| key.name).filter(|key| !written_elsewhere.contains(key));
            let instead = match nearest(name, free) {
                Some(near) => {
                    suggested.push(near);
                    format!("did you mean '{near}'?")
                }
                None => format!("known here: {}", keys.iter().map(|key| key.name).collect::<Vec<_>>().join(", ")),
            };
            reader.report(
                "unknown-key",
                &key.place,
                format!("{what} has no '{}'", shown(name)),
                "a key that is not understood would be ignored without anybody noticing",
                instead,
            );
            continue;
        }
        found.push((name, key, value));
    }
    for key in keys {
        if let Presence::Required(why) = key.presence
            && !found.iter().any(|(name, _, _)| *name == key.name)
            && !suggested.contains(&key.name)
        {
            let place = written.first().map_or(node.place.clone(), |(first, _)| first.place.clone());
            let what = format!("{what} has no '{}'", key.name);
            reader.within(key.name, |reader| {
                reader.report("missing-key", &place, what, why, format!("add '{}: …'", key.name));
            });
        }
    }
    Some(found)
}

/// Reads one value below its key.
pub(crate) fn value<T: Read>(entries: &[Entry<'_>], name: &str, reader: &mut Reader) -> Option<Written<T>> {
    let (_, key, node) = entries.iter().find(|(known, _, _)| *known == name)?;
    let value = reader.within(name, |reader| T::read(node, reader))?;
    // A collection has no text of its own to point at: its key stands for it.
    let place = match node.value {
        Value::Sequence(_) | Value::Mapping(_) => &key.place,
        _ => &node.place,
    };
    Some(Written { value, place: place.clone() })
}

/// The schema of an object with these keys.
pub(crate) fn object_schema(doc: &str, keys: &[Key]) -> Json {
    let mut properties = serde_json::Map::new();
    for key in keys {
        let mut schema = (key.schema)();
        if let Some(map) = schema.as_object_mut() {
            let default = match key.presence {
                Presence::Default(default) => format!(" When left out: {default}."),
                Presence::Required(_) => String::new(),
            };
            map.insert("description".into(), json!(format!("{}{default}", key.doc.trim())));
        }
        properties.insert(key.name.into(), schema);
    }
    let required: Vec<&str> =
        keys.iter().filter(|key| matches!(key.presence, Presence::Required(_))).map(|key| key.name).collect();
    json!({
        "type": "object",
        "description": doc.trim(),
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// Declares an object of a document: a struct with one `Option<Written<_>>` per key, how it is read, and its schema.
///
/// Each key is written `"key" field: Type = required("why")` or `= default("what holds")`.
macro_rules! object {
    (
        $(#[doc = $doc:literal])+
        $name:ident, $what:literal {
            $($(#[doc = $field_doc:literal])+ $key:literal $field:ident: $type:ty = $presence:ident($reason:literal),)+
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            $($(#[doc = $field_doc])+ pub $field: Option<$crate::yaml::read::Written<$type>>,)+
        }

        impl $name {
            /// Its keys, in the order in which they are documented.
            pub const KEYS: &'static [$crate::yaml::read::Key] = &[
                $($crate::yaml::read::Key {
                    name: $key,
                    presence: $crate::yaml::read::object!(@$presence $reason),
                    doc: concat!($($field_doc),+),
                    schema: <$type as $crate::yaml::read::Read>::schema,
                },)+
            ];
        }

        impl $crate::yaml::read::Read for $name {
            fn read(node: &$crate::yaml::Node, reader: &mut $crate::yaml::read::Reader) -> Option<Self> {
                let entries = $crate::yaml::read::entries(node, $what, Self::KEYS, reader)?;
                Some(Self { $($field: $crate::yaml::read::value(&entries, $key, reader),)+ })
            }

            fn schema() -> serde_json::Value {
                $crate::yaml::read::object_schema(concat!($($doc),+), Self::KEYS)
            }
        }
    };
    (@required $why:literal) => { $crate::yaml::read::Presence::Required($why) };
    (@default $what:literal) => { $crate::yaml::read::Presence::Default($what) };
}
pub(crate) use object;
