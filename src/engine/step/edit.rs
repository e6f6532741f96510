//! `edit`: changes named members of a resource and leaves every other as it is.
//!
//! A PUT replaces the whole body (arm.md section 2.5), so the body just read is sent back with only
//! the named members changed; afterwards the resource is read again and every other member compared.

use serde_json::{Value, json};

use super::difference::{differences, same};
use super::overtaken::{self, overtaken};
use super::request::{count, plan_cannot};
use super::wire;
use super::{Acted, Item, again};
use crate::azure::Effect;
use crate::engine::calls::Calls;
use crate::engine::check::Patience;
use crate::engine::failure::{Failure, FailureKind};
use crate::engine::past::PastWrite;
use crate::engine::power::Power;
use crate::engine::recorder::Recorder;
use crate::json::{member, set_member};
use crate::runbook::expr::RenderedCall;
use crate::runbook::model::{Edit, Plane};

/// One member and its values before and after.
pub(crate) struct Change {
    path: String,
    before: Option<Value>,
    after: Option<Value>,
}

/// Reads, changes, writes, reads back and compares; reads afresh where somebody else was faster.
pub(super) async fn execute(item: &Item<'_>, edit: &Edit) -> Result<Acted, Failure> {
    let Power::Act { client, recorder } = &item.target.common.power else {
        return Err(plan_cannot());
    };
    let (id, wanted) = wanted(item, edit)?;
    item.target.may_write(&id)?;
    let reads = item.calls("the state before the change");
    let read = async || {
        let call = resource("GET", &id, edit, None);
        wire::read(client, &call, &reads)
            .await
            .map(|answer| answer.body)
    };
    let mut current = read().await?;
    let sent = item.sent();
    let earlier = sent.first().map(|sent| sent.write());
    if earlier.is_some() {
        // What an earlier session sent may still be under way.
        let mut patience = Patience::of_step(&item.target.teller, item.step, false);
        while state_of(&current).is_some_and(|state| !["Succeeded", "Failed"].contains(&state))
            && patience.again().await
        {
            current = read().await?;
        }
    }
    if let Some(earlier) = earlier
        && let Some(acted) = go_on(item, recorder, earlier, &current, &wanted).await?
    {
        return Ok(acted);
    }
    let mut again = 0;
    let (changes, after) = loop {
        let mut changes = changes(&current, wanted.clone());
        // It shows what it was sent, and did not come to it: it is sent again.
        if let Some(earlier) = earlier.filter(|_| changes.is_empty() && again == 0)
            && state_of(&current) == Some("Failed")
        {
            changes = changes_of(earlier);
        }
        if changes.is_empty() {
            return Ok(Acted::with(vec![
                ("body", current.clone()),
                ("before", current),
                ("changed", json!(false)),
            ]));
        }
        match write(item, edit, (&id, &current), &changes).await {
            Ok(written) if written.read_back => break (changes, written.body),
            Ok(_) => break (changes, read().await?),
            Err(failure) if overtaken(&failure, &mut again) => {
                let fresh = read().await?;
                overtaken::tell(item, &current, &fresh, again).await?;
                current = fresh;
            }
            Err(failure) => return Err(failure),
        }
    };
    compare(item, &current, &after, &changes).await?;
    let before = earlier.map_or(current, |earlier| earlier.record["before"].clone());
    Ok(Acted::with(vec![
        ("body", after),
        ("before", before),
        ("changed", json!(true)),
    ]))
}

/// Sends the change of what was read, and follows it to its end.
async fn write(
    item: &Item<'_>,
    edit: &Edit,
    (id, current): (&str, &Value),
    changes: &[Change],
) -> Result<wire::Answer, Failure> {
    let Power::Act { client, recorder } = &item.target.common.power else {
        return Err(plan_cannot());
    };
    let body = changed(item, current, changes)?;
    let record = recorder.keep(&json!({
        "kind": "edit",
        "item": item.scope.get("item"),
        "target": id,
        "api_version": edit.api_version,
        "if_match": edit.if_match,
        "changes": changes.iter().map(|change| json!({"path": change.path, "before": change.before, "after": change.after})).collect::<Vec<_>>(),
        "before": current,
    }))?;
    let mut call = resource("PUT", id, edit, Some(body));
    if edit.if_match
        && let Some(etag) = current.get("etag").and_then(Value::as_str)
    {
        call.headers.push(("If-Match".to_owned(), etag.to_owned()));
    }
    let calls = item
        .calls(&item.step.title.value)
        .writing(record, super::undo_words(item.step));
    let sent = wire::write(client, &call, Effect::Update, Some(true), &calls).await;
    count(item, &sent);
    match sent {
        Err(failure) if failure.kind == FailureKind::Unknown => {
            settle(item, id, edit, changes, &calls)
                .await?
                .ok_or(failure)
        }
        other => other,
    }
}

/// Goes on with an edit of an earlier session: what the resource shows of it is written down; where it has the
/// members that were sent, nothing is sent again.
async fn go_on(
    item: &Item<'_>,
    recorder: &Recorder,
    earlier: &PastWrite,
    current: &Value,
    wanted: &[(String, Option<Value>)],
) -> Result<Option<Acted>, Failure> {
    let changes = changes_of(earlier);
    let state = state_of(current);
    let has = changes
        .iter()
        .all(|change| same(member(current, &change.path), change.after.as_ref()));
    let under_way = state.is_some_and(|state| !["Succeeded", "Failed"].contains(&state));
    if has && under_way {
        let text = format!(
            "{} has the members that were sent, and its last operation is still under way",
            item.key
        );
        return Err(Failure::failed(
            "not_settled",
            text,
            "azir resume, when the resource is done",
        )
        .of_kind(FailureKind::Unknown));
    }
    let there = has && state != Some("Failed");
    let how = if there {
        "the resource was read, and has the members that were sent"
    } else if has {
        "the resource was read, and its last operation has failed"
    } else {
        "the resource was read, and does not have the members that were sent"
    };
    again::settle(recorder, earlier, there, how).await?;
    // What it is to be may have changed meanwhile, where an earlier step was taken again.
    let stands =
        |(path, value): &(String, Option<Value>)| same(member(current, path), value.as_ref());
    if !there || !wanted.iter().all(stands) {
        return Ok(None);
    }
    let before = &earlier.record["before"];
    compare(item, before, current, &changes).await?;
    Ok(Some(Acted::with(vec![
        ("body", current.clone()),
        ("before", before.clone()),
        ("changed", json!(true)),
    ])))
}

/// Returns the changes that an earlier session sent.
fn changes_of(earlier: &PastWrite) -> Vec<Change> {
    let changes = earlier.record["changes"].as_array().into_iter().flatten();
    changes
        .map(|change| Change {
            path: change["path"].as_str().unwrap_or_default().to_owned(),
            before: present(&change["before"]),
            after: present(&change["after"]),
        })
        .collect()
}

fn state_of(resource: &Value) -> Option<&str> {
    member(resource, "properties.provisioningState").and_then(Value::as_str)
}

fn present(value: &Value) -> Option<Value> {
    (!value.is_null()).then(|| value.clone())
}

/// Asks the resource itself what came of a write whose end was not seen; nothing where it does not show it.
async fn settle(
    item: &Item<'_>,
    id: &str,
    edit: &Edit,
    changes: &[Change],
    calls: &Calls,
) -> Result<Option<wire::Answer>, Failure> {
    let reading = calls.reading("the end of the write was not seen");
    let call = resource("GET", id, edit, None);
    let Ok(found) = wire::read(item.target.common.power.reader(), &call, &reading).await else {
        return Ok(None);
    };
    let settled = member(&found.body, "properties.provisioningState")
        .and_then(Value::as_str)
        .is_none_or(|state| state == "Succeeded");
    let there = changes
        .iter()
        .all(|change| same(member(&found.body, &change.path), change.after.as_ref()));
    if !(settled && there) {
        return Ok(None);
    }
    calls
        .reconciled("the resource was read back and has the members that were sent")
        .await;
    Ok(Some(wire::Answer {
        read_back: true,
        ..found
    }))
}

/// Says what a plan shows of this write.
pub(super) fn rendered(item: &Item<'_>, edit: &Edit) -> Result<String, Failure> {
    let id = item
        .target
        .common
        .expressions
        .text(&edit.arm, &item.scope)
        .map_err(|error| item.expression(&error))?;
    let members: Vec<&str> = edit.set.keys().map(String::as_str).collect();
    Ok(format!("PUT {id} (only {})", members.join(", ")))
}

/// Returns the resource's id and the members' new values; null removes a member.
fn wanted(item: &Item<'_>, edit: &Edit) -> Result<(String, Vec<(String, Option<Value>)>), Failure> {
    let expressions = &item.target.common.expressions;
    let failed = |error| item.expression(&error);
    let id = expressions.text(&edit.arm, &item.scope).map_err(failed)?;
    let mut members = Vec::new();
    for (path, template) in &edit.set {
        let value = expressions
            .value(&template.value, &item.scope)
            .map_err(failed)?;
        members.push((path.clone(), (!value.is_null()).then_some(value)));
    }
    Ok((id, members))
}

fn changes(current: &Value, wanted: Vec<(String, Option<Value>)>) -> Vec<Change> {
    wanted
        .into_iter()
        .map(|(path, after)| Change {
            before: member(current, &path).cloned(),
            path,
            after,
        })
        .filter(|change| !same(change.before.as_ref(), change.after.as_ref()))
        .collect()
}

fn changed(item: &Item<'_>, current: &Value, changes: &[Change]) -> Result<Value, Failure> {
    let mut body = current.clone();
    for change in changes {
        if !set_member(&mut body, &change.path, change.after.clone()) {
            return Err(Failure::failed(
                "edit",
                format!("{} has no place for the member {}", item.key, change.path),
                "azir runbook lint",
            ));
        }
    }
    Ok(body)
}

fn resource(method: &str, id: &str, edit: &Edit, body: Option<Value>) -> RenderedCall {
    RenderedCall {
        plane: Plane::Arm,
        method: method.to_owned(),
        path_or_url: id.to_owned(),
        query: Vec::new(),
        api_version: Some(edit.api_version.clone()),
        headers: Vec::new(),
        body,
        pages: None,
        missing_ok: false,
    }
}

/// Records whether any other member changed.
async fn compare(
    item: &Item<'_>,
    before: &Value,
    after: &Value,
    changes: &[Change],
) -> Result<(), Failure> {
    let mut others = Vec::new();
    let paths: Vec<&str> = changes.iter().map(|change| change.path.as_str()).collect();
    differences("", before, after, &paths, &mut others);
    let observed = if others.is_empty() {
        "only the members named were changed".to_owned()
    } else {
        format!("these changed too: {}", others.join(", "))
    };
    let name = crate::ids::ArmId::name_of(&item.key);
    let claim = format!("no other member of {name} changed");
    item.target
        .record_check(
            item.node,
            &item.key,
            &claim,
            Some(others.is_empty()),
            false,
            Some(&observed),
            0,
        )
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_differ_only_in_case_are_no_change() {
        let current = json!({"properties": {"nsg": {"id": "/Subscriptions/A"}}});
        let wanted = vec![(
            "properties.nsg".to_owned(),
            Some(json!({"id": "/subscriptions/a"})),
        )];
        assert!(changes(&current, wanted).is_empty());
        let wanted = vec![("properties.nsg".to_owned(), None)];
        assert_eq!(changes(&current, wanted).len(), 1);
    }
}
