//! Where people write: the incident log of a case, a run like any other that holds no runbook.
//!
//! A run ends and is sealed; what is said of the incident before, beside and after it has a run of its own, one a
//! machine, so that two machines never write one file. The first line of it says `purpose: incident`. Each command
//! opens a session, says its lines, signs a checkpoint over them, and goes. Needs no cloud and no network.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::error::{EngineError, chain};
use super::incident_log::Session;
pub use super::incident_log::Written;
use super::recorder::{Recorder, object};
use super::request::{Mode, Responder};
use super::run::Tool;
use super::siblings;
use super::witness::{Attendance, Witness};
use crate::clock::{Clock, seconds};
use crate::evidence::Store;
use crate::ids::IncidentId;
use crate::journal::disk::{Disk as _, RealDisk};
use crate::journal::reader::{holder, is_held};
use crate::journal::{JournalError, RunStart, SessionOpen, Writer, WriterDeps};
use crate::random::Random;
use crate::report::cases::of_case;
use crate::report::incident::{ABOUT, Incident, State, incident, logs};
use crate::report::run::{INCIDENT, started};

/// How often a log that another command writes is tried again, and after how long each time.
const TRIES: u32 = 150;
const AGAIN: Duration = Duration::from_millis(100);

/// Everything that writing into an incident log needs.
pub struct Desk {
    /// The folder that holds the cases.
    pub cases: PathBuf,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The source of ids and salts.
    pub random: Arc<dyn Random>,
    /// The program that writes.
    pub tool: Tool,
    /// Whether it counts: what is written in a drill says so.
    pub mode: Mode,
    /// Who vouches for the record besides the session's key.
    pub(crate) witnesses: Vec<Arc<dyn Witness>>,
    /// Says what a witness waits for.
    pub(crate) tell: fn(&str),
}

/// A file that was taken into evidence.
#[derive(Clone, Debug)]
pub struct Attached {
    /// Its number.
    pub exhibit: String,
    /// Its digest.
    pub sha256: String,
    /// Its size.
    pub size: u64,
    /// The line about it.
    pub written: Written,
}

/// What a person says of the incident as a whole.
#[derive(Clone, Debug, Default)]
pub struct AboutIncident {
    /// When the attack was detected.
    pub detected_at: Option<DateTime<Utc>>,
    /// On whose authority.
    pub authority: Option<String>,
    /// The ticket.
    pub ticket: Option<String>,
    /// Who leads.
    pub lead: Option<String>,
    /// Why it is opened again, or closed.
    pub why: Option<String>,
}

/// What opening an incident came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Opening {
    /// It was not open before.
    Opened,
    /// It was open, and the person joins.
    Joined,
    /// It was closed, and goes on.
    Reopened,
}

impl Opening {
    /// Returns the word of the `decision` line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Opened => "open",
            Self::Joined => "join",
            Self::Reopened => "reopen",
        }
    }
}

impl Desk {
    /// Opens an incident, joins it where it is open, opens it again where it was closed.
    ///
    /// # Errors
    /// A closed incident without a reason; a record that cannot be kept.
    pub async fn open_incident(
        &self,
        id: &IncidentId,
        by: &Responder,
        about: &AboutIncident,
    ) -> Result<(Opening, Written), EngineError> {
        let opening = match self.said(id)?.state {
            State::NotOpened => Opening::Opened,
            State::Open => Opening::Joined,
            State::Closed if about.why.is_none() => {
                return Err(EngineError::Refused {
                    code: "incident_closed",
                    message: format!("incident {id} was closed; opening it again needs a reason"),
                    target: Some(id.to_string()),
                    hint: reopen(id),
                });
            }
            State::Closed => Opening::Reopened,
        };
        let session = self.session(id, by, opening.word()).await?;
        let written = session
            .say("decision", decision(opening.word(), about, by))
            .await?;
        Ok((opening, session.close(written).await?))
    }

    /// Closes an incident, and seals the incident logs of this machine.
    ///
    /// # Errors
    /// An incident that is closed already, or with a run under way; a record that cannot be kept.
    pub async fn close_incident(
        &self,
        id: &IncidentId,
        by: &Responder,
        about: &AboutIncident,
    ) -> Result<Written, EngineError> {
        self.refuse_closed(id)?;
        for run_dir in of_case(&self.cases.join(id.as_str())) {
            let start = started(&run_dir).unwrap_or_default();
            if is_held(&run_dir) && !start.is_incident_log() {
                return Err(EngineError::Refused {
                    code: "run_open",
                    message: format!(
                        "run {} of incident {id} is being written by {}",
                        start.run,
                        holder(&run_dir)
                    ),
                    target: Some(start.run),
                    hint: format!(
                        "wait for it to end, or stop it with ctrl-C, then azir incident close {id}"
                    ),
                });
            }
        }
        let session = self.session(id, by, "close").await?;
        let written = session
            .say("decision", decision("close", about, by))
            .await?;
        session.seal(written).await
    }

    /// Writes one line by a person into the incident log.
    ///
    /// # Errors
    /// A closed incident; a record that cannot be kept.
    pub async fn say(
        &self,
        id: &IncidentId,
        by: &Responder,
        kind: &'static str,
        reason: &'static str,
        data: Value,
    ) -> Result<Written, EngineError> {
        self.refuse_closed(id)?;
        let session = self.session(id, by, reason).await?;
        let written = session.say(kind, data).await?;
        session.close(written).await
    }

    /// Takes a file into evidence, piece by piece.
    ///
    /// # Errors
    /// A closed incident; a file that cannot be read to its end; a record that cannot be kept.
    pub async fn attach(
        &self,
        id: &IncidentId,
        by: &Responder,
        path: &Path,
        description: Option<&str>,
    ) -> Result<Attached, EngineError> {
        self.refuse_closed(id)?;
        // Opened before the record is: a slip of the keyboard leaves no trace in it.
        let file = file(path)?;
        let session = self.session(id, by, "attach").await?;
        let kept = match session.keep(file, path) {
            Ok(kept) => kept,
            Err(error) => {
                session.close_quietly().await;
                return Err(error);
            }
        };
        let exhibit = session.recorder.next_exhibit();
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let data = json!({
            "exhibit": exhibit,
            "name": name,
            "description": description,
            "source": name,
            "sha256": kept.sha256.to_string(),
            "size": kept.size,
            "hash_origin": "local",
            "by": by.upn,
        });
        let written = session.say("evidence", data).await?;
        Ok(Attached {
            exhibit,
            sha256: kept.sha256.to_string(),
            size: kept.size,
            written: session.close(written).await?,
        })
    }

    /// Hands the incident over: pending until both persons have signed.
    ///
    /// # Errors
    /// A closed incident; a record that cannot be kept.
    pub async fn hand_over(
        &self,
        id: &IncidentId,
        by: &Responder,
        to: &str,
        items: &str,
        purpose: Option<&str>,
    ) -> Result<Written, EngineError> {
        self.refuse_closed(id)?;
        let session = self.session(id, by, "handover").await?;
        let seen = siblings::seen(&session.recorder.run_dir(), &session.recorder.store)?;
        let data =
            json!({"items": items, "from": by.upn, "to": to, "purpose": purpose, "seen": seen});
        let written = session.say("transfer", data).await?;
        session.close(written).await
    }

    /// Refuses to add to an incident that was closed.
    ///
    /// # Errors
    /// That it was.
    pub fn refuse_closed(&self, id: &IncidentId) -> Result<(), EngineError> {
        refuse_closed(id, &self.said(id)?)
    }

    fn said(&self, id: &IncidentId) -> Result<Incident, EngineError> {
        said(&self.cases.join(id.as_str()))
    }

    /// Opens a session in this machine's incident log, making the log where there is none.
    async fn session(
        &self,
        id: &IncidentId,
        by: &Responder,
        reason: &'static str,
    ) -> Result<Session, EngineError> {
        let case = self.cases.join(id.as_str());
        for _ in 1..TRIES {
            match self.try_session(&case, id, by, reason) {
                // Another command of this machine says something; that takes a moment.
                Err(Trying::Busy(_)) => self.clock.sleep(AGAIN).await,
                Err(Trying::Failed(error)) => return Err(error),
                Ok(session) => return Ok(session),
            }
        }
        match self.try_session(&case, id, by, reason) {
            Err(Trying::Busy(holder)) => Err(EngineError::Record {
                message: format!("the incident log is being written by {holder}"),
                hint: "wait for it to end, then type the command again".to_owned(),
            }),
            Err(Trying::Failed(error)) => Err(error),
            Ok(session) => Ok(session),
        }
    }

    fn try_session(
        &self,
        case: &Path,
        id: &IncidentId,
        by: &Responder,
        reason: &'static str,
    ) -> Result<Session, Trying> {
        RealDisk
            .create_folders(case)
            .map_err(|error| failed(&error, case))?;
        // Two first commands at once make one log, not two; held only until the log is there.
        let lock = case_lock(case).map_err(|error| failed(&error, case))?;
        lock.lock().map_err(|error| failed(&error, case))?;
        if !matches!(reason, "open" | "join" | "reopen" | "close") {
            // Somebody may have closed it while this waited for the log.
            refuse_closed(id, &self.said(id)?)?;
        }
        let mine = |path: &PathBuf| started(path).is_ok_and(|start| start.host == self.tool.host);
        for run_dir in logs(case).into_iter().filter(mine) {
            match self.resume(&run_dir, id, by, reason) {
                Ok(session) => return Ok(session),
                // Nothing is added to a log that is sealed or damaged: the next one has seen it.
                Err(Trying::Failed(EngineError::Integrity { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        self.begin(case, id, by)
    }

    fn resume(
        &self,
        run_dir: &Path,
        id: &IncidentId,
        by: &Responder,
        reason: &'static str,
    ) -> Result<Session, Trying> {
        let store = Store::open(run_dir).map_err(|error| failed(&error, run_dir))?;
        let data = object(json!({
            "reason": reason,
            "host": self.tool.host,
            "seen": siblings::seen(run_dir, &store)?,
        }));
        let open = SessionOpen {
            responder: by.upn.clone(),
            data,
        };
        let writer = match Writer::open_session(run_dir, open, self.deps()) {
            Ok(writer) => writer,
            Err(JournalError::Locked { holder }) => return Err(Trying::Busy(holder)),
            Err(error @ (JournalError::Sealed | JournalError::Corrupt { .. })) => {
                return Err(Trying::Failed(EngineError::Integrity {
                    message: error.to_string(),
                    hint: String::new(),
                }));
            }
            Err(error) => return Err(EngineError::record(&error).into()),
        };
        let run = started(run_dir).map(|start| start.run).unwrap_or_default();
        // Counted now that nobody else can add one.
        let exhibits = exhibits(run_dir);
        Ok(self.at(writer, store, id, run, by, exhibits))
    }

    fn begin(&self, case: &Path, id: &IncidentId, by: &Responder) -> Result<Session, Trying> {
        let run = self.random.uuid();
        let run_dir = case.join(format!("run-{run}"));
        let store = Store::open(&run_dir).map_err(|error| failed(&error, &run_dir))?;
        let data = object(json!({
            "purpose": INCIDENT,
            "tool": object(json!({"name": "azir", "version": self.tool.version, "binary_sha256": self.tool.binary_sha256})),
            "host": self.tool.host,
            "os": self.tool.os,
            "seen": siblings::seen(&run_dir, &store)?,
        }));
        let start = RunStart {
            incident: id.clone(),
            run,
            mode: self.mode.word().to_owned(),
            responder: by.upn.clone(),
            responder_name: by.name.clone(),
            responder_oid: by.oid.clone(),
            data,
        };
        let writer = Writer::create(&run_dir, start, self.deps())
            .map_err(|error| Trying::Failed(EngineError::record(&error)))?;
        Ok(self.at(writer, store, id, run.to_string(), by, 0))
    }

    fn deps(&self) -> WriterDeps {
        WriterDeps::real(Arc::clone(&self.clock), Arc::clone(&self.random))
    }

    fn at(
        &self,
        writer: Writer,
        store: Store,
        id: &IncidentId,
        run: String,
        by: &Responder,
        exhibits: u32,
    ) -> Session {
        let attendance = Attendance::begin(&writer, &self.witnesses, &self.clock);
        let prefix = format!("{id}/{run}");
        let random = Arc::clone(&self.random);
        Session {
            recorder: Recorder::new(writer, store, random, prefix, attendance)
                .after_exhibits(exhibits),
            run,
            upn: by.upn.clone(),
            tell: self.tell,
        }
    }
}

/// Opens the file that guards the making of a case's log; like all that lies in a case, for its owner alone.
fn case_lock(case: &Path) -> std::io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(case.join("lock"))
}

/// Reads what was said of the incident of a case.
pub(crate) fn said(case: &Path) -> Result<Incident, EngineError> {
    incident(case).map_err(|error| EngineError::Integrity {
        message: chain(&error),
        hint: format!("azir list {}", case.display()),
    })
}

/// Refuses to add to an incident that was closed.
pub(crate) fn refuse_closed(id: &IncidentId, said: &Incident) -> Result<(), EngineError> {
    let Some(closed) = said.closed.as_ref().filter(|_| said.state == State::Closed) else {
        return Ok(());
    };
    Err(EngineError::Refused {
        code: "incident_closed",
        message: format!(
            "incident {id} was closed by {} at {}; nothing is added to it",
            closed.by, closed.at
        ),
        target: Some(id.to_string()),
        hint: reopen(id),
    })
}

fn reopen(id: &IncidentId) -> String {
    format!("azir incident open {id} --why TEXT")
}

fn decision(choice: &str, about: &AboutIncident, by: &Responder) -> Value {
    json!({
        "about": ABOUT,
        "choice": choice,
        "detected_at": about.detected_at.map(seconds),
        "authority": about.authority,
        "ticket": about.ticket,
        "lead": about.lead,
        "why": about.why,
        "by": by.upn,
    })
}

/// Why a session could not be opened at once.
enum Trying {
    /// Somebody has it open.
    Busy(String),
    Failed(EngineError),
}

impl From<EngineError> for Trying {
    fn from(error: EngineError) -> Self {
        Self::Failed(error)
    }
}

pub(super) fn failed(error: &dyn std::error::Error, path: &Path) -> EngineError {
    EngineError::Record {
        message: format!("{}: {}", path.display(), chain(error)),
        hint: "free the disk, or name another folder with AZIR_HOME".to_owned(),
    }
}

/// Counts the exhibits of a log; one that cannot be read is refused when its session is opened.
fn exhibits(run_dir: &Path) -> u32 {
    let mut count = 0;
    let counted = crate::journal::reader::each(run_dir, |line, _, _| {
        count += u32::from(line.kind == "evidence");
    });
    counted.map_or(0, |()| count)
}

fn file(path: &Path) -> Result<std::fs::File, EngineError> {
    let usage = |why: String, hint: &str| EngineError::Usage {
        message: format!("cannot attach {}: {why}", path.display()),
        hint: hint.to_owned(),
    };
    let readable = "name a file that can be read";
    let kind = std::fs::metadata(path).map_err(|error| usage(error.to_string(), readable))?;
    if kind.is_dir() {
        return Err(usage(
            "it is a folder".to_owned(),
            "pack it first: tar -cf evidence.tar FOLDER, then azir attach evidence.tar",
        ));
    }
    if !kind.is_file() {
        return Err(usage(
            "it is no regular file".to_owned(),
            "copy its content into a file, then attach that",
        ));
    }
    std::fs::File::open(path).map_err(|error| usage(error.to_string(), readable))
}
