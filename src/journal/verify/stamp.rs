//! Time stamps: form and imprint here; under roots from outside, `openssl ts -verify` judges.

use std::path::Path;
use std::process::{Command, Stdio};

use super::CannotRead;
use crate::digest::Digest;

/// `MessageImprint` with SHA-256, up to the digest (RFC 3161 section 2.4.1).
const IMPRINT: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
    0x00, 0x04, 0x20,
];

/// Returns whether a reply is one DER value that stamps these bytes.
pub(super) fn stamps(reply: &[u8], message: &[u8]) -> bool {
    let wanted = [&IMPRINT[..], &Digest::of(message).0].concat();
    whole_der(reply) && reply.windows(wanted.len()).any(|window| window == wanted)
}

/// Returns whether the bytes are exactly one DER sequence.
fn whole_der(bytes: &[u8]) -> bool {
    let (Some(0x30), Some(first)) = (bytes.first(), bytes.get(1).copied()) else {
        return false;
    };
    if first < 0x80 {
        return bytes.len() == 2 + usize::from(first);
    }
    let count = usize::from(first & 0x7f);
    let Some(length) = bytes.get(2..2 + count).filter(|_| (1..=4).contains(&count)) else {
        return false;
    };
    let length = length
        .iter()
        .fold(0_usize, |length, byte| (length << 8) | usize::from(*byte));
    bytes.len() == 2 + count + length
}

/// Returns whether a reply verifies under the roots in a PEM file.
pub(super) fn verifies(reply: &Path, checkpoint: &Path, roots: &Path) -> Result<bool, CannotRead> {
    if !roots.is_file() {
        return Err(CannotRead(format!("{} cannot be read", roots.display())));
    }
    let status = Command::new("openssl")
        .args(["ts", "-verify", "-data"])
        .arg(checkpoint)
        .arg("-in")
        .arg(reply)
        .arg("-CAfile")
        .arg(roots)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(|error| CannotRead(format!("openssl, which judges time stamps: {error}")))?;
    Ok(status.success())
}
