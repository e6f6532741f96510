//! Checkpoints: their exact form, whether the log is what they say, and who signed them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use chrono::{DateTime, NaiveDateTime, Utc};

use super::files::Folder;
use super::lines::{LogFacts, is_hex, is_seconds};
use super::semantics::Meaning;
use super::signers::Signers;
use super::{CannotRead, Findings, Level, Outside, sshsig, stamp};
use crate::digest::Digest;

/// One checkpoint.
#[derive(Clone, Debug)]
pub(super) struct Checkpoint {
    pub(super) file: String,
    pub(super) number: u64,
    pub(super) text: String,
    pub(super) origin: String,
    pub(super) size: u64,
    root: Digest,
    chain: Digest,
    pub(super) files: Vec<CitedFile>,
    time: DateTime<Utc>,
    /// Whether the log is what it says.
    pub(super) holds: bool,
}

/// One `file` line.
#[derive(Clone, Debug)]
pub(super) struct CitedFile {
    pub(super) name: String,
    pub(super) bytes: u64,
    digest: Digest,
}

/// What persons and clocks vouch for, by size.
#[derive(Debug, Default)]
pub(super) struct Signatures {
    /// Sizes signed by the responder of the session they end in.
    pub(super) by_responder: BTreeSet<u64>,
    /// Sizes with a stamp that verified under outside roots.
    pub(super) stamped: BTreeSet<u64>,
}

/// Loads the run folder's checkpoints; one that is malformed is a finding.
pub(super) fn load(
    run_dir: &Path,
    folder: &Folder,
    findings: &mut Findings,
) -> Result<Vec<Checkpoint>, CannotRead> {
    let mut checkpoints: Vec<Checkpoint> = Vec::new();
    for number in &folder.checkpoints {
        let file = format!("cp/{number:06}.cp");
        let bytes = std::fs::read(run_dir.join(&file))
            .map_err(|error| CannotRead(format!("{file}: {error}")))?;
        match parse(&bytes, &file, *number) {
            Some(checkpoint) => {
                if checkpoints
                    .last()
                    .is_some_and(|before| before.size >= checkpoint.size)
                {
                    findings.error(
                        &file,
                        Some(2),
                        "size-order",
                        "its size is not larger than that of the checkpoint before",
                    );
                }
                checkpoints.push(checkpoint);
            }
            None => findings.error(
                &file,
                None,
                "bad-checkpoint",
                "it does not have exactly the lines of a checkpoint",
            ),
        }
    }
    Ok(checkpoints)
}

/// Loads checkpoints from outside; one that cannot be read ends the verification.
pub(super) fn outside(paths: &[PathBuf]) -> Result<Vec<Checkpoint>, CannotRead> {
    paths
        .iter()
        .map(|path| {
            let bytes = std::fs::read(path)
                .map_err(|error| CannotRead(format!("{}: {error}", path.display())))?;
            parse(&bytes, &path.display().to_string(), 0)
                .ok_or_else(|| CannotRead(format!("{} is no checkpoint", path.display())))
        })
        .collect()
}

fn parse(bytes: &[u8], file: &str, number: u64) -> Option<Checkpoint> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.strip_suffix('\n')?.split('\n');
    let origin = lines.next()?.to_owned();
    let size = decimal(lines.next()?)?;
    let root = base64::engine::general_purpose::STANDARD
        .decode(lines.next()?)
        .ok()?;
    let chain = lines.next()?.strip_prefix("chain ")?;
    let mut files = Vec::new();
    let mut last = lines.next()?;
    while let Some(cited) = last.strip_prefix("file ") {
        let mut words = cited.split(' ');
        let (name, bytes, digest) = (words.next()?, words.next()?, words.next()?);
        if words.next().is_some() || !is_hex(digest, 64) {
            return None;
        }
        files.push(CitedFile {
            name: name.to_owned(),
            bytes: decimal(bytes)?,
            digest: digest.parse().ok()?,
        });
        last = lines.next()?;
    }
    let time = last.strip_prefix("time ")?;
    if lines.next().is_some()
        || size == 0
        || files.is_empty()
        || !is_hex(chain, 64)
        || !is_seconds(time)
    {
        return None;
    }
    let time = NaiveDateTime::parse_from_str(time, "%Y-%m-%dT%H:%M:%SZ")
        .ok()?
        .and_utc();
    Some(Checkpoint {
        file: file.to_owned(),
        number,
        text: text.to_owned(),
        origin,
        size,
        root: Digest(root.try_into().ok()?),
        chain: chain.parse().ok()?,
        files,
        time,
        holds: false,
    })
}

/// Reads a number without sign, spaces or leading zeros.
fn decimal(text: &str) -> Option<u64> {
    let plain = !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

/// Compares each checkpoint with the log.
pub(super) fn compare(
    checkpoints: &mut [Checkpoint],
    log: &LogFacts,
    meaning: &Meaning,
    own: bool,
    findings: &mut Findings,
) {
    for checkpoint in checkpoints {
        let before = findings.0.len();
        let file = checkpoint.file.clone();
        if meaning.origin.as_ref() != Some(&checkpoint.origin) {
            findings.error(&file, Some(1), "other-origin", "it speaks of another log");
        }
        match log.at_size.get(&checkpoint.size) {
            None => {
                let text = format!(
                    "it covers {} entries, and the log has {}: entries were lost or changed",
                    checkpoint.size, log.entries
                );
                findings.error(&file, Some(2), "larger-than-log", text);
            }
            Some((root, chain)) => {
                if *root != checkpoint.root {
                    findings.error(
                        &file,
                        Some(3),
                        "wrong-root",
                        "the entries are not those that it covers",
                    );
                }
                if *chain != checkpoint.chain {
                    findings.error(
                        &file,
                        Some(4),
                        "wrong-chain",
                        "the last entry that it covers is another one",
                    );
                }
                cited_files(checkpoint, log, findings);
            }
        }
        let _ = own;
        checkpoint.holds = findings.0.len() == before;
    }
}

fn cited_files(checkpoint: &Checkpoint, log: &LogFacts, findings: &mut Findings) {
    let file = &checkpoint.file;
    let last = checkpoint.size - 1;
    let Some(holding) = log.segments.iter().position(|segment| {
        (segment.first_seq..segment.first_seq + segment.entries).contains(&last)
    }) else {
        return;
    };
    let expected = &log.segments[..=holding];
    let named: Vec<&str> = checkpoint
        .files
        .iter()
        .map(|cited| cited.name.as_str())
        .collect();
    let wanted: Vec<&str> = expected
        .iter()
        .map(|segment| segment.name.as_str())
        .collect();
    if named != wanted {
        findings.error(
            file,
            Some(5),
            "wrong-files",
            format!(
                "it names {}, and {} hold its entries",
                named.join(", "),
                wanted.join(", ")
            ),
        );
        return;
    }
    for (index, (cited, segment)) in checkpoint.files.iter().zip(expected).enumerate() {
        let line = Some(5 + index as u64);
        let end = if index == holding {
            segment.ends.get(&checkpoint.size).copied()
        } else {
            Some(segment.bytes)
        };
        if end != Some(cited.bytes) {
            findings.error(
                file,
                line,
                "wrong-length",
                format!(
                    "it gives {} {} bytes, and its entries end elsewhere",
                    cited.name, cited.bytes
                ),
            );
        } else if log.prefixes.get(&(cited.name.clone(), cited.bytes)) != Some(&cited.digest) {
            findings.error(
                file,
                line,
                "wrong-hash",
                format!(
                    "the first {} bytes of {} have another hash",
                    cited.bytes, cited.name
                ),
            );
        }
    }
}

/// Checks signatures and stamps, and says what lies under a person's hand.
pub(super) fn signatures(
    run_dir: &Path,
    folder: &Folder,
    checkpoints: &[Checkpoint],
    meaning: &Meaning,
    signers: &Signers,
    outside: &Outside,
    findings: &mut Findings,
) -> Result<Signatures, CannotRead> {
    let mut found = Signatures::default();
    let mut any_person = false;
    for checkpoint in checkpoints {
        session(run_dir, folder, checkpoint, meaning, findings)?;
        let stamped = stamps(run_dir, folder, checkpoint, outside, findings)?;
        if stamped {
            found.stamped.insert(checkpoint.size);
        }
        for end in ["human.sig", "second.sig"] {
            if !folder.beside.contains(&(checkpoint.number, end.to_owned())) {
                continue;
            }
            any_person = true;
            let person = person(run_dir, checkpoint, end, signers, findings)?;
            let responder = meaning
                .session_at(checkpoint.size - 1)
                .map(|session| session.responder.as_str());
            match (end, person) {
                ("human.sig", Some(person)) if Some(person.as_str()) == responder => {
                    found.by_responder.insert(checkpoint.size);
                }
                ("human.sig", Some(person)) => {
                    findings.error(
                        &format!("cp/{:06}.{end}", checkpoint.number),
                        None,
                        "other-person",
                        format!("{person} signed it, who is not the responder of that session"),
                    );
                }
                _ => {}
            }
        }
    }
    if any_person && !signers.known {
        findings.add(
            Level::Note,
            "signers",
            None,
            "no-signers",
            "without a signers file persons' signatures are read and do not count",
        );
    }
    unsigned(checkpoints, meaning, &found, findings);
    Ok(found)
}

fn session(
    run_dir: &Path,
    folder: &Folder,
    checkpoint: &Checkpoint,
    meaning: &Meaning,
    findings: &mut Findings,
) -> Result<(), CannotRead> {
    let file = format!("cp/{:06}.session.sig", checkpoint.number);
    if !folder
        .beside
        .contains(&(checkpoint.number, "session.sig".to_owned()))
    {
        findings.error(
            &file,
            None,
            "unsigned",
            "the session's signature is missing",
        );
        return Ok(());
    }
    let bytes = std::fs::read(run_dir.join(&file))
        .map_err(|error| CannotRead(format!("{file}: {error}")))?;
    let Some(session) = meaning.session_at(checkpoint.size - 1) else {
        return Ok(());
    };
    match sshsig::check(&bytes, checkpoint.text.as_bytes()) {
        Ok(key) if session.key.as_ref() == Some(&key) => {}
        Ok(_) => findings.error(
            &file,
            None,
            "other-key",
            "another key than that of the session signed it",
        ),
        Err(why) => findings.error(&file, None, "bad-signature", why),
    }
    Ok(())
}

fn person(
    run_dir: &Path,
    checkpoint: &Checkpoint,
    end: &str,
    signers: &Signers,
    findings: &mut Findings,
) -> Result<Option<String>, CannotRead> {
    let file = format!("cp/{:06}.{end}", checkpoint.number);
    let bytes = std::fs::read(run_dir.join(&file))
        .map_err(|error| CannotRead(format!("{file}: {error}")))?;
    match sshsig::check(&bytes, checkpoint.text.as_bytes()) {
        Err(why) => {
            findings.error(&file, None, "bad-signature", why);
            Ok(None)
        }
        Ok(_) if !signers.known => Ok(None),
        Ok(key) => {
            if let Some(person) = signers.person(&key, checkpoint.time) {
                Ok(Some(person.to_owned()))
            } else {
                findings.error(
                    &file,
                    None,
                    "unknown-key",
                    "its key is nobody's in the signers file at that time",
                );
                Ok(None)
            }
        }
    }
}

fn stamps(
    run_dir: &Path,
    folder: &Folder,
    checkpoint: &Checkpoint,
    outside: &Outside,
    findings: &mut Findings,
) -> Result<bool, CannotRead> {
    let mut verified = false;
    for end in ["tsr", "tsr2"] {
        if !folder.beside.contains(&(checkpoint.number, end.to_owned())) {
            continue;
        }
        let file = format!("cp/{:06}.{end}", checkpoint.number);
        let path = run_dir.join(&file);
        let bytes = std::fs::read(&path).map_err(|error| CannotRead(format!("{file}: {error}")))?;
        if !stamp::stamps(&bytes, checkpoint.text.as_bytes()) {
            findings.error(
                &file,
                None,
                "bad-stamp",
                "it is malformed or stamps other bytes",
            );
            continue;
        }
        if let Some(roots) = &outside.tsa_ca {
            if stamp::verifies(&path, &run_dir.join(&checkpoint.file), roots)? {
                verified = true;
            } else {
                findings.error(
                    &file,
                    None,
                    "bad-stamp",
                    "it does not verify under the roots given",
                );
            }
        }
    }
    Ok(verified)
}

/// Names what a person should have signed and did not: a gap.
fn unsigned(
    checkpoints: &[Checkpoint],
    meaning: &Meaning,
    found: &Signatures,
    findings: &mut Findings,
) {
    let largest = found.by_responder.iter().max().copied().unwrap_or(0);
    let open = meaning
        .persons
        .iter()
        .filter(|seq| **seq >= largest)
        .count();
    if open > 0 && !checkpoints.is_empty() {
        let text = format!(
            "{open} lines that a person answers for lie under no checkpoint signed by that person"
        );
        findings.add(Level::Gap, "cp", None, "unsigned-by-a-person", text);
    }
}
