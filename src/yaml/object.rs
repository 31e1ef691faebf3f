//! Objects of a document: one declaration gives the struct, the reading, the suggestions and the schema.
//!
//! [`object!`] declares a struct with its keys, their types, defaults and documentation. Every field is an `Option`: a
//! value that could not be read is reported and left out, so that the fields beside it are still read and checked.

use super::read::{Read, Reader, Written, nearest, shown};
use super::{Node, Value};
use serde_json::{Value as Json, json};

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
        // A key names its object already: "'spec.vip' has to be 'vip'" would say nothing.
        let wanted = if what.starts_with('\'') { "a mapping" } else { what };
        reader.wrong_type(node, wanted, "it has parts with names", instead);
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
                reader.see(related);
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
            pub const KEYS: &'static [$crate::yaml::object::Key] = &[
                $($crate::yaml::object::Key {
                    name: $key,
                    presence: $crate::yaml::object::object!(@$presence $reason),
                    doc: concat!($($field_doc),+),
                    schema: <$type as $crate::yaml::read::Read>::schema,
                },)+
            ];
        }

        impl $crate::yaml::read::Read for $name {
            fn read(node: &$crate::yaml::Node, reader: &mut $crate::yaml::read::Reader) -> Option<Self> {
                let entries = $crate::yaml::object::entries(node, $what, Self::KEYS, reader)?;
                Some(Self { $($field: $crate::yaml::object::value(&entries, $key, reader),)+ })
            }

            fn schema() -> serde_json::Value {
                $crate::yaml::object::object_schema(concat!($($doc),+), Self::KEYS)
            }
        }
    };
    (@required $why:literal) => { $crate::yaml::object::Presence::Required($why) };
    (@default $what:literal) => { $crate::yaml::object::Presence::Default($what) };
}
pub(crate) use object;
