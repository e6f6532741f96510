//! The public half of a person's key: the two types whose signatures count.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha256};

use super::super::sign::{self, ED25519};

/// The type of an Ed25519 key in a security key (FIDO).
const SK_ED25519: &str = "sk-ssh-ed25519@openssh.com";

/// The public half of an Ed25519 key, of a file or of a security key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PublicKey {
    blob: Vec<u8>,
    point: VerifyingKey,
    /// For which application a security key signs; absent: the key is not in one.
    application: Option<Vec<u8>>,
}

/// Why bytes are no public key that counts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum NotCounted {
    /// Another type, by its name.
    Kind(String),
    /// No sound point, or no key at all.
    Unsound,
}

impl PublicKey {
    pub(super) fn new(point: VerifyingKey) -> Self {
        Self {
            blob: sign::blob(&point),
            point,
            application: None,
        }
    }

    /// Reads a key as SSH writes it.
    pub(super) fn parse(blob: &[u8]) -> Result<Self, NotCounted> {
        let mut reader = Reader(blob);
        let kind = reader.string().ok_or(NotCounted::Unsound)?;
        if kind != ED25519.as_bytes() && kind != SK_ED25519.as_bytes() {
            return Err(NotCounted::Kind(
                String::from_utf8_lossy(kind).chars().take(60).collect(),
            ));
        }
        let point = reader.string().and_then(sound);
        let application = (kind == SK_ED25519.as_bytes()).then(|| reader.string());
        if application == Some(None) || !reader.0.is_empty() {
            return Err(NotCounted::Unsound);
        }
        Ok(Self {
            blob: blob.to_vec(),
            point: point.ok_or(NotCounted::Unsound)?,
            application: application.flatten().map(<[u8]>::to_vec),
        })
    }

    /// Reads `<type> <base64>`, as signers files name keys.
    pub fn read(kind: &str, base64: &str) -> Option<Self> {
        let key = Self::parse(&STANDARD.decode(base64).ok()?).ok()?;
        (key.kind() == kind).then_some(key)
    }

    /// Returns whether it lies in a security key, which a person must touch.
    pub fn in_security_key(&self) -> bool {
        self.application.is_some()
    }

    /// Returns the fingerprint, as `ssh-keygen -l` shows it: `SHA256:...`.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.blob)
    }

    /// Returns its type.
    pub fn kind(&self) -> &'static str {
        if self.in_security_key() {
            SK_ED25519
        } else {
            ED25519
        }
    }

    pub(super) fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// Checks a signature over `message`, written as SSH writes signatures; returns touch and PIN where they are told.
    ///
    /// A signature that does not fit must not be left beside a checkpoint: to a verifier it is a forgery.
    pub(super) fn check(
        &self,
        namespace: &str,
        message: &[u8],
        signature: &[u8],
    ) -> Option<Option<Presence>> {
        let mut reader = Reader(signature);
        if reader.string()? != self.kind().as_bytes() {
            return None;
        }
        let raw: [u8; 64] = reader.string()?.try_into().ok()?;
        let signed = sign::signed_bytes(namespace, message);
        let (signed, presence) = match &self.application {
            None => (signed, None),
            Some(application) => {
                let (flags, counter) = (reader.take(1)?, reader.take(4)?);
                // What a security key signs (OpenSSH, `PROTOCOL.u2f`).
                let whole = [
                    &Sha256::digest(application)[..],
                    flags,
                    counter,
                    &Sha256::digest(&signed)[..],
                ];
                (whole.concat(), Some(Presence::of(flags[0])))
            }
        };
        let fits = reader.0.is_empty()
            && self
                .point
                .verify_strict(&signed, &Signature::from_bytes(&raw))
                .is_ok();
        fits.then_some(presence)
    }
}

impl std::fmt::Display for PublicKey {
    /// `<type> <base64>`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind(), STANDARD.encode(&self.blob))
    }
}

/// What a security key says of the person before it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Presence {
    /// It was touched.
    pub touch: bool,
    /// It checked a PIN or a finger.
    pub pin: bool,
}

impl Presence {
    /// Reads the flags of a FIDO signature: bit 0 presence, bit 2 verification.
    fn of(flags: u8) -> Self {
        Self {
            touch: flags & 1 != 0,
            pin: flags & 4 != 0,
        }
    }
}

/// Returns the fingerprint of a key of whatever type.
pub(super) fn fingerprint(blob: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(blob)))
}

/// Reads a point in its one canonical encoding, of full order.
fn sound(bytes: &[u8]) -> Option<VerifyingKey> {
    let bytes: [u8; 32] = bytes.try_into().ok()?;
    let point = VerifyingKey::from_bytes(&bytes).ok()?;
    let canonical = point.to_edwards().compress().to_bytes() == bytes;
    (canonical && !point.is_weak()).then_some(point)
}

/// Reads what SSH writes.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.u32()?).ok()?;
        self.take(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_tell_touch_and_pin() {
        let told = |flags| (Presence::of(flags).touch, Presence::of(flags).pin);
        assert_eq!(
            [told(0), told(1), told(4), told(5)],
            [(false, false), (true, false), (false, true), (true, true)]
        );
    }

    #[test]
    fn other_types_and_unsound_points_are_refused() {
        let rsa = [sign::string(b"ssh-rsa"), sign::string(&[1])].concat();
        assert_eq!(
            PublicKey::parse(&rsa),
            Err(NotCounted::Kind("ssh-rsa".to_owned()))
        );
        // The neutral element is a point of small order; 32 times 0xff is no canonical encoding.
        for point in [[&[1_u8][..], &[0; 31]].concat(), vec![0xff; 32], vec![7; 5]] {
            let blob = [sign::string(b"ssh-ed25519"), sign::string(&point)].concat();
            assert_eq!(PublicKey::parse(&blob), Err(NotCounted::Unsound));
        }
        assert_eq!(PublicKey::parse(b""), Err(NotCounted::Unsound));
    }
}
