//! `rotate`: a new secret, made here or upstream, put where it counts and then into a vault, seen by nobody.
//!
//! The value lies in memory that is wiped, and in the two requests that carry it; templates see a mark in its place,
//! and so does the record. If the vault does not take what upstream made, upstream is asked to take it back, because a
//! credential that nobody can use is one that somebody may find.

use bytes::Bytes;
use serde_json::{Value, json};

use super::request::{count, plan_cannot};
use super::wire::{self, Answer};
use super::{Acted, Item, rotated};
use crate::azure::{Client, Effect};
use crate::engine::failure::{Failure, FailureKind};
use crate::engine::power::Power;
use crate::engine::recorder::Recorder;
use crate::random::Random;
use crate::runbook::expr::{RenderedCall, Scope};
use crate::runbook::model::{Alphabet, Call, Generate, Rotate};
use crate::secret::Secret;

/// Stands for the value wherever something is written down.
const MARK: &str = "(the new secret)";
const LETTERS: &[u8] = b"abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ";
const DIGITS: &[u8] = b"23456789";
/// Marks that no shell, connection string or URL gives a meaning inside a value.
const MARKS: &[u8] = b"-_.~";

/// Rotates one secret.
pub(super) async fn execute(item: &Item<'_>, rotate: &Rotate) -> Result<Acted, Failure> {
    let common = item.target.common;
    let Power::Act { client, recorder } = &common.power else {
        return Err(plan_cannot());
    };
    let hands = Hands {
        item,
        client,
        recorder,
    };
    if let Some(acted) = rotated::go_on(&hands, rotate).await? {
        return Ok(acted);
    }
    let made = rotate.generate.map(|how| generate(how, &*common.random));
    let mut scope = item.scope.clone();
    if made.is_some() {
        scope.set("secret", &json!(MARK));
    }
    let answer = hands
        .send(&rotate.upstream, &scope, made.as_ref(), "upstream")
        .await?;
    let mut upstream = answer.body;
    let secret = match (&rotate.secret, made) {
        (_, Some(made)) => made,
        (Some(member), None) => {
            let Some(secret) = take(&mut upstream, member) else {
                hands.discard(rotate, &scope, &upstream).await?;
                return Err(Failure::failed(
                    "no_secret",
                    format!("the answer has no {member}, so there is no secret to keep"),
                    "azir show last",
                ));
            };
            secret
        }
        (None, None) => return Err(plan_cannot()),
    };
    scope.set("upstream", &upstream);
    rotated::note_answer(&hands, &upstream).await?;
    let version = match &rotate.vault {
        Some(vault) => {
            hands
                .keep(rotate, vault, &scope, &secret, &upstream)
                .await?
        }
        None => Value::Null,
    };
    Ok(Acted::with(vec![
        ("upstream", upstream),
        ("version", version),
    ]))
}

/// What carries the value from hand to hand.
pub(super) struct Hands<'a> {
    pub(super) item: &'a Item<'a>,
    client: &'a Client,
    pub(super) recorder: &'a Recorder,
}

impl Hands<'_> {
    /// Sends a request that carries the value, or brings it back.
    async fn send(
        &self,
        call: &Call,
        scope: &Scope,
        secret: Option<&Secret>,
        what: &str,
    ) -> Result<Answer, Failure> {
        let rendered = self.rendered(call, scope)?;
        self.put(rendered, secret, what).await
    }

    pub(super) fn rendered(&self, call: &Call, scope: &Scope) -> Result<RenderedCall, Failure> {
        let expressions = &self.item.target.common.expressions;
        let failed = |error| self.item.expression(&error);
        let rendered = expressions.call(call, scope).map_err(failed)?;
        self.item.target.may_write(&rendered.path_or_url)?;
        Ok(rendered)
    }

    async fn put(
        &self,
        rendered: RenderedCall,
        secret: Option<&Secret>,
        what: &str,
    ) -> Result<Answer, Failure> {
        let record = self.recorder.keep(&json!({
            "kind": "rotate",
            "part": what,
            "item": self.item.scope.get("item"),
            "method": rendered.method,
            "target": rendered.path_or_url,
            "body": rendered.body,
            "now": self.item.scope.get("now"),
        }))?;
        let calls = self
            .item
            .calls(&self.item.step.title.value)
            .writing(record, super::undo_words(self.item.step))
            .unseen();
        let body = rendered.body.as_ref().map(|body| filled(body, secret));
        // Sent twice, it would make two.
        let sent = wire::write_bytes(self.client, &rendered, body, Effect::Update, &calls).await;
        count(self.item, &sent);
        sent
    }

    /// Puts the value into the vault and returns the id of its version.
    async fn keep(
        &self,
        rotate: &Rotate,
        vault: &Call,
        scope: &Scope,
        secret: &Secret,
        upstream: &Value,
    ) -> Result<Value, Failure> {
        let mut rendered = self.rendered(vault, scope)?;
        let mark = self.mark();
        let mut body = rendered.body.take().unwrap_or_else(|| json!({}));
        body["value"] = json!(MARK);
        body["tags"]["azir-run"] = json!(self.item.target.common.run_id);
        body["tags"]["azir-step"] = json!(mark);
        rendered.body = Some(body);
        let versions = versions_of(&rendered);
        match self.put(rendered, Some(secret), "vault").await {
            Ok(answer) => Ok(answer.body["id"].clone()),
            Err(failure) if failure.kind == FailureKind::Unknown => {
                // Whether the vault took it is asked, not guessed: each attempt bears its own mark.
                match self.found(&versions, &mark).await {
                    Ok(Some(version)) => Ok(version),
                    Ok(None) => {
                        self.discard(rotate, scope, upstream).await?;
                        Err(failure)
                    }
                    Err(_) => Err(failure),
                }
            }
            Err(failure) => {
                self.discard(rotate, scope, upstream).await?;
                Err(failure)
            }
        }
    }

    /// Returns what tells this attempt from any other, without saying anything of the value.
    pub(super) fn mark(&self) -> String {
        let item = crate::digest::Digest::of(self.item.key.as_bytes()).to_string();
        format!("{}-{}", self.item.id(), item.get(..12).unwrap_or_default())
    }

    pub(super) async fn found(
        &self,
        versions: &RenderedCall,
        mark: &str,
    ) -> Result<Option<Value>, Failure> {
        let calls = self.item.calls("whether the vault took it");
        let reader = self.item.target.common.power.reader();
        let all = wire::read_list(reader, versions, &calls).await?;
        let run = &self.item.target.common.run_id;
        let ours = |one: &&Value| {
            one["tags"]["azir-run"] == json!(run) && one["tags"]["azir-step"] == mark
        };
        Ok(all.iter().find(ours).map(|one| one["id"].clone()))
    }

    /// Asks upstream to take back what nobody can use.
    pub(super) async fn discard(
        &self,
        rotate: &Rotate,
        scope: &Scope,
        upstream: &Value,
    ) -> Result<(), Failure> {
        let Some(call) = &rotate.discard else {
            return Ok(());
        };
        let mut scope = scope.clone();
        scope.set("upstream", upstream);
        self.send(call, &scope, None, "discard").await.map(|_| ())
    }
}

/// Returns the list of a secret's versions, beside the request that makes one.
pub(super) fn versions_of(put: &RenderedCall) -> RenderedCall {
    RenderedCall {
        method: "GET".to_owned(),
        path_or_url: format!("{}/versions", put.path_or_url.trim_end_matches('/')),
        body: None,
        pages: Some("value".to_owned()),
        ..put.clone()
    }
}

/// Takes the secret out of an answer.
fn take(answer: &mut Value, member: &str) -> Option<Secret> {
    let mut place = answer;
    for part in member.split('.') {
        place = place.get_mut(part)?;
    }
    match std::mem::take(place) {
        Value::String(secret) if !secret.is_empty() => Some(Secret::new(secret)),
        _ => None,
    }
}

/// Returns a body with the value in the place of its mark.
fn filled(body: &Value, secret: Option<&Secret>) -> Bytes {
    let text = zeroize::Zeroizing::new(body.to_string());
    let Some(secret) = secret else {
        return Bytes::copy_from_slice(text.as_bytes());
    };
    let quoted = zeroize::Zeroizing::new(json!(secret.reveal()).to_string());
    let mark = json!(MARK).to_string();
    Bytes::from(text.replace(&mark, &quoted))
}

/// Makes a secret, each character as likely as any other, with every kind that was asked for in it.
fn generate(how: Generate, random: &dyn Random) -> Secret {
    let kinds: &[&[u8]] = match how.alphabet {
        Alphabet::Password => &[LETTERS, DIGITS, MARKS],
        Alphabet::Letters => &[LETTERS, DIGITS],
    };
    let alphabet = kinds.concat();
    loop {
        let mut text = zeroize::Zeroizing::new(String::with_capacity(how.length));
        while text.len() < how.length {
            let mut byte = [0_u8; 1];
            random.fill(&mut byte);
            // What does not divide evenly would make some characters likelier.
            let usable = 256 / alphabet.len() * alphabet.len();
            if usize::from(byte[0]) < usable {
                text.push(char::from(alphabet[usize::from(byte[0]) % alphabet.len()]));
            }
        }
        let lower = text.bytes().any(|byte| byte.is_ascii_lowercase());
        let upper = text.bytes().any(|byte| byte.is_ascii_uppercase());
        let others = kinds
            .iter()
            .all(|kind| text.bytes().any(|byte| kind.contains(&byte)));
        if lower && upper && others {
            return Secret::new(text.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandom;

    #[test]
    fn what_is_made_has_every_kind_and_no_two_are_alike() {
        let random = SeededRandom::new(1);
        let how = Generate {
            length: 32,
            alphabet: Alphabet::Password,
        };
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let secret = generate(how, &random);
            let text = secret.reveal();
            assert_eq!(text.len(), 32);
            assert!(text.bytes().any(|byte| MARKS.contains(&byte)), "{text}");
            assert!(text.bytes().any(|byte| DIGITS.contains(&byte)), "{text}");
            assert!(seen.insert(text.to_owned()));
        }
    }

    #[test]
    fn a_secret_is_taken_out_of_an_answer_and_put_into_a_body() {
        let mut answer = json!({"keyId": "k", "secretText": "a\"b"});
        let secret = take(&mut answer, "secretText").unwrap();
        assert_eq!(answer, json!({"keyId": "k", "secretText": null}));
        let body = filled(&json!({"value": MARK, "tags": {}}), Some(&secret));
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["value"], "a\"b");
        assert!(take(&mut answer, "secretText").is_none());
        assert!(take(&mut answer, "other.secret").is_none());
    }
}
