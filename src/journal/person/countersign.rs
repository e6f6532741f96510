//! A person signs after the fact: the last checkpoint of a run that nobody writes any more.

use std::path::Path;

use base64::Engine as _;
use serde_json::Value;

use super::super::beside::leave;
use super::super::disk::RealDisk;
use super::super::format::checkpoint_name;
use super::super::reader::{self, holder, is_held};
use super::super::writer::JournalError;
use super::error::KeyError;
use super::key::{PersonKey, Presence};
use super::public::Reader;
use super::signers::{self, SignersError};

/// What a countersignature covers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Countersigned {
    /// The number of the checkpoint.
    pub checkpoint: u64,
    /// How many entries it covers.
    pub entries: u64,
    /// How many entries the log has.
    pub of: u64,
    /// Whether it was made as second person; else as the responder.
    pub second: bool,
    /// What a security key says of the person before it.
    pub presence: Option<Presence>,
    /// How many transfers it covers.
    pub transfers: u64,
}

/// Why nothing was signed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NotCountersigned {
    /// That signature is there already.
    #[error("checkpoint {checkpoint} bears the signature of {who} already")]
    Already {
        /// The number of the checkpoint.
        checkpoint: u64,
        /// `the responder` or `a second person`.
        who: &'static str,
    },
    /// The run is being written.
    #[error("the run is being written by {holder}")]
    Held {
        /// By whom.
        holder: String,
    },
    /// The journal cannot be read, or the signature not be left.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The key did not sign.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// There is nothing to sign.
    #[error("the run has no checkpoint")]
    NoCheckpoint,
    /// The second person must have another key.
    #[error("the other signature was made with the same key, and two persons have two keys")]
    SameKey,
    /// The second person must be another.
    #[error("{0} is the responder of that session, and the second person must be another")]
    SamePerson(String),
    /// The run folder's signers file does not take the key.
    #[error(transparent)]
    Signers(#[from] SignersError),
}

/// Signs the last checkpoint of a run as `principal`: as the responder where the last session is theirs, else, or where
/// `second` asks for it, as second person. `own_signers`: the signer's own signers file, which learns of the key.
///
/// # Errors
/// A run that is being written or has no checkpoint; a signature that is there; a key that does not sign.
pub fn countersign(
    run_dir: &Path,
    key: &PersonKey,
    principal: &str,
    second: bool,
    own_signers: &Path,
) -> Result<Countersigned, NotCountersigned> {
    if is_held(run_dir) {
        return Err(NotCountersigned::Held {
            holder: holder(run_dir),
        });
    }
    let last = reader::last_checkpoint(run_dir)?.ok_or(NotCountersigned::NoCheckpoint)?;
    let (mut responder, mut transfers, mut of) = (String::new(), 0, 0);
    reader::each(run_dir, |line, _, _| {
        of += 1;
        if line.seq >= last.size {
            return;
        }
        transfers += u64::from(line.kind == "transfer");
        if matches!(line.kind.as_str(), "run.start" | "session.open") {
            let upn = line.data.get("responder").and_then(|who| who.get("upn"));
            responder = upn.and_then(Value::as_str).unwrap_or_default().to_owned();
        }
    })?;
    // Before anything is signed: to a verifier a signature by a key that is not the person's is a forgery.
    signers::allow(own_signers, principal, key.public()?, last.time)?;
    if second && responder == principal {
        return Err(NotCountersigned::SamePerson(responder));
    }
    let second = responder != principal;
    let (own, other, who) = if second {
        ("second.sig", "human.sig", "a second person")
    } else {
        ("human.sig", "second.sig", "the responder")
    };
    let beside = |end: &str| run_dir.join("cp").join(checkpoint_name(last.number, end));
    if beside(own).exists() {
        return Err(NotCountersigned::Already {
            checkpoint: last.number,
            who,
        });
    }
    let made_other = std::fs::read_to_string(beside(other)).ok();
    if made_other.and_then(|text| key_of(&text)).as_deref() == Some(key.public()?.blob()) {
        return Err(NotCountersigned::SameKey);
    }
    let signature = key.sign(&last.text)?;
    let file = run_dir.join("signers");
    signers::add(&file, principal, key.public()?, last.time)?;
    leave(
        &RealDisk,
        run_dir,
        last.number,
        own,
        signature.armoured.as_bytes(),
    )?;
    signers::add(own_signers, principal, key.public()?, last.time)?;
    Ok(Countersigned {
        checkpoint: last.number,
        entries: last.size,
        of,
        second,
        presence: signature.presence,
        transfers,
    })
}

/// Returns the key that an armoured signature names.
fn key_of(armoured: &str) -> Option<Vec<u8>> {
    let body: String = armoured
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect();
    let blob = base64::engine::general_purpose::STANDARD
        .decode(body)
        .ok()?;
    let mut reader = Reader(&blob);
    // Past the magic word and the version.
    reader.take(10)?;
    Some(reader.string()?.to_vec())
}
