//! Who vouches for a checkpoint: the session's key, persons, and clocks of others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::checkpoint::Checkpoint;
use super::files::Folder;
use super::finding::Findings;
use super::meaning::Meaning;
use super::signers::Signers;
use super::sshsig::Presence;
use super::{CannotRead, sshsig, stamp};

/// What persons and clocks vouch for, by size.
#[derive(Debug, Default)]
pub(super) struct Vouched {
    /// Sizes signed by the responder of the session that holds the last entry.
    pub(super) by_responder: BTreeSet<u64>,
    /// Sizes signed by a second person.
    pub(super) by_second: BTreeSet<u64>,
    /// Sizes with a stamp that verified under outside roots.
    pub(super) stamped: BTreeSet<u64>,
    /// The largest checkpoint that the responder signed, and that a second person did.
    pub(super) signed: BTreeMap<bool, Signed>,
}

/// A person's signature that counts.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Signed {
    /// Who, by the signers file.
    pub principal: String,
    /// Whether as second person; else as the responder of the session.
    pub second: bool,
    /// How many entries the checkpoint covers.
    pub entries: u64,
    /// What a security key says of the person before it; absent: the key is not in one.
    pub presence: Option<Presence>,
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
const STAMP_DELAY: i64 = 120;

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
            let stamped = self.stamps(checkpoint, findings)?;
            if stamped.is_some() && checkpoint.holds {
                vouched.stamped.insert(checkpoint.size);
            }
            let at = stamped.unwrap_or(checkpoint.time);
            for second in [false, true] {
                persons |= self.person(checkpoint, second, at, &mut vouched, findings)?;
            }
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
        let presence = sshsig::presence(&bytes);
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
                // Checkpoints come in order, so that the last one stays.
                let signed = Signed {
                    principal: person.to_owned(),
                    second,
                    entries: checkpoint.size,
                    presence,
                };
                vouched.signed.insert(second, signed);
            }
        }
        Ok(true)
    }

    /// Judges the stamps; returns the earliest time of those that verified under outside roots.
    fn stamps(
        &self,
        checkpoint: &Checkpoint,
        findings: &mut Findings,
    ) -> Result<Option<DateTime<Utc>>, CannotRead> {
        let mut earliest: Option<DateTime<Utc>> = None;
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
            let Some(roots) = self.roots else {
                continue;
            };
            if stamp::verifies(&self.run_dir.join(&file), &checkpoint.text, roots, made)? {
                earliest = Some(earliest.map_or(made, |earliest| earliest.min(made)));
            } else {
                findings.error(
                    &file,
                    None,
                    "bad-stamp",
                    "it does not verify under the roots given",
                );
            }
        }
        Ok(earliest)
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
