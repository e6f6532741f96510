//! Makes in a tabletop subscription what a scenario needs: everything in a resource group of the drill's own, tagged,
//! each thing announced in the drill's record before it is sent. A template that names what there is not is found before
//! anything is made.
//!
//! Sources: arm.md, "Resource groups" (PUT and DELETE of `/subscriptions/{id}/resourceGroups/{name}`, tags);
//! graph-and-data-planes.md, "Domains" (`isDefault`).

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::foreseen::names_are_there;
use super::record::{Record, RecordError, What};
use super::scenario::{Asked, Build, Scenario, Tabletop};
use crate::azure::Client;
use crate::clock::Clock;
use crate::digest::Digest;
use crate::engine::errand::{self, NotWritten};
use crate::runbook::expr::{Expressions, RenderedCall, Scope};
use crate::runbook::model::Plane;

/// The tag that everything bears that a drill makes, with the drill's id.
pub const TAG: &str = "azir-drill";
/// The version of Resource Manager's own operations.
pub(super) const RESOURCES: &str = "2021-04-01";
/// How long what was just made may take to be known everywhere (graph-and-data-planes.md, "Replication").
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a role may take until a vault knows of it ("Troubleshoot Azure RBAC": up to ten minutes).
const PATIENCE_OF_RIGHTS: Duration = Duration::from_secs(600);
/// The first wait, and the longest; each is twice the one before.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// Why nothing, or not all, was made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The scenario asks for what cannot be.
    #[error("{0}")]
    Scenario(String),
    /// The tenant did not make it.
    #[error("{what}: {source}")]
    Tenant {
        /// What was to be made.
        what: String,
        /// Why it was not.
        source: NotWritten,
    },
    /// The drill's record does not take it: nothing further is sent.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Where a drill's own things are.
#[derive(Clone, Debug)]
pub struct Plot {
    /// The drill's id.
    pub drill: String,
    /// What the names of its things begin with.
    pub prefix: String,
    /// The id of its resource group.
    pub group: String,
    /// The region.
    pub location: String,
}

impl Plot {
    /// Returns the plot of a drill in a subscription; names follow from the drill's id.
    pub fn of(drill: &str, subscription: &str, location: &str) -> Self {
        let short = Digest::of(drill.as_bytes()).to_string();
        let prefix = format!("azdrill{}-", &short[..6]);
        Self {
            drill: drill.to_owned(),
            group: format!(
                "/subscriptions/{subscription}/resourceGroups/rg-{}",
                prefix.trim_end_matches('-')
            ),
            prefix,
            location: location.to_owned(),
        }
    }

    /// Returns the plot as templates see it.
    pub fn names(&self, scope: &mut Scope) {
        scope.set("group", &json!(self.group));
        scope.set("prefix", &json!(self.prefix));
        scope.set("location", &json!(self.location));
    }

    fn tags(&self) -> Value {
        json!({TAG: self.drill, "purpose": "drill"})
    }
}

/// Who makes it, and where it is written down.
pub struct Builder<'a> {
    /// Sends, with a fence.
    pub client: &'a Client,
    /// The drill's record.
    pub record: &'a mut Record,
    /// The time, and who waits.
    pub clock: &'a Arc<dyn Clock>,
    /// Where.
    pub plot: &'a Plot,
    /// Hears what is being made.
    pub tell: &'a dyn Fn(&str),
}

impl Builder<'_> {
    /// Makes everything, and returns what templates see from now on. `secrets` are names that builds see and nobody else.
    ///
    /// # Errors
    /// The first thing that was not made; what was made before it is in the record.
    pub async fn build(
        &mut self,
        scenario: &Scenario,
        known: &Scope,
        secrets: &Map<String, Value>,
    ) -> Result<Value, BuildError> {
        let none = || {
            BuildError::Scenario(format!(
                "scenario {} cannot be rehearsed in a tabletop subscription",
                scenario.name
            ))
        };
        let tabletop = scenario.tabletop.as_ref().ok_or_else(none)?;
        let expressions = Expressions::new();
        let mut scope = known.clone();
        self.plot.names(&mut scope);
        let mut building = scope.clone();
        for (name, value) in secrets {
            building.set(name, value);
        }
        names_are_there(tabletop, &expressions, &scope, &building).map_err(BuildError::Scenario)?;
        // A name that tells of what is yet to be made has no value yet; a build that needs it says so.
        for (name, template) in &tabletop.names {
            if let Ok(value) = expressions.value(template, &building) {
                building.set(name, &value);
            }
        }
        self.make_group().await?;
        for build in &tabletop.build {
            let answer = self.make(build, &expressions, &building).await?;
            building.set(&build.id, &answer);
            scope.set(&build.id, &without_secrets(answer));
            name_again(tabletop, &expressions, &mut building);
        }
        let mut names = Map::new();
        for (name, template) in &tabletop.names {
            let value = expressions
                .value(template, &scope)
                .map_err(|error| BuildError::Scenario(format!("names.{name}: {error}")))?;
            scope.set(name, &value);
            names.insert(name.clone(), value);
        }
        for name in ["group", "prefix", "location"] {
            names.insert(name.to_owned(), scope.get(name).unwrap_or_default());
        }
        Ok(Value::Object(names))
    }

    async fn make_group(&mut self) -> Result<(), BuildError> {
        let call = RenderedCall {
            plane: Plane::Arm,
            method: "PUT".to_owned(),
            path_or_url: self.plot.group.clone(),
            query: Vec::new(),
            api_version: Some(RESOURCES.to_owned()),
            headers: Vec::new(),
            body: Some(json!({"location": self.plot.location, "tags": self.plot.tags()})),
            pages: None,
            missing_ok: false,
        };
        let group = self.plot.group.clone();
        self.send("resource_group", "Make the drill's resource group", &call)
            .await?;
        self.note_made("resource_group", group, None)
    }

    async fn make(
        &mut self,
        build: &Build,
        expressions: &Expressions,
        scope: &Scope,
    ) -> Result<Value, BuildError> {
        let mut call = rendered(&build.request, expressions, scope)
            .map_err(|why| BuildError::Scenario(format!("build {}: {why}", build.id)))?;
        if call.method == "GET" {
            return self.look_up(build, &call).await;
        }
        self.tag(&mut call);
        let answer = self.send(&build.id, &build.title, &call).await?;
        let id = answer["id"]
            .as_str()
            .unwrap_or(&call.path_or_url)
            .to_owned();
        let remove = match &build.remove {
            None => None,
            Some(asked) => {
                let mut scope = scope.clone();
                scope.set("made", &answer);
                let call = rendered(asked, expressions, &scope).map_err(|why| {
                    BuildError::Scenario(format!("build {}, remove: {why}", build.id))
                })?;
                Some(kept(&call))
            }
        };
        self.note_made(&build.id, id, remove)?;
        Ok(answer)
    }

    /// Reads what a later build must know and nobody makes, as where Microsoft Graph itself is in the tenant.
    async fn look_up(&self, build: &Build, call: &RenderedCall) -> Result<Value, BuildError> {
        let read = errand::read(self.client, call).await;
        let (found, _) = read.map_err(|message| BuildError::Tenant {
            what: build.title.clone(),
            source: NotWritten {
                code: "not_read".to_owned(),
                message,
                unknown: false,
            },
        })?;
        Ok(found)
    }

    /// Tags what has a place of its own; what is part of something else takes no tags.
    fn tag(&self, call: &mut RenderedCall) {
        let Some(Value::Object(body)) = &mut call.body else {
            return;
        };
        if call.plane == Plane::Arm && body.contains_key("location") {
            let tags = body.entry("tags").or_insert_with(|| json!({}));
            if let (Some(tags), Value::Object(own)) = (tags.as_object_mut(), self.plot.tags()) {
                tags.extend(own);
            }
        }
    }

    /// Announces and sends; waits where what it stands on is not known everywhere yet.
    async fn send(
        &mut self,
        build: &str,
        title: &str,
        call: &RenderedCall,
    ) -> Result<Value, BuildError> {
        (self.tell)(title);
        let making = What::Making {
            build: build.to_owned(),
            path: call.path_or_url.clone(),
        };
        self.record.add(self.clock.now(), making)?;
        let patience = match call.plane {
            Plane::Vault => PATIENCE_OF_RIGHTS,
            _ => PATIENCE,
        };
        let until = self.clock.mono_us() + patience.as_micros() as u64;
        let mut pause = PAUSES.0;
        loop {
            match errand::write(self.client, call).await {
                Ok(answer) => return Ok(answer),
                Err(error)
                    if !error.unknown
                        && is_early(call.plane, &error.code)
                        && self.clock.mono_us() < until =>
                {
                    self.clock.sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
                Err(source) => {
                    let what = title.to_owned();
                    return Err(BuildError::Tenant { what, source });
                }
            }
        }
    }

    fn note_made(
        &mut self,
        build: &str,
        id: String,
        remove: Option<Value>,
    ) -> Result<(), BuildError> {
        let build = build.to_owned();
        let made = What::Made { build, id, remove };
        Ok(self.record.add(self.clock.now(), made)?)
    }
}

/// Gives names a value that tell of what was made meanwhile.
fn name_again(tabletop: &Tabletop, expressions: &Expressions, scope: &mut Scope) {
    for (name, template) in &tabletop.names {
        if scope.get(name).is_none()
            && let Ok(value) = expressions.value(template, scope)
        {
            scope.set(name, &value);
        }
    }
}

/// Returns an answer without what only its builds may see: names are written down.
fn without_secrets(answer: Value) -> Value {
    match answer {
        Value::Object(members) => members
            .into_iter()
            .filter(|(name, value)| !(SECRET.contains(&name.as_str()) && value.is_string()))
            .map(|(name, value)| (name, without_secrets(value)))
            .collect(),
        Value::Array(items) => items.into_iter().map(without_secrets).collect(),
        other => other,
    }
}

/// Members of answers that hold a secret: of an application's and of a vault's (graph-and-data-planes.md 1.15 and 6).
const SECRET: [&str; 3] = ["password", "secretText", "value"];

/// Whether a service says that something is not there, or not allowed, which was made a moment ago.
fn is_early(plane: Plane, code: &str) -> bool {
    let new = matches!(
        code,
        "PrincipalNotFound"
            | "Request_ResourceNotFound"
            | "ResourceNotFound"
            | "Request_BadRequest"
    );
    // A vault's name, and a role on it, take their time to be known where the vault is.
    new || (plane == Plane::Vault
        && matches!(code, "Forbidden" | "ForbiddenByRbac" | "unreachable"))
}

fn rendered(
    asked: &Asked,
    expressions: &Expressions,
    scope: &Scope,
) -> Result<RenderedCall, String> {
    let call = asked.call()?;
    expressions
        .call(&call, scope)
        .map_err(|error| error.to_string())
}

/// Returns a call as the record keeps it.
fn kept(call: &RenderedCall) -> Value {
    json!({
        "plane": call.plane, "method": call.method, "path": call.path_or_url, "query": call.query,
        "api_version": call.api_version, "body": call.body,
    })
}

/// Returns a call that the record kept.
pub(super) fn call_of(kept: &Value) -> Option<RenderedCall> {
    Some(RenderedCall {
        plane: serde_json::from_value(kept["plane"].clone()).ok()?,
        method: kept["method"].as_str()?.to_owned(),
        path_or_url: kept["path"].as_str()?.to_owned(),
        query: serde_json::from_value(kept["query"].clone()).ok()?,
        api_version: kept["api_version"].as_str().map(str::to_owned),
        headers: Vec::new(),
        body: Some(kept["body"].clone()).filter(|body| !body.is_null()),
        pages: None,
        missing_ok: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_see_of_an_answer_holds_no_secret() {
        let answer = json!({"id": "x", "secretText": "s1", "value": [{"password": "s2", "id": "y"}], "passwordProfile": {"password": null}});
        let seen = without_secrets(answer);
        assert_eq!(
            seen,
            json!({"id": "x", "value": [{"id": "y"}], "passwordProfile": {"password": null}})
        );
        assert_eq!(without_secrets(json!({"value": "s3"})), json!({}));
    }

    #[test]
    fn a_plot_follows_from_the_drill_and_a_call_comes_back_as_it_was_kept() {
        let plot = Plot::of("DRILL-20261201-4f2a", "s", "westeurope");
        assert_eq!(
            plot.prefix,
            Plot::of("DRILL-20261201-4f2a", "s", "x").prefix
        );
        assert_ne!(
            plot.prefix,
            Plot::of("DRILL-20261201-4f2b", "s", "x").prefix
        );
        assert!(
            plot.group
                .starts_with("/subscriptions/s/resourceGroups/rg-azdrill")
        );
        let call = RenderedCall {
            plane: Plane::Graph,
            method: "DELETE".to_owned(),
            path_or_url: "/v1.0/users/x".to_owned(),
            query: vec![("a".to_owned(), "b".to_owned())],
            api_version: None,
            headers: Vec::new(),
            body: None,
            pages: None,
            missing_ok: false,
        };
        assert_eq!(call_of(&kept(&call)), Some(call));
        assert_eq!(call_of(&json!({"plane": "moon"})), None);
    }
}
