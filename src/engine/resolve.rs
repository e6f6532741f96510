//! From what was typed to the one resource meant: exact names, across every visible subscription.
//!
//! Resource Graph answers for all subscriptions at once but lags behind (arm.md section 5.6), so where it
//! finds nothing each subscription is asked itself. Two of one name are refused with both ids.

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

use super::calls::{CallPlace, Calls};
use super::error::EngineError;
use super::failure::Failure;
use super::power::Teller;
use super::step::wire;
use crate::azure::Reader;
use crate::ids::ArmId;
use crate::runbook::expr::RenderedCall;
use crate::runbook::model::Plane;

/// Looks resources up.
pub(crate) struct Resolver<'a> {
    reader: &'a Reader,
    calls: Calls,
    /// The subscriptions to look in; absent: the visible ones.
    subscriptions: Option<Vec<String>>,
    pub(super) command: &'a str,
}

/// Names in one query to Resource Graph: a few thousand letters.
const NAMES_AT_ONCE: usize = 100;

/// What was found of the names that were typed.
#[derive(Default)]
struct Known {
    /// By name in lower case.
    by_name: BTreeMap<String, Vec<Value>>,
    /// Everything of the type, where a name was not known to Resource Graph.
    others: Vec<Value>,
    /// Subscriptions that could not be looked in, and why.
    unseen: Vec<String>,
}

impl Known {
    fn add(&mut self, resource: &Value) {
        if let Some(name) = resource["name"].as_str() {
            let same = self.by_name.entry(name.to_ascii_lowercase());
            same.or_default().push(resource.clone());
        }
    }
}

impl<'a> Resolver<'a> {
    /// Looks with `reader`, for the runbook `command`.
    pub(crate) fn new(
        reader: &'a Reader,
        teller: Teller,
        subscriptions: Option<Vec<String>>,
        command: &'a str,
    ) -> Self {
        Self {
            reader,
            calls: Calls::new(None, teller, CallPlace::default()),
            subscriptions,
            command,
        }
    }

    /// Returns the resources that `typed` names, in order, each once, as `{id, name, location, resource_group, subscription}`.
    pub(crate) async fn resources(
        &self,
        kind: &str,
        typed: &[String],
    ) -> Result<Vec<Value>, EngineError> {
        let known = self.known(kind, typed).await?;
        let mut found: BTreeMap<String, ()> = BTreeMap::new();
        let mut resources = Vec::new();
        let each = typed.iter().map(|text| self.resource(kind, text, &known));
        let looked_up = futures_util::future::join_all(each).await;
        for resource in looked_up {
            let resource = resource?;
            let key = resource["id"]
                .as_str()
                .unwrap_or_default()
                .to_ascii_lowercase();
            if found.insert(key, ()).is_none() {
                resources.push(resource);
            }
        }
        Ok(resources)
    }

    async fn resource(&self, kind: &str, typed: &str, known: &Known) -> Result<Value, EngineError> {
        if typed.starts_with('/') {
            return self.by_id(kind, typed).await;
        }
        let same = known.by_name.get(&typed.to_ascii_lowercase());
        let mut found = same.cloned().unwrap_or_default();
        match found.len() {
            1 => Ok(found.remove(0)),
            0 => Err(self.unknown(kind, typed, known)),
            _ => Err(self.ambiguous(kind, typed, &found)),
        }
    }

    async fn by_id(&self, kind: &str, typed: &str) -> Result<Value, EngineError> {
        let id: ArmId = typed.parse().map_err(|error| EngineError::Usage {
            message: format!("{error}"),
            hint: format!("azir {} NAME", self.command),
        })?;
        if !id.resource_type().eq_ignore_ascii_case(kind) {
            return Err(EngineError::Usage {
                message: format!(
                    "{id} is a {}, and {} wants a {kind}",
                    id.resource_type(),
                    self.command
                ),
                hint: format!("azir {} --help", self.command),
            });
        }
        let call = get(id.as_str(), api_version(kind));
        match wire::read(self.reader, &call, &self.calls).await {
            Ok(answer) => Ok(described(&answer.body, id.as_str())),
            Err(failure)
                if failure.code == "ResourceNotFound"
                    || failure.code == "ResourceGroupNotFound"
                    || failure.code == "NotFound"
                    || failure.code == "SubscriptionNotFound" =>
            {
                Err(self.refused(
                    "unknown_target",
                    format!("there is no {id} ({})", failure.message),
                    typed,
                    format!("azir {} {}, to look it up by name", self.command, id.name()),
                ))
            }
            Err(failure) => Err(cloud(&failure)),
        }
    }

    /// Looks up every name at once: in Resource Graph, and where it does not know one, in each subscription.
    async fn known(&self, kind: &str, typed: &[String]) -> Result<Known, EngineError> {
        let named = typed.iter().filter(|text| !text.starts_with('/'));
        // Each once, or two queries would answer with it.
        let names: BTreeSet<String> = named.map(|name| name.to_ascii_lowercase()).collect();
        let asked: Vec<String> = names.iter().map(|name| kql(name)).collect();
        let mut known = Known::default();
        for row in self.by_graph(kind, &asked).await? {
            known.add(&row);
        }
        if names.iter().all(|name| known.by_name.contains_key(name)) {
            return Ok(known);
        }
        let (all, unseen) = self
            .by_lists(kind)
            .await
            .map_err(|failure| cloud(&failure))?;
        // The lists are never behind; Resource Graph counts where they could not be read.
        let behind = std::mem::take(&mut known.by_name);
        for resource in &all {
            known.add(resource);
        }
        for row in behind.values().flatten() {
            let id = row["id"].as_str().unwrap_or_default();
            let subscription = id.split('/').nth(2).unwrap_or_default();
            if unseen.iter().any(|why| why.contains(subscription)) {
                known.add(row);
            }
        }
        known.others = all;
        known.unseen = unseen;
        Ok(known)
    }

    /// Asks Resource Graph for what has one of these names, which are quoted, many in one query: nobody may ask it often
    /// (arm.md section 5.6).
    async fn by_graph(&self, kind: &str, names: &[String]) -> Result<Vec<Value>, EngineError> {
        let queries = names.chunks(NAMES_AT_ONCE).map(|names| async move {
            let named = match names {
                [name] => format!("=~ {name}"),
                many => format!("in~ ({})", many.join(", ")),
            };
            let query = format!(
                "Resources | where type =~ {} | where name {named} | project id, name, type, location, resourceGroup, subscriptionId | order by id asc",
                kql(kind)
            );
            self.ask(&query).await
        });
        let mut found = Vec::new();
        for rows in futures_util::future::join_all(queries).await {
            match rows {
                Ok(rows) => found.extend(rows.iter().map(|row| described(row, ""))),
                Err(failure) if failure.code == "Unreachable" || failure.code == "auth" => {
                    return Err(cloud(&failure));
                }
                // Resource Graph may be closed to the caller; asking each subscription still works.
                Err(_) => {}
            }
        }
        Ok(found)
    }

    /// Asks Resource Graph, and reads its answer to the end.
    pub(super) async fn ask(&self, query: &str) -> Result<Vec<Value>, Failure> {
        let mut body = json!({"query": query, "options": {"resultFormat": "objectArray"}});
        if let Some(subscriptions) = &self.subscriptions {
            body["subscriptions"] = json!(subscriptions);
        }
        let mut call = get("/providers/Microsoft.ResourceGraph/resources", "2021-03-01");
        call.method = "POST".to_owned();
        call.body = Some(body);
        call.pages = Some("data".to_owned());
        wire::read_list(self.reader, &call, &self.calls).await
    }

    /// Asks every subscription itself; returns what they have, and which could not be read and why.
    async fn by_lists(&self, kind: &str) -> Result<(Vec<Value>, Vec<String>), Failure> {
        let subscriptions = match &self.subscriptions {
            Some(given) => given.clone(),
            None => self.visible().await?,
        };
        let lists =
            futures_util::future::join_all(subscriptions.iter().map(|subscription| async move {
                let mut call = get(
                    &format!("/subscriptions/{subscription}/providers/{kind}"),
                    api_version(kind),
                );
                call.pages = Some("value".to_owned());
                wire::read_list(self.reader, &call, &self.calls).await
            }))
            .await;
        let mut resources = Vec::new();
        let mut unseen = Vec::new();
        let mut first = None;
        for (subscription, list) in subscriptions.iter().zip(lists) {
            match list {
                Ok(list) => {
                    resources.extend(list.iter().map(|resource| described(resource, "")));
                }
                Err(failure) => {
                    unseen.push(format!("{subscription} ({})", failure.message));
                    first.get_or_insert(failure);
                }
            }
        }
        match first {
            Some(first) if unseen.len() == subscriptions.len() => Err(first),
            _ => Ok((resources, unseen)),
        }
    }

    async fn visible(&self) -> Result<Vec<String>, Failure> {
        let mut call = get("/subscriptions", "2022-12-01");
        call.pages = Some("value".to_owned());
        let rows = wire::read_list(self.reader, &call, &self.calls).await?;
        Ok(rows
            .iter()
            .filter_map(|row| row.get("subscriptionId").and_then(Value::as_str))
            .map(str::to_owned)
            .collect())
    }

    fn unknown(&self, kind: &str, typed: &str, known: &Known) -> EngineError {
        let mut near: Vec<(usize, &str)> = known
            .others
            .iter()
            .filter_map(|other| other["name"].as_str())
            .map(|name| {
                (
                    strsim::damerau_levenshtein(&name.to_lowercase(), &typed.to_lowercase()),
                    name,
                )
            })
            .filter(|(distance, _)| *distance <= 3)
            .collect();
        near.sort_unstable();
        near.dedup();
        let nearest: Vec<&str> = near.into_iter().take(3).map(|(_, name)| name).collect();
        let (meant, hint) = match nearest.first() {
            Some(name) => (
                format!("; nearest: {}", nearest.join(", ")),
                format!("azir {} {name}", self.command),
            ),
            None => (
                String::new(),
                format!("az resource list --resource-type {kind} --output table"),
            ),
        };
        // A subscription that could not be read may be the one that has it.
        let unseen = if known.unseen.is_empty() {
            String::new()
        } else {
            format!("; not looked in: {}", known.unseen.join(", "))
        };
        self.refused(
            "unknown_target",
            format!("no {kind} named {typed} in any subscription that azir can see{meant}{unseen}"),
            typed,
            hint,
        )
    }

    fn ambiguous(&self, kind: &str, typed: &str, found: &[Value]) -> EngineError {
        let ids: Vec<&str> = found
            .iter()
            .filter_map(|resource| resource["id"].as_str())
            .collect();
        self.refused(
            "ambiguous_target",
            format!(
                "{typed} names {} resources of type {kind}: {}",
                ids.len(),
                ids.join(" and ")
            ),
            typed,
            format!(
                "azir {} {}",
                self.command,
                ids.first().copied().unwrap_or("ID")
            ),
        )
    }

    fn refused(
        &self,
        code: &'static str,
        message: String,
        target: &str,
        hint: String,
    ) -> EngineError {
        EngineError::Refused {
            code,
            message,
            target: Some(target.to_owned()),
            hint,
        }
    }
}

/// Counts the subscriptions that the caller can see.
pub(crate) async fn count_subscriptions(reader: &Reader) -> Result<usize, Failure> {
    let clock: std::sync::Arc<dyn crate::clock::Clock> =
        std::sync::Arc::new(crate::clock::SystemClock);
    let (_, halt) = tokio::sync::watch::channel(false);
    let teller = Teller::new(None, clock, uuid::Uuid::nil(), halt);
    Resolver::new(reader, teller, None, "doctor")
        .visible()
        .await
        .map(|found| found.len())
}

pub(super) fn cloud(failure: &Failure) -> EngineError {
    EngineError::Cloud {
        code: failure.code.clone(),
        message: failure.message.clone(),
        hint: failure.hint.clone(),
    }
}

/// Returns what templates see of a resource.
pub(super) fn described(resource: &Value, typed_id: &str) -> Value {
    let id = resource["id"].as_str().unwrap_or(typed_id);
    let parsed: Option<ArmId> = id.parse().ok();
    json!({
        "id": id,
        "name": resource["name"].as_str().unwrap_or_else(|| id.rsplit('/').next().unwrap_or_default()),
        "location": resource["location"],
        "resource_group": parsed.as_ref().and_then(ArmId::resource_group),
        "subscription": parsed.as_ref().and_then(ArmId::subscription),
    })
}

fn get(path: &str, api_version: &str) -> RenderedCall {
    RenderedCall {
        plane: Plane::Arm,
        method: "GET".to_owned(),
        path_or_url: path.to_owned(),
        query: Vec::new(),
        api_version: Some(api_version.to_owned()),
        headers: Vec::new(),
        body: None,
        pages: None,
        missing_ok: false,
    }
}

/// Returns the api-version to read a type with (arm.md, the section of the type).
fn api_version(kind: &str) -> &'static str {
    match kind.to_ascii_lowercase().as_str() {
        "microsoft.compute/virtualmachines" => "2024-11-01",
        "microsoft.compute/disks" | "microsoft.compute/snapshots" => "2023-10-02",
        "microsoft.storage/storageaccounts" => "2023-05-01",
        "microsoft.keyvault/vaults" => "2023-07-01",
        _ => "2021-04-01",
    }
}

/// Returns `text` as a KQL string literal that it cannot break out of.
pub(super) fn kql(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
