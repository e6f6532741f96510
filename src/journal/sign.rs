//! The session's key: made in memory, never on disk, signs every checkpoint of its session as an SSHSIG.

use base64::Engine as _;
use ed25519_dalek::{Signer as _, SigningKey};
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
            "ssh-ed25519 {}",
            base64::engine::general_purpose::STANDARD.encode(self.blob())
        )
    }

    fn blob(&self) -> Vec<u8> {
        let mut blob = string(b"ssh-ed25519");
        blob.extend(string(self.0.verifying_key().as_bytes()));
        blob
    }

    /// Returns the armoured signature over `message`.
    pub(crate) fn sign(&self, message: &[u8]) -> String {
        let mut signed = b"SSHSIG".to_vec();
        for part in [
            NAMESPACE.as_bytes(),
            b"",
            b"sha512",
            &Sha512::digest(message),
        ] {
            signed.extend(string(part));
        }
        let raw = self.0.sign(&signed);
        let mut signature = string(b"ssh-ed25519");
        signature.extend(string(&raw.to_bytes()));
        let mut blob = b"SSHSIG\0\0\0\x01".to_vec();
        for part in [
            self.blob().as_slice(),
            NAMESPACE.as_bytes(),
            b"",
            b"sha512",
            &signature,
        ] {
            blob.extend(string(part));
        }
        armour(&blob)
    }
}

fn string(bytes: &[u8]) -> Vec<u8> {
    // Every part here is far shorter than 2^32 bytes.
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&len.to_be_bytes()[..], bytes].concat()
}

/// Lines of 70 columns, as `ssh-keygen` writes them.
fn armour(blob: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(blob);
    let mut out = String::from("-----BEGIN SSH SIGNATURE-----\n");
    for line in text.as_bytes().chunks(70) {
        out.push_str(&String::from_utf8_lossy(line));
        out.push('\n');
    }
    out.push_str("-----END SSH SIGNATURE-----\n");
    out
}
