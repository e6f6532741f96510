//! Every call to Microsoft Graph is in v1.0's metadata, with every property that it names, or says why it is beta.
//!
//! `vectors/graph/v1.0.txt` is an extract of the metadata that Microsoft publishes; `extract.py` beside it made it.

use std::collections::{BTreeMap, BTreeSet};

use azir::runbook::catalogue::Catalogue;
use azir::runbook::model::{Call, Plane, Step, Undo};
use azir::runbook::walk;
use serde_json::Value;

const EXTRACT: &str = include_str!("vectors/graph/v1.0.txt");

#[derive(Default)]
struct Type {
    base: Option<String>,
    /// Properties and links, with their types; `*` before that of a collection.
    has: BTreeMap<String, String>,
}

struct Operation {
    action: bool,
    name: String,
    /// What it is called on.
    on: String,
    result: String,
    parameters: BTreeSet<String>,
}

/// The metadata.
pub(crate) struct Metadata {
    roots: BTreeMap<String, String>,
    types: BTreeMap<String, Type>,
    operations: Vec<Operation>,
}

impl Metadata {
    pub(crate) fn read() -> Self {
        let mut metadata = Self {
            roots: BTreeMap::new(),
            types: BTreeMap::new(),
            operations: Vec::new(),
        };
        let mut open = String::new();
        for line in EXTRACT.lines().filter(|line| !line.starts_with('#')) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let own = |text: &&str| (*text).to_owned();
            match words.as_slice() {
                ["root", name, kind] => {
                    metadata.roots.insert(own(name), own(kind));
                }
                ["type", name, base @ ..] => {
                    open = own(name);
                    let base = base.first().map(own);
                    metadata.types.insert(
                        open.clone(),
                        Type {
                            base,
                            ..Type::default()
                        },
                    );
                }
                ["has" | "links", name, kind] => {
                    let of = metadata.types.get_mut(&open).unwrap();
                    of.has.insert(own(name), own(kind));
                }
                [
                    word @ ("action" | "function"),
                    name,
                    on,
                    result,
                    parameters @ ..,
                ] => {
                    metadata.operations.push(Operation {
                        action: *word == "action",
                        name: own(name),
                        on: own(on),
                        result: own(result),
                        parameters: parameters.iter().map(own).collect(),
                    });
                }
                _ => panic!("{line}"),
            }
        }
        metadata
    }

    /// A type and those it is built on.
    fn line(&self, kind: &str) -> Vec<&str> {
        let mut line = Vec::new();
        let mut next = self.types.get_key_value(kind.trim_start_matches('*'));
        while let Some((name, known)) = next {
            line.push(name.as_str());
            next = known
                .base
                .as_ref()
                .and_then(|base| self.types.get_key_value(base));
        }
        line
    }

    /// The type of a member of a type, of one it is built on, or of one built on it: a list of directory objects
    /// holds users.
    fn member(&self, kind: &str, name: &str) -> Option<&String> {
        let own = self.line(kind);
        let built_on_it = || {
            let names = self.types.keys().map(String::as_str);
            names.filter(|other| self.line(other).contains(&kind.trim_start_matches('*')))
        };
        own.iter()
            .copied()
            .chain(built_on_it())
            .find_map(|of| self.types[of].has.get(name))
    }

    fn operation(&self, on: &str, name: &str, post: bool) -> Option<&Operation> {
        let name = name.strip_prefix("microsoft.graph.").unwrap_or(name);
        let line = self.line(on);
        self.operations.iter().find(|operation| {
            let many = operation.on.starts_with('*') == on.starts_with('*');
            let kind = operation.on.trim_start_matches('*');
            operation.name == name && operation.action == post && many && line.contains(&kind)
        })
    }

    /// What a path below the version may lead to: types; an operation's parameters where the last word is one.
    /// `{}` stands for what only the run knows.
    fn lead(&self, method: &str, path: &str) -> Vec<(String, Option<&Operation>)> {
        let mut segments = path.trim_matches('/').split('/');
        let (first, keyed) = match segments.next().unwrap_or_default().split_once('(') {
            Some((first, _)) => (first, true),
            None => (path.trim_matches('/').split('/').next().unwrap(), false),
        };
        let mut places: Vec<(String, Option<&Operation>)> = self
            .roots
            .iter()
            .filter(|(name, _)| first == "{}" || *name == first)
            .map(|(_, kind)| (kind.clone(), None))
            .collect();
        if keyed {
            for place in &mut places {
                place.0 = place.0.trim_start_matches('*').to_owned();
            }
        }
        for segment in segments {
            places = places
                .iter()
                .flat_map(|(kind, _)| self.step(method, kind, segment))
                .collect();
        }
        places
    }

    fn step(&self, method: &str, kind: &str, segment: &str) -> Vec<(String, Option<&Operation>)> {
        if ["$ref", "$value", "$count"].contains(&segment) {
            return vec![(kind.to_owned(), None)];
        }
        if let Some(operation) = self.operation(kind, segment, method == "POST") {
            return vec![(operation.result.clone(), Some(operation))];
        }
        if let Some(cast) = segment.strip_prefix("microsoft.graph.") {
            let many = if kind.starts_with('*') { "*" } else { "" };
            let known = cast == "{}" || self.types.contains_key(cast);
            let kind = if cast == "{}" {
                "directoryObject"
            } else {
                cast
            };
            return known
                .then(|| (format!("{many}{kind}"), None))
                .into_iter()
                .collect();
        }
        if let Some(item) = kind.strip_prefix('*') {
            return vec![(item.to_owned(), None)];
        }
        let line = self.line(kind);
        let members = line.iter().flat_map(|of| &self.types[*of].has);
        members
            .filter(|(name, _)| segment == "{}" || *name == segment)
            .map(|(_, kind)| (kind.clone(), None))
            .collect()
    }

    /// Checks one request: its path, the properties that its query names, and the members of its body.
    pub(crate) fn check(
        &self,
        method: &str,
        path: &str,
        query: &[(String, String)],
        body: Option<&Value>,
    ) -> Result<(), String> {
        let places = self.lead(method, path);
        if places.is_empty() {
            return Err("there is no such path".to_owned());
        }
        let fits = |(kind, operation): &(String, Option<&Operation>)| {
            let created = method != "POST"
                || operation.is_some()
                || kind.starts_with('*')
                || path.ends_with("/$ref");
            if !created {
                return Err(format!("nothing is posted to {kind}"));
            }
            for (name, value) in query {
                self.option(kind, name, value)?;
            }
            match (body, operation) {
                (None, _) => Ok(()),
                (Some(body), None) => self.body(kind, body),
                (Some(body), Some(operation)) => {
                    let names = body.as_object().into_iter().flatten();
                    let unknown = names
                        .map(|(name, _)| name)
                        .find(|name| !operation.parameters.contains(*name));
                    unknown.map_or(Ok(()), |name| Err(format!("it takes no {name}")))
                }
            }
        };
        let tried: Vec<_> = places.iter().map(fits).collect();
        if tried.iter().any(Result::is_ok) {
            Ok(())
        } else {
            tried.into_iter().next().unwrap()
        }
    }

    fn option(&self, kind: &str, name: &str, value: &str) -> Result<(), String> {
        let known = |of: &str, path: &str| self.property(of, path).map(drop);
        match name {
            "$select" | "$orderby" => value
                .split(',')
                .try_for_each(|one| known(kind, one.split_whitespace().next().unwrap_or_default())),
            "$expand" => value
                .split(',')
                .try_for_each(|one| known(kind, one.split('(').next().unwrap_or_default())),
            "$filter" => self.filter(kind, value),
            _ => Ok(()),
        }
    }

    fn property(&self, kind: &str, path: &str) -> Result<String, String> {
        path.split('/').try_fold(kind.to_owned(), |kind, name| {
            let found = self.member(&kind, name);
            found
                .cloned()
                .ok_or_else(|| format!("{kind} has no {name} (in {path})"))
        })
    }

    /// Checks what is compared in a filter, as far as its words show it.
    fn filter(&self, kind: &str, filter: &str) -> Result<(), String> {
        let mut kinds: BTreeMap<String, String> = BTreeMap::new();
        let place = |path: &str, kinds: &BTreeMap<String, String>| match path.split_once('/') {
            Some((variable, rest)) if kinds.contains_key(variable) => {
                self.property(&kinds[variable], rest)
            }
            None if kinds.contains_key(path) => Ok(kinds[path].clone()),
            _ => self.property(kind, path),
        };
        let mut checked = 0;
        // What stands in quotes is a value.
        let bare: String = filter.split('\'').step_by(2).collect::<Vec<_>>().join("''");
        let words: Vec<&str> = bare
            .split([' ', '(', ')', ','])
            .filter(|word| !word.is_empty())
            .collect();
        for (number, word) in words.iter().enumerate() {
            let next = words.get(number + 1).copied().unwrap_or_default();
            if let Some(path) = word.strip_suffix("/any") {
                let kind = place(path, &kinds)?;
                let variable = next.split(':').next().unwrap_or_default();
                kinds.insert(variable.to_owned(), kind);
                checked += 1;
            }
            let compared = ["eq", "ne", "ge", "gt", "le", "lt", "in"].contains(&next);
            if compared {
                let path = word.rsplit(':').next().unwrap_or_default();
                place(path, &kinds)?;
                checked += 1;
            } else if *word == "startswith" {
                place(next, &kinds)?;
                checked += 1;
            }
        }
        if checked == 0 {
            return Err(format!("nothing is compared in {filter}"));
        }
        Ok(())
    }

    fn body(&self, kind: &str, body: &Value) -> Result<(), String> {
        for (name, value) in body.as_object().into_iter().flatten() {
            if name.starts_with('@') {
                continue;
            }
            let found = self
                .member(kind, name)
                .ok_or_else(|| format!("{kind} has no {name}"))?;
            let items = value
                .as_array()
                .map_or(std::slice::from_ref(value), Vec::as_slice);
            for item in items {
                self.body(found, item)?;
            }
        }
        Ok(())
    }
}

/// Replaces what only the run knows.
fn without_templates(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        out.push_str("{}");
        rest = after.split_once("}}").map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    out
}

fn in_runbook(metadata: &Metadata, call: &Call) -> Result<(), String> {
    let line = without_templates(&call.line.value);
    let (method, path) = line.split_once(' ').unwrap();
    let (version, below) = path.trim_start_matches('/').split_once('/').unwrap();
    if version == "beta" {
        return call
            .beta
            .as_ref()
            .map(drop)
            .ok_or("it is beta and does not say why".to_owned());
    }
    assert_eq!(version, "v1.0", "{line}");
    let query: Vec<(String, String)> = call
        .query
        .iter()
        .map(|(name, value)| (name.clone(), without_templates(&value.value)))
        // What is made at run time is looked at where it was sent.
        .filter(|(_, value)| !value.starts_with("{}"))
        .collect();
    let body = call.body.as_ref().map(|body| &body.value);
    metadata.check(method, below, &query, body)
}

/// The properties that a step takes from what it read.
fn taken(step: &Step) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    walk::parts(step, &mut |part, text, _| {
        if matches!(part, walk::Part::Let(_)) {
            texts.push(text.to_owned());
        }
    });
    let word = |text: &str| -> String {
        let letters = text.chars();
        letters.take_while(char::is_ascii_alphanumeric).collect()
    };
    let mut found = Vec::new();
    for text in texts {
        for before in ["body.", "items | pluck('", "items | where('"] {
            found.extend(text.split(before).skip(1).map(word));
        }
        for list in text.split("items | keep([").skip(1) {
            let list = list.split(']').next().unwrap_or_default();
            let names = list.split('\'').skip(1).step_by(2);
            found.extend(names.filter(|name| !name.starts_with('@')).map(word));
        }
    }
    found
}

#[test]
fn every_call_of_a_shipped_runbook_is_in_the_metadata_or_says_why_it_is_beta() {
    let metadata = Metadata::read();
    let catalogue = Catalogue::shipped();
    let mut calls = 0;
    let mut properties = 0;
    let mut wrong = Vec::new();
    for (name, _) in catalogue.sources() {
        let (runbook, _) = catalogue.load(name).unwrap();
        for step in &runbook.steps {
            let id = &step.id.value;
            walk::calls(step, &mut |call, _| {
                if call.plane == Plane::Graph {
                    calls += 1;
                    if let Err(why) = in_runbook(&metadata, call) {
                        wrong.push(format!("{name}, {id}: {}: {why}", call.line.value));
                    }
                }
            });
            let azir::runbook::model::Action::Read(call) = &step.action else {
                continue;
            };
            let line = without_templates(&call.line.value);
            let Some((method, below)) = line.split_once(" /v1.0/") else {
                continue;
            };
            for property in taken(step) {
                properties += 1;
                let kinds = metadata.lead(method, below);
                let there = |(kind, _): &(String, _)| metadata.member(kind, &property).is_some();
                if !kinds.iter().any(there) {
                    wrong.push(format!("{name}, {id}: {line} gives no {property}"));
                }
            }
        }
    }
    assert!(
        calls > 150 && properties > 50,
        "{calls} calls, {properties} properties"
    );
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_the_metadata_does_not_have_is_found() {
    let metadata = Metadata::read();
    let none: &[(String, String)] = &[];
    let option = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let wrong = |method: &str, path: &str, query: &[(String, String)], body: Value| {
        let body = Some(&body).filter(|body| !body.is_null());
        metadata.check(method, path, query, body).unwrap_err()
    };
    let null = || Value::Null;
    for (method, path) in [
        ("GET", "users/{}/riskLevel"),
        ("GET", "userz/{}"),
        ("POST", "users/{}/revokeAllSessions"),
        ("POST", "users/{}/invalidateAllRefreshTokens"),
        ("POST", "applications/{}/confirmCompromised"),
        ("GET", "servicePrincipals/{}/federatedIdentityCredentialz"),
    ] {
        wrong(method, path, none, null());
    }
    wrong(
        "GET",
        "users/{}",
        &option("$select", "id,acountEnabled"),
        null(),
    );
    wrong(
        "GET",
        "users/{}/memberOf",
        &option("$expand", "roles"),
        null(),
    );
    for filter in [
        "principal eq {}",
        "targetResources/any(t:t/identifier eq {})",
        "signInEvents/any(t: t eq 'x')",
    ] {
        wrong(
            "GET",
            "auditLogs/directoryAudits",
            &option("$filter", filter),
            null(),
        );
    }
    let body = serde_json::json!({"accountEnable": false});
    assert_eq!(
        wrong("PATCH", "users/{}", none, body),
        "user has no accountEnable"
    );
    let body = serde_json::json!({"passwordProfile": {"forcePasswordChange": true}});
    wrong("PATCH", "users/{}", none, body);
    let body = serde_json::json!({"key": "x"});
    assert_eq!(
        wrong("POST", "applications/{}/removePassword", none, body),
        "it takes no key"
    );
    for (method, path) in [
        ("GET", "users/{}/transitiveMemberOf/microsoft.graph.group"),
        ("DELETE", "applications/{}/owners/{}/$ref"),
        ("POST", "identityProtection/riskyUsers/dismiss"),
        ("GET", "devices(deviceId='{}')"),
    ] {
        metadata.check(method, path, none, None).unwrap();
    }
}

/// Undo is a part of the model that this file looks at through `walk::calls` alone.
#[test]
fn the_calls_of_an_undo_are_among_them() {
    let catalogue = Catalogue::shipped();
    let (runbook, _) = catalogue.load("revoke-user").unwrap();
    let step = runbook
        .steps
        .iter()
        .find(|step| step.id.value == "disable")
        .unwrap();
    assert!(matches!(step.undo, Some(Undo::Requests(_))));
    let mut lines = Vec::new();
    walk::calls(step, &mut |call, writes| {
        lines.push((call.line.value.clone(), writes));
    });
    // The write, its check, its undo, and what the undo reads first.
    assert_eq!(lines.len(), 4, "{lines:?}");
}
