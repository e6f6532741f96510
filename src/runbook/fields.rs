//! Reading a map of the tree by a table of keys: every unknown, missing or ill-typed key becomes a problem.

use std::time::Duration;

use indexmap::IndexMap;
use serde_json::Value;

use super::keys::KeyInfo;
use super::model::Template;
use super::place::{Place, Spanned};
use super::problem::{Problem, nearest};
use super::tree::{Key, Kind, Node};

/// Collects problems while a file is read.
pub(crate) struct Problems<'a> {
    file: &'a str,
    pub(crate) found: Vec<Problem>,
}

/// More problems than this help nobody.
const MAX_PROBLEMS: usize = 50;

impl<'a> Problems<'a> {
    pub(crate) fn new(file: &'a str) -> Self {
        Self {
            file,
            found: Vec::new(),
        }
    }

    pub(crate) fn add(
        &mut self,
        code: &'static str,
        place: Place,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        let message = message.into();
        let known = self
            .found
            .iter()
            .any(|problem| problem.place == place && problem.message == message);
        if self.found.len() < MAX_PROBLEMS && !known {
            self.found.push(Problem {
                code,
                file: self.file.to_owned(),
                place,
                message,
                help,
                related: Vec::new(),
            });
        }
    }

    pub(crate) fn wrong_type(&mut self, node: &Node, key: &str, wanted: &str) {
        let message = format!("{key} is {}, and must be {wanted}", node.kind_word());
        self.add("wrong-type", node.place, message, None);
    }
}

/// A map being read.
pub(crate) struct Fields<'n> {
    pub(crate) place: Place,
    what: String,
    members: Vec<(&'n str, Place, &'n Node)>,
}

impl<'n> Fields<'n> {
    /// Takes a map whose keys must be in `table`.
    pub(crate) fn of(
        node: &'n Node,
        what: &str,
        table: &[KeyInfo],
        problems: &mut Problems<'_>,
    ) -> Option<Self> {
        let Kind::Map(members) = &node.kind else {
            problems.wrong_type(node, what, "a map");
            return None;
        };
        for (key, _) in members {
            if !table.iter().any(|info| info.name == key.name) {
                let near = nearest(&key.name, table.iter().map(|info| info.name));
                let help = match near {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!(
                        "{what} has the keys {}",
                        table
                            .iter()
                            .map(|info| info.name)
                            .collect::<Vec<_>>()
                            .join(", ")
                    ),
                };
                problems.add(
                    "unknown-key",
                    key.place,
                    format!("unknown key {} in {what}", key.name),
                    Some(help),
                );
            }
        }
        for info in table.iter().filter(|info| info.required) {
            if !members.iter().any(|(key, _)| key.name == info.name) {
                let help = format!("{}: {}", info.name, info.help.to_lowercase());
                problems.add(
                    "missing-key",
                    node.place,
                    format!("{what} has no {}", info.name),
                    Some(help),
                );
            }
        }
        Some(Self {
            place: node.place,
            what: what.to_owned(),
            members: members
                .iter()
                .map(|(key, node)| (key.name.as_str(), key.place, node))
                .collect(),
        })
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'n Node> {
        self.members
            .iter()
            .find(|(key, ..)| *key == name)
            .map(|(_, _, node)| *node)
    }

    pub(crate) fn key_place(&self, name: &str) -> Place {
        self.members
            .iter()
            .find(|(key, ..)| *key == name)
            .map_or(self.place, |(_, place, _)| *place)
    }

    /// Returns text; numbers and truth values are refused, for `version: 1.0` would lose its zero.
    pub(crate) fn text(&self, name: &str, problems: &mut Problems<'_>) -> Option<Template> {
        let node = self.get(name)?;
        let Kind::Text(text) = &node.kind else {
            problems.wrong_type(node, &format!("{name} of {}", self.what), "text");
            return None;
        };
        Some(Spanned {
            value: text.clone(),
            place: node.place,
        })
    }

    /// Returns text of one line that says something.
    pub(crate) fn line(&self, name: &str, problems: &mut Problems<'_>) -> Option<Template> {
        let text = self.text(name, problems)?;
        if text.value.trim().is_empty() || text.value.trim_end().contains('\n') {
            problems.add(
                "bad-line",
                text.place,
                format!("{name} of {} must be one line", self.what),
                None,
            );
        }
        Some(text)
    }

    /// Returns text or a scalar as text.
    pub(crate) fn scalar(&self, name: &str, problems: &mut Problems<'_>) -> Option<Template> {
        let node = self.get(name)?;
        let text = match &node.kind {
            Kind::Text(text) => text.clone(),
            Kind::Int(number) => number.to_string(),
            Kind::Bool(value) => value.to_string(),
            _ => {
                problems.wrong_type(node, &format!("{name} of {}", self.what), "text");
                return None;
            }
        };
        Some(Spanned {
            value: text,
            place: node.place,
        })
    }

    pub(crate) fn flag(&self, name: &str, problems: &mut Problems<'_>) -> bool {
        match self.get(name).map(|node| (node, &node.kind)) {
            None => false,
            Some((_, Kind::Bool(value))) => *value,
            Some((node, _)) => {
                problems.wrong_type(node, &format!("{name} of {}", self.what), "true or false");
                false
            }
        }
    }

    pub(crate) fn int(&self, name: &str, problems: &mut Problems<'_>) -> Option<i64> {
        let node = self.get(name)?;
        let Kind::Int(value) = node.kind else {
            problems.wrong_type(node, &format!("{name} of {}", self.what), "a whole number");
            return None;
        };
        Some(value)
    }

    /// Returns a whole number within bounds.
    pub(crate) fn number(
        &self,
        name: &str,
        min: i64,
        max: i64,
        problems: &mut Problems<'_>,
    ) -> Option<usize> {
        let number = self.int(name, problems)?;
        if !(min..=max).contains(&number) {
            let place = self.get(name).map_or(self.place, |node| node.place);
            problems.add(
                "bad-number",
                place,
                format!("{name} is a number from {min} to {max}"),
                None,
            );
        }
        usize::try_from(number).ok()
    }

    pub(crate) fn texts(&self, name: &str, problems: &mut Problems<'_>) -> Vec<Spanned<String>> {
        let Some(node) = self.get(name) else {
            return Vec::new();
        };
        let nodes = match &node.kind {
            Kind::List(items) => items.iter().collect(),
            _ => vec![node],
        };
        let mut texts = Vec::new();
        for node in nodes {
            match &node.kind {
                Kind::Text(text) => texts.push(Spanned {
                    value: text.clone(),
                    place: node.place,
                }),
                _ => problems.wrong_type(
                    node,
                    &format!("{name} of {}", self.what),
                    "text, or a list of texts",
                ),
            }
        }
        texts
    }

    pub(crate) fn text_map(
        &self,
        name: &str,
        problems: &mut Problems<'_>,
    ) -> IndexMap<String, Template> {
        let mut map = IndexMap::new();
        for (key, node) in self.map(name, problems) {
            match &node.kind {
                Kind::Text(text) => {
                    map.insert(
                        key.name.clone(),
                        Spanned {
                            value: text.clone(),
                            place: node.place,
                        },
                    );
                }
                _ => problems.wrong_type(node, &key.name, "text"),
            }
        }
        map
    }

    pub(crate) fn any_map(
        &self,
        name: &str,
        problems: &mut Problems<'_>,
    ) -> IndexMap<String, Spanned<Value>> {
        self.map(name, problems)
            .into_iter()
            .map(|(key, node)| {
                (
                    key.name.clone(),
                    Spanned {
                        value: node.json(),
                        place: node.place,
                    },
                )
            })
            .collect()
    }

    /// Returns the members of a map in order.
    pub(crate) fn map(&self, name: &str, problems: &mut Problems<'_>) -> Vec<(&'n Key, &'n Node)> {
        match self.get(name).map(|node| (node, &node.kind)) {
            None => Vec::new(),
            Some((_, Kind::Map(members))) => {
                members.iter().map(|(key, node)| (key, node)).collect()
            }
            Some((node, _)) => {
                problems.wrong_type(node, &format!("{name} of {}", self.what), "a map");
                Vec::new()
            }
        }
    }

    /// Returns one of `words` as its index.
    pub(crate) fn word(
        &self,
        name: &str,
        words: &[&str],
        problems: &mut Problems<'_>,
    ) -> Option<usize> {
        let text = self.text(name, problems)?;
        let index = words.iter().position(|word| *word == text.value);
        if index.is_none() {
            let help = nearest(&text.value, words.iter().copied()).map_or_else(
                || format!("one of {}", words.join(", ")),
                |near| format!("did you mean {near}?"),
            );
            problems.add(
                "unknown-word",
                text.place,
                format!("{name} cannot be {:?}", short(&text.value)),
                Some(help),
            );
        }
        index
    }

    pub(crate) fn span(&self, name: &str, problems: &mut Problems<'_>) -> Option<Duration> {
        let text = self.text(name, problems)?;
        let span = super::params::duration(&text.value);
        if span.is_none() {
            let message = format!("{name} cannot be {:?}", short(&text.value));
            problems.add(
                "bad-duration",
                text.place,
                message,
                Some("write a span such as 90s, 5m, 24h or 7d".to_owned()),
            );
        }
        span
    }
}

/// Returns the beginning of a text, to be shown.
pub(crate) fn short(text: &str) -> String {
    text.chars().take(60).collect()
}
