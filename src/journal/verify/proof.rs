//! Proofs of single entries: one file that shows one line to be in one run, and nothing else of it.
//!
//! Judged by the same readers of lines, checkpoints, signatures and stamps as a whole run; shares nothing with
//! [`prove`](crate::journal::prove), which writes the files. The form is in FORMAT.md, "Proof of a single entry".

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use base64::Engine as _;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::checkpoint::{self, Checkpoint};
use super::finding::{Finding, Findings};
use super::line::{self, Line, Said, Taken};
use super::meaning::{Place, Session};
use super::signatures::{STAMP_DELAY, shown};
use super::{CannotRead, Outside, format, root, run_start, scan, signers, sshsig, stamp};

/// The longest proof that is read: two lines, their paths, a checkpoint over many segments, signatures and stamps.
pub const PROOF_LIMIT: u64 = 16 * 1024 * 1024;

/// The verdict on a proof.
#[derive(Clone, Debug, Serialize)]
pub struct ProofReport {
    /// 0 proved and anchored, 1 wrong, 2 proved and not anchored, 4 cannot be read. As for a run, less 3.
    pub exit_code: u8,
    /// The run's origin, as the checkpoint has it.
    pub origin: String,
    /// `DRILL `, `LAB ` or both, where the opening line says so; empty: it does not, or is not shown.
    pub mark: String,
    /// The entry's number.
    pub index: u64,
    /// Entries that the checkpoint covers.
    pub tree_size: u64,
    /// The line, where it is one.
    pub entry: Value,
    /// What was shown.
    pub proves: Vec<String>,
    /// What was not.
    pub does_not_prove: Vec<String>,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// The file's members.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Proof {
    format: String,
    line: String,
    index: u64,
    tree_size: u64,
    path: Vec<String>,
    checkpoint: String,
    session_signature: String,
    opening: Option<Opening>,
    human_signature: Option<String>,
    second_signature: Option<String>,
    #[serde(default)]
    stamps: Vec<String>,
}

/// The first line of the session that made the checkpoint.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Opening {
    line: String,
    index: u64,
    path: Vec<String>,
}

/// Checks a proof file.
pub fn check_proof(file: &Path, outside: &Outside) -> ProofReport {
    let mut findings = Findings::default();
    let mut report = ProofReport {
        exit_code: 4,
        origin: String::new(),
        mark: String::new(),
        index: 0,
        tree_size: 0,
        entry: Value::Null,
        proves: Vec::new(),
        does_not_prove: Vec::new(),
        findings: Vec::new(),
    };
    if let Err(CannotRead(text)) = judge(file, outside, &mut report, &mut findings) {
        findings.error("", None, "cannot-read", text);
        report.exit_code = 4;
    }
    report.findings = findings.into_list();
    report
}

fn judge(
    file: &Path,
    outside: &Outside,
    report: &mut ProofReport,
    findings: &mut Findings,
) -> Result<(), CannotRead> {
    if let Some(roots) = &outside.tsa_ca {
        stamp::check_roots(roots)?;
    }
    let earlier = checkpoint::outside(&outside.earlier_checkpoints)?;
    report.exit_code = 1;
    let Some(proof) = read(file, findings)? else {
        return Ok(());
    };
    report.index = proof.index;
    report.tree_size = proof.tree_size;
    let text = proof.checkpoint.clone().into_bytes();
    let Some(checkpoint) = checkpoint::parse(text, "checkpoint".to_owned(), 0) else {
        let text = "it does not have exactly the lines of a checkpoint";
        findings.error("checkpoint", None, "bad-checkpoint", text);
        return Ok(());
    };
    report.origin.clone_from(&checkpoint.origin);
    if checkpoint.size != proof.tree_size {
        let text = format!(
            "the proof is for a tree of {} entries, and its checkpoint covers {}",
            proof.tree_size, checkpoint.size
        );
        findings.error("tree_size", None, "wrong-tree-size", text);
    }
    let entry = Shown {
        member: "line",
        text: &proof.line,
        index: proof.index,
        path: &proof.path,
    };
    if entry.is_in(&checkpoint, findings).is_some() {
        report.entry = serde_json::from_str(&proof.line).unwrap_or_default();
    }
    let session = proof
        .opening
        .as_ref()
        .and_then(|opening| session(opening, &checkpoint, findings));
    if session.is_some() {
        report.mark = proof.opening.as_ref().map(mark).unwrap_or_default();
    }
    let sessions: Vec<Session> = session.into_iter().collect();
    let mut shows = Shows {
        session: sessions.first(),
        checkpoint: &checkpoint,
        proof: &proof,
        missing: Vec::new(),
        proves: Vec::new(),
    };
    shows.outside(outside, &earlier, findings);
    shows.session_signature(findings);
    let stamped = shows.stamps(outside, findings)?;
    shows.persons(outside, &sessions, stamped, findings)?;
    let Shows {
        missing, proves, ..
    } = shows;
    let good = findings.errors() == 0;
    for (code, text) in &missing {
        findings.gap("", code, *text);
    }
    report.exit_code = match (good, missing.is_empty()) {
        (false, _) => 1,
        (true, false) => 2,
        (true, true) => 0,
    };
    if good {
        let entry = format!(
            "entry {} of {} stands in the record, word for word as shown, at that place among {} entries",
            proof.index, checkpoint.origin, checkpoint.size
        );
        report.proves = std::iter::once(entry).chain(proves).collect();
    }
    report.does_not_prove = NOT_PROVED.map(str::to_owned).to_vec();
    Ok(())
}

/// What no proof of an entry can show.
const NOT_PROVED: [&str; 3] = [
    "that what the entry says is true: only that it was not changed since the checkpoint was made",
    "anything about the other entries: whether they are there, verify, or say otherwise needs the whole run",
    "that the keys were in the right hands: ask whoever keeps the signers file",
];

fn read(file: &Path, findings: &mut Findings) -> Result<Option<Proof>, CannotRead> {
    let name = file.display();
    let mut text = Vec::new();
    let open = File::open(file).map_err(CannotRead::file(&name))?;
    let read = open.take(PROOF_LIMIT + 1).read_to_end(&mut text);
    if read.map_err(CannotRead::file(&name))? as u64 > PROOF_LIMIT {
        return Err(CannotRead(format!("{name} is too long for a proof")));
    }
    match serde_json::from_slice::<Proof>(&text) {
        Ok(proof) if proof.format == format::PROOF_FORMAT => Ok(Some(proof)),
        Ok(proof) => Err(CannotRead(format!(
            "its format is {:?}, and this verifier reads {}",
            proof.format,
            format::PROOF_FORMAT
        ))),
        Err(error) => {
            findings.error(
                "",
                u64::try_from(error.line()).ok().filter(|line| *line > 0),
                "bad-proof",
                format!("it does not have exactly the members of a proof: {error}"),
            );
            Ok(None)
        }
    }
}

/// A line, and what shows that it is in a tree.
struct Shown<'a> {
    member: &'static str,
    text: &'a str,
    index: u64,
    path: &'a [String],
}

impl Shown<'_> {
    /// Returns the line if it is one and the checkpoint covers it.
    fn is_in(&self, checkpoint: &Checkpoint, findings: &mut Findings) -> Option<Box<Line>> {
        let with_end = format!("{}\n", self.text);
        let (hash, line) = match line::read(with_end.as_bytes()) {
            Taken::Frame {
                hash,
                form: Ok(line),
            } if !self.text.contains('\n') => (hash, line),
            Taken::Frame { form: Err(why), .. } => {
                let text = format!("its hash is right, and it {why}");
                findings.error(self.member, None, "bad-line", text);
                return None;
            }
            _ => {
                let text = "it is no line whose hash is right";
                findings.error(self.member, None, "bad-line", text);
                return None;
            }
        };
        let before = findings.errors();
        if line.seq != self.index {
            let text = format!("it is numbered {}, and shown as {}", line.seq, self.index);
            findings.error(self.member, None, "wrong-index", text);
        }
        let path: Option<Vec<[u8; 32]>> = self
            .path
            .iter()
            .map(|node| scan::digest(node.as_bytes()))
            .collect();
        let leads = path
            .and_then(|path| root::from_path(&hash, self.index, checkpoint.size, &path))
            == Some(checkpoint.root);
        if !leads {
            let text = "its path does not lead to the checkpoint's root";
            findings.error(self.member, None, "wrong-path", text);
        }
        if self.index.checked_add(1) == Some(checkpoint.size) && hash != checkpoint.chain {
            let text = "the last entry that the checkpoint covers is another one";
            findings.error(self.member, None, "wrong-chain", text);
        }
        (findings.errors() == before).then_some(line)
    }
}

/// Reads who answers for the session that made the checkpoint, from its first line.
fn session(opening: &Opening, checkpoint: &Checkpoint, findings: &mut Findings) -> Option<Session> {
    let shown = Shown {
        member: "opening",
        text: &opening.line,
        index: opening.index,
        path: &opening.path,
    };
    let line = shown.is_in(checkpoint, findings)?;
    let starts = line.said == Said::RunStart && opening.index == 0;
    let opens = line.said == Said::SessionOpen && opening.index > 0;
    if !starts && !opens {
        let text = "it is no first line of a session";
        findings.error("opening", None, "wrong-opening-line", text);
        return None;
    }
    let data: Value = serde_json::from_str(&opening.line[line.data.clone()]).unwrap_or_default();
    let place = Place {
        file: "opening",
        line: 1,
        segment: 1,
        seq: opening.index,
        previous: None,
    };
    if starts && run_start::check(&data, "opening", findings).as_ref() != Some(&checkpoint.origin) {
        let text = "it begins another log than the checkpoint's";
        findings.error("opening", None, "other-origin", text);
    }
    Some(run_start::session(&data, &place, findings))
}

/// What must not be taken for an incident says so.
fn mark(opening: &Opening) -> String {
    let line: Value = serde_json::from_str(&opening.line).unwrap_or_default();
    let drill = line["data"]["mode"] == "drill";
    let lab = line["data"]["cloud"] == "lab";
    [(drill, "DRILL "), (lab, "LAB ")]
        .into_iter()
        .filter_map(|(is, word)| is.then_some(word))
        .collect()
}

/// What a proof shows, step by step.
struct Shows<'a> {
    session: Option<&'a Session>,
    checkpoint: &'a Checkpoint,
    proof: &'a Proof,
    missing: Vec<(&'static str, &'static str)>,
    proves: Vec<String>,
}

impl Shows<'_> {
    fn outside(&mut self, outside: &Outside, earlier: &[Checkpoint], findings: &mut Findings) {
        if let Some(origin) = &outside.origin
            && *origin != self.checkpoint.origin
        {
            let text = format!("the log is not {origin}");
            findings.error("checkpoint", Some(1), "other-origin", text);
        }
        for held in earlier {
            if held.origin == self.checkpoint.origin && held.size != self.checkpoint.size {
                let text = format!(
                    "it covers {} entries and the proof's {}; only the whole run can compare them",
                    held.size, self.checkpoint.size
                );
                findings.note(&held.file, Some(2), "other-checkpoint", text);
            } else if held.text != self.checkpoint.text {
                let text = "the proof's checkpoint is another one than this";
                findings.error(&held.file, None, "wrong-root", text);
            } else {
                self.proves.push(format!(
                    "the checkpoint is the one that you hold as {}",
                    held.file
                ));
            }
        }
        if outside.origin.is_none() && !self.held(earlier) {
            self.missing.push((
                "no-outside-origin",
                "neither the origin nor this checkpoint from outside was given",
            ));
        }
        if !self.held(earlier) && (self.proof.stamps.is_empty() || outside.tsa_ca.is_none()) {
            self.missing.push((
                "head-not-anchored",
                "neither a stamp that verifies under outside roots nor this checkpoint from outside is there",
            ));
        }
    }

    fn held(&self, earlier: &[Checkpoint]) -> bool {
        earlier.iter().any(|held| held.text == self.checkpoint.text)
    }

    fn session_signature(&mut self, findings: &mut Findings) {
        let member = "session_signature";
        let signed = sshsig::check(
            self.proof.session_signature.as_bytes(),
            &self.checkpoint.text,
        );
        match (signed, self.session) {
            (Err(why), _) => findings.error(member, None, "bad-signature", why),
            (Ok(key), Some(session)) if session.key.as_ref() != Some(&key) => {
                let text = "another key than that of the session made it";
                findings.error(member, None, "other-key", text);
            }
            (Ok(_), Some(session)) => self.proves.push(format!(
                "the session that {} answers for signed the checkpoint",
                session.responder
            )),
            (Ok(_), None) => self.missing.push((
                "no-opening",
                "the first line of the session is not shown: who answers for it is unknown",
            )),
        }
    }

    /// Judges the stamps; returns the earliest time of those that verified under outside roots.
    fn stamps(
        &mut self,
        outside: &Outside,
        findings: &mut Findings,
    ) -> Result<Option<DateTime<Utc>>, CannotRead> {
        let mut earliest: Option<DateTime<Utc>> = None;
        for text in &self.proof.stamps {
            let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok();
            let made = bytes
                .as_ref()
                .and_then(|bytes| stamp::read(bytes, &self.checkpoint.text));
            let (Some(bytes), Some(made)) = (bytes, made) else {
                let text = "it is malformed, was refused, or stamps other bytes";
                findings.error("stamps", None, "bad-stamp", text);
                continue;
            };
            let apart = made - self.checkpoint.time;
            if apart.abs() > chrono::Duration::seconds(STAMP_DELAY) {
                let text = format!(
                    "it was made {} s from the checkpoint's own time",
                    apart.num_seconds()
                );
                findings.note("stamps", None, "stamp-delay", text);
            }
            let Some(roots) = &outside.tsa_ca else {
                continue;
            };
            let mut reply =
                tempfile::NamedTempFile::new().map_err(CannotRead::file("a file for the stamp"))?;
            reply
                .write_all(&bytes)
                .map_err(CannotRead::file("a file for the stamp"))?;
            if stamp::verifies(reply.path(), &self.checkpoint.text, roots, made)? {
                earliest = Some(earliest.map_or(made, |earliest| earliest.min(made)));
            } else {
                let text = "it does not verify under the roots given";
                findings.error("stamps", None, "bad-stamp", text);
            }
        }
        if let Some(made) = earliest {
            self.proves.push(format!(
                "it stood there at {}: an authority that you named stamped the checkpoint then",
                shown(made)
            ));
        }
        Ok(earliest)
    }

    fn persons(
        &mut self,
        outside: &Outside,
        sessions: &[Session],
        stamped: Option<DateTime<Utc>>,
        findings: &mut Findings,
    ) -> Result<(), CannotRead> {
        let at = stamped.unwrap_or(self.checkpoint.time);
        let signers = outside
            .signers
            .as_deref()
            .map(|path| signers::from_outside(path, sessions))
            .transpose()?;
        if signers.is_none() {
            self.missing.push((
                "no-outside-signers",
                "no signers file from outside was given: no person's signature counts",
            ));
        }
        let mut answered = false;
        for (member, armoured) in [
            ("human_signature", &self.proof.human_signature),
            ("second_signature", &self.proof.second_signature),
        ] {
            let Some(armoured) = armoured else {
                continue;
            };
            let key = match sshsig::check(armoured.as_bytes(), &self.checkpoint.text) {
                Ok(key) => key,
                Err(why) => {
                    findings.error(member, None, "bad-signature", why);
                    continue;
                }
            };
            let Some(signers) = &signers else {
                continue;
            };
            let second = member == "second_signature";
            let responder = self.session.map(|session| session.responder.as_str());
            match signers.person(&key, at) {
                None => {
                    let text = "its key is nobody's in the signers file at that time";
                    findings.error(member, None, "unknown-key", text);
                }
                Some(person) if responder.is_some_and(|name| (name == person) == second) => {
                    let text = if second {
                        "the responder made it, and the second person must be another"
                    } else {
                        "not the responder of that session made it"
                    };
                    findings.error(member, None, "other-person", text);
                }
                Some(person) => {
                    answered |= !second;
                    self.proves
                        .push(format!("{person} signed the checkpoint over it"));
                }
            }
        }
        if !answered {
            self.missing.push((
                "head-unsigned",
                "the responder's signature over the checkpoint is missing or does not count",
            ));
        }
        Ok(())
    }
}
