//! `decide`: the responder picks from what was found.

use serde_json::{Value, json};

use super::{Acted, Item};
use crate::engine::ask::{Choice, Chosen};
use crate::engine::event::What;
use crate::engine::failure::Failure;
use crate::engine::recorder::object;
use crate::engine::request::Selection;
use crate::engine::target::Target;
use crate::runbook::model::{Decide, DecideDefault};

/// Offers the options and writes down what was chosen, by whom and in which words.
pub(super) async fn execute(item: &Item<'_>, decide: &Decide) -> Result<Acted, Failure> {
    let common = item.target.common;
    let failed = |error| item.expression(&error);
    let question = common
        .expressions
        .text(&decide.question, &item.scope)
        .map_err(failed)?;
    let options: Vec<Choice> = common
        .expressions
        .list(&decide.options, &item.scope)
        .map_err(failed)?
        .iter()
        .filter_map(option)
        .collect();
    let past = item.target.past_step(item.node);
    if let Some(ids) = past.and_then(|step| step.chosen.clone())
        && !common.request.choices.contains_key(item.id())
    {
        // The responder has answered; the record has it.
        return Ok(Acted::with(vec![("chosen", json!(ids))]));
    }
    let chosen = choose(item, decide, &question, &options).await?;
    record(item.target, item.id(), &question, &options, &chosen).await?;
    Ok(Acted::with(vec![("chosen", json!(chosen.ids))]))
}

/// What a plan knows of a decision: how many options there are, and what will be chosen without asking anybody.
pub(super) struct Planned {
    pub(super) options: usize,
    pub(super) chosen: Vec<String>,
    /// Whether nobody will be asked: `--choose` says it, or `--yes` takes the default.
    pub(super) settled: bool,
}

/// Says what a plan knows of a decision; nothing where its options are known only at run time.
///
/// # Errors
/// Where `--choose` names none of the options.
pub(super) fn planned(item: &Item<'_>, decide: &Decide) -> Result<Option<Planned>, Failure> {
    let common = item.target.common;
    let Ok(options) = common.expressions.list(&decide.options, &item.scope) else {
        return Ok(None);
    };
    let options: Vec<Choice> = options.iter().filter_map(option).collect();
    let given = given(item, &options)?;
    Ok(Some(Planned {
        options: options.len(),
        settled: given.is_some() || common.request.yes || options.is_empty(),
        chosen: given.unwrap_or_else(|| default(decide, &options)),
    }))
}

/// Writes down what was asked and answered, by whom and in which words, and tells it.
pub(super) async fn record(
    target: &Target<'_>,
    step: &str,
    question: &str,
    options: &[Choice],
    chosen: &Chosen,
) -> Result<(), Failure> {
    if let Some(recorder) = target.common.power.recorder() {
        let data = object(json!({
            "step": step,
            "target_index": target.index,
            "question": recorder.inline_or_cite(&Value::String(question.to_owned()))?,
            "options": recorder.inline_or_cite(&json!(options))?,
            "choice": chosen.ids,
            "by": chosen.by,
            "words": chosen.words,
        }));
        if chosen.by == "responder" {
            recorder
                .person(&target.common.request.responder.upn, "decision", data)
                .await?;
        } else {
            recorder.durable("decision", data).await?;
        }
    }
    target.teller.of_step(step).tell(What::Decided {
        question: question.to_owned(),
        chosen: chosen.ids.clone(),
        by: chosen.by.clone(),
    });
    Ok(())
}

async fn choose(
    item: &Item<'_>,
    decide: &Decide,
    question: &str,
    options: &[Choice],
) -> Result<Chosen, Failure> {
    let common = item.target.common;
    let default = default(decide, options);
    if options.is_empty() {
        return Ok(Chosen {
            ids: Vec::new(),
            by: "default".into(),
            words: None,
        });
    }
    if let Some(ids) = given(item, options)? {
        return Ok(Chosen {
            ids,
            by: "--choose".into(),
            words: None,
        });
    }
    if common.request.yes {
        return Ok(Chosen {
            ids: default,
            by: "default".into(),
            words: None,
        });
    }
    let _turn = common.asking.lock().await;
    Ok(common
        .ask
        .decide(item.id(), question, options, &default)
        .await)
}

fn ids(options: &[Choice]) -> Vec<String> {
    options.iter().map(|option| option.id.clone()).collect()
}

fn default(decide: &Decide, options: &[Choice]) -> Vec<String> {
    match decide.default {
        DecideDefault::None => Vec::new(),
        DecideDefault::All => ids(options),
    }
}

/// Returns what `--choose` says, if it says anything.
fn given(item: &Item<'_>, options: &[Choice]) -> Result<Option<Vec<String>>, Failure> {
    Ok(match item.target.common.request.choices.get(item.id()) {
        Some(Selection::All) => Some(ids(options)),
        Some(Selection::None) => Some(Vec::new()),
        Some(Selection::Ids(wanted)) => Some(matching(item, wanted, options)?),
        None => None,
    })
}

/// Finds what `--choose` names: by id without regard to case, or by the id's last segment where only one ends so.
fn matching(
    item: &Item<'_>,
    wanted: &[String],
    options: &[Choice],
) -> Result<Vec<String>, Failure> {
    wanted
        .iter()
        .map(|name| {
            let exact = options
                .iter()
                .find(|option| option.id.eq_ignore_ascii_case(name));
            let by_tail: Vec<&Choice> = options
                .iter()
                .filter(|option| {
                    option
                        .id
                        .rsplit('/')
                        .next()
                        .is_some_and(|tail| tail.eq_ignore_ascii_case(name))
                })
                .collect();
            match (exact, by_tail.as_slice()) {
                (Some(option), _) => Ok(option.id.clone()),
                (None, [option]) => Ok(option.id.clone()),
                _ => Err(Failure::failed(
                    "choice",
                    format!(
                        "--choose {}={name} names none of the {} options",
                        item.id(),
                        options.len()
                    ),
                    format!(
                        "--choose {}=none, or one of: {}",
                        item.id(),
                        options
                            .iter()
                            .map(|option| option.id.as_str())
                            .collect::<Vec<_>>()
                            .join(", ")
                    ),
                )),
            }
        })
        .collect()
}

fn option(value: &Value) -> Option<Choice> {
    match value {
        Value::String(text) => Some(Choice {
            id: text.clone(),
            label: text.clone(),
        }),
        Value::Object(members) => {
            let id = members.get("id")?.as_str()?.to_owned();
            let label = members
                .get("label")
                .and_then(Value::as_str)
                .unwrap_or(&id)
                .to_owned();
            Some(Choice { id, label })
        }
        _ => None,
    }
}
