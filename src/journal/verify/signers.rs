//! The signers file: which keys speak for which person, and when.

use std::path::Path;

use chrono::{DateTime, NaiveDateTime, Utc};

use super::files::Folder;
use super::finding::Findings;
use super::line::{is_date_and_time, is_upn};
use super::meaning::Session;
use super::sshsig::PublicKey;
use super::{CannotRead, format};

/// The keys of all persons.
#[derive(Debug, Default)]
pub(super) struct Signers {
    lines: Vec<Signer>,
    /// Whether there is a file that could be read.
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
    /// Returns the person whose key this is at a time, both bounds included.
    pub(super) fn person(&self, key: &PublicKey, at: DateTime<Utc>) -> Option<&str> {
        let valid = |line: &&Signer| {
            line.key == *key
                && line.after.is_none_or(|after| after <= at)
                && line.before.is_none_or(|before| at <= before)
        };
        self.lines
            .iter()
            .find(valid)
            .map(|line| line.principal.as_str())
    }
}

/// Loads the file from outside, else the run folder's own, whose faults are findings.
pub(super) fn load(
    run_dir: &Path,
    folder: &Folder,
    outside: Option<&Path>,
    sessions: &[Session],
    findings: &mut Findings,
) -> Result<Signers, CannotRead> {
    if let Some(path) = outside {
        return from_outside(path, sessions);
    }
    if !folder.signers {
        return Ok(Signers::default());
    }
    let bytes = std::fs::read(run_dir.join("signers")).map_err(CannotRead::file("signers"))?;
    Ok(parse(&bytes, sessions).unwrap_or_else(|line| {
        findings.error(
            "signers",
            Some(line),
            "bad-signers",
            "this line is not of the form of a signers file",
        );
        Signers::default()
    }))
}

/// Loads a file from outside: one that is not of its form cannot be read.
pub(super) fn from_outside(path: &Path, sessions: &[Session]) -> Result<Signers, CannotRead> {
    let bytes = std::fs::read(path).map_err(CannotRead::file(path.display()))?;
    parse(&bytes, sessions).map_err(|line| {
        CannotRead(format!(
            "{}: line {line} is not of the form of a signers file",
            path.display()
        ))
    })
}

/// Reads the file; an error is the line that is not of its form.
fn parse(bytes: &[u8], sessions: &[Session]) -> Result<Signers, u64> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        bytes[..error.valid_up_to()]
            .split(|byte| *byte == b'\n')
            .count() as u64
    })?;
    let mut lines: Vec<Signer> = Vec::new();
    for (number, line) in (1..).zip(text.split('\n')) {
        if line.trim_matches([' ', '\t']).is_empty() || line.starts_with('#') {
            continue;
        }
        let signer = parse_line(line).ok_or(number)?;
        let shared = lines
            .iter()
            .any(|other| other.key == signer.key && other.principal != signer.principal);
        let of_session = sessions
            .iter()
            .any(|session| session.key.as_ref() == Some(&signer.key));
        if shared || of_session {
            return Err(number);
        }
        lines.push(signer);
    }
    Ok(Signers { lines, known: true })
}

fn parse_line(line: &str) -> Option<Signer> {
    let mut words = line.splitn(5, ' ');
    let (principal, options, kind, base64) =
        (words.next()?, words.next()?, words.next()?, words.next()?);
    let comment = words.next();
    if !is_upn(principal) || comment.is_some_and(|comment| comment.contains('\r')) {
        return None;
    }
    let mut rest = options
        .strip_prefix("namespaces=\"")?
        .strip_prefix(format::NAMESPACE)?
        .strip_prefix('"')?;
    let after = take_bound(&mut rest, ",valid-after=\"")?;
    let before = take_bound(&mut rest, ",valid-before=\"")?;
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

/// Takes an option off the front where it stands there; `None` if it is malformed.
fn take_bound(rest: &mut &str, name: &str) -> Option<Option<DateTime<Utc>>> {
    let Some(found) = rest.strip_prefix(name) else {
        return Some(None);
    };
    let (time, more) = found.split_once('"')?;
    *rest = more;
    bound(time).map(Some)
}

/// `YYYYMMDD[HHMM[SS]]Z`
fn bound(text: &str) -> Option<DateTime<Utc>> {
    let digits = text.strip_suffix('Z')?;
    if !digits.is_ascii() || !matches!(digits.len(), 8 | 12 | 14) {
        return None;
    }
    let full = format!("{digits:0<14}");
    let shaped = format!(
        "{}-{}-{}T{}:{}:{}",
        &full[..4],
        &full[4..6],
        &full[6..8],
        &full[8..10],
        &full[10..12],
        &full[12..]
    );
    let real = is_date_and_time(shaped.as_bytes());
    NaiveDateTime::parse_from_str(&shaped, "%Y-%m-%dT%H:%M:%S")
        .ok()
        .filter(|_| real)
        .map(|time| time.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBI1Utrot+uyS1djLVDU2XEhL3ek1AVYhRwUFQqt7k/H";

    fn reads(text: &str) -> Result<usize, u64> {
        parse(text.as_bytes(), &[]).map(|signers| signers.lines.len())
    }

    #[test]
    fn lines_of_the_form_are_read() {
        let good = format!(
            "# who\n\na@b namespaces=\"azir-checkpoint-v1\" {KEY}\na@b namespaces=\"azir-checkpoint-v1\",valid-after=\"20260101Z\",valid-before=\"202601020304Z\" {KEY} a comment, free\n"
        );
        assert_eq!(reads(&good), Ok(2));
        assert_eq!(reads(""), Ok(0));
        let signers = parse(good.split('\n').nth(3).unwrap().as_bytes(), &[]).unwrap();
        let at = |text: &str| signers.person(&signers.lines[0].key, bound(text).unwrap());
        assert_eq!(at("20260101Z"), Some("a@b"));
        assert_eq!(at("20260102030400Z"), Some("a@b"));
        assert_eq!(at("20260102030401Z"), None);
        assert_eq!(at("20251231235959Z"), None);
    }

    #[test]
    fn every_other_form_is_refused_with_its_line() {
        let good = format!("a@b namespaces=\"azir-checkpoint-v1\" {KEY}");
        for bad in [
            good.replace("a@b", "*"),
            good.replace("a@b", "a@b,c@d"),
            good.replace("azir-checkpoint-v1", "file"),
            good.replace("namespaces", "cert-authority,namespaces"),
            good.replace(" ssh", "  ssh"),
            good.replace("\" ", "\",valid-after=\"2026Z\" "),
            good.replace("\" ", "\",valid-before=\"20260230Z\" "),
            good.replace(
                "\" ",
                "\",valid-before=\"20260101Z\",valid-after=\"20260101Z\" ",
            ),
            format!("{good}\r"),
            format!(" {good}"),
            "a@b".to_owned(),
            format!("{good}\nc@d namespaces=\"azir-checkpoint-v1\" {KEY}"),
        ] {
            let line = bad.matches('\n').count() as u64 + 1;
            assert_eq!(reads(&bad), Err(line), "{bad}");
        }
    }
}
