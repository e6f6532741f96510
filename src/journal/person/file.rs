//! A key in a file: OpenSSH's own form, encrypted or not, readable by its owner alone.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use ed25519_dalek::SigningKey;
use ssh_key::PrivateKey;
use ssh_key::private::KeypairData;

use super::error::KeyError;
use super::key::PersonKey;
use super::public::{NotCounted, PublicKey, Reader};
use crate::secret::Secret;

/// A key file that was read and whose key may still be encrypted.
#[derive(Clone, Debug)]
pub struct KeyFile {
    path: PathBuf,
    public: PublicKey,
    key: PrivateKey,
}

impl KeyFile {
    /// Reads a key file; refuses one that others can read, and types that do not count.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let unreadable = |error: std::io::Error| KeyError::Unreadable {
            path: path.to_path_buf(),
            message: error.to_string(),
        };
        let bytes = zeroize::Zeroizing::new(std::fs::read(path).map_err(unreadable)?);
        let not_a_key = |why: String| KeyError::NotAKey {
            path: path.to_path_buf(),
            why,
        };
        if bytes.starts_with(b"ssh-") || bytes.starts_with(b"sk-ssh-") {
            let why = "it is the public half; name the file without .pub, or the key in ssh-agent";
            return Err(not_a_key(why.to_owned()));
        }
        #[cfg(unix)]
        {
            let metadata = std::fs::metadata(path).map_err(unreadable)?;
            let mode = std::os::unix::fs::MetadataExt::mode(&metadata) & 0o777;
            if mode & 0o077 != 0 {
                return Err(KeyError::Exposed {
                    path: path.to_path_buf(),
                    mode,
                });
            }
        }
        let blob = public_blob(&bytes)
            .ok_or_else(|| not_a_key("it does not have the form of one".to_owned()))?;
        // By the public half, which is not encrypted, so that nobody types a passphrase in vain.
        let public = counts(&blob, path)?;
        let key = PrivateKey::from_openssh(bytes.as_slice())
            .map_err(|error| not_a_key(error.to_string()))?;
        Ok(Self {
            path: path.to_path_buf(),
            public,
            key,
        })
    }

    /// Returns whether a passphrase is needed.
    pub fn is_encrypted(&self) -> bool {
        self.key.is_encrypted()
    }

    /// Returns the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the public half, which is not encrypted.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Returns the key, decrypted with `passphrase` where it is encrypted.
    ///
    /// # Errors
    /// No passphrase or a wrong one; a public half that is not that of the secret.
    pub fn unlock(&self, passphrase: Option<&Secret>) -> Result<PersonKey, KeyError> {
        let opened = match passphrase {
            _ if !self.is_encrypted() => self.key.clone(),
            None => return Err(KeyError::Locked(self.path.clone())),
            Some(passphrase) => self
                .key
                .decrypt(passphrase.reveal())
                .map_err(|_| KeyError::Passphrase(self.path.clone()))?,
        };
        let KeypairData::Ed25519(pair) = opened.key_data() else {
            return Err(KeyError::Unsound(self.name()));
        };
        let secret = zeroize::Zeroizing::new(pair.private.to_bytes());
        let key = SigningKey::from_bytes(&secret);
        let public = PublicKey::new(key.verifying_key());
        if self.public != public {
            return Err(KeyError::Unsound(self.name()));
        }
        Ok(PersonKey::held(key, public, self.name()))
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }
}

/// Refuses the types that do not count by their names.
fn counts(blob: &[u8], path: &Path) -> Result<PublicKey, KeyError> {
    let what = path.display().to_string();
    match PublicKey::parse(blob) {
        Ok(public) if public.in_security_key() => Err(KeyError::SecurityKeyFile {
            path: path.to_path_buf(),
            fingerprint: public.fingerprint(),
        }),
        Ok(public) => Ok(public),
        Err(NotCounted::Kind(kind)) => Err(KeyError::Kind { what, kind }),
        Err(NotCounted::Unsound) => Err(KeyError::Unsound(what)),
    }
}

/// Returns the public half of a key file of whatever type (OpenSSH, `PROTOCOL.key`).
fn public_blob(pem: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(pem).ok()?;
    let body = text
        .trim()
        .strip_prefix("-----BEGIN OPENSSH PRIVATE KEY-----")?
        .strip_suffix("-----END OPENSSH PRIVATE KEY-----")?;
    let body: zeroize::Zeroizing<String> =
        zeroize::Zeroizing::new(body.split_whitespace().collect());
    let bytes = base64::engine::general_purpose::STANDARD.decode(body.as_bytes());
    let bytes = zeroize::Zeroizing::new(bytes.ok()?);
    let mut reader = Reader(bytes.strip_prefix(b"openssh-key-v1\0")?);
    for _ in ["cipher", "key derivation", "its options"] {
        reader.string()?;
    }
    (reader.u32()? == 1).then_some(())?;
    Some(reader.string()?.to_vec())
}
