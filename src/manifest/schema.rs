//! The JSON Schema of a manifest, from the declarations that also read it.

use super::document::Document;
use crate::yaml::read::Read;
use serde_json::{Value as Json, json};

/// The schema, for editors.
pub fn schema() -> Json {
    let mut schema = Document::schema();
    if let Some(map) = schema.as_object_mut() {
        map.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
        map.insert("title".into(), json!("quorate/v1 ClusterManifest"));
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_schema_is_the_one_the_program_reads_by() {
        let published: Json = serde_json::from_str(include_str!("../../spec/manifest.schema.json")).unwrap();
        assert_eq!(published, schema(), "write it anew: quorate schema > spec/manifest.schema.json");
    }

    #[test]
    fn every_key_of_the_schema_is_described_and_closed() {
        fn walk(path: &str, schema: &Json, seen: &mut usize) {
            if let Some(properties) = schema["properties"].as_object() {
                assert_eq!(schema["additionalProperties"], false, "{path}");
                for (key, value) in properties {
                    let path = format!("{path}.{key}");
                    assert!(value["description"].as_str().is_some_and(|text| text.len() > 10), "{path}");
                    *seen += 1;
                    walk(&path, value, seen);
                }
            }
            if schema["items"].is_object() {
                walk(&format!("{path}[]"), &schema["items"], seen);
            }
        }
        let mut seen = 0;
        walk("", &schema(), &mut seen);
        assert!(seen > 45, "only {seen} keys");
    }
}
