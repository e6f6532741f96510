//! Two persons: a plan that one wrote, another approved, and that is carried out as it stands or not at all.
//!
//! `azir plan NAME ... -o FILE` writes:
//! ```json
//! {"format": "azir-plan-v1", "plan": {"run": "...", "runbook": {...}, "steps": ...}, "digest": "<64 hex>",
//!  "signatures": [{"role": "planned", "by": "alice@contoso.com", "at": "2026-05-23T10:00:00Z",
//!                  "signature": "-----BEGIN SSH SIGNATURE-----\n..."}]}
//! ```
//! `digest` is the SHA-256 of `plan` in RFC 8785 form. Who plans or approves signs four lines, each with its LF:
//! `azir-plan-v1`, the digest, role and name, the time; with the person's own key, SSHSIG namespace `azir-plan-v1`, so
//! that `ssh-keygen -Y verify` can check it. The plan names the run's id: it can be carried out once.
//!
//! Knows files' contents, never files: reading, writing and keys are the command line's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::error::EngineError;
use super::plan::{Plan, PlanTarget, Verdict};
use super::recorder::object;
use super::request::{RunRequest, Selection};
use crate::clock::seconds;
use crate::digest::Digest;
use crate::journal::entry::is_person;
use crate::journal::person::{PublicKey, signers};
use crate::journal::verify::plan_signer;

/// The name of the format.
pub const FORMAT: &str = "azir-plan-v1";

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
    /// The cloud.
    pub cloud: String,
    /// The tenant's id.
    pub tenant: String,
    /// The arguments, by parameter.
    pub arguments: BTreeMap<String, Value>,
    /// The targets as they were typed.
    pub typed: Vec<String>,
    /// What decisions take, by step: `all`, `none`, or ids.
    pub choices: BTreeMap<String, Value>,
    /// Steps whose explicit consent is given.
    pub accept: BTreeSet<String>,
    /// Guards to set aside, by step.
    pub over_guards: BTreeSet<String>,
    /// Each target by its resource id, with every write.
    pub targets: Vec<PlanTarget>,
    /// What speaks against it, and could not be found out.
    pub preflight: Vec<super::plan::Preflight>,
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

/// A plan that two persons stand for.
#[derive(Clone, Debug)]
pub struct Approved {
    /// The id that the run will have.
    pub run: Uuid,
    /// What is planned.
    pub planned: Planned,
    /// The plan's digest.
    pub digest: String,
    /// The file, as it is kept in evidence.
    pub file: String,
    /// Who planned it.
    pub planned_by: String,
    /// Who approved it.
    pub granted_by: Vec<String>,
    /// Whether the persons have signed with their own keys.
    pub signed: bool,
}

/// What is known of persons' keys.
#[derive(Clone, Copy, Debug)]
pub struct Keys<'a> {
    /// The text of the signers file, empty where there is none.
    pub signers: &'a str,
    /// Whether a key of one's own is configured.
    pub configured: bool,
}

impl Keys<'_> {
    /// Returns whether anybody has a key: then a name alone proves nothing.
    pub fn any(&self) -> bool {
        self.configured
            || self
                .signers
                .lines()
                .any(|line| !line.trim().is_empty() && !line.starts_with('#'))
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
            cloud: plan.cloud.clone(),
            tenant: plan.tenant.clone(),
            arguments: request
                .arguments
                .iter()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            typed: request.targets.clone(),
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

    fn of(&self, role: Role) -> impl Iterator<Item = &Signature> {
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
        if self.of(Role::Approved).any(|one| same(&one.by, by)) {
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
        self.signatures.push(Signature {
            role,
            by: by.to_owned(),
            at: seconds(at),
            signature,
        });
    }

    /// Refuses a plan that not two persons stand for, as far as the keys say.
    ///
    /// # Errors
    /// Whose name or signature does not count, and why.
    pub fn approved(
        &self,
        name: &str,
        text: &str,
        keys: Keys<'_>,
    ) -> Result<Approved, EngineError> {
        let run = self.plan.run.parse().map_err(|_| {
            refused(
                "plan_changed",
                format!("{name} names no run"),
                format!("azir plan {} ... -o {name}", self.plan.runbook),
            )
        })?;
        let planner = self.planner().ok_or_else(|| {
            refused(
                "not_planned",
                format!("{name} does not say who planned it"),
                format!("azir plan {} ... -o {name}", self.plan.runbook),
            )
        })?;
        let mut used = Vec::new();
        let mut granted_by = Vec::new();
        used.extend(self.counts(planner, keys)?);
        for approval in self.of(Role::Approved) {
            if same(&approval.by, &planner.by) {
                return Err(refused(
                    "own_plan",
                    format!("{} planned it and cannot approve it", planner.by),
                    format!("let another person type azir approve {name}"),
                ));
            }
            let key = self.counts(approval, keys)?;
            if key.as_ref().is_some_and(|key| used.contains(key)) {
                return Err(refused(
                    "one_key",
                    format!("one key signs for {} and for another person", approval.by),
                    format!(
                        "let a second person type azir approve {name}, with a key of their own"
                    ),
                ));
            }
            used.extend(key);
            granted_by.push(approval.by.clone());
        }
        if granted_by.is_empty() {
            return Err(refused(
                "not_approved",
                format!(
                    "nobody but {}, who planned it, stands for {name}",
                    planner.by
                ),
                format!("let another person type azir approve {name}"),
            ));
        }
        Ok(Approved {
            run,
            planned: self.plan.clone(),
            digest: self.digest.clone(),
            file: text.to_owned(),
            planned_by: planner.by.clone(),
            granted_by,
            signed: keys.any(),
        })
    }

    /// Returns the key with which a person signed; nothing where nobody has one. Refuses what does not count.
    fn counts(&self, one: &Signature, keys: Keys<'_>) -> Result<Option<String>, EngineError> {
        let role = one.role.word();
        let Some(armoured) = &one.signature else {
            return if keys.any() {
                Err(refused(
                    "unsigned",
                    format!(
                        "{} {role} it without a signature, and keys are in use here",
                        one.by
                    ),
                    format!(
                        "azir key set FILE, then type azir plan or azir approve again as {}",
                        one.by
                    ),
                ))
            } else {
                Ok(None)
            };
        };
        let statement = statement(&self.digest, one.role, &one.by, &one.at);
        let key = plan_signer(armoured.as_bytes(), statement.as_bytes()).map_err(|why| {
            refused(
                "bad_signature",
                format!(
                    "the signature of {}, who {role} it, does not count: {why}",
                    one.by
                ),
                "ask the person to do it again, and keep the file away from others".to_owned(),
            )
        })?;
        let owner = key
            .split_once(' ')
            .and_then(|(kind, base64)| PublicKey::read(kind, base64))
            .and_then(|key| signers::owner(keys.signers, &key).map(str::to_owned));
        match owner {
            Some(owner) if owner == one.by => Ok(Some(key)),
            Some(owner) => Err(refused(
                "other_key",
                format!("the key that signed as {} is {owner}'s", one.by),
                format!("let {} do it with their own key", one.by),
            )),
            None => Err(refused(
                "unknown_key",
                format!("the key that signed as {} is not known here", one.by),
                format!(
                    "ask {0} whether it is theirs, then add to the signers file in AZIR_HOME: {0} namespaces=\"azir-checkpoint-v1\" {key}",
                    one.by
                ),
            )),
        }
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

    /// Refuses a runbook that is not the one that was planned with.
    ///
    /// # Errors
    /// Which one differs.
    pub fn same_texts(&self, texts: &BTreeMap<String, String>) -> Result<(), EngineError> {
        let names: BTreeSet<&String> = self.texts.keys().chain(texts.keys()).collect();
        let other: Vec<&str> = names
            .into_iter()
            .filter(|name| self.texts.get(*name) != texts.get(*name))
            .map(String::as_str)
            .collect();
        if other.is_empty() {
            return Ok(());
        }
        Err(drift(
            &format!("the runbook {} was changed since", other.join(", ")),
            &self.runbook,
        ))
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

    /// Returns the ids of the targets.
    fn ids(&self) -> Vec<&str> {
        let ids = self.targets.iter().map(|target| target.target.as_str());
        ids.collect()
    }
}

impl Approved {
    /// Refuses targets that are not those of the plan.
    ///
    /// # Errors
    /// Which are new, and which are gone.
    pub fn same_targets<'a>(
        &self,
        found: impl Iterator<Item = &'a str>,
    ) -> Result<(), EngineError> {
        let found: Vec<&str> = found.collect();
        let planned = self.planned.ids();
        let lacks = |these: &[&str], those: &[&str]| -> Vec<String> {
            these
                .iter()
                .filter(|id| !those.iter().any(|other| other.eq_ignore_ascii_case(id)))
                .map(|id| (*id).to_owned())
                .collect()
        };
        let (new, gone) = (lacks(&found, &planned), lacks(&planned, &found));
        if new.is_empty() && gone.is_empty() {
            return Ok(());
        }
        let told = |word: &str, ids: Vec<String>| match ids.len() {
            0 => String::new(),
            _ => format!("; {word}: {}", ids.join(", ")),
        };
        Err(drift(
            &format!(
                "the targets are others than those of the plan{}{}",
                told("new", new),
                told("gone", gone)
            ),
            &self.planned.runbook,
        ))
    }

    /// Refuses to send other writes, or touch others, than the plan says.
    ///
    /// # Errors
    /// The first differences.
    pub fn same_plan(&self, now: &Plan) -> Result<(), EngineError> {
        let mut differences = Vec::new();
        if now.tenant != self.planned.tenant || now.cloud != self.planned.cloud {
            differences.push(format!(
                "it was planned for tenant {} in {}, and this is {} in {}",
                self.planned.tenant, self.planned.cloud, now.tenant, now.cloud
            ));
        }
        for target in &now.targets {
            let planned = self
                .planned
                .targets
                .iter()
                .find(|planned| planned.target.eq_ignore_ascii_case(&target.target));
            if let Some(planned) = planned {
                differences.extend(compare(planned, target));
            }
        }
        for answer in now
            .preflight
            .iter()
            .filter(|answer| answer.verdict == Verdict::Fail)
        {
            if !self.planned.preflight.contains(answer) {
                differences.push(answer.text.clone());
            }
        }
        if differences.is_empty() {
            return Ok(());
        }
        let more = differences.len().saturating_sub(5);
        differences.truncate(5);
        let more = if more == 0 {
            String::new()
        } else {
            format!(" and {more} more")
        };
        Err(drift(
            &format!(
                "it would now do something else: {}{more}",
                differences.join("; ")
            ),
            &self.planned.runbook,
        ))
    }

    /// Returns what the run's first decision says.
    pub(crate) fn decision(&self) -> Map<String, Value> {
        object(json!({
            "about": "plan",
            "question": format!("carry out the plan {}", self.digest),
            "choice": "approved",
            "plan_digest": self.digest,
            "planned_by": self.planned_by,
            "approved_by": self.granted_by,
            "signed": self.signed,
            "over_guards": self.planned.over_guards,
            "by": self.granted_by.join(", "),
        }))
    }

    /// Returns the request that carries it out, for a runbook that was found to be the planned one.
    ///
    /// # Errors
    /// A choice that is none.
    pub fn fill(self: &Arc<Self>, request: RunRequest) -> Result<RunRequest, EngineError> {
        let planned = &self.planned;
        Ok(RunRequest {
            arguments: planned.arguments.clone().into_iter().collect(),
            targets: planned.typed.clone(),
            choices: planned.selections()?,
            accept: planned.accept.clone(),
            over_guards: planned.over_guards.clone(),
            yes: true,
            approved: Some(Arc::clone(self)),
            ..request
        })
    }
}

/// Tells how a target's plan differs from the one that was approved.
fn compare(planned: &PlanTarget, now: &PlanTarget) -> Vec<String> {
    let mut differences = Vec::new();
    let name = crate::ids::ArmId::name_of(&now.target);
    let steps: BTreeSet<&str> = planned
        .steps
        .iter()
        .chain(&now.steps)
        .map(|step| step.id.as_str())
        .collect();
    for id in steps {
        let of = |target: &PlanTarget| {
            let step = target.steps.iter().find(|step| step.id == id)?;
            Some((step.writes.clone(), step.undo.clone(), step.needs_consent))
        };
        let (before, after) = (of(planned), of(now));
        if before != after {
            let writes = |one: Option<(Vec<String>, String, bool)>| {
                one.map_or_else(
                    || "nothing".to_owned(),
                    |(writes, ..)| {
                        if writes.is_empty() {
                            "no write".to_owned()
                        } else {
                            writes.join(", ")
                        }
                    },
                )
            };
            differences.push(format!(
                "{name}, step {id}: {} instead of {}",
                writes(after),
                writes(before)
            ));
        }
    }
    if planned.collateral != now.collateral {
        differences.push(format!("{name} touches others than before"));
    }
    if planned.error != now.error {
        differences.push(format!(
            "{name}: {}",
            now.error
                .as_deref()
                .unwrap_or("it no longer stops where it did")
        ));
    }
    differences
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

fn statement(digest: &str, role: Role, by: &str, at: &str) -> String {
    format!("{FORMAT}\n{digest}\n{} {by}\n{at}\n", role.word())
}

/// Names of persons are compared as directories compare them.
fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

fn drift(message: &str, runbook: &str) -> EngineError {
    refused(
        "drift",
        message.to_owned(),
        format!("azir plan {runbook} ... -o FILE, and have it approved anew"),
    )
}

fn refused(code: &'static str, message: String, hint: String) -> EngineError {
    EngineError::Refused {
        code,
        message,
        target: None,
        hint,
    }
}
