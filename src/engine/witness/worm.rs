//! Append blobs in the vault as witnesses: what is there under a locked policy, nobody takes back.
//!
//! Of each run, below `<incident>/<run>/anchor/`: every segment as an append blob of the same name, `checkpoints` as
//! the append blob of all checkpoints one after the other, and the newest checkpoint as a block blob of its own
//! (`000003.cp`), which a verifier takes as it is and which even a policy without appends lets in. Receipts are no intents: nothing in the tenant changes, and a line a
//! request would have the record grow by being anchored.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::append::{Append, Content};
use super::{Checkpoint, Witness, WitnessKind};
use crate::azure::{Client, Priority};
use crate::clock::Clock;
use crate::engine::calls::{CallPlace, Calls};
use crate::engine::power::Teller;
use crate::engine::profile::Vault;
use crate::engine::vault::VaultPlace;
use crate::evidence::vault as protocol;
use crate::ids::IncidentId;
use crate::journal::format::{checkpoint_name, segment_name};

/// No attempt begins later than this after the first; the witness is asked again.
const PATIENCE: Duration = Duration::from_secs(60);

/// The vault's container, as a witness.
pub struct Worm {
    client: Client,
    clock: Arc<dyn Clock>,
    vault: Vault,
    /// What is known of the blobs; one at a time, for two appends to one blob would refuse each other.
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    place: Option<VaultPlace>,
    /// How many bytes of each blob are ours, by address.
    lengths: BTreeMap<String, u64>,
}

impl Worm {
    /// Anchors in the container that a profile names; asks nobody yet.
    pub fn new(client: &Client, clock: &Arc<dyn Clock>, vault: &Vault) -> Self {
        Self {
            client: client
                .with_priority(Priority::Collect)
                .giving_up_after(PATIENCE),
            clock: Arc::clone(clock),
            vault: vault.clone(),
            known: Mutex::default(),
        }
    }

    /// Anchors below this address, as `https://ACCOUNT.blob.core.windows.net`, in this container.
    pub fn at(client: &Client, clock: &Arc<dyn Clock>, endpoint: &str, container: &str) -> Self {
        let vault = Vault {
            account: None,
            id: None,
            container: container.to_owned(),
        };
        let mut worm = Self::new(client, clock, &vault);
        worm.known.get_mut().place = Some(VaultPlace {
            endpoint: endpoint.to_owned(),
            container: container.to_owned(),
        });
        worm
    }

    /// Brings the container up to a checkpoint: whatever of segments and checkpoints is not there yet.
    ///
    /// Returns a receipt, or nothing if all of it was there.
    ///
    /// # Errors
    /// What is missing, and why. Nothing that lies there is ever overwritten.
    pub async fn anchor(
        &self,
        run_dir: &Path,
        number: u64,
        text: &[u8],
    ) -> Result<Option<Value>, String> {
        let covered = Covered::read(text)?;
        let known = &mut *self.known.lock().await;
        let place = self.place(known).await?;
        let base = format!(
            "{}/{}/{}",
            place.endpoint,
            place.container,
            protocol::anchor_folder(&covered.incident, &covered.run)
        );
        // First what counts: under any policy a new blob can be made, and none can be replaced.
        let single = format!("{base}/{}", checkpoint_name(number, "cp"));
        if !known.lengths.contains_key(&single) {
            let (content, length) = (Content::Bytes(text.to_vec()), text.len() as u64);
            let create = Append::new(&self.client, single.clone(), &content, length);
            create.once().await?;
            known.lengths.insert(single.clone(), length);
        }
        let mut segments = Vec::new();
        for (name, bytes) in &covered.files {
            let content = Content::File(run_dir.join(name));
            let append = Append::new(&self.client, format!("{base}/{name}"), &content, *bytes);
            let appended = append.send(&mut known.lengths).await;
            segments.extend(appended.map_err(|why| but(&why, &single))?);
        }
        let (all, length) = checkpoints(run_dir, number, text)?;
        let content = Content::Bytes(all);
        let append = Append::new(
            &self.client,
            format!("{base}/checkpoints"),
            &content,
            length,
        );
        let appended = append.send(&mut known.lengths).await;
        let appended = appended.map_err(|why| but(&why, &single))?;
        Ok(appended.map(|mut receipt| {
            receipt["file"] = json!(single);
            // A record of many sessions has as many segments; a line holds the newest, which alone are still written.
            let newest = segments.len().saturating_sub(16);
            receipt["segments"] = json!(segments[newest..]);
            receipt
        }))
    }

    async fn place(&self, known: &mut Known) -> Result<VaultPlace, String> {
        if let Some(place) = &known.place {
            return Ok(place.clone());
        }
        // Only reads: nothing here is to stop when the run does, and none of it is of the run.
        let halt = tokio::sync::watch::channel(false).1;
        let teller = Teller::new(None, Arc::clone(&self.clock), uuid::Uuid::nil(), halt);
        let calls = Calls::new(None, teller, CallPlace::default());
        let found = VaultPlace::find(&self.vault, &self.client, &calls).await;
        let place = found.map_err(|failure| format!("the vault cannot be found: {failure}"))?;
        known.place = Some(place.clone());
        Ok(place)
    }
}

#[async_trait]
impl Witness for Worm {
    fn kind(&self) -> WitnessKind {
        WitnessKind::Worm
    }

    async fn vouch(&self, checkpoint: Checkpoint<'_>) -> Result<Option<Value>, String> {
        self.anchor(checkpoint.run_dir, checkpoint.number, checkpoint.text)
            .await
    }
}

/// Says what is missing, and that the checkpoint itself is not.
fn but(why: &str, single: &str) -> String {
    format!("{why}; the checkpoint itself lies at {single}")
}

/// What a checkpoint says of itself and covers.
struct Covered {
    incident: String,
    run: String,
    /// Segments and how many bytes of each.
    files: Vec<(String, u64)>,
}

impl Covered {
    fn read(text: &[u8]) -> Result<Self, String> {
        let odd = || "the checkpoint cannot be read".to_owned();
        let text = std::str::from_utf8(text).map_err(|_| odd())?;
        let mut lines = text.lines();
        let mut origin = lines.next().ok_or_else(odd)?.split('/').skip(1);
        let (incident, run) = origin.next().zip(origin.next()).ok_or_else(odd)?;
        if incident.parse::<IncidentId>().is_err() || uuid::Uuid::parse_str(run).is_err() {
            return Err(odd());
        }
        let mut files = Vec::new();
        for line in lines.filter_map(|line| line.strip_prefix("file ")) {
            let mut words = line.split(' ');
            let (name, bytes) = words.next().zip(words.next()).ok_or_else(odd)?;
            // A checkpoint that came from elsewhere must not name a file outside the run.
            if name != segment_name(files.len() as u64 + 1) {
                return Err(odd());
            }
            files.push((name.to_owned(), bytes.parse().map_err(|_| odd())?));
        }
        Ok(Self {
            incident: incident.to_owned(),
            run: run.to_owned(),
            files,
        })
    }
}

/// Returns all checkpoints, one after the other, and how many bytes those up to `number` have.
fn checkpoints(run_dir: &Path, number: u64, text: &[u8]) -> Result<(Vec<u8>, u64), String> {
    let mut all = Vec::new();
    let mut length = 0;
    for one in 1.. {
        if one == number {
            all.extend(text);
            length = all.len() as u64;
            continue;
        }
        let path = run_dir.join("cp").join(checkpoint_name(one, "cp"));
        match std::fs::read(&path) {
            Ok(text) => all.extend(text),
            // What the container has beyond `number` is compared with those that were made since.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && one > number => break,
            Err(error) => return Err(format!("{}: {error}", path.display())),
        }
    }
    Ok((all, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_names_nothing_outside_its_run() {
        const RUN: &str = "azir/IR-1/00000000-0000-4000-8000-00000000aaaa";
        let text = |origin: &str, file: &str| {
            format!("{origin}\n3\nroot\nchain 00\nfile {file} 400 00\ntime 2026-01-02T03:04:05Z\n")
        };
        let read = |origin: &str, file: &str| Covered::read(text(origin, file).as_bytes());
        assert_eq!(
            read(RUN, "seg-000001.jsonl").unwrap().files,
            [("seg-000001.jsonl".to_owned(), 400)]
        );
        for (origin, file) in [
            (RUN, "/etc/passwd"),
            (RUN, "../../config.toml"),
            (RUN, "seg-000002.jsonl"),
            (
                "azir/../00000000-0000-4000-8000-00000000aaaa",
                "seg-000001.jsonl",
            ),
            ("azir/IR-1/elsewhere", "seg-000001.jsonl"),
        ] {
            assert!(read(origin, file).is_err(), "{origin} {file}");
        }
    }
}
