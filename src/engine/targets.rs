//! From a request to its targets: what was typed, resolved to what is meant, before anything else is done.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::directory::Directory;
use super::error::EngineError;
use super::power::Teller;
use super::request::RunRequest;
use super::resolve::Resolver;
use super::run::Engine;
use crate::runbook::model::{Param, ParamKind, Runbook};

/// The targets of a run, found.
pub(crate) struct Found {
    /// `(name, arguments)` of each.
    pub(crate) targets: Vec<(String, Map<String, Value>)>,
}

impl Found {
    /// Returns the ids of the targets: a guard that counts who is left must know who else is about to go.
    pub(crate) fn ids(&self, runbook: &Runbook) -> Vec<String> {
        let Some((key, _)) = many(runbook) else {
            return Vec::new();
        };
        self.targets
            .iter()
            .filter_map(|(_, arguments)| {
                let value = arguments.get(key)?;
                value["id"].as_str().or(value.as_str()).map(str::to_owned)
            })
            .collect()
    }
}

impl Engine {
    /// Returns the targets of a request, each with the arguments that its templates see.
    ///
    /// # Errors
    /// A target that is unknown or ambiguous, or a cloud that does not answer.
    pub(super) async fn find(&self, request: &RunRequest, run: Uuid) -> Result<Found, EngineError> {
        let name = &request.runbook.name.value;
        let teller = Teller::new(None, Arc::clone(&self.clock), run, self.halt.clone());
        let directory = Directory::new(&self.client, teller.clone(), name);
        let mut arguments = self.arguments(request, &directory, &teller).await?;
        let many = many(&request.runbook);
        let mut typed = request.targets.clone();
        for (key, param) in &request.runbook.params {
            if let (ParamKind::Run, Some(Value::String(id))) = (&param.kind, arguments.get(key)) {
                let earlier = super::results::of_run(&self.cases, id)?;
                if let Some((target, _)) = many {
                    typed.extend(named_by(&earlier, target)?);
                }
                arguments.insert(key.clone(), earlier);
            }
        }
        let Some((key, kind)) = many else {
            return Ok(Found {
                targets: vec![(only(&request.runbook, &arguments), arguments)],
            });
        };
        let filter = request.bulk.filter.as_deref();
        if typed.is_empty() && filter.is_none() {
            return Err(EngineError::Usage {
                message: format!("{name} needs at least one {}", key.to_uppercase()),
                hint: format!("azir {name} --help"),
            });
        }
        let resolver = self.resolver(teller, name);
        let values = match kind {
            ParamKind::Resource(kind) => {
                let mut found = match filter {
                    Some(filter) => resolver.filtered(kind, filter).await?,
                    None => Vec::new(),
                };
                let named = resolver.resources(kind, &typed).await?;
                found.retain(|one| !named.iter().any(|other| same(one, other)));
                named.into_iter().chain(found).collect()
            }
            ParamKind::Object(kind) => directory.objects(*kind, &typed).await?,
            _ => typed.into_iter().map(Value::String).collect(),
        };
        let labels = labels(kind, &values, name);
        let targets = labels
            .into_iter()
            .zip(values)
            .map(|(label, value)| {
                let mut own = arguments.clone();
                own.insert(key.clone(), value);
                (label, own)
            })
            .collect();
        Ok(Found { targets })
    }

    /// Returns who looks resources up for what was typed after `azir` and these words.
    fn resolver<'a>(&'a self, teller: Teller, words: &'a str) -> Resolver<'a> {
        let subscriptions = self.profile.subscriptions.clone();
        Resolver::new(&self.client, teller, subscriptions, words)
    }

    /// Returns what templates see of each parameter that is not the one with many values.
    async fn arguments(
        &self,
        request: &RunRequest,
        directory: &Directory<'_>,
        teller: &Teller,
    ) -> Result<Map<String, Value>, EngineError> {
        let mut arguments = Map::new();
        for (name, param) in &request.runbook.params {
            let given = request.arguments.get(name).cloned();
            let value = given
                .or_else(|| param.default.clone())
                .unwrap_or(Value::Null);
            let value = match (&param.kind, value) {
                (ParamKind::Object(kind), Value::String(typed)) => {
                    directory.object(*kind, &typed).await?
                }
                (ParamKind::Resource(kind), Value::String(typed)) => {
                    let words = up_to(request, name, param);
                    let resolver = self.resolver(teller.clone(), &words);
                    resolver.resources(kind, &[typed]).await?.remove(0)
                }
                (ParamKind::List(of), Value::Array(items)) => match **of {
                    ParamKind::Object(kind) => {
                        let typed: Vec<String> = items
                            .iter()
                            .filter_map(|item| item.as_str().map(str::to_owned))
                            .collect();
                        Value::Array(directory.objects(kind, &typed).await?)
                    }
                    _ => Value::Array(items),
                },
                (_, value) => value,
            };
            arguments.insert(name.clone(), value);
        }
        Ok(arguments)
    }
}

/// Returns whether two resources are one.
fn same(one: &Value, other: &Value) -> bool {
    let id = |value: &Value| value["id"].as_str().map(str::to_ascii_lowercase);
    id(one) == id(other)
}

/// Returns the parameter each of whose values is a target.
fn many(runbook: &Runbook) -> Option<(&String, &ParamKind)> {
    runbook
        .params
        .iter()
        .find(|(_, param)| param.is_target())
        .map(|(key, param)| (key, &param.kind))
}

/// Returns what is typed after `azir`, up to the value of this parameter.
fn up_to(request: &RunRequest, name: &str, param: &Param) -> String {
    if param.position.is_some() {
        return request.runbook.name.value.clone();
    }
    let mut others = request.clone();
    others.arguments.shift_remove(name);
    let target = match (&request.targets[..], many(&request.runbook)) {
        ([one], _) => one.clone(),
        (_, Some((key, _))) => key.to_uppercase(),
        _ => String::new(),
    };
    let command = others.command(&target);
    format!("{} --{name}", command.trim_start_matches("azir "))
}

/// Returns the targets that an earlier run hands on: of its results, the member that is the plural of the parameter.
fn named_by(earlier: &Value, parameter: &str) -> Result<Vec<String>, EngineError> {
    let member = format!("{parameter}s");
    let results = earlier["results"].as_array().into_iter().flatten();
    let mut found: Vec<String> = results
        .flat_map(|one| one[&member].as_array().into_iter().flatten())
        .filter_map(|item| item["id"].as_str().or(item.as_str()).map(str::to_owned))
        .collect();
    found.sort_unstable();
    found.dedup();
    if found.is_empty() {
        let id = earlier["id"].as_str().unwrap_or_default();
        return Err(EngineError::Usage {
            message: format!("run {id} found no {}", member.replace('_', " ")),
            hint: format!("azir show {id}"),
        });
    }
    Ok(found)
}

/// Returns what the only target of a runbook is called: the first object of the directory that was named, for it is
/// the one that is cleared later; else its first argument, else the runbook itself.
fn only(runbook: &Runbook, arguments: &Map<String, Value>) -> String {
    let object = runbook
        .params
        .iter()
        .filter(|(_, param)| matches!(param.kind, ParamKind::Object(_)))
        .find_map(|(name, _)| arguments.get(name)?["name"].as_str());
    let first = runbook
        .params
        .iter()
        .find(|(_, param)| param.position == Some(1))
        .and_then(|(name, _)| arguments.get(name));
    object
        .or_else(|| first.and_then(|value| value.as_str().or_else(|| value["name"].as_str())))
        .unwrap_or(&runbook.name.value)
        .to_owned()
}

/// Returns what each target is called: a resource by its id, an object of the directory by its name, and by its id
/// where two have one name.
fn labels(kind: &ParamKind, values: &[Value], runbook: &str) -> Vec<String> {
    let called = |value: &Value| {
        let own = match kind {
            ParamKind::Object(_) => value["name"].as_str(),
            _ => value["id"].as_str().or(value.as_str()),
        };
        own.unwrap_or(runbook).to_owned()
    };
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for value in values {
        *times.entry(called(value)).or_default() += 1;
    }
    values
        .iter()
        .map(|value| {
            let own = called(value);
            match value["id"].as_str() {
                Some(id) if times.get(&own).is_some_and(|times| *times > 1) => id.to_owned(),
                _ => own,
            }
        })
        .collect()
}
