//! The JSON Schema of the format, for editors: made from the parser's own table of keys.

use serde_json::{Map, Value, json};

use super::keys::{self, KeyInfo, Shape};

/// Returns the schema of a runbook file.
pub fn schema() -> Value {
    let mut schema = table(keys::TOP);
    if let Some(members) = schema.as_object_mut() {
        members.insert(
            "$schema".to_owned(),
            json!("https://json-schema.org/draft/2020-12/schema"),
        );
        members.insert("title".to_owned(), json!("azir runbook v1"));
    }
    schema
}

fn table(keys: &[KeyInfo]) -> Value {
    let properties: Map<String, Value> = keys
        .iter()
        .map(|key| {
            let mut property = shape(key.shape);
            if let Some(members) = property.as_object_mut() {
                members.insert("description".to_owned(), json!(key.help));
            }
            (key.name.to_owned(), property)
        })
        .collect();
    let required: Vec<&str> = keys
        .iter()
        .filter(|key| key.required)
        .map(|key| key.name)
        .collect();
    json!({"type": "object", "additionalProperties": false, "properties": properties, "required": required})
}

fn shape(shape: Shape) -> Value {
    match shape {
        Shape::Text => json!({"type": "string"}),
        Shape::Scalar => json!({"type": ["string", "integer", "boolean"]}),
        Shape::Bool => json!({"type": "boolean"}),
        Shape::Int => json!({"type": "integer"}),
        Shape::Texts => {
            json!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]})
        }
        Shape::Words(words) => json!({"enum": words}),
        Shape::TextMap => json!({"type": "object", "additionalProperties": {"type": "string"}}),
        Shape::TextsMap => {
            json!({"type": "object", "additionalProperties": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}})
        }
        Shape::Any => json!({}),
        Shape::AnyMap => json!({"type": "object"}),
        Shape::Table(keys) => table(keys),
        Shape::Tables(keys) => json!({"type": "array", "items": table(keys)}),
        Shape::TableOrTables(keys) => {
            let one = table(keys);
            json!({"anyOf": [one, {"type": "array", "items": one}]})
        }
        Shape::TableMap(keys) => json!({"type": "object", "additionalProperties": table(keys)}),
        Shape::Undo => json!({"anyOf": [{"enum": ["restore", "ask"]}, table(keys::UNDO)]}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::catalogue::Catalogue;
    use crate::runbook::parse::parse;
    use crate::runbook::tree;

    /// Judges a text by the schema alone.
    fn fits(text: &str) -> bool {
        let Ok(node) = tree::read("x", text) else {
            return false;
        };
        jsonschema::validator_for(&schema())
            .unwrap()
            .is_valid(&node.json())
    }

    #[test]
    fn schema_and_parser_agree_on_good_and_bad_files() {
        for (_, source) in Catalogue::shipped().sources() {
            assert!(fits(&source.text), "{}", source.path);
        }
        let good = "azir: v1\nname: x\nversion: 1.0.0\ntitle: X\npurpose: read\nsteps: []\n";
        assert!(fits(good) && parse("x", good).is_ok());
        for bad in [
            good.replace("v1", "v2"),
            good.replace("purpose: read", "purpose: reed"),
            good.replace("title: X", "titel: X"),
            good.replace("steps: []", "steps: {}"),
            good.replace("steps: []", "steps: [{id: a}]"),
            good.replace("version: 1.0.0\n", ""),
        ] {
            assert!(!fits(&bad), "{bad}");
            assert!(parse("x", &bad).is_err(), "{bad}");
        }
    }
}
