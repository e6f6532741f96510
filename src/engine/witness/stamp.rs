//! Time-stamp authorities (RFC 3161) as witnesses: a clock that is not ours says when a checkpoint existed.
//!
//! The request is written by hand, 69 bytes; the reply is read by the journal's own verifier before it is kept, for a
//! stamp that does not verify would be an error of the record, and a missing one is only a gap. The authority is a
//! stranger: it is shown a digest, no name and no token, and plain http is enough because the reply is signed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use url::Url;

use super::{Checkpoint, Witness, WitnessKind};
use crate::azure::{Http, Post};
use crate::clock::Clock;
use crate::digest::Digest;
use crate::engine::error::chain;
use crate::journal::beside;
use crate::journal::disk::RealDisk;
use crate::journal::format::checkpoint_name;
use crate::journal::verify::{Granted, has_chain, stamp_of};
use crate::random::Random;

/// The largest reply that is read: a token with the longest chains in use has 8 KiB.
const MOST: usize = 64 * 1024;
/// How long an authority may take. Two of them fit into the patience that the end of a session has.
const PATIENCE: Duration = Duration::from_secs(7);
/// Checkpoints that follow a stamp sooner than this wait for the next one: authorities are shared by everybody.
const SPACING: Duration = Duration::from_secs(30);
/// Files beside a checkpoint, each of an authority of its own.
const ENDINGS: [&str; 2] = ["tsr", "tsr2"];

/// The configured authorities.
pub struct Authorities {
    places: Vec<Url>,
    roots: Option<PathBuf>,
    http: Http,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    /// When the last stamp was granted, in microseconds of the clock; 0 before the first.
    granted_us: AtomicU64,
    patience: Duration,
}

impl Authorities {
    /// Takes the addresses of a profile; nothing if there are none.
    ///
    /// # Errors
    /// An address that is none, or more of them than a checkpoint has room for.
    pub fn new(
        places: &[String],
        roots: Option<&Path>,
        http: &Http,
        clock: &Arc<dyn Clock>,
        random: &Arc<dyn Random>,
    ) -> Result<Option<Self>, String> {
        if places.is_empty() {
            return Ok(None);
        }
        if places.len() > ENDINGS.len() {
            return Err(format!(
                "time_stamps names {} authorities, and a checkpoint has room for the stamps of {}",
                places.len(),
                ENDINGS.len()
            ));
        }
        let places: Vec<Url> = places
            .iter()
            .map(|text| place(text))
            .collect::<Result<_, _>>()?;
        if places.len() == 2 && places[0] == places[1] {
            return Err(format!("time_stamps names {} twice", places[0]));
        }
        Ok(Some(Self {
            places,
            roots: roots.map(Path::to_path_buf),
            http: http.clone(),
            clock: Arc::clone(clock),
            random: Arc::clone(random),
            granted_us: AtomicU64::new(0),
            patience: PATIENCE,
        }))
    }

    /// Waits this long for each answer.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Has a checkpoint stamped: one before the last by one authority, the last by every one. Returns the receipts of
    /// the stamps that were made now.
    ///
    /// # Errors
    /// What is missing, and why.
    pub async fn stamp(
        &self,
        run_dir: &Path,
        number: u64,
        text: &[u8],
        last: bool,
    ) -> Result<Option<Value>, String> {
        if !last && self.is_soon() {
            return Ok(None);
        }
        let mut stamps = Vec::new();
        let mut failed = Vec::new();
        // One after the other: an authority that stands in for the first is only asked where the first does not answer.
        for (place, ending) in self.places.iter().zip(ENDINGS) {
            let there = run_dir
                .join("cp")
                .join(checkpoint_name(number, ending))
                .exists();
            let stamped = if there {
                Ok(None)
            } else {
                self.one(place, run_dir, (number, ending), text)
                    .await
                    .map(Some)
            };
            match stamped {
                Ok(stamp) => {
                    stamps.extend(stamp);
                    if !last {
                        failed.clear();
                        break;
                    }
                }
                Err(why) => failed.push(format!("{place} ({ending}): {why}")),
            }
        }
        if !failed.is_empty() {
            return Err(failed.join("; "));
        }
        Ok((!stamps.is_empty()).then(|| json!({"stamps": stamps})))
    }

    fn is_soon(&self) -> bool {
        let granted = self.granted_us.load(Ordering::Relaxed);
        let since = Duration::from_micros(self.clock.mono_us().saturating_sub(granted));
        granted > 0 && since < SPACING
    }

    /// Asks one authority, judges its reply and keeps it.
    async fn one(
        &self,
        place: &Url,
        run_dir: &Path,
        (number, ending): (u64, &str),
        text: &[u8],
    ) -> Result<Value, String> {
        let nonce = self.nonce();
        let post = Post {
            content_type: "application/timestamp-query",
            accept: "application/timestamp-reply",
            body: request(Digest::of(text), nonce),
            most: MOST,
            patience: self.patience,
        };
        let answer = self.http.post(place, post).await;
        let answer = answer.map_err(|error| chain(&error))?;
        if answer.status != 200 {
            return Err(format!("it answered {}", answer.status));
        }
        let stamp = stamp_of(&answer.body, text, &nonce).map_err(|bad| {
            let kind = &answer.content_type;
            format!("{bad} ({} bytes, {kind})", answer.body.len())
        })?;
        let judged = self.judge(&answer.body, text, &stamp).await?;
        beside::put(&RealDisk, run_dir, number, ending, &answer.body)
            .map_err(|error| format!("the stamp cannot be kept: {error}"))?;
        self.granted_us
            .store(self.clock.mono_us().max(1), Ordering::Relaxed);
        Ok(json!({
            "file": format!("cp/{}", checkpoint_name(number, ending)),
            "authority": place.as_str(),
            "gen_time": crate::clock::micros(stamp.made),
            "policy": stamp.policy,
            "serial": stamp.serial,
            "tsr_sha256": Digest::of(&answer.body).to_string(),
            "roots": judged,
        }))
    }

    /// Checks the chain where roots are configured; says in the receipt what came of it.
    async fn judge(
        &self,
        reply: &[u8],
        text: &[u8],
        stamp: &Granted,
    ) -> Result<&'static str, String> {
        let Some(roots) = self.roots.clone() else {
            return Ok("none configured");
        };
        let (reply, text, stamp) = (reply.to_vec(), text.to_vec(), stamp.clone());
        let looked = tokio::task::spawn_blocking(move || {
            let mut file = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
            std::io::Write::write_all(&mut file, &reply).map_err(|error| error.to_string())?;
            has_chain(file.path(), &text, &stamp, &roots)
        });
        match looked.await.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(true) => Ok("verified"),
            Ok(false) => Err("its reply does not verify under time_stamp_roots".to_owned()),
            // A stamp cannot be had again for this moment; the verifier judges it where openssl is.
            Err(_) => Ok("not checked: openssl or the roots cannot be used here"),
        }
    }

    /// Returns 8 random bytes that are a positive DER integer in its shortest form.
    fn nonce(&self) -> [u8; 8] {
        let mut nonce = [0; 8];
        self.random.fill(&mut nonce);
        nonce[0] = (nonce[0] & 0x3f) | 0x40;
        nonce
    }
}

#[async_trait]
impl Witness for Authorities {
    fn kind(&self) -> WitnessKind {
        WitnessKind::Tsa
    }

    async fn vouch(&self, checkpoint: Checkpoint<'_>) -> Result<Option<Value>, String> {
        let Checkpoint {
            run_dir,
            number,
            text,
            last,
        } = checkpoint;
        self.stamp(run_dir, number, text, last).await
    }
}

fn place(text: &str) -> Result<Url, String> {
    let refuse = |why: &str| format!("time_stamps holds an address that cannot be used: {why}");
    let url = Url::parse(text).map_err(|error| refuse(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(refuse("an authority has an http or https address"));
    }
    // It stands in the record, which is for strangers to read.
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err(refuse(
            "it has a name, a password or a query in it, and azir sends authorities none",
        ));
    }
    Ok(url)
}

/// Returns a `TimeStampReq` (RFC 3161, section 2.4.1): version 1, SHA-256 imprint, nonce, and the certificates wanted.
fn request(imprint: Digest, nonce: [u8; 8]) -> Vec<u8> {
    let mut request = b"\x30\x43\x02\x01\x01".to_vec();
    request.extend(b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20");
    request.extend(imprint.0);
    request.extend(b"\x02\x08");
    request.extend(nonce);
    request.extend(b"\x01\x01\xff");
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_its_own_length() {
        let request = request(Digest::of(b"x"), [0x40; 8]);
        assert_eq!((request.len(), usize::from(request[1])), (69, 67));
    }

    #[test]
    fn an_address_is_http_and_holds_no_password() {
        assert!(place("http://tsa.example/x").is_ok());
        for bad in [
            "tsa.example",
            "ftp://tsa.example/",
            "https://u:secret@tsa.example/",
            "https://tsa.example/?key=secret",
        ] {
            let why = place(bad).unwrap_err();
            assert!(!why.contains("secret"), "{why}");
        }
    }
}
