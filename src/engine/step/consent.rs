//! Consent: what `--yes` does not cover is done only if the responder says so, here or by `--accept`.

use serde_json::json;

use super::{Item, decide};
use crate::engine::ask::{Choice, Chosen};
use crate::engine::failure::{Failure, FailureKind};
use crate::engine::past::PastStep;
use crate::engine::target::Target;
use crate::runbook::model::{Step, Undo};

/// Asks for consent where `--yes` does not give it, and writes the answer down; returns why the step is left undone.
pub(super) async fn consent(
    target: &Target<'_>,
    node: usize,
    step: &Step,
    items: &[Item<'_>],
    price: Option<&str>,
) -> Result<Option<String>, Failure> {
    let id = &target.common.program.nodes[node].id;
    if !step.consent_explicit || items.is_empty() {
        return Ok(None);
    }
    let stays = match &step.undo {
        Some(Undo::Never(why)) => Some(format!("cannot be undone: {why}")),
        _ => step.lasting.clone(),
    };
    let paid = price.map(str::to_owned);
    let cost: Vec<String> = paid.into_iter().chain(stays).collect();
    let cost = cost.join("; ");
    let title = &step.title.value;
    let question = format!("{title}: {cost}");
    if let Some(past) = target.past_step(node)
        && past.chosen.as_ref().is_some_and(|ids| ids.contains(id))
        // Who pays for a fallback may be others now.
        && (price.is_none() || asked_before(target, past, &question))
    {
        return Ok(None);
    }
    if let Some(given) = answer(target, id, step, &cost).await {
        let option = Choice {
            id: id.clone(),
            label: title.clone(),
        };
        decide::record(target, id, &question, &[option], &given).await?;
        if !given.ids.is_empty() {
            return Ok(None);
        }
    }
    let why = format!("it needs explicit consent; --accept {id} gives it");
    if let Some(recorder) = target.common.power.recorder() {
        let next = format!(
            "{} --incident {} --accept {id}",
            target.command(),
            target.common.request.incident
        );
        recorder
            .note(
                "not_done",
                json!({"step": id, "target_index": target.index, "why": why, "next": next}),
            )
            .await?;
    }
    let failure = Failure::failed("consent", why.clone(), format!("--accept {id}"))
        .of_kind(FailureKind::LeftUndone);
    target.tally().left.push((id.clone(), failure));
    Ok(Some(why))
}

/// Whether an earlier session asked the same.
fn asked_before(target: &Target<'_>, past: &PastStep, question: &str) -> bool {
    let known = past.question.as_ref().zip(target.common.past.as_ref());
    known.is_some_and(|(cited, record)| {
        record
            .value(cited)
            .as_ref()
            .and_then(|value| value.as_str())
            == Some(question)
    })
}

async fn answer(target: &Target<'_>, id: &str, step: &Step, cost: &str) -> Option<Chosen> {
    if target.common.request.accept.contains(id) {
        return Some(Chosen {
            ids: vec![id.to_owned()],
            by: "--accept".to_owned(),
            words: None,
        });
    }
    let _turn = target.common.asking.lock().await;
    target.common.ask.consent(id, &step.title.value, cost).await
}
