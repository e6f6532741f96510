//! `collect`: a list read to its end, page by page, into one evidence object with its ledger.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::wire;
use super::{Acted, Item};
use crate::engine::event::What;
use crate::engine::failure::{Failure, FailureKind};
use crate::engine::power::Power;
use crate::engine::recorder::{Cite, object};
use crate::engine::vault;
use crate::runbook::model::Collect;
use crate::runbook::walk::{self, Part};

/// What was read: the completeness of an exhibit.
#[derive(Default)]
struct Ledger {
    pages: u64,
    rows: u64,
    duplicates: u64,
    redactions: u64,
}

/// Streams every page into evidence, uploads it, and records what was and was not seen.
pub(super) async fn execute(item: &Item<'_>, collect: &Collect) -> Result<Acted, Failure> {
    let common = item.target.common;
    let Power::Act { recorder, .. } = &common.power else {
        return Ok(Acted::with(Vec::new()));
    };
    let failed = |error| item.expression(&error);
    let expressions = &common.expressions;
    let name = expressions
        .text(&collect.name, &item.scope)
        .map_err(failed)?;
    let description = expressions
        .text(&collect.description, &item.scope)
        .map_err(failed)?;
    let source = expressions
        .call_line(&collect.call, &item.scope)
        .map_err(failed)?;
    let window = match &collect.window {
        Some((from, to)) => Some(json!({
            "from": expressions.text(from, &item.scope).map_err(failed)?,
            "to": expressions.text(to, &item.scope).map_err(failed)?,
        })),
        None => None,
    };
    let Paged {
        kept,
        ledger,
        rows,
        broken,
    } = page_through(item, collect).await?;
    if let (Some(failure), 0) = (&broken, ledger.pages) {
        return Err(failure.clone());
    }
    let stored = vault::upload(item, &name, kept).await?;
    let gaps: Vec<&str> = broken
        .iter()
        .map(|failure| failure.message.as_str())
        .collect();
    // An earlier session may have come as far as the line of the exhibit, and no further.
    let past = item.target.past_step(item.node);
    let known = past.is_some_and(|step| step.exhibits.contains(&kept.sha256.to_string()));
    let data = object(json!({
        "step": item.id(),
        "target_index": item.target.index,
        "exhibit": if known { String::new() } else { recorder.next_exhibit() },
        "name": name,
        "description": description,
        "source": source,
        "window": window,
        "completeness": {"pages": ledger.pages, "rows": ledger.rows, "duplicates": ledger.duplicates, "redactions": ledger.redactions, "gaps": gaps},
        "stored": stored,
        "sha256": kept.sha256.to_string(),
        "size": kept.size,
        "hash_origin": "local",
    }));
    if !known {
        recorder.durable("evidence", data).await?;
    }
    if let Some(failure) = &broken {
        // What was read before it broke off is evidence all the same; that it is not all of it is the gap.
        let text = format!(
            "{name} holds {} rows and is not complete: {}",
            ledger.rows, failure.message
        );
        item.target.gap(item.node, &item.key, &text).await?;
    }
    if ledger.rows == 0 && broken.is_none() {
        let text = format!("{description}: the source gave no row, which proves nothing");
        let open = format!("not known: {text}");
        item.target.say_open(item.node, &text, open).await?;
    }
    if let Some(follow_up) = &collect.follow_up {
        let command = expressions.text(follow_up, &item.scope).map_err(failed)?;
        item.target
            .say(item.node, &format!("the log lags by minutes: {command}"))
            .await?;
    }
    if let Some(rows) = &rows
        && ledger.rows > MOST_IN_MEMORY as u64
    {
        let text = format!(
            "only the first {} of the {} rows of {name} are judged; the exhibit has them all",
            rows.len(),
            ledger.rows
        );
        item.target.gap(item.node, &item.key, &text).await?;
    }
    Ok(Acted::with(vec![
        ("items", Value::Array(rows.unwrap_or_default())),
        ("rows", json!(ledger.rows)),
        ("sha256", json!(kept.sha256.to_string())),
    ]))
}

/// Rows of one exhibit that are kept for the templates, at most: a log of millions stays on the disk.
const MOST_IN_MEMORY: usize = 200_000;

/// Whether a result of the step is made from the rows themselves.
fn wants_rows(item: &Item<'_>) -> bool {
    let mut wants = false;
    walk::parts(item.step, &mut |part, text, _| {
        if matches!(part, Part::Let(_)) {
            let names = item.target.common.expressions.names(text);
            wants |= names.is_ok_and(|names| names.contains("items"));
        }
    });
    wants
}

/// A list that was read as far as its source gave it.
struct Paged {
    kept: Cite,
    ledger: Ledger,
    /// The rows, where somebody asks for them.
    rows: Option<Vec<Value>>,
    /// Why it was not read to its end.
    broken: Option<Failure>,
}

/// Writes each row as one JSON line; counts pages, rows and rows seen before.
///
/// Where the source breaks off in the middle, that is returned beside what was read until then.
async fn page_through(item: &Item<'_>, collect: &Collect) -> Result<Paged, Failure> {
    let common = item.target.common;
    let Power::Act { recorder, client } = &common.power else {
        return Err(super::request::plan_cannot());
    };
    let rendered = common
        .expressions
        .call(&collect.call, &item.scope)
        .map_err(|error| item.expression(&error))?;
    let calls = item.calls(&item.step.title.value);
    // Containment goes before collection in the shared request budget.
    let reader = client.with_priority(crate::azure::Priority::Collect);
    let mut pages = wire::pages(&reader, &rendered)?;
    let mut object = recorder
        .store
        .begin()
        .map_err(|error| Failure::record(error.to_string()))?;
    let mut ledger = Ledger::default();
    let mut seen = HashSet::new();
    let mut broken = None;
    let mut kept_rows = wants_rows(item).then(Vec::new);
    loop {
        let rows = match pages.next(&calls).await {
            Ok(Some(rows)) => rows,
            Ok(None) => break,
            Err(failure) if matches!(failure.kind, FailureKind::Record | FailureKind::Halted) => {
                return Err(failure);
            }
            Err(failure) => {
                broken = Some(failure);
                break;
            }
        };
        ledger.pages += 1;
        for mut row in rows {
            ledger.rows += 1;
            if let Some(id) = row_id(&row)
                && !seen.insert(crate::digest::Digest::of(id.as_bytes()).0)
            {
                ledger.duplicates += 1;
            }
            ledger.redactions += u64::from(recorder.redact(&mut row));
            let mut line = row.to_string().into_bytes();
            line.push(b'\n');
            object
                .write(&line)
                .map_err(|error| Failure::record(error.to_string()))?;
            if let Some(rows) = kept_rows
                .as_mut()
                .filter(|rows| rows.len() < MOST_IN_MEMORY)
            {
                rows.push(row);
            }
        }
        let text = format!("{} rows from {} pages", ledger.rows, ledger.pages);
        item.target
            .teller
            .of_step(item.id())
            .tell(What::Note { text });
    }
    let kept = object
        .finish()
        .map_err(|error| Failure::record(error.to_string()))?;
    Ok(Paged {
        kept: Cite {
            sha256: kept.sha256,
            size: kept.size,
        },
        ledger,
        rows: kept_rows,
        broken,
    })
}

/// Returns what identifies a row: the activity log's `eventDataId`, else `id`.
fn row_id(row: &Value) -> Option<&str> {
    row.get("eventDataId")
        .or_else(|| row.get("id"))
        .and_then(Value::as_str)
}
