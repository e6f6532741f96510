//! What the lines mean together: sessions, intents and results, evidence, the seal.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;

use serde_json::{Map, Value};

use super::files::Folder;
use super::lines::{GoodLine, Segment, is_hex, is_uuid};
use super::sshsig::PublicKey;
use super::{CannotRead, Findings, Level, format};
use crate::digest::Digest;

/// What the lines say together.
#[derive(Debug, Default)]
pub(super) struct Meaning {
    pub(super) origin: Option<String>,
    pub(super) foreign_format: Option<String>,
    pub(super) sealed: bool,
    /// Lines that a writer owes a checkpoint for.
    pub(super) owing: Vec<u64>,
    /// Lines that a person answers for.
    pub(super) persons: Vec<u64>,
    sessions: Vec<Session>,
    intents: BTreeMap<u64, Intent>,
    request_ids: BTreeSet<String>,
    cited: BTreeMap<String, Citation>,
    redacted: BTreeSet<String>,
    last_time: String,
    last_mono: u64,
    declared: Vec<(String, Map<String, Value>)>,
}

/// One session.
#[derive(Debug)]
pub(super) struct Session {
    first_seq: u64,
    id: String,
    pub(super) responder: String,
    pub(super) key: Option<PublicKey>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Intent {
    Open,
    /// A result that leaves it open was recorded.
    Lost,
    Closed,
}

#[derive(Debug)]
struct Citation {
    size: u64,
    stored: bool,
    file: String,
    line: u64,
}

impl Meaning {
    /// Takes the next line.
    pub(super) fn take(
        &mut self,
        line: &GoodLine,
        file: &str,
        segment: u64,
        index: u64,
        findings: &mut Findings,
    ) {
        let place = Some(index + 1);
        let mut error = |code: &str, text: String| findings.error(file, place, code, text);
        if self.sealed {
            error("after-seal", "it stands after the seal".to_owned());
        }
        let opening = match (segment, index) {
            (1, 0) => "run.start",
            (_, 0) => "session.open",
            _ => "",
        };
        let opens = matches!(line.kind.as_str(), "run.start" | "session.open");
        if opens == opening.is_empty() || (opens && line.kind != opening) {
            error(
                "wrong-opening",
                format!(
                    "a segment begins with {}, and that stands nowhere else",
                    if segment == 1 {
                        "run.start"
                    } else {
                        "session.open"
                    }
                ),
            );
        }
        if index == 0 {
            self.session(line, file, findings);
        } else if self
            .sessions
            .last()
            .is_some_and(|session| session.id != line.session)
        {
            findings.error(
                file,
                place,
                "other-session",
                "the session changes inside a segment",
            );
        }
        if index > 0 && line.mono_us < self.last_mono {
            findings.error(file, place, "mono-back", "the monotonic time goes back");
        }
        if line.time < self.last_time {
            findings.add(
                Level::Note,
                file,
                place,
                "time-back",
                "the wall time steps back",
            );
        }
        self.last_mono = line.mono_us;
        self.last_time.clone_from(&line.time);
        self.data(line, file, place, findings);
        self.citations(&Value::Object(line.data.clone()), file, index + 1, findings);
    }

    fn session(&mut self, line: &GoodLine, file: &str, findings: &mut Findings) {
        let text = |name: &str| line.data.get(name).and_then(Value::as_str);
        let responder = line
            .data
            .get("responder")
            .and_then(|responder| responder.get("upn"))
            .and_then(Value::as_str);
        let key = text("session_key").and_then(|key| {
            let (kind, base64) = key.split_once(' ')?;
            PublicKey::parse(kind, base64).filter(|key| key.kind == "ssh-ed25519")
        });
        if key.is_none() {
            findings.error(
                file,
                Some(1),
                "bad-session-key",
                "its session_key is no ssh-ed25519 key",
            );
        }
        match responder {
            Some(upn) if is_responder(upn) => {}
            _ => findings.error(
                file,
                Some(1),
                "bad-responder",
                "its responder cannot be one",
            ),
        }
        if self
            .sessions
            .iter()
            .any(|session| session.id == line.session)
        {
            findings.error(
                file,
                Some(1),
                "session-again",
                "a session's id is used a second time",
            );
        }
        if line.kind == "session.open" {
            self.declared.push((file.to_owned(), line.data.clone()));
            let expected: Vec<Value> = self.open_list().into_iter().map(Value::from).collect();
            if line.data.get("open_intents") != Some(&Value::Array(expected)) {
                findings.error(
                    file,
                    Some(1),
                    "wrong-open-intents",
                    "its open_intents is not the exact list of intents that are open",
                );
            }
        }
        self.sessions.push(Session {
            first_seq: line.seq,
            id: line.session.clone(),
            responder: responder.unwrap_or_default().to_owned(),
            key,
        });
    }

    fn data(&mut self, line: &GoodLine, file: &str, place: Option<u64>, findings: &mut Findings) {
        let text = |name: &str| line.data.get(name).and_then(Value::as_str);
        match line.kind.as_str() {
            "run.start" => self.run_start(line, file, findings),
            "session.open" | "decision" | "transfer" => {
                self.owing.push(line.seq);
                if line.kind != "session.open"
                    || text("reason").is_some()
                    || line.data.contains_key("previous")
                {
                    self.persons.push(line.seq);
                }
            }
            "action.intent" => match text("client_request_id") {
                Some(id) if is_uuid(id) && self.request_ids.insert(id.to_owned()) => {
                    self.intents.insert(line.seq, Intent::Open);
                }
                _ => findings.error(
                    file,
                    place,
                    "bad-intent",
                    "its client_request_id is missing, no UUID, or used before",
                ),
            },
            "action.result" | "action.reconcile" => self.answer(line, file, place, findings),
            "redact" => self.redacted.extend(text("sha256").map(str::to_owned)),
            "seal" => {
                self.owing.push(line.seq);
                self.persons.push(line.seq);
                let expected: Vec<Value> = self.open_list().into_iter().map(Value::from).collect();
                if line.data.get("open_intents") != Some(&Value::Array(expected)) {
                    findings.error(
                        file,
                        place,
                        "wrong-open-intents",
                        "its open_intents is not the exact list of intents that are open",
                    );
                }
                self.sealed = true;
            }
            _ => {}
        }
    }

    fn run_start(&mut self, line: &GoodLine, file: &str, findings: &mut Findings) {
        self.owing.push(line.seq);
        self.persons.push(line.seq);
        let text = |name: &str| line.data.get(name).and_then(Value::as_str);
        match text("format") {
            Some(format::FORMAT) => {}
            Some(other) => self.foreign_format = Some(other.to_owned()),
            None => findings.error(file, Some(1), "no-format", "it does not name its format"),
        }
        let incident = text("incident").unwrap_or_default();
        let run =
            text("origin").and_then(|origin| origin.strip_prefix(&format!("azir/{incident}/")));
        if incident.parse::<crate::ids::IncidentId>().is_err() || !run.is_some_and(is_uuid) {
            findings.error(
                file,
                Some(1),
                "bad-origin",
                "its origin is not azir/<incident>/<run>",
            );
        }
        match text("mode") {
            Some("execute" | "drill") => {}
            Some("undo") => {
                let of = line.data.get("of");
                let member = |name: &str| of.and_then(|of| of.get(name));
                let good = member("run").and_then(Value::as_str).is_some()
                    && member("size").and_then(Value::as_u64).is_some()
                    && member("chain")
                        .and_then(Value::as_str)
                        .is_some_and(|chain| is_hex(chain, 64));
                if !good {
                    findings.error(
                        file,
                        Some(1),
                        "bad-undo",
                        "an undo does not say which run it undoes",
                    );
                }
            }
            _ => findings.error(
                file,
                Some(1),
                "bad-mode",
                "its mode is neither execute, drill nor undo",
            ),
        }
        self.origin = text("origin").map(str::to_owned);
    }

    fn answer(&mut self, line: &GoodLine, file: &str, place: Option<u64>, findings: &mut Findings) {
        let reconcile = line.kind == "action.reconcile";
        let word = line
            .data
            .get(if reconcile { "found" } else { "outcome" })
            .and_then(Value::as_str);
        let closes = match (reconcile, word) {
            (false, Some("ok" | "failed")) | (true, Some("yes" | "no")) => true,
            (false, Some("unknown")) | (true, Some("undecidable")) => false,
            _ => {
                findings.error(
                    file,
                    place,
                    "bad-answer",
                    "it does not say what came of the intent",
                );
                return;
            }
        };
        let seq = line.data.get("intent").and_then(Value::as_u64);
        let state = seq.and_then(|seq| self.intents.get(&seq).copied().map(|state| (seq, state)));
        let Some((seq, state)) = state else {
            findings.error(
                file,
                place,
                "no-intent",
                "it answers an intent that is not there",
            );
            return;
        };
        let reconciled = self.request_ids.contains(&format!("reconciled {seq}"));
        let again = match (reconcile, state) {
            // At most one result, and none after a reconcile.
            (false, Intent::Open) => reconciled,
            (false, _) => true,
            // Reconciles as often as needed, but none after a result that settled it.
            (true, Intent::Closed) => !reconciled,
            (true, _) => false,
        };
        if again {
            findings.error(
                file,
                place,
                "answered-again",
                "its intent was answered before",
            );
        }
        if reconcile {
            self.request_ids.insert(format!("reconciled {seq}"));
        }
        let next = if closes || state == Intent::Closed {
            Intent::Closed
        } else {
            Intent::Lost
        };
        self.intents.insert(seq, next);
    }

    /// Remembers every object that names evidence.
    fn citations(&mut self, value: &Value, file: &str, line: u64, findings: &mut Findings) {
        match value {
            Value::Object(members) => {
                if let (Some(digest), Some(size)) = (members.get("sha256"), members.get("size")) {
                    self.cite(
                        digest,
                        size,
                        members.contains_key("stored"),
                        file,
                        line,
                        findings,
                    );
                }
                members
                    .values()
                    .for_each(|member| self.citations(member, file, line, findings));
            }
            Value::Array(items) => items
                .iter()
                .for_each(|item| self.citations(item, file, line, findings)),
            _ => {}
        }
    }

    fn cite(
        &mut self,
        digest: &Value,
        size: &Value,
        stored: bool,
        file: &str,
        line: u64,
        findings: &mut Findings,
    ) {
        let (Some(digest), Some(size)) = (
            digest.as_str().filter(|text| is_hex(text, 64)),
            size.as_u64(),
        ) else {
            findings.error(
                file,
                Some(line),
                "bad-citation",
                "it cites evidence by something that is no digest and size",
            );
            return;
        };
        match self.cited.get_mut(digest) {
            Some(known) if known.size != size => {
                findings.error(
                    file,
                    Some(line),
                    "two-sizes",
                    format!("{digest} is cited with two sizes"),
                );
            }
            // The copy here is optional only where every citation says where it is stored.
            Some(known) => known.stored &= stored,
            None => {
                self.cited.insert(
                    digest.to_owned(),
                    Citation {
                        size,
                        stored,
                        file: file.to_owned(),
                        line,
                    },
                );
            }
        }
    }

    /// Hashes every evidence object.
    pub(super) fn evidence(
        &self,
        run_dir: &Path,
        folder: &Folder,
        findings: &mut Findings,
    ) -> Result<(), CannotRead> {
        for (digest, citation) in &self.cited {
            let name = format!("evidence/{digest}");
            if !folder.evidence.contains(digest) {
                if self.redacted.contains(digest) {
                    findings.add(
                        Level::Note,
                        &name,
                        None,
                        "redacted",
                        "it was taken out on record",
                    );
                } else if !citation.stored {
                    findings.error(
                        &citation.file,
                        Some(citation.line),
                        "missing-evidence",
                        format!("{name} is cited here and is not there"),
                    );
                }
                continue;
            }
            let file = File::open(run_dir.join(&name))
                .map_err(|error| CannotRead(format!("{name}: {error}")))?;
            let (found, size) =
                Digest::of_reader(file).map_err(|error| CannotRead(format!("{name}: {error}")))?;
            if found.to_string() != *digest || size != citation.size {
                findings.error(
                    &name,
                    None,
                    "changed-evidence",
                    "its content is not what its name says",
                );
            }
        }
        for digest in folder
            .evidence
            .iter()
            .filter(|digest| !self.cited.contains_key(*digest))
        {
            let name = format!("evidence/{digest}");
            findings.add(Level::Note, &name, None, "uncited", "no line cites it");
        }
        Ok(())
    }

    /// Compares what later sessions declare with what the earlier segments are.
    pub(super) fn finish(&self, segments: &[Segment], findings: &mut Findings) {
        if self.sealed
            && let Some(last) = segments.last().filter(|last| last.tail_bytes > 0)
        {
            findings.error(&last.name, None, "after-seal", "bytes stand after the seal");
        }
        for (index, segment) in segments.iter().enumerate() {
            if index + 1 == segments.len() {
                continue;
            }
            let Some((file, data)) = self.declared.get(index) else {
                continue;
            };
            let previous = data.get("previous");
            let member = |name: &str| previous.and_then(|previous| previous.get(name));
            let verdict = if segment.tail_bytes == 0 {
                "clean"
            } else {
                "torn"
            };
            let empty = Digest::of(b"");
            let same = member("file").and_then(Value::as_str) == Some(&segment.name)
                && member("valid_bytes").and_then(Value::as_u64) == Some(segment.valid_bytes)
                && member("tail_bytes").and_then(Value::as_u64) == Some(segment.tail_bytes)
                && member("tail_sha256").and_then(Value::as_str)
                    == Some(&segment.tail_sha256.unwrap_or(empty).to_string())
                && member("verdict").and_then(Value::as_str) == Some(verdict);
            if !same {
                findings.error(
                    file,
                    Some(1),
                    "wrong-previous",
                    format!("it does not declare the end of {} as it is", segment.name),
                );
            }
        }
    }

    /// Returns the session that a line stands in.
    pub(super) fn session_at(&self, seq: u64) -> Option<&Session> {
        self.sessions
            .iter()
            .rev()
            .find(|session| session.first_seq <= seq)
    }

    /// Returns how many intents are open.
    pub(super) fn open(&self) -> u64 {
        self.open_list().len() as u64
    }

    fn open_list(&self) -> Vec<u64> {
        self.intents
            .iter()
            .filter(|(_, state)| **state != Intent::Closed)
            .map(|(seq, _)| *seq)
            .collect()
    }
}

fn is_responder(upn: &str) -> bool {
    !upn.is_empty()
        && !upn.starts_with(['#', '!'])
        && !upn
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || matches!(c, '"' | ',' | '*' | '?'))
}
