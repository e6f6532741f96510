//! Clearances: a person's word that somebody may have back what was taken.
//!
//! An undo gives an account, a method or a right back, and so may give it back to the attacker. What a runbook marks
//! as `ask` therefore waits until a clearance of the target is recorded, after the run that took it away.

use serde_json::{Map, Value, json};

use super::error::EngineError;
use super::past::Past;
use super::recorder::object;
use super::request::UndoRequest;
use super::undo_standing::Change;
use crate::report::incident::{CLEARANCE, Clearance};

/// Refuses an undo that would give something back to a target of which no clearance is recorded.
///
/// # Errors
/// What waits for whose clearance, and how it is recorded.
pub(super) fn refuse_uncleared(
    request: &UndoRequest,
    old: &Past,
    said: &[Clearance],
    changes: &[(String, Vec<Change>)],
) -> Result<(), EngineError> {
    let waiting = waiting(request, old, said, changes);
    let Some((first, _)) = waiting.first() else {
        return Ok(());
    };
    let all: Vec<String> = waiting
        .iter()
        .map(|(target, change)| {
            let last = change
                .last
                .as_deref()
                .unwrap_or("who changed it before azir is not known");
            format!("{target}: {} ({last})", change.title.to_lowercase())
        })
        .collect();
    Err(EngineError::Refused {
        code: "clearance",
        message: format!(
            "this gives back what was taken, and no clearance is recorded since: {}",
            all.join("; ")
        ),
        target: Some(first.clone()),
        hint: format!(
            "azir undo {} --clearance 'who cleared it, on what grounds', or azir note --clears {first} 'on what grounds' --incident {}",
            old.run, old.incident
        ),
    })
}

/// Returns what waits for a clearance, with its target.
pub(super) fn waiting<'a>(
    request: &UndoRequest,
    old: &Past,
    said: &[Clearance],
    changes: &'a [(String, Vec<Change>)],
) -> Vec<(String, &'a Change)> {
    if request.clearance.is_some() {
        return Vec::new();
    }
    changes
        .iter()
        .filter(|(target, _)| !is_cleared(said, target, &old.started_at))
        .flat_map(|(target, changes)| {
            changes
                .iter()
                .filter(|change| change.ask && change.standing.writes())
                .map(|change| (target.clone(), change))
        })
        .collect()
}

/// Whether a clearance of a target was recorded after a moment, as the journal writes times.
fn is_cleared(said: &[Clearance], target: &str, since: &str) -> bool {
    said.iter().any(|clearance| {
        clearance.target.eq_ignore_ascii_case(target) && clearance.at.as_str() > since
    })
}

/// Returns what the record of an undo says of the clearance that was given with it.
pub(super) fn decision(targets: &[String], text: &str, by: &str) -> Map<String, Value> {
    object(json!({
        "about": CLEARANCE,
        "question": "may they have back what was taken?",
        "subject": targets.join(", "),
        "choice": "cleared",
        "why": text,
        "by": by,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clearance_is_of_one_target_and_later_than_what_it_clears() {
        let said = [Clearance {
            target: "Heidi@contoso.com".to_owned(),
            text: "laptop reimaged".to_owned(),
            by: "pia@contoso.com".to_owned(),
            at: "2026-11-24T05:00:00.000000Z".to_owned(),
        }];
        assert!(is_cleared(
            &said,
            "heidi@contoso.com",
            "2026-11-24T03:00:00.000000Z"
        ));
        // What was said before the cut knew nothing of it.
        assert!(!is_cleared(
            &said,
            "heidi@contoso.com",
            "2026-11-24T06:00:00.000000Z"
        ));
        assert!(!is_cleared(
            &said,
            "alice@contoso.com",
            "2026-11-24T03:00:00.000000Z"
        ));
    }
}
