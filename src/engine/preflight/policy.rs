//! Policies: what Azure Policy says of each resource that a plan means to create.
//!
//! `POST .../providers/Microsoft.PolicyInsights/checkPolicyRestrictions` reads: it judges a resource that is not there
//! against the policies with the effect deny ("Policy Restrictions - Check At Resource Group Scope", version 2022-03-01).
//! Its answer names each that the resource breaks:
//! `{"contentEvaluationResult": {"policyEvaluations": [{"evaluationResult": "NonCompliant", "policyInfo": {"policyAssignmentId": "...", "policyDefinitionId": "..."}}]}}`.

use futures_util::StreamExt;
use serde_json::{Map, Value, json};

use super::asking::{AT_ONCE, Asking, Unread};
use super::meant::Meant;
use super::place;
use crate::ids::ArmId;

const CHECK: &str = "Microsoft.PolicyInsights/checkPolicyRestrictions";
const VERSION: &str = "2022-03-01";
/// More creations than this are not asked one by one: the budget is containment's.
const MOST: usize = 64;

/// What policies say of one creation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Judged {
    Allowed,
    /// By the assignments with these ids.
    Refused(Vec<String>),
    /// Nobody knows, and why.
    Unknown(String),
}

/// Asks about each creation; the answers are in the order of what was asked.
pub(super) async fn ask(asking: &Asking, creations: &[&Meant]) -> Vec<Judged> {
    let each = creations.iter().enumerate().map(|(number, meant)| async move {
        if number >= MOST {
            return Judged::Unknown(format!("only the first {MOST} creations are asked about"));
        }
        let (Some(group), Some(content)) = (place::container(&meant.path), content(meant)) else {
            return Judged::Unknown("its body is known only at run time".to_owned());
        };
        let body = json!({"resourceDetails": {"resourceContent": content, "apiVersion": meant.api_version}});
        let path = format!("{group}/providers/{CHECK}");
        judge(asking.post(path, VERSION, &body).await)
    });
    futures_util::stream::iter(each)
        .buffered(AT_ONCE)
        .collect()
        .await
}

/// Returns the resource as it is meant to be.
fn content(meant: &Meant) -> Option<Value> {
    let id: ArmId = meant.path.parse().ok()?;
    let mut content: Map<String, Value> = meant.body.as_ref()?.as_object()?.clone();
    content.insert("type".to_owned(), json!(id.resource_type()));
    content.insert("name".to_owned(), json!(id.name()));
    Some(Value::Object(content))
}

fn judge(answer: Result<Value, Unread>) -> Judged {
    let answer = match answer {
        Ok(answer) => answer,
        Err(unread) => {
            return Judged::Unknown(format!("policies cannot be asked ({})", unread.why));
        }
    };
    let found = &answer["contentEvaluationResult"]["policyEvaluations"];
    let Some(found) = found.as_array() else {
        return Judged::Unknown("the answer about policies has not the form that is known".into());
    };
    let denies = |item: &&Value| {
        let effect = item["effectDetails"]["policyEffect"].as_str();
        let broken = item["evaluationResult"].as_str();
        broken.is_some_and(|result| result.eq_ignore_ascii_case("NonCompliant"))
            // The version asked names only policies that deny; a later one says the effect.
            && effect.is_none_or(|effect| effect.eq_ignore_ascii_case("Deny"))
    };
    let broken: Vec<String> = found
        .iter()
        .filter(denies)
        .map(|item| {
            let id = item["policyInfo"]["policyAssignmentId"].as_str();
            id.unwrap_or("without an id").to_owned()
        })
        .collect();
    let known = |item: &Value| {
        let result = item["evaluationResult"].as_str().unwrap_or_default();
        ["Compliant", "NonCompliant"]
            .iter()
            .any(|known| result.eq_ignore_ascii_case(known))
    };
    if !broken.is_empty() {
        Judged::Refused(broken)
    } else if found.iter().all(known) {
        Judged::Allowed
    } else {
        Judged::Unknown("a policy could not be evaluated".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_creation_is_refused_by_what_it_breaks() {
        let answer = |items: Value| {
            Ok(
                json!({"fieldRestrictions": [], "contentEvaluationResult": {"policyEvaluations": items}}),
            )
        };
        assert_eq!(judge(answer(json!([]))), Judged::Allowed);
        let item = |result: &str| json!({"evaluationResult": result, "policyInfo": {"policyAssignmentId": "a"}});
        assert_eq!(
            judge(answer(json!([item("NonCompliant")]))),
            Judged::Refused(vec!["a".to_owned()])
        );
        assert!(matches!(
            judge(answer(json!([item("Error")]))),
            Judged::Unknown(_)
        ));
        let mut audit = item("NonCompliant");
        audit["effectDetails"] = json!({"policyEffect": "Audit"});
        assert_eq!(judge(answer(json!([audit]))), Judged::Allowed);
        assert!(matches!(judge(Ok(json!({}))), Judged::Unknown(_)));
        let unread = Unread {
            absent: true,
            why: "404".to_owned(),
        };
        assert!(matches!(judge(Err(unread)), Judged::Unknown(_)));
    }
}
