//! SSHSIG over a checkpoint, and the session's key: made in memory, never on disk, signs every checkpoint of its
//! session.
//!
//! A person's key signs the same bytes in the same envelope (`person`); what differs is who holds the key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha512};

use super::format::NAMESPACE;
use crate::random::Random;

/// The key of one session. Its secret is wiped when it is dropped.
pub(crate) struct SessionKey(SigningKey);

impl SessionKey {
    pub(crate) fn new(random: &dyn Random) -> Self {
        let mut seed = zeroize::Zeroizing::new([0; 32]);
        random.fill(seed.as_mut());
        Self(SigningKey::from_bytes(&seed))
    }

    /// Returns the public key as the journal names it: `ssh-ed25519 <base64>`.
    pub(crate) fn public(&self) -> String {
        format!(
            "{ED25519} {}",
            STANDARD.encode(blob(&self.0.verifying_key()))
        )
    }

    /// Returns the armoured signature over `message`.
    pub(crate) fn sign(&self, message: &[u8]) -> String {
        envelope(
            NAMESPACE,
            &blob(&self.0.verifying_key()),
            &raw(&self.0, NAMESPACE, message),
        )
    }
}

/// The type of an Ed25519 key, and of what it makes.
pub(crate) const ED25519: &str = "ssh-ed25519";

/// Returns an Ed25519 key as SSH writes it.
pub(crate) fn blob(key: &VerifyingKey) -> Vec<u8> {
    [string(ED25519.as_bytes()), string(key.as_bytes())].concat()
}

/// Returns what a key signs to vouch for `message` (OpenSSH, `PROTOCOL.sshsig`).
pub(crate) fn signed_bytes(namespace: &str, message: &[u8]) -> Vec<u8> {
    let mut signed = b"SSHSIG".to_vec();
    for part in [
        namespace.as_bytes(),
        b"",
        b"sha512",
        &Sha512::digest(message),
    ] {
        signed.extend(string(part));
    }
    signed
}

/// Returns the signature of a key in memory over `message`, as SSH writes signatures.
pub(crate) fn raw(key: &SigningKey, namespace: &str, message: &[u8]) -> Vec<u8> {
    let signature = key.sign(&signed_bytes(namespace, message));
    [string(ED25519.as_bytes()), string(&signature.to_bytes())].concat()
}

/// Puts a key and its signature into armour.
pub(crate) fn envelope(namespace: &str, key: &[u8], signature: &[u8]) -> String {
    let mut blob = b"SSHSIG\0\0\0\x01".to_vec();
    for part in [key, namespace.as_bytes(), b"", b"sha512", signature] {
        blob.extend(string(part));
    }
    armour(&blob)
}

/// Returns bytes as SSH writes a string: their length, then themselves.
pub(crate) fn string(bytes: &[u8]) -> Vec<u8> {
    // Every part here is far shorter than 2^32 bytes.
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&len.to_be_bytes()[..], bytes].concat()
}

/// Lines of 70 columns, as `ssh-keygen` writes them.
fn armour(blob: &[u8]) -> String {
    let text = STANDARD.encode(blob);
    let mut out = String::from("-----BEGIN SSH SIGNATURE-----\n");
    for line in text.as_bytes().chunks(70) {
        out.push_str(&String::from_utf8_lossy(line));
        out.push('\n');
    }
    out.push_str("-----END SSH SIGNATURE-----\n");
    out
}
