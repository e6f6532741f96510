//! The JSON Schema of the format, for editors: made from the parser's own table of keys, so that an editor
//! completes and underlines what the parser would.

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

/// Keys of which a map has exactly one, and the key that tells a table in which this is so.
const ONE_OF: [(&[&str], &str); 3] = [
    (keys::KINDS, "phase"),
    (keys::PLANES, "query"),
    (keys::UNDO_KINDS, "never"),
];

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
    let mut schema = json!({"type": "object", "additionalProperties": false, "properties": properties, "required": required});
    for (group, _) in ONE_OF
        .iter()
        .filter(|(_, mark)| keys.iter().any(|key| key.name == *mark))
    {
        let here: Vec<&str> = group
            .iter()
            .copied()
            .filter(|name| keys.iter().any(|key| key.name == *name))
            .collect();
        schema["oneOf"] = here
            .iter()
            .map(|name| json!({"required": [name]}))
            .collect();
    }
    // ARM is the one plane that demands a version.
    if schema["properties"].get("api_version").is_some() && !required.contains(&"api_version") {
        schema["dependentRequired"] = json!({"arm": ["api_version"]});
    }
    schema
}

fn shape(shape: Shape) -> Value {
    match shape {
        Shape::Text => json!({"type": "string"}),
        Shape::Line => json!({"type": "string", "pattern": r"^[^\n]*\S[^\n]*\s*$"}),
        Shape::Name => json!({"type": "string", "pattern": "^[a-z][a-z0-9-]{0,63}$"}),
        Shape::Identifier => identifier(),
        Shape::Version => {
            json!({"type": "string", "pattern": r"^[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}$"})
        }
        Shape::Span => json!({"type": "string", "pattern": "^[0-9]{1,12}[smhd]$"}),
        Shape::Call => {
            json!({"type": "string", "pattern": r"^(GET|HEAD|POST|PUT|PATCH|DELETE) \s*\S"})
        }
        Shape::Scalar => json!({"type": ["string", "integer", "boolean"]}),
        Shape::Bool => json!({"type": "boolean"}),
        Shape::Int => json!({"type": "integer"}),
        Shape::Number(min, max) => json!({"type": "integer", "minimum": min, "maximum": max}),
        Shape::Pages => json!({"anyOf": [{"type": "string", "minLength": 1}, {"const": true}]}),
        Shape::Texts => texts(),
        Shape::Words(words) => json!({"enum": words}),
        Shape::TextMap => json!({"type": "object", "additionalProperties": {"type": "string"}}),
        Shape::TextsMap => json!({"type": "object", "additionalProperties": texts()}),
        Shape::Any => json!({}),
        Shape::AnyMap => json!({"type": "object"}),
        Shape::Paths => {
            json!({"type": "object", "minProperties": 1, "propertyNames": {"pattern": r"^[^.]+(\.[^.]+)*$"}})
        }
        Shape::Lets => json!({"type": "object", "propertyNames": identifier()}),
        Shape::Table(keys) => table(keys),
        Shape::Tables(keys) => json!({"type": "array", "items": table(keys)}),
        Shape::TableOrTables(keys) => {
            let one = table(keys);
            json!({"anyOf": [one, {"type": "array", "items": one}]})
        }
        Shape::Params => {
            json!({"type": "object", "additionalProperties": params(), "propertyNames": {"pattern": "^[a-z][a-z0-9-]{0,63}$"}})
        }
        Shape::Undo => json!({"anyOf": [{"enum": ["restore", "ask"]}, table(keys::UNDO)]}),
    }
}

fn texts() -> Value {
    json!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]})
}

fn identifier() -> Value {
    json!({"type": "string", "pattern": "^[a-z][a-z0-9_]{0,63}$", "not": {"enum": keys::LANGUAGE}})
}

/// A parameter: some types need a second key.
fn params() -> Value {
    let mut schema = table(keys::PARAM);
    let of_type = |name: &str, then: Value| json!({"if": {"properties": {"type": {"const": name}}, "required": ["type"]}, "then": then});
    schema["allOf"] = json!([
        of_type("enum", json!({"required": ["values"]})),
        of_type(
            "resource",
            json!({"required": ["of"], "properties": {"of": {"pattern": "/"}}})
        ),
        of_type(
            "list",
            json!({"properties": {"of": {"enum": keys::LIST_TYPES}}})
        ),
    ]);
    schema
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::catalogue::Catalogue;
    use crate::runbook::parse::parse;
    use crate::runbook::tree;

    const GOOD: &str = "azir: v1\nname: x\nversion: 1.0.0\ntitle: X\npurpose: read\n";

    /// Returns whether a text fits the schema, and whether the parser takes it.
    fn judged(validator: &jsonschema::Validator, text: &str) -> (bool, bool) {
        let fits = tree::read("x", text).is_ok_and(|node| validator.is_valid(&node.json()));
        (fits, parse("x", text).is_ok())
    }

    #[test]
    fn schema_and_parser_agree_on_whole_files() {
        let validator = jsonschema::validator_for(&schema()).unwrap();
        for (_, source) in Catalogue::shipped().sources() {
            assert_eq!(
                judged(&validator, &source.text),
                (true, true),
                "{}",
                source.path
            );
        }
        let good = format!("{GOOD}steps: []\n");
        assert_eq!(judged(&validator, &good), (true, true));
        for bad in [
            good.replace("v1", "v2"),
            good.replace("purpose: read", "purpose: reed"),
            good.replace("title: X", "titel: X"),
            good.replace("title: X", "title: \"\""),
            good.replace("title: X", "title: 3"),
            good.replace("steps: []", "steps: {}"),
            good.replace("steps: []", "steps: [{id: a}]"),
            good.replace("version: 1.0.0", "version: \"1.0\""),
            good.replace("version: 1.0.0\n", ""),
            good.replace("name: x", "name: X"),
            format!("{good}deadline: 5\n"),
            format!("{good}deadline: 5 minutes\n"),
            format!("{good}residual: [{{until: x}}]\n"),
            format!("{good}params: {{A: {{type: bool}}}}\n"),
            "[]".to_owned(),
        ] {
            assert_eq!(judged(&validator, &bad), (false, false), "{bad}");
        }
    }

    #[test]
    fn schema_and_parser_agree_on_steps_and_parameters() {
        let validator = jsonschema::validator_for(&schema()).unwrap();
        let step =
            |more: &str| format!("{GOOD}steps:\n  - {{id: a, phase: tag, title: T, {more}}}\n");
        for (good, more) in [
            (true, "read: {graph: GET /x}"),
            (
                true,
                "read: {graph: GET /x, pages: true}, check: {claim: c, that: t, within: 5m}",
            ),
            (
                true,
                "edit: {arm: x, api_version: y, set: {a.b: null}}, undo: restore",
            ),
            (true, "wait: {for: 5, why: w}"),
            (false, "read: {graph: GET /x}, wait: {for: 5s, why: w}"),
            (false, "title2: x"),
            (false, "read: {graph: GET /x, arm: GET /y, api_version: z}"),
            (false, "read: {api_version: z}"),
            (false, "read: {arm: GET /x}"),
            (false, "read: {graph: FETCH /x}"),
            (false, "read: {graph: GET}"),
            (false, "read: {graph: GET /x, pages: false}"),
            (false, "read: {graph: GET /x}, let: {A: x}"),
            (false, "read: {graph: GET /x}, let: {none: x}"),
            (false, "read: {graph: GET /x}, as: \"a b\""),
            (false, "read: {graph: GET /x}, parallel: 0"),
            (false, "read: {graph: GET /x}, undo: sometimes"),
            (
                false,
                "read: {graph: GET /x}, undo: {never: x, request: {graph: GET /x}}",
            ),
            (false, "edit: {arm: x, api_version: y, set: {}}"),
            (false, "edit: {arm: x, api_version: y, set: {a..b: 1}}"),
        ] {
            assert_eq!(judged(&validator, &step(more)), (good, good), "{more}");
        }
        for (good, more) in [
            (true, "type: enum, values: [a, b], default: a"),
            (true, "type: list, of: cidr"),
            (false, "type: enum"),
            (false, "type: resource"),
            (false, "type: resource, of: vm"),
            (false, "type: list, of: resource"),
            (false, "type: thing"),
            (false, "type: bool, position: 10"),
            (false, "of: string"),
        ] {
            let text = format!("{GOOD}params: {{p: {{{more}}}}}\nsteps: []\n");
            assert_eq!(judged(&validator, &text), (good, good), "{more}");
        }
    }
}
