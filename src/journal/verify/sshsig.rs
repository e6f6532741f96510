//! SSHSIG, read strictly: one encoding of a signature, one meaning, nothing before or after.

use base64::Engine as _;
use ed25519_dalek::{Signature, VerifyingKey};
use serde::Serialize;
use sha2::{Digest as _, Sha256, Sha512};

use super::format::{NAMESPACE, PLAN_NAMESPACE};

/// A signature's key: type and blob, as a signers file and `session_key` name it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct PublicKey {
    pub(super) kind: String,
    pub(super) blob: Vec<u8>,
}

impl PublicKey {
    /// Reads `<type> <base64>`.
    pub(super) fn parse(kind: &str, base64: &str) -> Option<Self> {
        let blob = base64::engine::general_purpose::STANDARD
            .decode(base64)
            .ok()?;
        let mut reader = Reader(&blob);
        let inner = reader.string()?;
        if inner != kind.as_bytes() {
            return None;
        }
        let key = reader.string()?;
        match kind {
            "ssh-ed25519" => {}
            "sk-ssh-ed25519@openssh.com" => {
                reader.string()?;
            }
            _ => return None,
        }
        if !reader.0.is_empty() {
            return None;
        }
        verifying_key(key)?;
        Some(Self {
            kind: kind.to_owned(),
            blob: blob.clone(),
        })
    }
}

/// Checks an armoured signature over `message`; returns the key that made it.
pub(super) fn check(armoured: &[u8], message: &[u8]) -> Result<PublicKey, &'static str> {
    check_as(NAMESPACE, armoured, message)
}

/// Checks a signature over what somebody plans or approves; returns the key that made it as `<type> <base64>`.
///
/// # Errors
/// Why it does not count, as strictly as for checkpoints.
pub fn plan_signer(armoured: &[u8], message: &[u8]) -> Result<String, &'static str> {
    let key = check_as(PLAN_NAMESPACE, armoured, message)?;
    let base64 = base64::engine::general_purpose::STANDARD.encode(&key.blob);
    Ok(format!("{} {base64}", key.kind))
}

fn check_as(wanted: &str, armoured: &[u8], message: &[u8]) -> Result<PublicKey, &'static str> {
    let blob = unarmour(armoured).ok_or("it is not armoured as ssh-keygen does")?;
    let mut reader = Reader(&blob);
    let malformed = "its encoding is not that of an SSH signature";
    if reader.take(6) != Some(b"SSHSIG") || reader.u32() != Some(1) {
        return Err(malformed);
    }
    let key = reader.string().ok_or(malformed)?;
    let namespace = reader.string().ok_or(malformed)?;
    let reserved = reader.string().ok_or(malformed)?;
    let hash = reader.string().ok_or(malformed)?;
    let signature = reader.string().ok_or(malformed)?;
    if !reader.0.is_empty() || !reserved.is_empty() {
        return Err(malformed);
    }
    if namespace != wanted.as_bytes() {
        return Err("it was made for another purpose (namespace)");
    }
    if hash != b"sha512" {
        return Err("it uses another hash than sha512");
    }
    let mut signed = b"SSHSIG".to_vec();
    for part in [namespace, b"", hash, &Sha512::digest(message)] {
        signed.extend(u32::try_from(part.len()).unwrap_or(0).to_be_bytes());
        signed.extend(part);
    }
    verify(key, signature, &signed)
}

/// What a security key says of the person before it. `ssh-keygen -Y verify` does not look at this.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Presence {
    /// It was touched.
    pub touch: bool,
    /// It checked a PIN or a finger.
    pub pin: bool,
}

/// Reads what a security key says in a signature that was checked; nothing where the key is not in one.
pub(super) fn presence(armoured: &[u8]) -> Option<Presence> {
    let blob = unarmour(armoured)?;
    let mut reader = Reader(&blob);
    reader.take(10)?;
    for _ in ["key", "namespace", "reserved", "hash"] {
        reader.string()?;
    }
    let mut signature = Reader(reader.string()?);
    if signature.string()? != b"sk-ssh-ed25519@openssh.com" {
        return None;
    }
    signature.string()?;
    let flags = signature.take(1)?[0];
    // FIDO: bit 0 is user presence, bit 2 user verification.
    Some(Presence {
        touch: flags & 1 != 0,
        pin: flags & 4 != 0,
    })
}

fn verify(key: &[u8], signature: &[u8], signed: &[u8]) -> Result<PublicKey, &'static str> {
    let malformed = "its key or signature is malformed";
    let mut key_reader = Reader(key);
    let kind = key_reader.string().ok_or(malformed)?;
    let point = verifying_key(key_reader.string().ok_or(malformed)?)
        .ok_or("its key is not a canonical point of full order")?;
    let mut reader = Reader(signature);
    let signature_kind = reader.string().ok_or(malformed)?;
    let raw = reader.string().ok_or(malformed)?;
    if signature_kind != kind {
        return Err(malformed);
    }
    let message = match kind {
        b"ssh-ed25519" => signed.to_vec(),
        b"sk-ssh-ed25519@openssh.com" => {
            let application = key_reader.string().ok_or(malformed)?;
            let flags = reader.take(1).ok_or(malformed)?;
            let counter = reader.take(4).ok_or(malformed)?;
            // FIDO: what is signed is the application, the flags, the counter and the message, hashed.
            [
                &Sha256::digest(application)[..],
                flags,
                counter,
                &Sha256::digest(signed)[..],
            ]
            .concat()
        }
        _ => return Err("its key is of a type that does not count"),
    };
    if !key_reader.0.is_empty() || !reader.0.is_empty() {
        return Err(malformed);
    }
    let raw: [u8; 64] = raw.try_into().map_err(|_| malformed)?;
    // verify_strict refuses an S not below L, an R that is not canonical, and points of small order.
    point
        .verify_strict(&message, &Signature::from_bytes(&raw))
        .map_err(|_| "it does not fit: what was signed or the signature was changed, or another key made it")?;
    Ok(PublicKey {
        kind: String::from_utf8_lossy(kind).into_owned(),
        blob: key.to_vec(),
    })
}

fn verifying_key(bytes: &[u8]) -> Option<VerifyingKey> {
    let bytes: [u8; 32] = bytes.try_into().ok()?;
    let key = VerifyingKey::from_bytes(&bytes).ok()?;
    // A point has one canonical encoding; decompression accepts others.
    let canonical = key.to_edwards().compress().to_bytes() == bytes;
    (canonical && !key.is_weak()).then_some(key)
}

/// Undoes the armour: exact first and last line, 70 columns, LF, canonical base64.
fn unarmour(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let body = text
        .strip_prefix("-----BEGIN SSH SIGNATURE-----\n")?
        .strip_suffix("-----END SSH SIGNATURE-----\n")?;
    let lines: Vec<&str> = body.strip_suffix('\n')?.split('\n').collect();
    let (last, full) = lines.split_last()?;
    if last.is_empty() || last.len() > 70 || full.iter().any(|line| line.len() != 70) {
        return None;
    }
    base64::engine::general_purpose::STANDARD
        .decode(lines.concat())
        .ok()
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let len = self.u32()?;
        self.take(usize::try_from(len).ok()?)
    }
}
