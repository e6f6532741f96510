//! The responder's own key as a witness: signs in a thread of its own, because an agent may hang and a security key
//! waits for a finger.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::{Checkpoint, Witness, WitnessKind};
use crate::journal::beside::leave;
use crate::journal::disk::RealDisk;
use crate::journal::format::checkpoint_name;
use crate::journal::person::signers::{self, SignersError};
use crate::journal::person::{KeyError, PersonKey};
use crate::journal::reader::checkpoint_time;

/// Returns a witness that signs with `key` as `principal`, who must be the responder of the session.
///
/// `signers`: the responder's own signers file, which says whose a key is and learns of a key that it does not know.
pub(crate) fn person(
    key: PersonKey,
    principal: &str,
    signers: Option<PathBuf>,
) -> Arc<dyn Witness> {
    Arc::new(Person {
        key: Arc::new(key),
        principal: Arc::from(principal),
        signers,
    })
}

/// Returns a witness that was wanted and cannot be had: what it does not vouch for is named like any other gap.
pub(crate) fn absent(kind: WitnessKind, why: String) -> Arc<dyn Witness> {
    Arc::new(Absent { kind, why })
}

struct Person {
    key: Arc<PersonKey>,
    principal: Arc<str>,
    signers: Option<PathBuf>,
}

#[async_trait]
impl Witness for Person {
    fn kind(&self) -> WitnessKind {
        WitnessKind::Person
    }

    fn asks(&self) -> Option<String> {
        let public = self.key.known().filter(|key| key.in_security_key())?;
        Some(format!(
            "touch your security key ({}) to sign the record",
            public.fingerprint()
        ))
    }

    async fn vouch(&self, checkpoint: Checkpoint<'_>) -> Result<Option<Value>, String> {
        let work = Work {
            key: Arc::clone(&self.key),
            principal: Arc::clone(&self.principal),
            signers: self.signers.clone(),
            run_dir: checkpoint.run_dir.to_path_buf(),
            number: checkpoint.number,
            text: checkpoint.text.to_vec(),
            last: checkpoint.last,
        };
        let (sender, answer) = tokio::sync::oneshot::channel();
        // Not the runtime's pool: the end of the process would wait for a thread of it that waits for an agent.
        std::thread::Builder::new()
            .name("azir-person".to_owned())
            .spawn(move || {
                // Who stopped waiting finds the signature on disk, or does not.
                let _ = sender.send(work.sign());
            })
            .map_err(|error| error.to_string())?;
        answer
            .await
            .unwrap_or_else(|_| Err("signing stopped half-way".to_owned()))
            .map(|()| None)
    }
}

/// One checkpoint to sign.
struct Work {
    key: Arc<PersonKey>,
    principal: Arc<str>,
    signers: Option<PathBuf>,
    run_dir: PathBuf,
    number: u64,
    text: Vec<u8>,
    last: bool,
}

impl Work {
    fn sign(&self) -> Result<(), String> {
        // Whoever it was: what is signed needs nobody's key, and says nothing about the one at hand.
        if signed(&self.run_dir, self.number) {
            return Ok(());
        }
        let public = self.key.public().map_err(hinted)?;
        let at =
            checkpoint_time(&self.text).ok_or("the checkpoint does not say when it was made")?;
        for file in [self.signers.clone(), Some(self.run_dir.join("signers"))] {
            match file.map_or(Ok(false), |file| {
                signers::add(&file, &self.principal, public, at)
            }) {
                // A verifier takes a signature for a forgery if its key is another person's, or was not valid then.
                Err(
                    error @ (SignersError::Name(_)
                    | SignersError::NotThen { .. }
                    | SignersError::Taken { .. }),
                ) => {
                    return Err(format!(
                        "{error}, and {} answers for this session",
                        self.principal
                    ));
                }
                // The file is for convenience; the signature is not.
                Ok(_) | Err(SignersError::Disk { .. }) => {}
            }
        }
        // A touch each for a run's every checkpoint would be asked of somebody who has other things to do: the last
        // checkpoint of a session covers them all.
        if public.in_security_key() && !self.last {
            return Ok(());
        }
        let signature = self.key.sign(&self.text).map_err(hinted)?;
        let bytes = signature.armoured.as_bytes();
        leave(&RealDisk, &self.run_dir, self.number, "human.sig", bytes)
            .map(|_| ())
            .map_err(|error| error.to_string())
    }
}

fn signed(run_dir: &Path, number: u64) -> bool {
    run_dir
        .join("cp")
        .join(checkpoint_name(number, "human.sig"))
        .exists()
}

fn hinted(error: KeyError) -> String {
    format!("{error} (next: {})", error.hint())
}

struct Absent {
    kind: WitnessKind,
    why: String,
}

#[async_trait]
impl Witness for Absent {
    fn kind(&self) -> WitnessKind {
        self.kind
    }

    async fn vouch(&self, _checkpoint: Checkpoint<'_>) -> Result<Option<Value>, String> {
        Err(self.why.clone())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::time::Duration;

    use super::*;
    use crate::journal::person::Agent;

    #[tokio::test]
    async fn an_agent_that_never_answers_is_named_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("agent");
        // It listens, and nobody ever accepts.
        let _listener = UnixListener::bind(&socket).unwrap();
        let agent = Agent::new(&socket, Duration::from_millis(50));
        let witness = person(
            PersonKey::in_agent(agent, None),
            "alice@contoso.example",
            None,
        );
        let checkpoint = Checkpoint {
            run_dir: folder.path(),
            number: 1,
            text: b"x",
            last: true,
        };
        let why = witness.vouch(checkpoint).await.unwrap_err();
        assert!(why.contains("did not answer"), "{why}");
        assert!(why.contains("ssh-add -l"), "{why}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_witness_that_cannot_be_had_says_why() {
        let witness = absent(WitnessKind::Person, "the key is gone".to_owned());
        let checkpoint = Checkpoint {
            run_dir: Path::new("/"),
            number: 1,
            text: b"x",
            last: true,
        };
        assert_eq!(
            witness.vouch(checkpoint).await,
            Err("the key is gone".to_owned())
        );
    }
}
