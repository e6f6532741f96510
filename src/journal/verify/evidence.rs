//! Evidence: what lines cite, and whether it is what its name says.

use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::path::Path;

use super::CannotRead;
use super::finding::Findings;
use super::meaning::Place;
use super::scan::Cite;
use crate::digest::Digest;

/// What the lines cite. Kept as sorted runs, since a log may cite a million objects.
#[derive(Debug, Default)]
pub(super) struct Citations {
    cited: Vec<Cited>,
    merged: usize,
    redacted: HashSet<[u8; 32]>,
}

/// One object that is cited.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Cited {
    digest: [u8; 32],
    size: u64,
    /// Whether every citation so far says where else it is stored.
    stored: bool,
}

/// Citations that are collected before equal ones are merged.
const MERGE_AFTER: usize = 64 * 1024;

impl Citations {
    pub(super) fn take(&mut self, place: &Place<'_>, cites: &[Cite], findings: &mut Findings) {
        for cite in cites {
            match *cite {
                Cite::Good {
                    digest,
                    size,
                    stored,
                } => self.cited.push(Cited {
                    digest,
                    size,
                    stored,
                }),
                Cite::Bad => {
                    let text = "it has sha256 and size together, which cite evidence, and they are no digest and size";
                    findings.error(place.file, Some(place.line), "bad-citation", text);
                }
            }
        }
        if self.cited.len() > 2 * self.merged + MERGE_AFTER {
            self.merge();
        }
    }

    /// Notes that an object was taken out on record.
    pub(super) fn redact(&mut self, digest: Option<[u8; 32]>) {
        self.redacted.extend(digest);
    }

    fn merge(&mut self) {
        // false sorts before true: of equal citations the one that needs the local copy stays.
        self.cited.sort_unstable();
        self.cited.dedup_by_key(|cited| (cited.digest, cited.size));
        self.merged = self.cited.len();
    }

    /// Compares what is cited with what is there, and hashes every object.
    pub(super) fn check(
        &mut self,
        run_dir: &Path,
        present: &BTreeSet<[u8; 32]>,
        findings: &mut Findings,
    ) -> Result<(), CannotRead> {
        self.merge();
        for pair in self.cited.windows(2) {
            if pair[0].digest == pair[1].digest {
                findings.error(
                    &name(&pair[0].digest),
                    None,
                    "two-sizes",
                    "it is cited with two sizes",
                );
            }
        }
        for cited in self
            .cited
            .iter()
            .filter(|cited| !present.contains(&cited.digest))
        {
            let file = name(&cited.digest);
            if self.redacted.contains(&cited.digest) {
                findings.note(&file, None, "redacted", "it was taken out on record");
            } else if !cited.stored {
                findings.error(
                    &file,
                    None,
                    "missing-evidence",
                    "it is cited and is not there",
                );
            }
        }
        for digest in present {
            self.object(run_dir, digest, findings)?;
        }
        Ok(())
    }

    fn object(
        &self,
        run_dir: &Path,
        digest: &[u8; 32],
        findings: &mut Findings,
    ) -> Result<(), CannotRead> {
        let file = name(digest);
        let open = File::open(run_dir.join(&file)).map_err(CannotRead::file(&file))?;
        let (found, size) = Digest::of_reader(open).map_err(CannotRead::file(&file))?;
        if found.0 != *digest {
            findings.error(
                &file,
                None,
                "changed-evidence",
                "its content is not what its name says",
            );
        }
        let at = self.cited.partition_point(|cited| cited.digest < *digest);
        match self.cited.get(at).filter(|cited| cited.digest == *digest) {
            None => findings.note(&file, None, "uncited", "no line cites it"),
            Some(cited) if cited.size != size => findings.error(
                &file,
                None,
                "other-size",
                format!("it has {size} bytes and is cited with {}", cited.size),
            ),
            Some(_) => {}
        }
        Ok(())
    }
}

fn name(digest: &[u8; 32]) -> String {
    format!("evidence/{}", hex::encode(digest))
}
