//! Long-running operations: where they are followed, and what each provider answers there (arm.md section 1.6).

use serde_json::{Value, json};

use super::{Arm, Fate};
use crate::lab::gate;
use crate::lab::reply::{Reply, arm_error};
use crate::lab::store::Operation;

/// What an operation is to do when it ends.
#[derive(Default)]
pub(super) struct Start<'a> {
    /// The type that it works on; `effective` for effective rules.
    pub(super) kind: &'a str,
    /// The resource whose state becomes final.
    pub(super) resource: Option<&'a str>,
    /// What the status body carries.
    pub(super) output: Option<Value>,
    /// What the Location answers.
    pub(super) result: Option<Value>,
    /// What is gone, with everything below.
    pub(super) removes: Option<&'a str>,
}

/// Returns the operation that a path follows.
pub(super) fn of_path(path: &str) -> Option<String> {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let (last, name) = (segments.iter().rev().nth(1)?, segments.last()?);
    let follows = [
        "asyncoperations",
        "diskoperations",
        "operationresults",
        "operations",
    ]
    .iter()
    .any(|known| last.eq_ignore_ascii_case(known));
    follows.then(|| (*name).to_owned())
}

impl Arm<'_> {
    /// Begins an operation; returns its id.
    pub(super) fn begin(&mut self, start: Start<'_>) -> String {
        let id = self.tenant.random.uuid().to_string();
        let takes =
            crate::lab::latency::of_operation(start.kind).mul_f64(self.tenant.options.lro.max(0.0));
        let ends_us = match self.fate {
            Fate::Stuck => u64::MAX,
            _ => self
                .now_us
                .saturating_add(u64::try_from(takes.as_micros()).unwrap_or(u64::MAX)),
        };
        let failure = (
            "InternalOperationError".to_owned(),
            "An internal execution error occurred. Please retry later.".to_owned(),
        );
        let operation = Operation {
            ends_us,
            started: instant(self.tenant.clock.now()),
            kind: start.kind.to_ascii_lowercase(),
            resource: start.resource.map(str::to_owned),
            output: start.output,
            result: start.result,
            failure: (self.fate == Fate::Failed).then_some(failure),
            removes: start.removes.map(str::to_owned),
        };
        self.store.begin(&id, operation);
        id
    }

    /// Returns the address of an operation; `result` for the Location form. It is longer than most clients expect,
    /// and whoever has it may follow it, so its last parts look like the signature that they are.
    pub(super) fn address(
        &self,
        operation: &str,
        kind: &str,
        location: &str,
        result: bool,
    ) -> String {
        let subscription = self.ask.segments().get(1).copied().unwrap_or_default();
        let lower = kind.to_ascii_lowercase();
        let base = format!("{}/subscriptions/{subscription}", self.ask.origin);
        let place = location.to_ascii_lowercase();
        let path = match lower.as_str() {
            "microsoft.compute/disks" | "microsoft.compute/snapshots" => {
                format!("/providers/Microsoft.Compute/locations/{place}/DiskOperations/{operation}")
            }
            _ if lower.starts_with("microsoft.compute/") => {
                format!("/providers/Microsoft.Compute/locations/{place}/operations/{operation}")
            }
            "microsoft.storage/storageaccounts" => format!(
                "/providers/Microsoft.Storage/locations/{place}/asyncoperations/{operation}"
            ),
            _ if lower.starts_with("microsoft.resources/") => {
                format!("/operationresults/{operation}")
            }
            _ if result => format!(
                "/providers/Microsoft.Network/locations/{place}/operationResults/{operation}"
            ),
            _ => format!("/providers/Microsoft.Network/locations/{place}/operations/{operation}"),
        };
        let version = self.ask.query("api-version").unwrap_or_default();
        let monitored = ["microsoft.compute/", "microsoft.storage/"];
        let monitor = if result && monitored.iter().any(|of| lower.starts_with(of)) {
            "&monitor=true"
        } else {
            ""
        };
        let (c, s) = (
            "MIIHpTCCBo2gAwIBAgI".repeat(170),
            "qXf7Lw0-aV3_sKe9".repeat(70),
        );
        format!(
            "{base}{path}?p={operation}{monitor}&api-version={version}&t=638990000000000000&c={c}&s={s}&h=azir-lab"
        )
    }

    /// Answers the status of an operation, or its result at the Location form.
    pub(super) fn poll(&self, id: &str) -> Result<Reply, Reply> {
        let Some(operation) = self.store.operation(id) else {
            return Err(arm_error(
                404,
                "NotFound",
                &format!("The entity with id '{id}' was not found."),
            ));
        };
        self.may_follow(operation)?;
        let running = operation.ends_us > self.now_us;
        let lower = self.ask.path.to_ascii_lowercase();
        if self.ask.query("monitor").is_some() || lower.contains("/operationresults/") {
            return Ok(self.at_location(operation, running));
        }
        let (status, output) = match (running, &operation.failure) {
            (true, _) => ("InProgress", None),
            (false, Some(_)) => ("Failed", None),
            (false, None) => ("Succeeded", operation.output.as_ref()),
        };
        let mut body = json!({ "status": status });
        if operation.kind.starts_with("microsoft.compute/") {
            body = json!({"startTime": operation.started, "status": status, "name": id});
            if !running {
                body["endTime"] = json!(instant(self.tenant.clock.now()));
            }
        }
        if let (false, Some((code, message))) = (running, &operation.failure) {
            body["error"] = json!({"code": code, "message": message, "details": []});
        }
        if let Some(output) = output {
            body["properties"] = json!({ "output": output });
        }
        Ok(Reply::json(200, &body))
    }

    /// Says when to come again to what is under way, where the lab is told to (arm.md section 1.6, "Interval").
    pub(super) fn paced(&self, reply: Reply) -> Reply {
        let Some(seconds) = self.tenant.options.poll_after else {
            return reply;
        };
        let begun = reply.status == 202
            || reply
                .headers
                .iter()
                .any(|(name, _)| name == "azure-asyncoperation");
        let followed = of_path(&self.ask.path).and_then(|id| self.store.operation(&id));
        if begun || followed.is_some_and(|operation| operation.ends_us > self.now_us) {
            return reply.with("retry-after", seconds.to_string());
        }
        reply
    }

    fn at_location(&self, operation: &Operation, running: bool) -> Reply {
        if running {
            let query: Vec<String> = self
                .ask
                .query
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            return Reply::empty(202).with(
                "location",
                format!("{}{}?{}", self.ask.origin, self.ask.path, query.join("&")),
            );
        }
        match (
            &operation.failure,
            operation.result.as_ref().or(operation.output.as_ref()),
        ) {
            (Some((code, message)), _) => arm_error(409, code, message),
            (None, Some(result)) => Reply::json(200, result),
            (None, None) => Reply::empty(200),
        }
    }

    /// Following an operation is judged at the group, not at the resource: who has rights on one resource alone
    /// can begin but not follow (arm.md section 1.6).
    fn may_follow(&self, operation: &Operation) -> Result<(), Reply> {
        let resource = operation
            .resource
            .as_deref()
            .or(operation.removes.as_deref())
            .unwrap_or_default();
        let group: Vec<&str> = resource.split('/').take(5).collect();
        if resource.is_empty() || self.grants.reach(&group.join("/")) {
            return Ok(());
        }
        let scope = self.ask.path.clone();
        gate::authorize(
            &self.grants,
            self.claims,
            "Microsoft.Resources/subscriptions/operationresults/read",
            &scope,
        )
    }
}

/// Writes a time as Compute does: seven digits and an offset.
pub(super) fn instant(time: chrono::DateTime<chrono::Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%S%.6f0+00:00").to_string()
}
