//! What an authority answered to one request (RFC 3161, section 2.4.2): asked before a reply is kept.
//!
//! The same reading as of stamps that lie beside a checkpoint, with the reasons told apart: who asked for a stamp wants
//! to know what to do about the refusal.

use std::path::Path;

use chrono::{DateTime, Utc};

use super::der::{self, Der};
use super::stamp;
use crate::digest::Digest;

/// A stamp that was granted, as it says itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Granted {
    /// When it was made (`genTime`).
    pub made: DateTime<Utc>,
    /// The policy that it was made under, as `1.2.3.4`.
    pub policy: String,
    /// Its serial number, in hex.
    pub serial: String,
}

/// Why a reply is not kept.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadStamp {
    /// It is no reply of this protocol, or its token cannot be read.
    #[error("it is no well-formed time-stamp reply")]
    Malformed,
    /// It answers another request than the one that was sent.
    #[error("its nonce is not the one that was sent")]
    OtherNonce,
    /// It stamps something else.
    #[error("it stamps other bytes than those that were sent")]
    OtherBytes,
    /// The authority refused.
    #[error("the authority refused: {0}")]
    Rejected(String),
}

/// Reads the reply to a request over `message` with `nonce`, the content of a DER integer.
///
/// # Errors
/// Whatever makes it worthless: see [`BadStamp`].
pub fn stamp_of(reply: &[u8], message: &[u8], nonce: &[u8]) -> Result<Granted, BadStamp> {
    let Some(info) = stamp::granted(reply) else {
        return Err(rejection(reply).map_or(BadStamp::Malformed, BadStamp::Rejected));
    };
    let policy = dotted(info.policy).ok_or(BadStamp::Malformed)?;
    if info.imprint != Digest::of(message).0 {
        return Err(BadStamp::OtherBytes);
    }
    if info.nonce != Some(nonce) {
        return Err(BadStamp::OtherNonce);
    }
    Ok(Granted {
        made: info.made,
        policy,
        serial: hex::encode(info.serial),
    })
}

/// Returns whether a reply verifies under the roots in a PEM file, its chain judged at the stamp's own time.
///
/// # Errors
/// Roots, or `openssl`, that cannot be used.
pub fn has_chain(
    reply: &Path,
    message: &[u8],
    stamp: &Granted,
    roots: &Path,
) -> Result<bool, String> {
    stamp::check_roots(roots)
        .and_then(|()| stamp::verifies(reply, message, roots, stamp.made))
        .map_err(|cannot| cannot.0)
}

/// Checks that a file of roots can be read: PEM, one certificate or more.
///
/// # Errors
/// Why it cannot.
pub fn can_read_roots(roots: &Path) -> Result<(), String> {
    stamp::check_roots(roots).map_err(|cannot| cannot.0)
}

/// Statuses above 1, in the words of RFC 3161.
const STATUSES: [&str; 4] = [
    "rejection",
    "waiting",
    "revocation warning",
    "revocation notification",
];

/// Bits of `PKIFailureInfo`.
const FAILURES: [(usize, &str); 8] = [
    (0, "badAlg"),
    (2, "badRequest"),
    (5, "badDataFormat"),
    (14, "timeNotAvailable"),
    (15, "unacceptedPolicy"),
    (16, "unacceptedExtension"),
    (17, "addInfoNotAvailable"),
    (25, "systemFailure"),
];

/// Returns what a reply without a token says; nothing if it is no such reply.
fn rejection(reply: &[u8]) -> Option<String> {
    let mut outer = Der(reply);
    let mut response = Der(outer.take(der::SEQUENCE)?);
    let mut status = Der(response.take(der::SEQUENCE)?);
    let [code] = *status.take(der::INTEGER)? else {
        return None;
    };
    if !outer.ended() || code < 2 {
        return None;
    }
    let name = STATUSES
        .get(usize::from(code) - 2)
        .unwrap_or(&"unknown status");
    let mut said = format!("{name} ({code})");
    let mut texts = Der(status.optional(der::SEQUENCE)?.unwrap_or_default());
    while let Some(text) = texts.take(der::UTF8_STRING) {
        let text = String::from_utf8_lossy(text);
        said.push_str(": ");
        // Of a stranger: no control characters on a terminal, and no more than a line.
        said.extend(text.chars().filter(|c| !c.is_control()).take(200));
    }
    let bits = status.optional(der::BIT_STRING)?.unwrap_or_default();
    let set = |bit: usize| {
        bits.get(1 + bit / 8)
            .is_some_and(|byte| byte & (0x80 >> (bit % 8)) != 0)
    };
    for (_, name) in FAILURES.iter().filter(|(bit, _)| set(*bit)) {
        said.push_str(", ");
        said.push_str(name);
    }
    Some(said)
}

/// Writes an object identifier with dots.
fn dotted(bytes: &[u8]) -> Option<String> {
    let mut arcs: Vec<u64> = Vec::new();
    let mut arc = 0_u64;
    for byte in bytes {
        arc = arc.checked_mul(128)? | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            if arcs.is_empty() {
                let first = (arc / 40).min(2);
                arcs.extend([first, arc - first * 40]);
            } else {
                arcs.push(arc);
            }
            arc = 0;
        }
    }
    let whole = bytes.last().is_some_and(|last| last & 0x80 == 0);
    let arcs: Vec<String> = arcs.iter().map(u64::to_string).collect();
    whole.then(|| arcs.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_written_with_dots() {
        assert_eq!(dotted(&[0x2a, 0x03, 0x04, 0x01]).unwrap(), "1.2.3.4.1");
        assert_eq!(
            dotted(&[0x60, 0x86, 0x48, 0x01, 0x65]).unwrap(),
            "2.16.840.1.101"
        );
        for bad in [&[][..], &[0x2a, 0x83], &[0xff; 12]] {
            assert!(dotted(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_refusal_is_told_in_the_authoritys_words() {
        // SEQUENCE { SEQUENCE { 2, SEQUENCE { UTF8String "no\x1b" }, BIT STRING badAlg } }
        let reply = b"\x30\x10\x30\x0e\x02\x01\x02\x30\x05\x0c\x03no\x1b\x03\x02\x07\x80";
        assert_eq!(
            stamp_of(reply, b"x", &[1]),
            Err(BadStamp::Rejected("rejection (2): no, badAlg".to_owned()))
        );
        for bad in [
            &b""[..],
            b"<html>",
            b"\x30\x00",
            b"\x30\x05\x30\x03\x02\x01\x00",
        ] {
            assert_eq!(stamp_of(bad, b"x", &[1]), Err(BadStamp::Malformed));
        }
    }
}
