//! From what was typed to the one resource meant: exact names, across every visible subscription.
//!
//! Resource Graph answers for all subscriptions at once but lags behind (arm.md section 5.6), so where it
//! finds nothing each subscription is asked itself. Two of one name are refused with both ids.

use serde_json::{Value, json};
use std::collections::BTreeMap;

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
        let mut found: BTreeMap<String, ()> = BTreeMap::new();
        let mut resources = Vec::new();
        let looked_up =
            futures_util::future::join_all(typed.iter().map(|text| self.resource(kind, text)))
                .await;
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

    async fn resource(&self, kind: &str, typed: &str) -> Result<Value, EngineError> {
        if typed.starts_with('/') {
            return self.by_id(kind, typed).await;
        }
        let mut found = match self.by_graph(kind, typed).await {
            Ok(found) => found,
            // Resource Graph may be closed to the caller; asking each subscription still works.
            Err(failure) if failure.code == "Unreachable" || failure.code == "auth" => {
                return Err(cloud(&failure));
            }
            Err(_) => Vec::new(),
        };
        let mut others = Vec::new();
        let mut unseen = Vec::new();
        if found.is_empty() {
            let (all, not_read) = self
                .by_lists(kind)
                .await
                .map_err(|failure| cloud(&failure))?;
            unseen = not_read;
            let (same, rest) = all
                .into_iter()
                .partition(|resource| is_named(resource, typed));
            found = same;
            others = rest;
        }
        match found.len() {
            1 => Ok(found.remove(0)),
            0 => Err(self.unknown(kind, typed, &others, &unseen)),
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

    async fn by_graph(&self, kind: &str, name: &str) -> Result<Vec<Value>, Failure> {
        let query = format!(
            "Resources | where type =~ {} | where name =~ {} | project id, name, type, location, resourceGroup, subscriptionId | order by id asc",
            kql(kind),
            kql(name)
        );
        let rows = self.ask(&query).await?;
        Ok(rows
            .iter()
            .filter(|row| is_named(row, name))
            .map(|row| described(row, ""))
            .collect())
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

    fn unknown(&self, kind: &str, typed: &str, others: &[Value], unseen: &[String]) -> EngineError {
        let mut near: Vec<(usize, &str)> = others
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
        let unseen = if unseen.is_empty() {
            String::new()
        } else {
            format!("; not looked in: {}", unseen.join(", "))
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

fn is_named(resource: &Value, name: &str) -> bool {
    resource["name"]
        .as_str()
        .is_some_and(|other| other.eq_ignore_ascii_case(name))
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
