//! The file of a plan: what it holds, its digest, and what a person signs.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::error::EngineError;
use super::super::plan::{Plan, PlanTarget, Preflight};
use super::super::request::{Mode, RunRequest, Selection};
use crate::clock::seconds;
use crate::digest::Digest;
use crate::journal::entry::is_person;

/// The name of the format.
pub(super) const FORMAT: &str = "azir-plan-v1";

/// A plan as it is written to a file.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanFile {
    /// `azir-plan-v1`.
    pub format: String,
    /// What is planned.
    pub plan: Planned,
    /// The SHA-256 of `plan` in RFC 8785 form.
    pub digest: String,
    /// Who planned it, then who approved it.
    pub signatures: Vec<Signature>,
}

/// What is planned: all that a run is made of.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Planned {
    /// The id that the run will have.
    pub run: String,
    /// The runbook's name.
    pub runbook: String,
    /// The runbook's version.
    pub version: String,
    /// SHA-256 of the runbook's text, and of each that it calls, by name.
    pub texts: BTreeMap<String, String>,
    /// `shipped`, or the runbook's file.
    pub origin: String,
    /// The runbook's title.
    pub title: String,
    /// The case.
    pub incident: String,
    /// Whether it was planned in a drill, and so counts in that drill alone; absent: it was not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drill: bool,
    /// The cloud.
    pub cloud: String,
    /// The tenant's id.
    pub tenant: String,
    /// The arguments, by parameter.
    pub arguments: BTreeMap<String, Value>,
    /// The targets as they were typed; those that a filter found by their ids.
    pub typed: Vec<String>,
    /// After how many failed targets no new one is begun; absent: all are begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_failures: Option<usize>,
    /// Whether all targets are cut in one burst.
    #[serde(default)]
    pub together: bool,
    /// What decisions take, by step: `all`, `none`, or ids.
    pub choices: BTreeMap<String, Value>,
    /// Steps whose explicit consent is given.
    pub accept: BTreeSet<String>,
    /// Guards to set aside, by step.
    pub over_guards: BTreeSet<String>,
    /// Each target by its resource id, with every write.
    pub targets: Vec<PlanTarget>,
    /// What speaks against it, and could not be found out.
    pub preflight: Vec<Preflight>,
}

/// Who stands for a plan.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// As what.
    pub role: Role,
    /// The person.
    pub by: String,
    /// When.
    pub at: String,
    /// The armoured SSHSIG; absent where the person has no key: then it counts only where nobody has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// As what a person stands for a plan.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Made it.
    Planned,
    /// Agrees to it.
    Approved,
}

impl Role {
    /// Returns the word that is signed.
    pub fn word(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Approved => "approved",
        }
    }
}

impl PlanFile {
    /// Makes the file of a plan that nobody stands for yet.
    ///
    /// # Errors
    /// An argument that has no canonical form.
    pub fn new(
        plan: &Plan,
        request: &RunRequest,
        run: Uuid,
        texts: BTreeMap<String, String>,
    ) -> Result<Self, EngineError> {
        let planned = Planned {
            run: run.to_string(),
            runbook: plan.runbook.clone(),
            version: plan.version.clone(),
            texts,
            origin: request.origin.clone(),
            title: plan.title.clone(),
            incident: plan.incident.clone(),
            drill: request.mode == Mode::Drill,
            cloud: plan.cloud.clone(),
            tenant: plan.tenant.clone(),
            arguments: request
                .arguments
                .iter()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            typed: match request.bulk.filter {
                Some(_) => plan.targets.iter().map(|one| one.target.clone()).collect(),
                None => request.targets.clone(),
            },
            max_failures: request.bulk.max_failures,
            together: request.bulk.together,
            choices: request
                .choices
                .iter()
                .map(|(step, choice)| (step.clone(), chosen(choice)))
                .collect(),
            accept: request.accept.clone(),
            over_guards: request.over_guards.clone(),
            targets: plan.targets.clone(),
            preflight: plan.preflight.clone(),
        };
        Ok(Self {
            format: FORMAT.to_owned(),
            digest: digest(&planned)?,
            plan: planned,
            signatures: Vec::new(),
        })
    }

    /// Reads a file, and refuses one whose plan is not that of its digest.
    ///
    /// # Errors
    /// What it is not, with the next command.
    pub fn read(text: &str, name: &str) -> Result<Self, EngineError> {
        let file: Self = serde_json::from_str(text).map_err(|error| EngineError::Usage {
            message: format!("{name} is no plan of azir: {error}"),
            hint: format!("azir plan RUNBOOK ARGUMENTS -o {name}"),
        })?;
        if file.format != FORMAT {
            return Err(EngineError::Usage {
                message: format!("{name} has the format {:?}, not {FORMAT}", file.format),
                hint: format!("azir plan RUNBOOK ARGUMENTS -o {name}"),
            });
        }
        // What is signed is told apart by its lines: a name or a time must not bring its own.
        let sound =
            |one: &Signature| is_person(&one.by) && DateTime::parse_from_rfc3339(&one.at).is_ok();
        if digest(&file.plan)? != file.digest || !file.signatures.iter().all(sound) {
            return Err(refused(
                "plan_changed",
                format!("{name} was changed since it was planned: its digest is another"),
                format!("azir plan {} ... -o {name}", file.plan.runbook),
            ));
        }
        Ok(file)
    }

    /// Returns who planned it.
    pub fn planner(&self) -> Option<&Signature> {
        self.of(Role::Planned).next()
    }

    pub(super) fn of(&self, role: Role) -> impl Iterator<Item = &Signature> {
        self.signatures.iter().filter(move |one| one.role == role)
    }

    /// Returns what a person signs.
    pub fn statement(&self, role: Role, by: &str, at: DateTime<Utc>) -> String {
        statement(&self.digest, role, by, &seconds(at))
    }

    /// Refuses an approval by who cannot give it.
    ///
    /// # Errors
    /// Who planned it, and who approved it before.
    pub fn may_approve(&self, by: &str) -> Result<(), EngineError> {
        if self.of(Role::Planned).any(|one| same(&one.by, by)) {
            return Err(refused(
                "own_plan",
                format!("{by} planned it and cannot approve it: that takes a second person"),
                "let another person type azir approve FILE".to_owned(),
            ));
        }
        // One that was given by name alone may be given again, with a key.
        if self
            .of(Role::Approved)
            .any(|one| same(&one.by, by) && one.signature.is_some())
        {
            return Err(refused(
                "approved_before",
                format!("{by} has approved it already"),
                "azir run --approved FILE".to_owned(),
            ));
        }
        Ok(())
    }

    /// Adds a person who stands for the plan.
    pub fn sign(&mut self, role: Role, by: &str, at: DateTime<Utc>, signature: Option<String>) {
        self.signatures
            .retain(|one| !(one.role == role && same(&one.by, by) && one.signature.is_none()));
        self.signatures.push(Signature {
            role,
            by: by.to_owned(),
            at: seconds(at),
            signature,
        });
    }
}

impl Planned {
    /// Returns what `--choose` said.
    ///
    /// # Errors
    /// A choice that is none.
    pub fn selections(&self) -> Result<BTreeMap<String, Selection>, EngineError> {
        let selection = |value: &Value| match value {
            Value::String(word) if word == "all" => Some(Selection::All),
            Value::String(word) if word == "none" => Some(Selection::None),
            Value::Array(ids) => ids
                .iter()
                .map(|id| id.as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .map(Selection::Ids),
            _ => None,
        };
        self.choices
            .iter()
            .map(|(step, value)| Some((step.clone(), selection(value)?)))
            .collect::<Option<_>>()
            .ok_or_else(|| EngineError::Usage {
                message: "the plan holds a choice that is none".to_owned(),
                hint: format!("azir plan {} ... -o FILE", self.runbook),
            })
    }

    /// Returns the plan as it is shown.
    pub fn shown(&self, planner: Option<&Signature>) -> Plan {
        Plan {
            runbook: self.runbook.clone(),
            version: self.version.clone(),
            title: self.title.clone(),
            incident: self.incident.clone(),
            cloud: self.cloud.clone(),
            tenant: self.tenant.clone(),
            principal: planner.map_or_else(String::new, |planner| {
                format!("planned by {} at {}", planner.by, planner.at)
            }),
            deadline_seconds: None,
            targets: self.targets.clone(),
            preflight: self.preflight.clone(),
        }
    }
}

fn chosen(choice: &Selection) -> Value {
    match choice {
        Selection::All => json!("all"),
        Selection::None => json!("none"),
        Selection::Ids(ids) => json!(ids),
    }
}

fn digest(planned: &Planned) -> Result<String, EngineError> {
    let value = serde_json::to_value(planned).map_err(|error| error.to_string());
    let text =
        value.and_then(|value| crate::json::canonical(&value).map_err(|error| error.to_string()));
    let text = text.map_err(|why| EngineError::Usage {
        message: format!("the plan cannot be written down exactly: {why}"),
        hint: "give whole numbers as arguments".to_owned(),
    })?;
    Ok(Digest::of(text.as_bytes()).to_string())
}

pub(super) fn statement(digest: &str, role: Role, by: &str, at: &str) -> String {
    format!("{FORMAT}\n{digest}\n{} {by}\n{at}\n", role.word())
}

/// Names of persons are compared as directories compare them.
pub(super) fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

pub(super) fn refused(code: &'static str, message: String, hint: String) -> EngineError {
    EngineError::Refused {
        code,
        message,
        target: None,
        hint,
    }
}
