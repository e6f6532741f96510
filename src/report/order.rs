//! The lines of all runs of a case in one true order, read side by side, so that memory stays flat.
//!
//! Three things say what came before what. Within a run its chain does, and nothing overrides it. Between runs a
//! line that lists heads it has `seen` comes after every line that those heads cover. For the rest there are clocks:
//! a session's wall time at its first line, the monotonic time since, less what the session's machine was ahead of
//! the cloud. Where a clock contradicts what was seen, what was seen wins, and the line carries a note.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::run::cited;
use crate::journal::reader::{Lines, openings};
use crate::journal::{JournalError, Line};

/// One session and the clock of its machine.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct SessionClock {
    /// The run's id.
    pub run: String,
    /// The session's id.
    pub session: String,
    /// The machine.
    pub host: String,
    /// Who answered for it.
    pub responder: String,
    /// Milliseconds that the machine's clock was ahead of the cloud's; absent where nobody measured it.
    pub offset_ms: Option<i64>,
    /// Who measured it: `session`, `run` (an earlier session of it), `machine` (another run there), `nobody`.
    pub measured_by: &'static str,
    /// When the session began, by its machine's clock.
    pub began: String,
}

/// A line in its place.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Its run, by place in [`Merge::runs`].
    pub run: usize,
    /// The line.
    pub line: Line,
    /// Its time by the cloud's clock, as far as that is known.
    pub at: DateTime<Utc>,
    /// What was taken off the machine's clock.
    pub offset_ms: Option<i64>,
    /// What contradicts its place.
    pub notes: Vec<String>,
}

/// One run that is merged.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its id.
    pub run: String,
    /// The machine that began it.
    pub host: String,
    /// Its folder.
    pub path: PathBuf,
}

/// The merged lines of several runs.
pub struct Merge {
    members: Vec<Member>,
    clocks: Vec<SessionClock>,
    chains: Vec<Chain>,
    /// What the opening lines say of heads, and what was found there.
    heads: HashMap<(usize, u64), Option<String>>,
    /// Runs that cannot be read, and what else is wrong with the whole.
    problems: Vec<String>,
}

struct Chain {
    lines: Lines,
    sessions: HashMap<String, Base>,
    next: Option<Next>,
    taken: u64,
}

/// What a session's lines are timed by.
#[derive(Clone, Copy)]
struct Base {
    began: Option<DateTime<Utc>>,
    mono_us: u64,
    offset_ms: Option<i64>,
}

struct Next {
    line: Line,
    chain: String,
    at: DateTime<Utc>,
    offset_ms: Option<i64>,
    waits: Vec<Wait>,
    notes: Vec<String>,
}

/// A head that a line has seen.
struct Wait {
    run: usize,
    size: u64,
    chain: String,
}

impl Merge {
    /// Opens the runs in `folders`. One that cannot be read is left out and named among the problems.
    pub fn open(folders: &[PathBuf]) -> Self {
        let mut merge = Self {
            members: Vec::new(),
            clocks: Vec::new(),
            chains: Vec::new(),
            heads: HashMap::new(),
            problems: Vec::new(),
        };
        let mut opened = Vec::new();
        for path in folders {
            match (openings(path), Lines::open(path)) {
                (Ok(openings), Ok(lines)) if !openings.is_empty() => {
                    opened.push((path.clone(), openings, lines));
                }
                (Err(error), _) | (_, Err(error)) => merge.problems.push(error.to_string()),
                _ => {}
            }
        }
        let machines = machines(&opened);
        for (path, openings, lines) in opened {
            merge.add(path, &openings, lines, &machines);
        }
        merge.want_heads();
        merge
    }

    /// Returns the runs.
    pub fn runs(&self) -> &[Member] {
        &self.members
    }

    /// Returns the sessions with their clocks.
    pub fn clocks(&self) -> &[SessionClock] {
        &self.clocks
    }

    /// Returns what is wrong with the whole; complete when the last line was returned.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    fn add(
        &mut self,
        path: PathBuf,
        openings: &[Line],
        lines: Lines,
        machines: &HashMap<String, i64>,
    ) {
        let first = &openings[0];
        let run = word(first, "/origin")
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned();
        let run_host = word(first, "/host");
        let mut of_run = None;
        let mut sessions = HashMap::new();
        for opening in openings {
            let host = Some(word(opening, "/host"))
                .filter(|host| !host.is_empty())
                .unwrap_or_else(|| run_host.clone());
            let own = measured(opening);
            // A session on another machine does not inherit the run's clock.
            let inherited = of_run.filter(|_| host == run_host);
            let (offset_ms, measured_by) = match (own, inherited, machines.get(&host)) {
                (Some(own), ..) => (Some(own), "session"),
                (None, Some(of_run), _) => (Some(of_run), "run"),
                (None, None, Some(machine)) => (Some(*machine), "machine"),
                _ => (None, "nobody"),
            };
            of_run = own.or(of_run);
            let base = Base {
                began: time(&opening.time),
                mono_us: opening.mono_us,
                offset_ms,
            };
            sessions.insert(opening.session.clone(), base);
            self.clocks.push(SessionClock {
                run: run.clone(),
                session: opening.session.clone(),
                host,
                responder: word(opening, "/responder/upn"),
                offset_ms,
                measured_by,
                began: opening.time.clone(),
            });
        }
        self.members.push(Member {
            run,
            host: run_host,
            path,
        });
        self.chains.push(Chain {
            lines,
            sessions,
            next: None,
            taken: 0,
        });
    }

    /// Remembers which heads the opening lines cite, so that they can be compared when their place is passed.
    fn want_heads(&mut self) {
        let mut wanted = Vec::new();
        for member in &self.members {
            for opening in openings(&member.path).unwrap_or_default() {
                wanted.extend(self.seen(&member.path, &opening));
            }
        }
        for wait in wanted {
            self.heads.insert((wait.run, wait.size), None);
        }
    }

    /// Returns the heads that a line has seen of runs that are here.
    fn seen(&self, run_dir: &Path, line: &Line) -> Vec<Wait> {
        let seen = line.data.get("seen").filter(|_| {
            matches!(
                line.kind.as_str(),
                "run.start" | "session.open" | "transfer" | "seal"
            )
        });
        let seen = cited(run_dir, seen);
        let heads = seen.as_array().into_iter().flatten();
        heads
            .filter_map(|head| {
                let run = head.get("run")?.as_str()?;
                Some(Wait {
                    run: self.members.iter().position(|member| member.run == run)?,
                    size: head.get("size")?.as_u64()?,
                    chain: head.get("chain")?.as_str()?.to_owned(),
                })
            })
            .collect()
    }

    /// Returns the next line of all.
    ///
    /// # Errors
    /// A segment that cannot be read to its end.
    pub fn next_line(&mut self) -> Result<Option<Placed>, JournalError> {
        for index in 0..self.chains.len() {
            self.fill(index)?;
        }
        let free = |index: &usize| !self.waits(*index);
        let waiting: Vec<usize> = (0..self.chains.len())
            .filter(|index| self.chains[*index].next.is_some())
            .collect();
        let earliest = |indexes: &mut dyn Iterator<Item = usize>| {
            indexes.min_by_key(|index| {
                let next = self.chains[*index].next.as_ref();
                (next.map(|next| next.at), &self.members[*index].run)
            })
        };
        let picked = earliest(&mut waiting.iter().copied().filter(free));
        let circle = picked.is_none();
        let Some(index) = picked.or_else(|| earliest(&mut waiting.iter().copied())) else {
            return Ok(None);
        };
        Ok(self.take(index, circle))
    }

    fn fill(&mut self, index: usize) -> Result<(), JournalError> {
        if self.chains[index].next.is_some() {
            return Ok(());
        }
        let Some(line) = self.chains[index].lines.next_line()? else {
            return Ok(());
        };
        let chain = self.chains[index].lines.head().chain.to_string();
        let (at, offset_ms) = self.chains[index].time(&line);
        let mut waits = self.seen(&self.members[index].path, &line);
        // A run's own lines are in order already.
        waits.retain(|wait| wait.run != index);
        let mut notes = Vec::new();
        for wait in &waits {
            if let Some(Some(found)) = self.heads.get(&(wait.run, wait.size))
                && *found != wait.chain
            {
                notes.push(self.replaced(wait));
            }
        }
        self.chains[index].next = Some(Next {
            line,
            chain,
            at,
            offset_ms,
            waits,
            notes,
        });
        Ok(())
    }

    /// Returns whether a run's next line has seen lines that were not returned yet.
    fn waits(&self, index: usize) -> bool {
        let next = self.chains[index].next.as_ref();
        next.is_some_and(|next| {
            next.waits.iter().any(|wait| {
                let other = &self.chains[wait.run];
                other.taken < wait.size && other.next.is_some()
            })
        })
    }

    fn take(&mut self, index: usize, circle: bool) -> Option<Placed> {
        let mut next = self.chains[index].next.take()?;
        self.chains[index].taken += 1;
        let taken = self.chains[index].taken;
        if circle {
            next.notes.push(
                "the runs claim to have seen lines of each other that come later: one of them is not true".to_owned(),
            );
        }
        for wait in &next.waits {
            let other = &self.chains[wait.run];
            if other.taken < wait.size && other.next.is_none() {
                next.notes.push(format!(
                    "it has seen {} entries of run {}, which has {} now",
                    wait.size, self.members[wait.run].run, other.taken
                ));
            }
        }
        self.passed(index, taken, &next);
        Some(Placed {
            run: index,
            line: next.line,
            at: next.at,
            offset_ms: next.offset_ms,
            notes: next.notes,
        })
    }

    /// Tells the lines that have seen a run up to here that its line was returned now.
    fn passed(&mut self, index: usize, taken: u64, line: &Next) {
        if let Some(found) = self.heads.get_mut(&(index, taken)) {
            *found = Some(line.chain.clone());
        }
        let run = self.members[index].run.clone();
        let replaced = self.replaced(&Wait {
            run: index,
            size: taken,
            chain: String::new(),
        });
        for other in &mut self.chains {
            let Some(next) = &mut other.next else {
                continue;
            };
            for wait in next
                .waits
                .iter()
                .filter(|wait| wait.run == index && wait.size == taken)
            {
                if wait.chain != line.chain {
                    next.notes.push(replaced.clone());
                }
                let late = (line.at - next.at).num_milliseconds();
                if late > 0 {
                    next.notes.push(format!(
                        "it has seen line {} of run {run}, whose clock says {late} ms later: the clocks contradict each other, and what was seen counts",
                        taken - 1
                    ));
                }
            }
        }
    }

    fn replaced(&self, wait: &Wait) -> String {
        format!(
            "the first {} entries of run {} are not those that it has seen: one of the two records was replaced",
            wait.size, self.members[wait.run].run
        )
    }
}

impl Chain {
    /// Returns a line's time by the cloud's clock, and what was taken off its machine's.
    fn time(&self, line: &Line) -> (DateTime<Utc>, Option<i64>) {
        let base = self.sessions.get(&line.session);
        let began = base.and_then(|base| {
            let since = line.mono_us.saturating_sub(base.mono_us);
            base.began?
                .checked_add_signed(TimeDelta::microseconds(i64::try_from(since).ok()?))
        });
        let wall = began.or_else(|| time(&line.time)).unwrap_or_default();
        let offset_ms = base.and_then(|base| base.offset_ms);
        (
            wall.checked_sub_signed(TimeDelta::milliseconds(offset_ms.unwrap_or_default()))
                .unwrap_or(wall),
            offset_ms,
        )
    }
}

/// Returns what the latest measurement on each machine says.
fn machines(opened: &[(PathBuf, Vec<Line>, Lines)]) -> HashMap<String, i64> {
    let mut found: HashMap<String, (&str, i64)> = HashMap::new();
    for (_, openings, _) in opened {
        for opening in openings {
            let Some(offset) = measured(opening) else {
                continue;
            };
            let known = found
                .entry(word(opening, "/host"))
                .or_insert((&opening.time, offset));
            if *known.0 < *opening.time {
                *known = (&opening.time, offset);
            }
        }
    }
    found
        .into_iter()
        .map(|(host, (_, offset))| (host, offset))
        .collect()
}

/// Returns by how many milliseconds a session found its machine's clock ahead. What is absurd is no measurement.
fn measured(opening: &Line) -> Option<i64> {
    let offset = opening.data.get("clock")?.get("offset_ms")?.as_i64()?;
    (offset.unsigned_abs() < 1 << 42).then_some(offset)
}

fn word(line: &Line, pointer: &str) -> String {
    let mut names = pointer.split('/').skip(1);
    let first = names.next().and_then(|name| line.data.get(name));
    names
        .fold(first, |value, name| value?.get(name))
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(text).ok()?;
    Some(time.with_timezone(&Utc))
}
