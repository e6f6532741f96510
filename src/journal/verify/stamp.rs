//! Time stamps (RFC 3161): form, imprint and time here; under roots from outside, `openssl ts -verify` judges.

use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use chrono::{DateTime, NaiveDateTime, Utc};

use super::CannotRead;
use super::der::{self, Der, context};
use super::line::is_date_and_time;
use crate::digest::Digest;

const ID_SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
const ID_TST_INFO: &[u8] = &[
    0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x04,
];
const ID_SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];

/// What a token says: when, under which policy, over which bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Info<'a> {
    pub(super) made: DateTime<Utc>,
    pub(super) imprint: &'a [u8],
    pub(super) policy: &'a [u8],
    pub(super) serial: &'a [u8],
    pub(super) nonce: Option<&'a [u8]>,
}

/// Reads a reply; returns when it was made, if it is well-formed, grants, and stamps exactly `message`.
pub(super) fn read(reply: &[u8], message: &[u8]) -> Option<DateTime<Utc>> {
    let info = granted(reply)?;
    (info.imprint == Digest::of(message).0).then_some(info.made)
}

/// Reads a reply; returns what its token says, if it is well-formed and grants one.
pub(super) fn granted(reply: &[u8]) -> Option<Info<'_>> {
    let mut outer = Der(reply);
    let mut response = Der(outer.take(der::SEQUENCE)?);
    let mut status = Der(response.take(der::SEQUENCE)?);
    // 0 granted, 1 granted with modifications.
    let granted = matches!(status.take(der::INTEGER)?, [0 | 1]);
    let token = response.take(der::SEQUENCE)?;
    if !outer.ended() || !response.ended() || !granted {
        return None;
    }
    info(signed_content(token)?)
}

/// Returns the `TSTInfo` inside a token.
fn signed_content(token: &[u8]) -> Option<&[u8]> {
    let mut token = Der(token);
    let signed_data = token.take(der::OBJECT_ID)? == ID_SIGNED_DATA;
    let mut wrapped = Der(token.take(context(0))?);
    let mut signed = Der(wrapped.take(der::SEQUENCE)?);
    if !signed_data || !token.ended() || !wrapped.ended() {
        return None;
    }
    signed.take(der::INTEGER)?;
    signed.take(der::SET)?;
    let mut content = Der(signed.take(der::SEQUENCE)?);
    signed.optional(context(0))?;
    signed.optional(context(1))?;
    let signers = signed.take(der::SET)?;
    let is_info = content.take(der::OBJECT_ID)? == ID_TST_INFO;
    let mut octets = Der(content.take(context(0))?);
    let info = octets.take(der::OCTET_STRING)?;
    let whole = signed.ended() && content.ended() && octets.ended() && !signers.is_empty();
    (is_info && whole).then_some(info)
}

fn info(bytes: &[u8]) -> Option<Info<'_>> {
    let mut outer = Der(bytes);
    let mut info = Der(outer.take(der::SEQUENCE)?);
    let version = info.take(der::INTEGER)?;
    let policy = info.take(der::OBJECT_ID)?;
    let mut imprint = Der(info.take(der::SEQUENCE)?);
    let mut algorithm = Der(imprint.take(der::SEQUENCE)?);
    let is_sha256 = algorithm.take(der::OBJECT_ID)? == ID_SHA256;
    let plain = algorithm.optional(der::NULL)?.is_none_or(<[u8]>::is_empty);
    let digest = imprint.take(der::OCTET_STRING)?;
    let right = is_sha256 && plain && algorithm.ended() && imprint.ended();
    let serial = info.take(der::INTEGER)?;
    let made = time(info.take(der::GENERALIZED_TIME)?)?;
    info.optional(der::SEQUENCE)?;
    info.optional(der::BOOLEAN)?;
    let nonce = info.optional(der::INTEGER)?;
    info.optional(context(0))?;
    info.optional(context(1))?;
    let whole = version == [1] && right && info.ended() && outer.ended();
    whole.then_some(Info {
        made,
        imprint: digest,
        policy,
        serial,
        nonce,
    })
}

/// `YYYYMMDDhhmmss[.f]Z`, in DER without trailing zeros of the fraction.
fn time(bytes: &[u8]) -> Option<DateTime<Utc>> {
    let text = std::str::from_utf8(bytes).ok()?.strip_suffix('Z')?;
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, fraction),
        None => (text, "0"),
    };
    let bad_fraction = fraction.is_empty()
        || !fraction.bytes().all(|byte| byte.is_ascii_digit())
        || (text.contains('.') && fraction.ends_with('0'));
    if whole.len() != 14 || !whole.is_ascii() || bad_fraction {
        return None;
    }
    let shaped = format!(
        "{}-{}-{}T{}:{}:{}",
        &whole[..4],
        &whole[4..6],
        &whole[6..8],
        &whole[8..10],
        &whole[10..12],
        &whole[12..]
    );
    if !is_date_and_time(shaped.as_bytes()) {
        return None;
    }
    let nanos: i64 = format!("{fraction:0<9}")[..9].parse().ok()?;
    let seconds = NaiveDateTime::parse_from_str(&shaped, "%Y-%m-%dT%H:%M:%S")
        .ok()?
        .and_utc();
    seconds.checked_add_signed(chrono::Duration::nanoseconds(nanos))
}

/// Checks that roots from outside can be read at all: PEM, one certificate or more.
pub(super) fn check_roots(path: &Path) -> Result<(), CannotRead> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(CannotRead::file(&name))?;
    let mut certificates = 0;
    for block in text.split("-----BEGIN CERTIFICATE-----").skip(1) {
        let body = block
            .split_once("-----END CERTIFICATE-----")
            .map(|(body, _)| body.split_whitespace().collect::<String>());
        let bytes =
            body.and_then(|body| base64::engine::general_purpose::STANDARD.decode(body).ok());
        let whole = bytes.is_some_and(|bytes| {
            let mut certificate = Der(&bytes);
            certificate.take(der::SEQUENCE).is_some_and(|content| {
                let mut parts = Der(content);
                parts.take(der::SEQUENCE).is_some()
                    && parts.take(der::SEQUENCE).is_some()
                    && parts.take(der::BIT_STRING).is_some()
            }) && certificate.ended()
        });
        if !whole {
            return Err(CannotRead(format!(
                "{name} holds a certificate that cannot be read"
            )));
        }
        certificates += 1;
    }
    if certificates == 0 {
        Err(CannotRead(format!("{name} holds no certificate")))
    } else {
        Ok(())
    }
}

/// Returns whether a reply over `message` verifies under the roots in a PEM file, its chain judged at `made`.
pub(super) fn verifies(
    reply: &Path,
    message: &[u8],
    roots: &Path,
    made: DateTime<Utc>,
) -> Result<bool, CannotRead> {
    let status = Command::new("openssl")
        .args([
            "ts",
            "-verify",
            "-digest",
            &Digest::of(message).to_string(),
            "-attime",
            &made.timestamp().to_string(),
            "-in",
        ])
        .arg(reply)
        .arg("-CAfile")
        .arg(roots)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(|error| {
            CannotRead(format!(
                "openssl, which judges time stamps, cannot be run: {error}"
            ))
        })?;
    Ok(status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_der_form() {
        assert_eq!(time(b"20260102030405Z").unwrap().timestamp(), 1_767_323_045);
        assert_eq!(
            time(b"20260102030405.25Z")
                .unwrap()
                .timestamp_subsec_millis(),
            250
        );
        for bad in [
            "20260102030405",
            "20260102030405.Z",
            "20260102030405.50Z",
            "20260102030460Z",
            "2026010203040Z",
            "20260230030405Z",
            "x0260102030405Z",
        ] {
            assert!(time(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
