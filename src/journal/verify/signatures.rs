//! Who vouches for a checkpoint: the session's key, persons, and clocks of others.

use std::collections::BTreeSet;
use std::path::Path;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use super::checkpoint::Checkpoint;
use super::files::Folder;
use super::finding::Findings;
use super::meaning::Meaning;
use super::signers::Signers;
use super::{CannotRead, sshsig, stamp};

/// Who vouches for a checkpoint besides its session's key.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Vouching {
    /// The checkpoint's number.
    pub number: u64,
    /// The entries that it covers.
    pub size: u64,
    /// Its own time.
    pub time: String,
    /// The responder, where the signature counts.
    pub responder: Option<String>,
    /// The second person, where the signature counts.
    pub second: Option<String>,
    /// The stamps that are well-formed and over this checkpoint.
    pub stamps: Vec<Stamp>,
}

/// A time stamp.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Stamp {
    /// Its file, below the run folder.
    pub file: String,
    /// When the authority made it.
    pub time: String,
    /// Whether it verified under roots from outside.
    pub verified: bool,
}

/// What persons and clocks vouch for, by size.
#[derive(Debug, Default)]
pub(super) struct Vouched {
    /// Each checkpoint that somebody besides its session vouches for, in order.
    pub(super) list: Vec<Vouching>,
    /// The size and the earliest stamp of the largest checkpoint with a stamp that verified.
    pub(super) since: Option<(u64, DateTime<Utc>)>,
    /// Sizes signed by the responder of the session that holds the last entry.
    pub(super) by_responder: BTreeSet<u64>,
    /// Sizes signed by a second person.
    pub(super) by_second: BTreeSet<u64>,
    /// Sizes with a stamp that verified under outside roots.
    pub(super) stamped: BTreeSet<u64>,
}

/// What signatures are judged by.
pub(super) struct Judge<'a> {
    pub(super) run_dir: &'a Path,
    pub(super) folder: &'a Folder,
    pub(super) meaning: &'a Meaning,
    pub(super) signers: &'a Signers,
    pub(super) roots: Option<&'a Path>,
}

/// More seconds than this between a checkpoint and its stamp are worth a note.
pub(super) const STAMP_DELAY: i64 = 120;

impl Judge<'_> {
    /// Judges everything beside the checkpoints.
    pub(super) fn all(
        &self,
        checkpoints: &[Checkpoint],
        findings: &mut Findings,
    ) -> Result<Vouched, CannotRead> {
        let mut vouched = Vouched::default();
        let mut persons = false;
        for checkpoint in checkpoints {
            self.session(checkpoint, findings)?;
            let (stamps, stamped) = self.stamps(checkpoint, findings)?;
            if let Some(made) = stamped.filter(|_| checkpoint.holds) {
                vouched.stamped.insert(checkpoint.size);
                vouched.since = vouched.since.max(Some((checkpoint.size, made)));
            }
            vouched.list.push(Vouching {
                number: checkpoint.number,
                size: checkpoint.size,
                time: shown(checkpoint.time),
                stamps,
                ..Vouching::default()
            });
            let at = stamped.unwrap_or(checkpoint.time);
            for second in [false, true] {
                persons |= self.person(checkpoint, second, at, &mut vouched, findings)?;
            }
            vouched.list.pop_if(|last| {
                last.responder.is_none() && last.second.is_none() && last.stamps.is_empty()
            });
        }
        if persons && !self.signers.known {
            findings.note(
                "signers",
                None,
                "no-signers",
                "without a signers file persons' signatures are read and do not count",
            );
        }
        self.unsigned(&vouched, findings);
        Ok(vouched)
    }

    /// Reads a file beside a checkpoint, where there is one.
    fn beside(
        &self,
        checkpoint: &Checkpoint,
        end: &str,
    ) -> Result<Option<(String, Vec<u8>)>, CannotRead> {
        if !self
            .folder
            .beside
            .contains(&(checkpoint.number, end.to_owned()))
        {
            return Ok(None);
        }
        let file = format!("cp/{:06}.{end}", checkpoint.number);
        let bytes = std::fs::read(self.run_dir.join(&file)).map_err(CannotRead::file(&file))?;
        Ok(Some((file, bytes)))
    }

    fn session(&self, checkpoint: &Checkpoint, findings: &mut Findings) -> Result<(), CannotRead> {
        let Some((file, bytes)) = self.beside(checkpoint, "session.sig")? else {
            findings.error(
                &checkpoint.file,
                None,
                "no-session-signature",
                "the session's signature is missing",
            );
            return Ok(());
        };
        let session = self.meaning.session_of(checkpoint.size - 1);
        match sshsig::check(&bytes, &checkpoint.text) {
            Ok(key) if session.is_some_and(|session| session.key.as_ref() == Some(&key)) => {}
            Ok(_) => findings.error(
                &file,
                None,
                "other-key",
                "another key than that of the session made it",
            ),
            Err(why) => findings.error(&file, None, "bad-signature", why),
        }
        Ok(())
    }

    /// Judges a person's signature; returns whether there is one.
    fn person(
        &self,
        checkpoint: &Checkpoint,
        second: bool,
        at: DateTime<Utc>,
        vouched: &mut Vouched,
        findings: &mut Findings,
    ) -> Result<bool, CannotRead> {
        let Some((file, bytes)) =
            self.beside(checkpoint, if second { "second.sig" } else { "human.sig" })?
        else {
            return Ok(false);
        };
        let key = match sshsig::check(&bytes, &checkpoint.text) {
            Ok(key) => key,
            Err(why) => {
                findings.error(&file, None, "bad-signature", why);
                return Ok(true);
            }
        };
        if !self.signers.known {
            return Ok(true);
        }
        let responder = self
            .meaning
            .session_of(checkpoint.size - 1)
            .map(|session| session.responder.as_str());
        match self.signers.person(&key, at) {
            None => findings.error(
                &file,
                None,
                "unknown-key",
                "its key is nobody's in the signers file at that time",
            ),
            Some(person) if second == (Some(person) == responder) => {
                let text = if second {
                    "the responder made it, and the second person must be another"
                } else {
                    "not the responder of that session made it"
                };
                findings.error(&file, None, "other-person", text);
            }
            Some(_) if !checkpoint.holds => {}
            Some(person) => {
                let sizes = if second {
                    &mut vouched.by_second
                } else {
                    &mut vouched.by_responder
                };
                sizes.insert(checkpoint.size);
                if let Some(last) = vouched.list.last_mut() {
                    let place = if second {
                        &mut last.second
                    } else {
                        &mut last.responder
                    };
                    *place = Some(person.to_owned());
                }
            }
        }
        Ok(true)
    }

    /// Judges the stamps; returns them, and the earliest time of those that verified under outside roots.
    fn stamps(
        &self,
        checkpoint: &Checkpoint,
        findings: &mut Findings,
    ) -> Result<(Vec<Stamp>, Option<DateTime<Utc>>), CannotRead> {
        let mut earliest: Option<DateTime<Utc>> = None;
        let mut stamps = Vec::new();
        for end in ["tsr", "tsr2"] {
            let Some((file, bytes)) = self.beside(checkpoint, end)? else {
                continue;
            };
            let Some(made) = stamp::read(&bytes, &checkpoint.text) else {
                findings.error(
                    &file,
                    None,
                    "bad-stamp",
                    "it is malformed, was refused, or stamps other bytes",
                );
                continue;
            };
            if (made - checkpoint.time).abs() > chrono::Duration::seconds(STAMP_DELAY) {
                findings.note(
                    &file,
                    None,
                    "stamp-delay",
                    format!(
                        "it was made {} s from the checkpoint's own time",
                        (made - checkpoint.time).num_seconds()
                    ),
                );
            }
            let mut judged = Stamp {
                file: file.clone(),
                time: shown(made),
                verified: false,
            };
            let Some(roots) = self.roots else {
                stamps.push(judged);
                continue;
            };
            if stamp::verifies(&self.run_dir.join(&file), &checkpoint.text, roots, made)? {
                earliest = Some(earliest.map_or(made, |earliest| earliest.min(made)));
                judged.verified = true;
                stamps.push(judged);
            } else {
                findings.error(
                    &file,
                    None,
                    "bad-stamp",
                    "it does not verify under the roots given",
                );
            }
        }
        Ok((stamps, earliest))
    }

    /// Names what lies under no checkpoint that the person who answers for it signed.
    fn unsigned(&self, vouched: &Vouched, findings: &mut Findings) {
        let last = |sizes: &BTreeSet<u64>| sizes.last().copied().unwrap_or(0);
        let above = |lines: &[u64], size: u64| lines.iter().filter(|seq| **seq >= size).count();
        let unsigned = above(&self.meaning.answered_for, last(&vouched.by_responder));
        if unsigned > 0 {
            findings.gap("cp", "unsigned", format!("{unsigned} lines that the responder answers for lie under no checkpoint that the responder signed"));
        }
        let both = vouched
            .by_responder
            .intersection(&vouched.by_second)
            .copied()
            .collect();
        let pending = above(&self.meaning.transfers, last(&both));
        if pending > 0 {
            findings.gap(
                "cp",
                "transfer-pending",
                format!("{pending} transfers lie under no checkpoint that both persons signed"),
            );
        }
    }
}

/// Returns a time as checkpoints write it.
pub(super) fn shown(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}
