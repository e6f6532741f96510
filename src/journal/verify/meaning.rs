//! What the lines mean together: sessions, intents and their results, the seal.

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;

use super::evidence::Citations;
use super::finding::Findings;
use super::line::{Line, Outcome, Said};
use super::run_start;
use super::segments::Segment;
use super::sshsig::PublicKey;

/// Where a line stands.
pub(super) struct Place<'a> {
    pub(super) file: &'a str,
    /// From 1.
    pub(super) line: u64,
    /// The segment's number, from 1.
    pub(super) segment: u64,
    /// The number of the entry by its place.
    pub(super) seq: u64,
    /// The segment before.
    pub(super) previous: Option<&'a Segment>,
}

/// What the lines say together.
#[derive(Debug, Default)]
pub(super) struct Meaning {
    pub(super) origin: Option<String>,
    /// A format that this verifier does not read.
    pub(super) foreign_format: Option<String>,
    pub(super) sessions: Vec<Session>,
    pub(super) citations: Citations,
    /// Lines that a writer owes a checkpoint for, and a person's signature: all but the last are the same.
    pub(super) answered_for: Vec<u64>,
    /// Those of them that are transfers.
    pub(super) transfers: Vec<u64>,
    sealed: bool,
    /// What is known of each entry as an intent, by number: a byte an entry.
    intents: Vec<u8>,
    open: BTreeSet<u64>,
    request_ids: HashSet<u128>,
    session_ids: HashSet<u128>,
    session: u128,
    last_time: Option<[u8; 27]>,
    last_mono: u64,
}

/// One session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) first_seq: u64,
    /// `responder.upn`, empty where it cannot be one.
    pub(super) responder: String,
    pub(super) key: Option<PublicKey>,
}

const INTENT: u8 = 1;
const HAS_RESULT: u8 = 2;
const SETTLED_BY_RESULT: u8 = 4;
const RECONCILED: u8 = 8;

impl Meaning {
    /// Takes the next line.
    pub(super) fn take(
        &mut self,
        place: &Place<'_>,
        line: &Line,
        data: &[u8],
        findings: &mut Findings,
    ) {
        let at = Some(place.line);
        if self.sealed {
            findings.error(place.file, at, "after-seal", "it stands after the seal");
        }
        self.opening(place, line, data, findings);
        if line.mono_us < self.last_mono && place.line > 1 {
            findings.error(place.file, at, "mono-back", "its monotonic time goes back");
        }
        if self.last_time.is_some_and(|last| line.time < last) {
            findings.note(place.file, at, "time-back", "the wall time steps back");
        }
        self.last_mono = line.mono_us;
        self.last_time = Some(line.time);
        self.intents
            .resize(usize::try_from(place.seq).unwrap_or(usize::MAX), 0);
        let mut known = 0;
        match &line.said {
            Said::Intent(id) => {
                known = INTENT;
                self.intent(place, *id, findings);
            }
            Said::Result { intent, outcome } => self.result(place, *intent, *outcome, findings),
            Said::Reconcile { intent, found } => self.reconcile(place, *intent, *found, findings),
            Said::Redact(digest) => self.citations.redact(*digest),
            Said::Seal => {
                self.open_intents(place, data, findings);
                self.answered_for.push(place.seq);
                self.sealed = true;
            }
            Said::Transfer => {
                self.answered_for.push(place.seq);
                self.transfers.push(place.seq);
            }
            Said::RunStart | Said::SessionOpen | Said::Decision => {
                self.answered_for.push(place.seq);
            }
            Said::Else => {}
        }
        self.intents.push(known);
        self.citations.take(place, &line.cites, findings);
    }

    /// Takes notice of a line that cannot be read, so that numbers and sessions stay in step.
    pub(super) fn unreadable(&mut self, place: &Place<'_>) {
        self.intents
            .resize(usize::try_from(place.seq + 1).unwrap_or(usize::MAX), 0);
        if place.line == 1 {
            self.last_mono = 0;
            self.session = 0;
            self.sessions.push(Session {
                first_seq: place.seq,
                responder: String::new(),
                key: None,
            });
        }
    }

    fn opening(&mut self, place: &Place<'_>, line: &Line, data: &[u8], findings: &mut Findings) {
        let expected = match (place.line, place.segment) {
            (1, 1) => Some(Said::RunStart),
            (1, _) => Some(Said::SessionOpen),
            _ => None,
        };
        let opens = matches!(line.said, Said::RunStart | Said::SessionOpen);
        if expected
            .as_ref()
            .map_or(opens, |expected| *expected != line.said)
        {
            let text = "run.start is the first line of segment 1, session.open of every later one, and neither stands elsewhere";
            findings.error(place.file, Some(place.line), "wrong-opening", text);
        }
        if place.line > 1 {
            if line.session != self.session {
                findings.error(
                    place.file,
                    Some(place.line),
                    "other-session",
                    "the session changes inside a segment",
                );
            }
            return;
        }
        self.session = line.session;
        if !self.session_ids.insert(line.session) {
            findings.error(
                place.file,
                Some(1),
                "session-again",
                "its session was used by an earlier segment",
            );
        }
        let data: Value = serde_json::from_slice(data).unwrap_or_default();
        if line.said == Said::RunStart {
            self.foreign_format = run_start::foreign_format(&data);
            self.origin = run_start::check(&data, place.file, findings);
        } else if line.said == Said::SessionOpen {
            run_start::check_previous(&data, place, findings);
            self.check_list(place, &data, findings);
        }
        self.sessions
            .push(run_start::session(&data, place, findings));
    }

    fn intent(&mut self, place: &Place<'_>, id: Option<u128>, findings: &mut Findings) {
        self.open.insert(place.seq);
        match id {
            None => findings.error(
                place.file,
                Some(place.line),
                "bad-intent",
                "its client_request_id is missing or no UUID",
            ),
            Some(id) => {
                if !self.request_ids.insert(id) {
                    findings.error(
                        place.file,
                        Some(place.line),
                        "request-id-again",
                        "its client_request_id was used before",
                    );
                }
            }
        }
    }

    fn known(&mut self, seq: Option<u64>) -> Option<(u64, &mut u8)> {
        let seq = seq?;
        let known = self.intents.get_mut(usize::try_from(seq).ok()?)?;
        (*known & INTENT != 0).then_some((seq, known))
    }

    fn result(
        &mut self,
        place: &Place<'_>,
        intent: Option<u64>,
        outcome: Option<Outcome>,
        findings: &mut Findings,
    ) {
        let at = Some(place.line);
        let Some(outcome) = outcome else {
            findings.error(
                place.file,
                at,
                "bad-outcome",
                "its outcome is neither ok, failed nor unknown",
            );
            return;
        };
        let Some((seq, known)) = self.known(intent) else {
            findings.error(
                place.file,
                at,
                "no-intent",
                "it answers an intent that is not there",
            );
            return;
        };
        if *known & (HAS_RESULT | RECONCILED) != 0 {
            findings.error(
                place.file,
                at,
                "answered-again",
                "its intent has a result or a reconcile already",
            );
        }
        *known |= HAS_RESULT;
        if outcome == Outcome::Settled {
            *known |= SETTLED_BY_RESULT;
            self.open.remove(&seq);
        }
    }

    fn reconcile(
        &mut self,
        place: &Place<'_>,
        intent: Option<u64>,
        found: Option<Outcome>,
        findings: &mut Findings,
    ) {
        let at = Some(place.line);
        let Some(found) = found else {
            findings.error(
                place.file,
                at,
                "bad-found",
                "what it found is neither yes, no nor undecidable",
            );
            return;
        };
        let Some((seq, known)) = self.known(intent) else {
            findings.error(
                place.file,
                at,
                "no-intent",
                "it answers an intent that is not there",
            );
            return;
        };
        if *known & SETTLED_BY_RESULT != 0 {
            findings.error(
                place.file,
                at,
                "answered-again",
                "a result settled its intent already",
            );
        }
        *known |= RECONCILED;
        if found == Outcome::Settled {
            self.open.remove(&seq);
        }
    }

    fn open_intents(&self, place: &Place<'_>, data: &[u8], findings: &mut Findings) {
        self.check_list(
            place,
            &serde_json::from_slice(data).unwrap_or_default(),
            findings,
        );
    }

    fn check_list(&self, place: &Place<'_>, data: &Value, findings: &mut Findings) {
        let said = data.get("open_intents").and_then(Value::as_array);
        let exact = said.is_some_and(|said| {
            said.len() == self.open.len()
                && said
                    .iter()
                    .zip(&self.open)
                    .all(|(said, seq)| said.as_u64() == Some(*seq))
        });
        if !exact {
            let text =
                "its open_intents is not the ascending, exact list of the intents that are open";
            findings.error(place.file, Some(place.line), "wrong-open-intents", text);
        }
    }

    /// Returns whether a seal was read.
    pub(super) fn sealed(&self) -> bool {
        self.sealed
    }

    /// Returns the intents that are open.
    pub(super) fn open(&self) -> &BTreeSet<u64> {
        &self.open
    }

    /// Returns the session that holds an entry.
    pub(super) fn session_of(&self, seq: u64) -> Option<&Session> {
        let after = self
            .sessions
            .partition_point(|session| session.first_seq <= seq);
        after.checked_sub(1).and_then(|at| self.sessions.get(at))
    }
}
