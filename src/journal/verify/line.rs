//! One line: whether it is a frame, whether its hash is right, and whether it obeys every rule on form.

use std::ops::Range;

use sha2::{Digest as _, Sha256};

use super::format::{FRAME_START, MAX_LINE};
use super::scan::{self, Cite, Member, Scanner, Why};

/// What one line of a file is.
#[derive(Debug)]
pub(super) enum Taken {
    /// No frame with a right hash begins at its first byte; whether one begins later in it.
    Broken {
        /// Whether a frame with a right hash begins at a later byte.
        holds: bool,
    },
    /// A frame with a right hash.
    Frame {
        /// The chain value.
        hash: [u8; 32],
        /// The line, or why it is none although its hash is right.
        form: Result<Box<Line>, Why>,
    },
}

/// A line that obeys every rule on form. Ranges count from the line's first byte.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) seq: u64,
    pub(super) mono_us: u64,
    pub(super) prev: [u8; 32],
    pub(super) time: [u8; 27],
    pub(super) session: u128,
    pub(super) data: Range<usize>,
    pub(super) said: Said,
    pub(super) cites: Vec<Cite>,
}

/// What a line says, as far as a verifier must know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Said {
    RunStart,
    SessionOpen,
    /// `client_request_id`, where it is a UUID.
    Intent(Option<u128>),
    Result {
        intent: Option<u64>,
        outcome: Option<Outcome>,
    },
    Reconcile {
        intent: Option<u64>,
        found: Option<Outcome>,
    },
    Decision,
    Transfer,
    Redact(Option<[u8; 32]>),
    Seal,
    /// Any other type.
    Else,
}

/// What came of an intent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// It is known whether it took effect.
    Settled,
    /// It is not.
    Open,
}

/// Reads one line of a file, its LF included.
pub(super) fn read(line: &[u8]) -> Taken {
    let Some((named, rest)) = frame(line) else {
        return Taken::Broken {
            holds: holds_frame(line),
        };
    };
    let hash = hash_of(rest);
    if named != hash {
        return Taken::Broken {
            holds: holds_frame(line),
        };
    }
    let form = if line.len() > MAX_LINE {
        Err("is longer than a line may be")
    } else {
        parse(line).map(Box::new)
    };
    Taken::Frame { hash, form }
}

/// Splits a frame into the hash that it names and what stands between `",` and the LF.
fn frame(line: &[u8]) -> Option<([u8; 32], &[u8])> {
    let (hash, rest) = line.strip_prefix(FRAME_START)?.split_at_checked(64)?;
    let rest = rest.strip_prefix(b"\",")?.strip_suffix(b"\n")?;
    Some((scan::digest(hash)?, rest))
}

fn hash_of(rest: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(b"{")
        .chain_update(rest)
        .finalize()
        .into()
}

/// Returns whether a frame with a right hash begins after the first byte of `line`, which holds one LF at most, at its end.
fn holds_frame(line: &[u8]) -> bool {
    let mut from = 1;
    while let Some(found) = line.get(from..).and_then(|rest| {
        rest.windows(FRAME_START.len())
            .position(|window| window == FRAME_START)
    }) {
        let at = from + found;
        if frame(&line[at..]).is_some_and(|(named, rest)| named == hash_of(rest)) {
            return true;
        }
        from = at + 1;
    }
    false
}

/// Where the hash's member ends and the rest of the object begins.
const REST: usize = FRAME_START.len() + 64 + 2;

fn parse(line: &[u8]) -> Result<Line, Why> {
    if std::str::from_utf8(line).is_err() {
        return Err("is not UTF-8");
    }
    let mut scanner = Scanner::new(line);
    scanner.at = REST;
    scanner.expect(b"\"actor\":", NINE)?;
    let mut actor = Vec::new();
    if scanner.peek() != b'{' {
        return Err(ACTOR);
    }
    scanner.object(1, false, Some(&mut actor))?;
    scanner.expect(b",\"data\":", NINE)?;
    let start = scanner.at;
    let mut data = Vec::new();
    if scanner.peek() != b'{' {
        return Err("has a data member that is no object");
    }
    scanner.object(1, true, Some(&mut data))?;
    let end = scanner.at;
    let mono_us = scanned_whole(
        &mut scanner,
        b",\"mono_us\":",
        "has a mono_us that is no whole number from 0",
    )?;
    let nonce = scanned_word(&mut scanner, b",\"nonce\":")?;
    if !scan::hex(nonce, &mut [0; 16]) {
        return Err("has a nonce that is not 32 hex digits");
    }
    let prev = scan::digest(scanned_word(&mut scanner, b",\"prev\":")?)
        .ok_or("has a prev that is not 64 hex digits")?;
    let seq = scanned_whole(
        &mut scanner,
        b",\"seq\":",
        "has a seq that is no whole number from 0",
    )?;
    let session = scanned_word(&mut scanner, b",\"session\":")?;
    let session_id = uuid(session).ok_or("has a session that is no UUID")?;
    let time = scanned_word(&mut scanner, b",\"time\":")?;
    let kind = scanned_word(&mut scanner, b",\"type\":")?;
    scanner.expect(b"}\n", NINE)?;
    if scanner.at != line.len() {
        return Err(NINE);
    }
    if !is_type(kind) {
        return Err("has a type that is not of its form");
    }
    check_actor(line, &actor, session)?;
    Ok(Line {
        seq,
        mono_us,
        prev,
        time: is_time(time).ok_or("has a time that is no time, or not of its form")?,
        session: session_id,
        data: start..end,
        said: said(line, kind, &data),
        cites: scanner.cites,
    })
}

const NINE: Why = "does not have exactly the nine members of a line";
const ACTOR: Why = "has an actor of no known form";

fn scanned_word<'a>(scanner: &mut Scanner<'a>, name: &[u8]) -> Result<&'a [u8], Why> {
    scanner.expect(name, NINE)?;
    let bytes = scanner.bytes;
    let value = scanner.value(1, false)?;
    scan::word(&bytes[value]).ok_or("has a member that is not the text it should be")
}

fn scanned_whole(scanner: &mut Scanner<'_>, name: &[u8], why: Why) -> Result<u64, Why> {
    scanner.expect(name, NINE)?;
    let value = scanner.value(1, false)?;
    scan::whole(&scanner.bytes[value]).ok_or(why)
}

fn check_actor(line: &[u8], members: &[Member], session: &[u8]) -> Result<(), Why> {
    let [who] = members else {
        return Err(ACTOR);
    };
    let value = &line[who.value.clone()];
    let good = match &line[who.key.clone()] {
        b"azir" => scan::word(value) == Some(session),
        b"service" => value.starts_with(b"\""),
        b"human" => serde_json::from_slice(value).is_ok_and(|value| is_person(&value)),
        _ => false,
    };
    if good { Ok(()) } else { Err(ACTOR) }
}

fn is_person(value: &serde_json::Value) -> bool {
    let Some(members) = value.as_object() else {
        return false;
    };
    let upn = members.get("upn").and_then(serde_json::Value::as_str);
    let known = |name: &str| matches!(name, "upn" | "name" | "oid");
    upn.is_some_and(is_upn)
        && members
            .iter()
            .all(|(name, value)| known(name) && value.is_string())
}

/// Returns whether a name can stand in a signers file and so can be a person's.
pub(super) fn is_upn(upn: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | ',' | '*' | '?');
    !upn.is_empty() && !upn.starts_with(['#', '!']) && !upn.chars().any(odd)
}

fn said(line: &[u8], kind: &[u8], data: &[Member]) -> Said {
    let member = |name: &[u8]| {
        data.iter()
            .find(|member| &line[member.key.clone()] == name)
            .map(|member| &line[member.value.clone()])
    };
    let intent = || member(b"intent").and_then(scan::whole);
    let outcome =
        |name: &[u8], settled: [&[u8]; 2], open: &[u8]| match member(name).and_then(scan::word) {
            Some(word) if settled.contains(&word) => Some(Outcome::Settled),
            Some(word) if word == open => Some(Outcome::Open),
            _ => None,
        };
    match kind {
        b"run.start" => Said::RunStart,
        b"session.open" => Said::SessionOpen,
        b"action.intent" => Said::Intent(
            member(b"client_request_id")
                .and_then(scan::word)
                .and_then(uuid),
        ),
        b"action.result" => Said::Result {
            intent: intent(),
            outcome: outcome(b"outcome", [b"ok", b"failed"], b"unknown"),
        },
        b"action.reconcile" => Said::Reconcile {
            intent: intent(),
            found: outcome(b"found", [b"yes", b"no"], b"undecidable"),
        },
        b"decision" => Said::Decision,
        b"transfer" => Said::Transfer,
        b"redact" => Said::Redact(
            member(b"sha256")
                .and_then(scan::word)
                .and_then(scan::digest),
        ),
        b"seal" => Said::Seal,
        _ => Said::Else,
    }
}

/// Reads a UUID in lower case, of any version.
pub(super) fn uuid(text: &[u8]) -> Option<u128> {
    if text.len() != 36 || [8, 13, 18, 23].iter().any(|at| text[*at] != b'-') {
        return None;
    }
    let mut digits = [0; 32];
    let mut at = 0;
    for byte in text.iter().filter(|byte| **byte != b'-').take(32) {
        digits[at] = *byte;
        at += 1;
    }
    let mut bytes = [0; 16];
    (at == 32 && scan::hex(&digits, &mut bytes)).then(|| u128::from_be_bytes(bytes))
}

fn is_type(text: &[u8]) -> bool {
    let rest = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_';
    text.split(|byte| *byte == b'.')
        .all(|word| word.first().is_some_and(u8::is_ascii_lowercase) && word.iter().all(rest))
}

/// Accepts `YYYY-MM-DDThh:mm:ss.ffffffZ`.
fn is_time(text: &[u8]) -> Option<[u8; 27]> {
    let fixed: [u8; 27] = text.try_into().ok()?;
    let fraction =
        fixed[19] == b'.' && fixed[20..26].iter().all(u8::is_ascii_digit) && fixed[26] == b'Z';
    (fraction && is_date_and_time(&fixed[..19])).then_some(fixed)
}

/// Returns whether a text is `YYYY-MM-DDThh:mm:ss`, a real date, seconds 00 to 59.
pub(super) fn is_date_and_time(text: &[u8]) -> bool {
    let shape = |(at, byte): (usize, &u8)| match at {
        4 | 7 => *byte == b'-',
        10 => *byte == b'T',
        13 | 16 => *byte == b':',
        _ => byte.is_ascii_digit(),
    };
    if text.len() != 19 || !text.iter().enumerate().all(shape) {
        return false;
    }
    let number = |range: Range<usize>| {
        text[range]
            .iter()
            .fold(0_u32, |value, byte| value * 10 + u32::from(byte - b'0'))
    };
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    year > 0
        && (1..=days).contains(&day)
        && number(11..13) < 24
        && number(14..16) < 60
        && number(17..19) < 60
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_real_ones() {
        assert!(is_date_and_time(b"2024-02-29T23:59:59"));
        for bad in [
            "2023-02-29T00:00:00",
            "2026-00-01T00:00:00",
            "2026-01-32T00:00:00",
            "2026-01-01T24:00:00",
            "2026-01-01T00:00:60",
            "2026-01-01 00:00:00",
        ] {
            assert!(!is_date_and_time(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn uuids_are_lower_case() {
        assert_eq!(uuid(b"00000000-0000-0000-0000-00000000000f"), Some(15));
        assert_eq!(uuid(b"00000000-0000-0000-0000-00000000000F"), None);
        assert_eq!(uuid(b"00000000-0000-0000-0000-0000000000--"), None);
        assert_eq!(uuid(b"000000000000-0000-0000-00000000-0000"), None);
    }

    #[test]
    fn names_of_persons_can_stand_in_a_signers_file() {
        assert!(is_upn("alice@contoso.example"));
        for bad in [
            "", "a b", "a\u{a0}b", "a,b", "*", "#a", "!a", "a\"", "a\u{7}",
        ] {
            assert!(!is_upn(bad), "{bad}");
        }
    }

    #[test]
    fn a_frame_is_found_behind_a_byte_that_does_not_belong() {
        let rest = b"\"x\":1}";
        let framed = [
            FRAME_START,
            hex::encode(hash_of(rest)).as_bytes(),
            b"\",",
            rest,
            b"\n",
        ]
        .concat();
        assert!(matches!(read(&framed), Taken::Frame { form: Err(_), .. }));
        let pushed = [b"x", &framed[..]].concat();
        assert!(matches!(read(&pushed), Taken::Broken { holds: true }));
        let mut flipped = framed.clone();
        flipped[77] ^= 1;
        assert!(matches!(read(&flipped), Taken::Broken { holds: false }));
        assert!(matches!(
            read(&framed[..framed.len() - 1]),
            Taken::Broken { holds: false }
        ));
    }
}
