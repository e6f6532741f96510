//! Closing a run that did not close itself: witnesses that were missing are asked again, then nothing may follow.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::error::{EngineError, chain};
use super::recorder::{PATIENCE, Recorder, Seal, object};
use super::siblings;
use super::standing::Standing;
use super::witness::{Attendance, Missing, Witness, show_all};
use crate::clock::Clock;
use crate::evidence::Store;
use crate::journal::reader::{self, holder, is_held};
use crate::journal::status::{OpenIntent, open_intents};
use crate::journal::{SessionOpen, Writer, WriterDeps};
use crate::random::Random;
use crate::report::model::RunStatus;

/// A run to seal.
#[derive(Clone, Debug)]
pub struct SealRequest {
    /// Its folder.
    pub run_dir: PathBuf,
    /// Who answers for the session that seals it.
    pub responder: String,
    /// The machine's name.
    pub host: String,
    /// Whether a run that broke off, or has writes without an answer, may be closed for good.
    pub yes: bool,
}

/// How a run was sealed.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// Whether it was sealed before.
    pub already: bool,
    /// How many entries it has.
    pub entries: u64,
    /// The intents that it was sealed over.
    pub open: Vec<OpenIntent>,
    /// Who still does not vouch for its last checkpoint.
    pub missing: Vec<Missing>,
}

/// What a seal stands on, besides the run.
pub(crate) struct SealDeps<'a> {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) witnesses: &'a [Arc<dyn Witness>],
    /// Says what a witness waits for.
    pub(crate) tell: &'a (dyn Fn(&str) + Sync),
}

/// Seals a run; of one that is sealed, asks the witnesses that its last checkpoint lacks.
pub(crate) async fn seal(request: SealRequest, deps: SealDeps<'_>) -> Result<Sealed, EngineError> {
    let run_dir = &request.run_dir;
    if is_held(run_dir) {
        return Err(EngineError::Record {
            message: format!("the run is being written by {}", holder(run_dir)),
            hint: "wait for it to end, or stop it with ctrl-C".to_owned(),
        });
    }
    let past = Past::read(run_dir)?;
    if past.sealed {
        return again(run_dir, past, &deps).await;
    }
    if !request.yes {
        past.agree(run_dir)?;
    }
    let store = Store::open(run_dir).map_err(|error| EngineError::Record {
        message: chain(&error),
        hint: "free the disk, or name another folder with AZIR_HOME".to_owned(),
    })?;
    let seen = siblings::seen(run_dir, &store)?;
    let open = SessionOpen {
        responder: request.responder.clone(),
        data: object(json!({
            "reason": "seal",
            "host": request.host,
            "seen": &seen,
        })),
    };
    let real = WriterDeps::real(Arc::clone(&deps.clock), Arc::clone(&deps.random));
    let writer =
        Writer::open_session(run_dir, open, real).map_err(|error| EngineError::record(&error))?;
    let attendance = Attendance::begin(&writer, deps.witnesses, &deps.clock);
    let recorder = Recorder::new(writer, store, deps.random, String::new(), attendance);
    let undone =
        crate::report::run::told(run_dir).is_ok_and(|report| report.status == RunStatus::Undone);
    let said = past.standing.seal(seen, undone);
    let closed = recorder.end(Seal::Yes(said), deps.tell).await?;
    Ok(Sealed {
        already: false,
        entries: closed.entries,
        open: past.open,
        missing: closed.missing,
    })
}

/// Shows the last checkpoint of a sealed run to the witnesses once more.
async fn again(run_dir: &Path, past: Past, deps: &SealDeps<'_>) -> Result<Sealed, EngineError> {
    let last = reader::last_checkpoint(run_dir).map_err(|error| EngineError::record(&error))?;
    let number = last.map_or(0, |last| last.number);
    for ask in deps.witnesses.iter().filter_map(|witness| witness.asks()) {
        (deps.tell)(&ask);
    }
    let missing = show_all(run_dir, number, deps.witnesses, &deps.clock, PATIENCE).await;
    Ok(Sealed {
        already: true,
        entries: past.entries,
        open: past.open,
        missing,
    })
}

/// A run as its lines have it.
struct Past {
    standing: Standing,
    open: Vec<OpenIntent>,
    sealed: bool,
    entries: u64,
}

impl Past {
    fn read(run_dir: &Path) -> Result<Self, EngineError> {
        let log = crate::journal::read(run_dir).map_err(|error| EngineError::record(&error))?;
        let mut standing = Standing::default();
        for line in &log.lines {
            standing.take(&line.kind, &line.data);
        }
        Ok(Self {
            standing,
            open: open_intents(&log.lines),
            sealed: log.lines.last().is_some_and(|line| line.kind == "seal"),
            entries: log.head.entries,
        })
    }

    /// Refuses what a seal would put out of reach: after it nothing can be settled in this run any more.
    fn agree(&self, run_dir: &Path) -> Result<(), EngineError> {
        let unknown: Vec<String> = self
            .open
            .iter()
            .filter(|intent| intent.effect != "read")
            .map(|intent| format!("{} {} (line {})", intent.method, intent.target, intent.seq))
            .collect();
        let why = if !unknown.is_empty() {
            format!(
                "{} writes have no answer on record, and nothing can be added after a seal: {}",
                unknown.len(),
                unknown.join("; ")
            )
        } else if self.standing.broke_off() {
            "the run broke off before its end, and nothing can be added after a seal".to_owned()
        } else if self.standing.waits() {
            "a manual task waits for its finding, and nothing can be added after a seal".to_owned()
        } else {
            return Ok(());
        };
        let name = siblings::run_id(run_dir).unwrap_or_else(|| run_dir.display().to_string());
        Err(EngineError::Usage {
            message: why,
            hint: format!("azir show {name}, then azir journal seal {name} --yes"),
        })
    }
}

/// Returns who answers for the last session of a run.
///
/// # Errors
/// A journal that cannot be read.
pub fn last_responder(run_dir: &Path) -> Result<String, EngineError> {
    let mut responder = String::new();
    reader::each(run_dir, |line, _, _| {
        if matches!(line.kind.as_str(), "run.start" | "session.open") {
            let upn = line.data.get("responder").and_then(|who| who.get("upn"));
            responder = upn.and_then(Value::as_str).unwrap_or_default().to_owned();
        }
    })
    .map_err(|error| EngineError::record(&error))?;
    Ok(responder)
}
