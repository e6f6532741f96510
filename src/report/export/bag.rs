//! The run folder itself as a bag (`BagIt`, RFC 8493) in a tar: what the court gets.
//!
//! The payload is the whole folder less `lock` and `tmp-*`. Checkpoints are listed before segments and segments
//! before evidence, so that a run which goes on meanwhile still is a whole one as packed: what a checkpoint covers
//! is there, and what a line cites was there before the line.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::ExportError;
use super::header::Header;
use super::tar::Tar;
use crate::digest::Digest;

/// What a bag holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bagged {
    /// Files of the payload.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Writes the bag; `date` is the day on which it is made, `YYYY-MM-DD`.
///
/// # Errors
/// A run folder that cannot be read; an output that cannot be written.
pub fn bag(run_dir: &Path, to: impl Write, date: &str) -> Result<Bagged, ExportError> {
    let header = Header::read(run_dir)?;
    let files = payload(run_dir)?;
    let started = chrono::DateTime::parse_from_rfc3339(&header.first.time);
    let seconds = started.map_or(0, |time| time.timestamp().max(0).unsigned_abs());
    let mut tar = Tar::new(to, seconds);
    let top = format!(
        "{}{}",
        header.mark().replace(' ', "-"),
        folder_name(run_dir)
    );
    let mut manifest = String::new();
    let mut bagged = Bagged { files: 0, bytes: 0 };
    for (name, path) in &files {
        let open = File::open(path).map_err(ExportError::reading(path))?;
        let size = open.metadata().map_err(ExportError::reading(path))?.len();
        let mut hashed = Hashed::new(open);
        let inside = format!("data/{}/{name}", folder_name(run_dir));
        tar.add(&format!("{top}/{inside}"), size, &mut hashed)
            .map_err(ExportError::Write)?;
        // Writing to a String cannot fail.
        let _ = writeln!(manifest, "{}  {}", hashed.digest(), encoded(&inside));
        bagged.files += 1;
        bagged.bytes += size;
    }
    let mut tags = BTreeMap::from([
        ("bag-info.txt", info(&header, bagged, date)),
        (
            "bagit.txt",
            "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n".to_owned(),
        ),
        ("manifest-sha256.txt", manifest),
    ]);
    let mut of_tags = String::new();
    for (name, text) in &tags {
        let _ = writeln!(of_tags, "{}  {name}", Digest::of(text.as_bytes()));
    }
    tags.insert("tagmanifest-sha256.txt", of_tags);
    for (name, text) in &tags {
        tar.add(&format!("{top}/{name}"), text.len() as u64, text.as_bytes())
            .map_err(ExportError::Write)?;
    }
    tar.finish().map_err(ExportError::Write)?;
    Ok(bagged)
}

/// What would end a line of a manifest is written as RFC 8493 section 2.1.3 says.
fn encoded(name: &str) -> String {
    name.replace('%', "%25")
        .replace('\n', "%0A")
        .replace('\r', "%0D")
}

fn folder_name(run_dir: &Path) -> String {
    let whole = std::path::absolute(run_dir).unwrap_or_else(|_| run_dir.to_path_buf());
    let name = whole
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| "run".to_owned())
}

/// Lists the files in the order in which they are read: name below the run folder, and path.
fn payload(run_dir: &Path) -> Result<Vec<(String, PathBuf)>, ExportError> {
    let mut files = Vec::new();
    for folder in ["cp", "", "evidence"] {
        let path = run_dir.join(folder);
        if !path.is_dir() {
            continue;
        }
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&path).map_err(ExportError::reading(&path))? {
            let entry = entry.map_err(ExportError::reading(&path))?;
            let kind = entry.file_type().map_err(ExportError::reading(&path))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let left_out = name.starts_with("tmp-") || (folder.is_empty() && name == "lock");
            // Folders and what is no regular file do not belong into a run folder; the verifier says so.
            if kind.is_file() && !left_out {
                names.push((name, entry.path()));
            }
        }
        names.sort();
        let below = |name: &String| {
            if folder.is_empty() {
                name.clone()
            } else {
                format!("{folder}/{name}")
            }
        };
        files.extend(names.into_iter().map(|(name, path)| (below(&name), path)));
    }
    Ok(files)
}

fn info(header: &Header, bagged: Bagged, date: &str) -> String {
    let line = |text: String| -> String {
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        text.chars().map(plain).collect()
    };
    let mut text = String::new();
    let mut add = |name: &str, value: String| {
        if !value.trim().is_empty() {
            let _ = writeln!(text, "{name}: {}", line(value));
        }
    };
    add(
        "Bag-Software-Agent",
        format!("azir {}", env!("CARGO_PKG_VERSION")),
    );
    add("Bagging-Date", date.to_owned());
    add("Contact-Name", header.word("responder/upn"));
    let what = format!(
        "{}Custody record of one run of azir: {} of {}. Check it with azir journal verify, or by hand as its format describes.",
        header.mark(),
        header.word("mode"),
        header.word("runbook/name")
    );
    add("External-Description", what);
    add("External-Identifier", header.word("origin"));
    add("Internal-Sender-Identifier", header.word("incident"));
    add("Payload-Oxum", format!("{}.{}", bagged.bytes, bagged.files));
    if let Some(warning) = header.warning() {
        add("Warning", warning.to_owned());
    }
    text
}

/// A reader that hashes what passes.
struct Hashed<R> {
    from: R,
    hasher: sha2::Sha256,
}

impl<R> Hashed<R> {
    fn new(from: R) -> Self {
        Self {
            from,
            hasher: sha2::Digest::new(),
        }
    }

    fn digest(self) -> Digest {
        Digest(sha2::Digest::finalize(self.hasher).into())
    }
}

impl<R: std::io::Read> std::io::Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.from.read(buffer)?;
        sha2::Digest::update(&mut self.hasher, &buffer[..read]);
        Ok(read)
    }
}
