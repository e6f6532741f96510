//! What lies in a run folder, and what must not.

use std::collections::BTreeSet;
use std::path::Path;

use super::finding::Findings;
use super::{CannotRead, format, scan};

/// The names in a run folder.
#[derive(Debug, Default)]
pub(super) struct Folder {
    /// Segments found, by number.
    pub(super) segments: BTreeSet<u64>,
    /// Checkpoints found, by number.
    pub(super) checkpoints: BTreeSet<u64>,
    /// Files beside checkpoints: number and ending.
    pub(super) beside: BTreeSet<(u64, String)>,
    /// Evidence objects by digest.
    pub(super) evidence: BTreeSet<[u8; 32]>,
    /// Whether there is a signers file.
    pub(super) signers: bool,
}

/// Endings of files beside a checkpoint.
const BESIDE: &[&str] = &["session.sig", "human.sig", "second.sig", "tsr", "tsr2"];

impl Folder {
    pub(super) fn list(run_dir: &Path, findings: &mut Findings) -> Result<Self, CannotRead> {
        let mut folder = Self::default();
        let mut odd = Vec::new();
        for (name, is_file, is_folder) in names(run_dir)? {
            match name.as_str() {
                "lock" if is_file => {}
                "signers" if is_file => folder.signers = true,
                "cp" if is_folder => folder.list_checkpoints(&run_dir.join("cp"), &mut odd)?,
                "evidence" if is_folder => {
                    folder.list_evidence(&run_dir.join("evidence"), &mut odd)?;
                }
                _ if name.starts_with("tmp-") && is_file => {}
                _ => match segment_number(&name).filter(|_| is_file) {
                    Some(number) => {
                        folder.segments.insert(number);
                    }
                    None => odd.push(name),
                },
            }
        }
        if folder.segments.is_empty() && folder.checkpoints.is_empty() {
            return Err(CannotRead(format!(
                "{} holds no segment and no checkpoint",
                run_dir.display()
            )));
        }
        for name in odd {
            findings.error(
                &name,
                None,
                "foreign-file",
                "this does not belong into a run folder",
            );
        }
        folder.gaps(findings);
        Ok(folder)
    }

    fn list_checkpoints(&mut self, path: &Path, odd: &mut Vec<String>) -> Result<(), CannotRead> {
        for (name, is_file, _) in names(path)? {
            if name.starts_with("tmp-") && is_file {
                continue;
            }
            let known = name
                .split_once('.')
                .and_then(|(number, end)| Some((six_digits(number)?, end.to_owned())));
            match known.filter(|_| is_file) {
                Some((number, end)) if end == "cp" => {
                    self.checkpoints.insert(number);
                }
                Some((number, end)) if BESIDE.contains(&end.as_str()) => {
                    self.beside.insert((number, end));
                }
                _ => odd.push(format!("cp/{name}")),
            }
        }
        Ok(())
    }

    fn list_evidence(&mut self, path: &Path, odd: &mut Vec<String>) -> Result<(), CannotRead> {
        for (name, is_file, _) in names(path)? {
            match scan::digest(name.as_bytes()).filter(|_| is_file) {
                Some(digest) => {
                    self.evidence.insert(digest);
                }
                None if name.starts_with("tmp-") && is_file => {}
                None => odd.push(format!("evidence/{name}")),
            }
        }
        Ok(())
    }

    fn gaps(&self, findings: &mut Findings) {
        for (numbers, what) in [
            (&self.segments, "segment"),
            (&self.checkpoints, "checkpoint"),
        ] {
            let last = numbers.last().copied().unwrap_or(0);
            for number in (1..=last)
                .filter(|number| !numbers.contains(number))
                .take(20)
            {
                let file = if what == "segment" {
                    format::segment_name(number)
                } else {
                    format!("cp/{number:06}.cp")
                };
                findings.error(
                    &file,
                    None,
                    "missing-file",
                    format!("this {what} is missing, and a later one is there"),
                );
            }
        }
        if self.segments.is_empty() {
            findings.error(
                &format::segment_name(1),
                None,
                "missing-file",
                "there are checkpoints and no segment",
            );
        }
        let last = self.checkpoints.last().copied().unwrap_or(0);
        for (number, end) in &self.beside {
            if self.checkpoints.contains(number) {
                continue;
            }
            let file = format!("cp/{number:06}.{end}");
            if *number == last + 1 && end == "session.sig" {
                findings.note(
                    &file,
                    None,
                    "lone-signature",
                    "a checkpoint was being written when the writer stopped",
                );
            } else {
                findings.error(&file, None, "lone-file", "its checkpoint is missing");
            }
        }
    }
}

fn names(path: &Path) -> Result<Vec<(String, bool, bool)>, CannotRead> {
    let cannot = |error| CannotRead::file(path.display())(error);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let kind = entry.file_type().map_err(cannot)?;
        names.push((
            entry.file_name().to_string_lossy().into_owned(),
            kind.is_file(),
            kind.is_dir(),
        ));
    }
    names.sort();
    Ok(names)
}

fn six_digits(text: &str) -> Option<u64> {
    // Beyond 999999 the number simply grows; a shorter one or one with extra zeros is another name.
    let number: u64 = text.parse().ok()?;
    (number > 0 && format!("{number:06}") == text).then_some(number)
}

fn segment_number(name: &str) -> Option<u64> {
    six_digits(name.strip_prefix("seg-")?.strip_suffix(".jsonl")?)
}
