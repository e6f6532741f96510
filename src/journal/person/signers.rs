//! The signers file: whose key is whose, in the one form that a verifier reads (FORMAT.md, "signers").
//!
//! ```text
//! alice@contoso.example namespaces="azir-checkpoint-v1" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIqIa4...
//! ```
//! A person may have several lines; a key belongs to one person.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::super::entry::is_person;
use super::super::format::NAMESPACE;
use super::public::PublicKey;

/// Why a signers file does not take a key.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SignersError {
    /// The file cannot be read or written.
    #[error("{}: {message}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the system said.
        message: String,
    },
    /// The file says that the key did not speak for the person at that time; a verifier takes its signature for a
    /// forged one.
    #[error("the key does not speak for {owner} at {at}, by {}", path.display())]
    NotThen {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: String,
        /// When, as a checkpoint writes times.
        at: String,
    },
    /// The name cannot stand in the file.
    #[error("{0:?} cannot name a person: no white space, quotes, commas, * or ?")]
    Name(String),
    /// The key is another person's.
    #[error("the key is {owner}'s in {}", path.display())]
    Taken {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: String,
    },
}

/// Returns the line that says that a key is a person's, its LF included.
pub fn line(principal: &str, key: &PublicKey) -> String {
    format!("{principal} namespaces=\"{NAMESPACE}\" {key}\n")
}

/// Returns whose key it is by the text of a signers file, whatever its time.
pub fn owner<'a>(text: &'a str, key: &PublicKey) -> Option<&'a str> {
    of(text, key).map(|line| line.principal).next()
}

/// Returns whether a key speaks for a person at a time, by the text of a signers file.
pub fn speaks(text: &str, principal: &str, key: &PublicKey, at: DateTime<Utc>) -> bool {
    of(text, key).any(|line| line.principal == principal && line.speaks(at))
}

fn of<'a>(text: &'a str, key: &PublicKey) -> impl Iterator<Item = Line<'a>> {
    let key = key.clone();
    lines(text).filter(move |line| PublicKey::read(line.kind, line.base64).as_ref() == Some(&key))
}

/// Returns the persons who have a key by the text of a signers file.
pub fn principals(text: &str) -> BTreeSet<&str> {
    lines(text).map(|line| line.principal).collect()
}

/// One line, as far as the writer needs it; whether the whole file is of its form is the verifier's question.
struct Line<'a> {
    principal: &'a str,
    options: &'a str,
    kind: &'a str,
    base64: &'a str,
}

impl Line<'_> {
    /// Returns whether it speaks at a time; both bounds are included.
    fn speaks(&self, at: DateTime<Utc>) -> bool {
        let at = at.format("%Y%m%d%H%M%S").to_string();
        // Missing hours, minutes and seconds are zeros, so that times compare as text.
        let bound = |name: &str| {
            let (_, rest) = self.options.split_once(name)?;
            Some(format!("{:0<14}", rest.split('Z').next()?))
        };
        bound(",valid-after=\"").is_none_or(|after| after <= at)
            && bound(",valid-before=\"").is_none_or(|before| at <= before)
    }
}

fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut words = line.splitn(5, ' ');
            Some(Line {
                principal: words.next()?,
                options: words.next()?,
                kind: words.next()?,
                base64: words.next()?,
            })
        })
}

/// Makes sure that a signers file says that a key speaks for a person at a time; returns whether it had to be written.
///
/// What else stands in it stays as it is.
///
/// # Errors
/// A key that is another person's, or was not valid then; a name that cannot stand there; a disk that refuses.
pub fn add(
    path: &Path,
    principal: &str,
    key: &PublicKey,
    at: DateTime<Utc>,
) -> Result<bool, SignersError> {
    let mut text = read(path)?;
    if !misses(path, &text, principal, key, at)? {
        return Ok(false);
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&line(principal, key));
    replace(path, &text).map_err(failed(path))?;
    Ok(true)
}

/// Refuses, as [`add`] does, a key that is another person's; writes nothing.
///
/// # Errors
/// As [`add`].
pub fn allow(
    path: &Path,
    principal: &str,
    key: &PublicKey,
    at: DateTime<Utc>,
) -> Result<(), SignersError> {
    misses(path, &read(path)?, principal, key, at).map(|_| ())
}

fn read(path: &Path) -> Result<String, SignersError> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        other => other.map_err(failed(path)),
    }
}

/// Returns whether a file with this text lacks a person's key.
fn misses(
    path: &Path,
    text: &str,
    principal: &str,
    key: &PublicKey,
    at: DateTime<Utc>,
) -> Result<bool, SignersError> {
    if !is_person(principal) {
        return Err(SignersError::Name(principal.chars().take(80).collect()));
    }
    match owner(text, key) {
        None => Ok(true),
        Some(owner) if owner == principal => {
            if of(text, key).any(|line| line.speaks(at)) {
                return Ok(false);
            }
            Err(SignersError::NotThen {
                path: path.to_path_buf(),
                owner: owner.to_owned(),
                at: crate::clock::seconds(at),
            })
        }
        Some(owner) => Err(SignersError::Taken {
            path: path.to_path_buf(),
            owner: owner.to_owned(),
        }),
    }
}

/// Writes a file anew, whole or not at all.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    // A verifier overlooks what begins with tmp-.
    let unnamed = folder.join(format!("tmp-{}-signers", uuid::Uuid::new_v4()));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&unnamed)?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&unnamed, path))
        .and_then(|()| std::fs::File::open(folder)?.sync_all())
        .inspect_err(|_| {
            // The error that is told is the first one.
            let _ = std::fs::remove_file(&unnamed);
        })
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> SignersError {
    let path = path.to_path_buf();
    move |error| SignersError::Disk {
        path: path.clone(),
        message: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(base64: &str) -> PublicKey {
        PublicKey::read("ssh-ed25519", base64).unwrap()
    }

    const ONE: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIBI1Utrot+uyS1djLVDU2XEhL3ek1AVYhRwUFQqt7k/H";

    fn at(text: &str) -> DateTime<Utc> {
        chrono::NaiveDateTime::parse_from_str(text, "%Y%m%d%H%M%S")
            .unwrap()
            .and_utc()
    }

    #[test]
    fn a_key_speaks_only_within_its_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signers");
        let bounds = ",valid-after=\"20260101Z\",valid-before=\"202602010930Z\"";
        let line = line("a@b", &key(ONE)).replace("-v1\"", &format!("-v1\"{bounds}"));
        std::fs::write(&path, &line).unwrap();
        let allowed = |time: &str| allow(&path, "a@b", &key(ONE), at(time)).is_ok();
        assert!(allowed("20260101000000") && allowed("20260201093000"));
        assert!(!allowed("20251231235959") && !allowed("20260201093001"));
        let no_other = add(&path, "a@b", &key(ONE), at("20270101000000"));
        assert!(matches!(no_other, Err(SignersError::NotThen { .. })));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), line);
    }

    #[test]
    fn a_key_is_added_once_and_stays_with_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signers");
        std::fs::write(&path, "# ours, without a last line feed").unwrap();
        let key = key(ONE);
        let add = |who: &str| add(&path, who, &key, at("20260101000000"));
        assert_eq!(add("alice@contoso.example"), Ok(true));
        assert_eq!(add("alice@contoso.example"), Ok(false));
        let taken = add("bob@contoso.example").unwrap_err();
        assert!(matches!(taken, SignersError::Taken { owner, .. } if owner.starts_with("alice")));
        assert!(matches!(add("a b"), Err(SignersError::Name(_))));
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            text,
            format!(
                "# ours, without a last line feed\nalice@contoso.example namespaces=\"azir-checkpoint-v1\" ssh-ed25519 {ONE}\n"
            )
        );
        assert_eq!(principals(&text), BTreeSet::from(["alice@contoso.example"]));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
