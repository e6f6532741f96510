//! The signers file: which keys speak for which person, and when.

use std::path::Path;

use chrono::{DateTime, NaiveDateTime, Utc};

use super::files::Folder;
use super::sshsig::PublicKey;
use super::{CannotRead, Findings, Outside, format};

/// The keys of all persons.
#[derive(Debug, Default)]
pub(super) struct Signers {
    lines: Vec<Signer>,
    /// Whether there is a file at all.
    pub(super) known: bool,
}

#[derive(Debug)]
struct Signer {
    principal: String,
    key: PublicKey,
    after: Option<DateTime<Utc>>,
    before: Option<DateTime<Utc>>,
}

impl Signers {
    /// Returns the person whose key this is at a time.
    pub(super) fn person(&self, key: &PublicKey, at: DateTime<Utc>) -> Option<&str> {
        self.lines
            .iter()
            .find(|line| {
                line.key == *key
                    && line.after.is_none_or(|after| after <= at)
                    && line.before.is_none_or(|before| at <= before)
            })
            .map(|line| line.principal.as_str())
    }
}

/// Loads the file from outside, else the run folder's own.
pub(super) fn load(
    run_dir: &Path,
    folder: &Folder,
    outside: &Outside,
    findings: &mut Findings,
) -> Result<Signers, CannotRead> {
    if let Some(path) = &outside.signers {
        let text = std::fs::read_to_string(path)
            .map_err(|error| CannotRead(format!("{}: {error}", path.display())))?;
        let lines = parse(&text).map_err(|line| {
            CannotRead(format!(
                "{}: line {line} is not of the form of a signers file",
                path.display()
            ))
        })?;
        return Ok(Signers { lines, known: true });
    }
    if !folder.signers {
        return Ok(Signers::default());
    }
    let bytes = std::fs::read(run_dir.join("signers"))
        .map_err(|error| CannotRead(format!("signers: {error}")))?;
    match String::from_utf8(bytes)
        .map_err(|_| 1)
        .and_then(|text| parse(&text))
    {
        Ok(lines) => Ok(Signers { lines, known: true }),
        Err(line) => {
            findings.error(
                "signers",
                Some(line),
                "bad-signers",
                "this line is not of the form of a signers file",
            );
            Ok(Signers::default())
        }
    }
}

fn parse(text: &str) -> Result<Vec<Signer>, u64> {
    let mut lines: Vec<Signer> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let signer = parse_line(line).ok_or(number)?;
        // A key belongs to one person.
        if lines
            .iter()
            .any(|known| known.key == signer.key && known.principal != signer.principal)
        {
            return Err(number);
        }
        lines.push(signer);
    }
    Ok(lines)
}

fn parse_line(line: &str) -> Option<Signer> {
    let mut words = line.splitn(5, ' ');
    let (principal, options, kind, base64) =
        (words.next()?, words.next()?, words.next()?, words.next()?);
    let plain = !principal.is_empty()
        && !principal.starts_with('!')
        && !principal.contains(['*', '?', ',', '"'])
        && !principal.chars().any(char::is_control);
    if !plain || principal == "session" {
        return None;
    }
    let (mut after, mut before) = (None, None);
    let rest = options.strip_prefix(&format!("namespaces=\"{}\"", format::NAMESPACE))?;
    let mut rest = rest;
    if let Some(found) = rest.strip_prefix(",valid-after=\"") {
        let (time, more) = found.split_once('"')?;
        after = Some(bound(time)?);
        rest = more;
    }
    if let Some(found) = rest.strip_prefix(",valid-before=\"") {
        let (time, more) = found.split_once('"')?;
        before = Some(bound(time)?);
        rest = more;
    }
    if !rest.is_empty() {
        return None;
    }
    Some(Signer {
        principal: principal.to_owned(),
        key: PublicKey::parse(kind, base64)?,
        after,
        before,
    })
}

/// `YYYYMMDD[HHMM[SS]]Z`
fn bound(text: &str) -> Option<DateTime<Utc>> {
    let digits = text.strip_suffix('Z')?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let full = match digits.len() {
        8 => format!("{digits}000000"),
        12 => format!("{digits}00"),
        14 => digits.to_owned(),
        _ => return None,
    };
    NaiveDateTime::parse_from_str(&full, "%Y%m%d%H%M%S")
        .ok()
        .map(|time| time.and_utc())
}
