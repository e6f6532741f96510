//! Reading one parameter.

use super::super::fields::{Fields, Problems};
use super::super::keys;
use super::super::model::{ObjectKind, Param, ParamKind};
use super::super::tree::{Key, Node};
use super::{NAME_HELP, is_name};

/// Reads the parameter that `key` names.
pub(super) fn read(key: &Key, node: &Node, problems: &mut Problems<'_>) -> Option<(String, Param)> {
    let name = &key.name;
    if !is_name(name, '-') {
        problems.add(
            "bad-name",
            key.place,
            format!("{name:?} cannot name a parameter"),
            Some(NAME_HELP.to_owned()),
        );
    }
    let what = format!("parameter {name}");
    let fields = Fields::of(node, &what, keys::PARAM, problems)?;
    let kind = kind(&fields, &what, problems);
    let position = fields.number("position", 1, 9, problems);
    let many = fields.flag("many", problems);
    let required = fields.flag("required", problems);
    let help = fields
        .line("help", problems)
        .map(|help| help.value)
        .unwrap_or_default();
    let kind = kind?;
    let default = match fields
        .get("default")
        .map(|node| (node, kind.accept(&node.json())))
    {
        None => None,
        Some((_, Ok(value))) => Some(value),
        Some((node, Err(why))) => {
            let help = format!("write {}", kind.word());
            problems.add(
                "bad-default",
                node.place,
                format!("the default of {name} does not fit: {why}"),
                Some(help),
            );
            None
        }
    };
    Some((
        name.clone(),
        Param {
            kind,
            position,
            many,
            required,
            default,
            help,
        },
    ))
}

fn kind(fields: &Fields<'_>, what: &str, problems: &mut Problems<'_>) -> Option<ParamKind> {
    let index = fields.word("type", keys::TYPES, problems);
    let of = fields.text("of", problems);
    let values: Vec<String> = fields
        .texts("values", problems)
        .into_iter()
        .map(|value| value.value)
        .collect();
    let (min, max) = (fields.int("min", problems), fields.int("max", problems));
    let word = keys::TYPES[index?];
    let of = of.as_ref().map(|of| of.value.as_str());
    match word {
        "resource" => match of {
            Some(of) if of.contains('/') => Some(ParamKind::Resource(of.to_owned())),
            _ => {
                let help = "of: Microsoft.Compute/virtualMachines".to_owned();
                problems.add(
                    "missing-key",
                    fields.key_place("of"),
                    format!("{what} does not say which resource"),
                    Some(help),
                );
                None
            }
        },
        "list" => {
            let item = of.unwrap_or("string");
            let scalar = keys::LIST_TYPES
                .contains(&item)
                .then(|| plain(item, values, (min, max), fields, what, problems));
            if scalar.is_none() {
                let help = format!("one of {}", keys::LIST_TYPES.join(", "));
                problems.add(
                    "unknown-word",
                    fields.key_place("of"),
                    format!("a list cannot be of {item}"),
                    Some(help),
                );
            }
            scalar.flatten().map(|kind| ParamKind::List(Box::new(kind)))
        }
        _ => plain(word, values, (min, max), fields, what, problems),
    }
}

fn plain(
    word: &str,
    values: Vec<String>,
    (min, max): (Option<i64>, Option<i64>),
    fields: &Fields<'_>,
    what: &str,
    problems: &mut Problems<'_>,
) -> Option<ParamKind> {
    Some(match word {
        "bool" => ParamKind::Bool,
        "int" => ParamKind::Int { min, max },
        "enum" if values.is_empty() => {
            let message = format!("{what} is an enum without values");
            problems.add(
                "missing-key",
                fields.key_place("values"),
                message,
                Some("values: [a, b]".to_owned()),
            );
            return None;
        }
        "enum" => ParamKind::Enum(values),
        "duration" => ParamKind::Duration,
        "cidr" => ParamKind::Cidr,
        "run" => ParamKind::Run,
        other => ObjectKind::of(other).map_or(ParamKind::String, ParamKind::Object),
    })
}
