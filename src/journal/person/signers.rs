//! The signers file: whose key is whose, in the one form that a verifier reads (FORMAT.md, "signers").
//!
//! ```text
//! alice@contoso.example namespaces="azir-checkpoint-v1" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIqIa4...
//! ```
//! A person may have several lines; a key belongs to one person.

use std::io::Write as _;
use std::path::{Path, PathBuf};

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
    lines(text).find_map(|(principal, kind, base64)| {
        (PublicKey::read(kind, base64).as_ref() == Some(key)).then_some(principal)
    })
}

/// Returns whether a person has a key by the text of a signers file.
pub fn names(text: &str, principal: &str) -> bool {
    lines(text).any(|(named, ..)| named == principal)
}

fn lines(text: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut words = line.splitn(5, ' ');
            let (principal, _) = (words.next()?, words.next()?);
            Some((principal, words.next()?, words.next()?))
        })
}

/// Makes sure that a signers file says that a key is a person's; returns whether it had to be written.
///
/// What else stands in it stays as it is.
///
/// # Errors
/// A key that is another person's; a name that cannot stand there; a disk that refuses.
pub fn add(path: &Path, principal: &str, key: &PublicKey) -> Result<bool, SignersError> {
    if !is_person(principal) {
        return Err(SignersError::Name(principal.chars().take(80).collect()));
    }
    let mut text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(path)(error)),
    };
    match owner(&text, key) {
        Some(owner) if owner == principal => return Ok(false),
        Some(owner) => {
            return Err(SignersError::Taken {
                path: path.to_path_buf(),
                owner: owner.to_owned(),
            });
        }
        None => {}
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&line(principal, key));
    replace(path, &text).map_err(failed(path))?;
    Ok(true)
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

    #[test]
    fn a_key_is_added_once_and_stays_with_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signers");
        std::fs::write(&path, "# ours, without a last line feed").unwrap();
        let key = key(ONE);
        assert_eq!(add(&path, "alice@contoso.example", &key), Ok(true));
        assert_eq!(add(&path, "alice@contoso.example", &key), Ok(false));
        let taken = add(&path, "bob@contoso.example", &key).unwrap_err();
        assert!(matches!(taken, SignersError::Taken { owner, .. } if owner.starts_with("alice")));
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            text,
            format!(
                "# ours, without a last line feed\nalice@contoso.example namespaces=\"azir-checkpoint-v1\" ssh-ed25519 {ONE}\n"
            )
        );
        assert!(names(&text, "alice@contoso.example") && !names(&text, "bob@contoso.example"));
        assert!(matches!(
            add(&path, "a b", &key),
            Err(SignersError::Name(_))
        ));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
