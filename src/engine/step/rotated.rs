//! A rotation that an earlier session of the run began: finished where the vault has the value, else begun anew.
//!
//! The value of a session that broke off is known to nobody any more. Where the vault has it, all is well; where it
//! does not, what upstream made of it is taken back first, because a credential that nobody can use is one that
//! somebody may find.

use serde_json::{Value, json};

use super::Acted;
use super::again::{self, as_then};
use super::rotate::Hands;
use crate::engine::check::{self, Patience};
use crate::engine::failure::Failure;
use crate::engine::past::{PastWrite, Sent};
use crate::engine::undo_standing::{Part, Standing, parts};
use crate::engine::undo_write;
use crate::runbook::model::Rotate;

/// Goes on with a rotation; returns nothing where it must be begun anew.
pub(super) async fn go_on(hands: &Hands<'_>, rotate: &Rotate) -> Result<Option<Acted>, Failure> {
    let item = hands.item;
    let sent = item.sent();
    let part = |name: &str| sent.iter().find(|sent| sent.write().record["part"] == name);
    let Some(upstream) = part("upstream") else {
        return Ok(None);
    };
    let past = item.target.past_step(item.node);
    let answer = past.and_then(|step| step.answers.get(&item.key));
    let answer = answer.and_then(|cited| item.target.common.past.as_ref()?.value(cited));
    let Some(vault) = &rotate.vault else {
        // Nobody was to know the value; that it was set is all.
        let took = matches!(upstream, Sent::Took(_));
        let answer = answer.unwrap_or(Value::Null);
        let names = vec![("upstream", answer), ("version", Value::Null)];
        return Ok(took.then(|| Acted::with(names)));
    };
    if let (Some(answer), Some(kept)) = (&answer, part("vault")) {
        let mut scope = as_then(item, upstream.write());
        scope.set("upstream", answer);
        let once = matches!(kept, Sent::Took(_));
        let version = found(hands, vault, &scope, once).await?;
        let how = "the versions of the secret were read, and one bears the mark of this attempt";
        if let Some(version) = version {
            again::settle(hands.recorder, kept.write(), true, how).await?;
            again::settle(hands.recorder, upstream.write(), true, how).await?;
            let names = vec![("upstream", answer.clone()), ("version", version)];
            return Ok(Some(Acted::with(names)));
        }
        let how = "the versions of the secret were read, and none bears the mark of this attempt";
        again::settle(hands.recorder, kept.write(), false, how).await?;
    }
    let discarded = past.is_some_and(|step| step.discarded.contains(&item.key));
    match (&answer, &rotate.discard) {
        (Some(answer), Some(_)) if !discarded => {
            let scope = as_then(item, upstream.write());
            hands.discard(rotate, &scope, answer).await?;
        }
        // What was discarded, or is not known by name, is looked for first.
        _ => take_back(hands, *upstream).await?,
    }
    if let Some(discard) = part("discard") {
        let how = "what it was to take back was looked for upstream, and is gone";
        again::settle(hands.recorder, discard.write(), true, how).await?;
    }
    Ok(None)
}

/// Looks for the version of the secret that bears the mark of this attempt.
async fn found(
    hands: &Hands<'_>,
    vault: &crate::runbook::model::Call,
    scope: &crate::runbook::expr::Scope,
    once: bool,
) -> Result<Option<Value>, Failure> {
    let rendered = hands.rendered(vault, scope)?;
    let versions = super::rotate::versions_of(&rendered);
    let mut patience = Patience::new(&hands.item.target.teller, once);
    loop {
        let version = hands.found(&versions, &hands.mark()).await?;
        if version.is_some() || !patience.again().await {
            return Ok(version);
        }
    }
}

/// Takes back what upstream made without an answer on record, in the way that the runbook undoes it.
async fn take_back(hands: &Hands<'_>, upstream: Sent<'_>) -> Result<(), Failure> {
    let item = hands.item;
    let write: &PastWrite = upstream.write();
    let mut all = parts(item.target, item.node, write);
    if all.iter().all(|part| matches!(part, Part::Nothing(_))) {
        // Nothing names what it made; whether it took effect is asked as its checks ask it.
        let scope = as_then(item, write);
        if let Some(there) = check::now(item.target, item.node, &item.key, &scope, true).await? {
            let how = "what the checks of the step speak of was read";
            again::settle(hands.recorder, write, there, how).await?;
        }
        return Ok(());
    }
    let mut ever = false;
    let mut patience = Patience::new(&item.target.teller, false);
    loop {
        let mut there = false;
        for part in &mut all {
            let standing = part.standing(item.target, item.node).await;
            match standing {
                Standing::AsLeft | Standing::Drifted(_) => {
                    there = true;
                    undo_write::one(item.target, item.node, part, true).await?;
                }
                Standing::Unreadable(failure) => return Err(failure),
                Standing::AlreadyBack | Standing::Never(_) | Standing::Lasting(_) => {}
            }
        }
        ever |= there;
        // More than one may be there; and a replica that is behind does not show it yet.
        if !there && (ever || !patience.again().await) {
            break;
        }
    }
    let how = if ever {
        "what it made was found upstream, and taken back: its value was lost"
    } else {
        "it was looked for upstream, and is not there"
    };
    again::settle(hands.recorder, write, ever, how).await
}

/// Writes down what upstream answered, the value taken out, before the vault is asked to take it.
pub(super) async fn note_answer(hands: &Hands<'_>, upstream: &Value) -> Result<(), Failure> {
    let cite = hands.recorder.keep(upstream)?;
    let data = json!({
        "step": hands.item.id(),
        "target_index": hands.item.target.index,
        "item": hands.item.key,
        "outputs": cite.value(),
    });
    hands.recorder.note("upstream", data).await.map(|_| ())
}
