//! Whose word counts for a plan: two persons, each with a key of their own where keys are in use.

use chrono::{DateTime, Utc};

use super::super::error::EngineError;
use super::drift::Approved;
use super::file::{PlanFile, Role, Signature, refused, same, statement};
use crate::journal::person::{PublicKey, signers};
use crate::journal::verify::plan_signer;

/// What is known of persons' keys.
#[derive(Clone, Copy, Debug)]
pub struct Keys<'a> {
    /// The text of the signers file, empty where there is none.
    pub signers: &'a str,
    /// Whether a key of one's own is configured.
    pub configured: bool,
    /// When the signatures must count: a key that has ended since stands for nothing that is done now.
    pub now: DateTime<Utc>,
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
        let public = key
            .split_once(' ')
            .and_then(|(kind, base64)| PublicKey::read(kind, base64));
        let speaks = public
            .as_ref()
            .is_some_and(|public| signers::speaks(keys.signers, &one.by, public, keys.now));
        let owner = public.and_then(|public| signers::owner(keys.signers, &public));
        match owner {
            Some(owner) if owner == one.by && speaks => Ok(Some(key)),
            Some(owner) if owner == one.by => Err(refused(
                "ended_key",
                format!("the key that signed as {} is not valid now", one.by),
                format!("let {} do it with a key that is", one.by),
            )),
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
