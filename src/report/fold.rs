//! The fold of a run's lines into its report: steps, checks, what stays open, what was made, what was left.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::model::{
    CheckReport, Deadline, ErrorReport, EvidenceRef, Gap, Made, NotDone, Residual, RunReport,
    RunStatus, RunbookRef, SCHEMA_VERSION, Said, StepReport, StepStatus, TargetReport,
};
use super::run::{INCIDENT, cited, started};
use super::{again, findings};
use crate::journal::Line;
use crate::journal::reader::{holder, is_held, walk};
use crate::journal::status::{OpenIntent, undoable};

/// A run as far as its lines were read.
pub(super) struct Fold {
    run_dir: PathBuf,
    report: RunReport,
    /// Where what is said of several targets stands, by its words: ten thousand targets are not searched for each.
    residual_at: HashMap<(String, Option<String>), usize>,
    said_at: HashMap<String, usize>,
    found_at: HashMap<findings::Words, usize>,
    steps: BTreeMap<Key, StepReport>,
    /// The last answer of each check of a step, by item and claim, in the order in which they were first made.
    checks: HashMap<Key, Vec<(String, CheckReport)>>,
    /// Which step each gap, and each thing that was not done, belongs to.
    gaps_at: Vec<Option<Key>>,
    not_done_at: Vec<Option<Key>>,
    /// Steps that were never begun because their target had stopped.
    left: HashSet<Key>,
    /// The steps by their place in the runbook; those without one, of an undo, as they were done.
    order: Vec<(u64, Key)>,
    /// What is being made, by the line of its intent.
    making: BTreeMap<u64, Made>,
    /// Anchor lines by witness.
    pub(super) receipts: BTreeMap<String, u64>,
    ended: bool,
    undoable: bool,
    /// Nothing is carried out in an incident log: it is done after each of its lines.
    incident_log: bool,
}

impl Fold {
    pub(super) fn new(run_dir: &Path, first: &Line) -> Self {
        let data = &first.data;
        let text = |name: &str| {
            data.get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let runbook = |name: &str| {
            data.get("runbook")
                .and_then(|runbook| runbook.get(name))
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let targets = cited(run_dir, data.get("targets"));
        let targets = targets
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(|target| TargetReport {
                target: target.to_owned(),
                status: RunStatus::Halted,
                contained_at: None,
                error: None,
                steps: Vec::new(),
            })
            .collect();
        let origin = text("origin");
        let incident_log = text("purpose") == INCIDENT;
        let report = RunReport {
            schema_version: SCHEMA_VERSION,
            run: origin.rsplit('/').next().unwrap_or_default().to_owned(),
            incident: text("incident"),
            runbook: RunbookRef {
                name: if incident_log {
                    INCIDENT.to_owned()
                } else {
                    runbook("name")
                },
                version: runbook("version"),
                digest: runbook("sha256"),
            },
            mode: text("mode"),
            drill: started(run_dir).is_ok_and(|start| start.drill),
            detected_at: data
                .get("detected_at")
                .and_then(Value::as_str)
                .map(str::to_owned),
            started_at: Some(first.time.clone()),
            deadline: data
                .get("deadline_seconds")
                .and_then(Value::as_u64)
                .map(|seconds| Deadline {
                    seconds,
                    kept: None,
                    kept_since_detection: None,
                }),
            targets,
            of: data
                .get("of")
                .and_then(|of| of.get("run"))
                .and_then(Value::as_str)
                .map(str::to_owned),
            profile: text("profile_name"),
            held_by: is_held(run_dir).then(|| holder(run_dir)),
            ..RunReport::default()
        };
        Self {
            run_dir: run_dir.to_path_buf(),
            report,
            residual_at: HashMap::new(),
            said_at: HashMap::new(),
            found_at: HashMap::new(),
            steps: BTreeMap::new(),
            checks: HashMap::new(),
            gaps_at: Vec::new(),
            not_done_at: Vec::new(),
            left: HashSet::new(),
            order: Vec::new(),
            making: BTreeMap::new(),
            receipts: BTreeMap::new(),
            ended: false,
            undoable: false,
            incident_log,
        }
    }

    pub(super) fn take(&mut self, line: &Line) {
        let data = &line.data;
        match line.kind.as_str() {
            "step" => self.step(line),
            "action.intent" => self.intent(line),
            "action.result" => {
                let ok = data.get("outcome").and_then(Value::as_str) == Some("ok");
                let intent = data.get("intent").and_then(Value::as_u64);
                if let Some(made) = intent
                    .and_then(|seq| self.making.remove(&seq))
                    .filter(|_| ok)
                {
                    self.report.made.push(made);
                }
            }
            "anchor" => {
                let kind = data.get("kind").and_then(Value::as_str).unwrap_or("other");
                *self.receipts.entry(kind.to_owned()).or_default() += 1;
            }
            "check" => self.check(data),
            "session.open" if data.get("reason").and_then(Value::as_str) == Some("resume") => {
                self.resumed();
            }
            "evidence" => self.evidence(data),
            "note" => self.note(line),
            _ => {}
        }
    }

    /// The run goes on: what its end said is said anew when it ends again.
    fn resumed(&mut self) {
        let report = &mut self.report;
        report.residual.clear();
        self.residual_at.clear();
        report.collateral.clear();
        report.finished_at = None;
        report.exit_code = None;
        self.ended = false;
        for target in &mut report.targets {
            target.status = RunStatus::Halted;
            target.error = None;
        }
        let left = std::mem::take(&mut self.left);
        for key in &left {
            if let Some(step) = self.steps.get_mut(key) {
                step.status = StepStatus::Pending;
            }
        }
        self.forget(false, |key| left.contains(key));
    }

    /// Forgets what was not done at some steps, and with it their gaps where those are judged anew.
    fn forget(&mut self, gaps: bool, of: impl Fn(&Key) -> bool) {
        let stays = |key: &Option<Key>| !key.as_ref().is_some_and(&of);
        let mut places = self.not_done_at.iter();
        let all = &mut self.report.not_done;
        all.retain(|_| places.next().is_none_or(stays));
        self.not_done_at.retain(stays);
        if gaps {
            let mut places = self.gaps_at.iter();
            let all = &mut self.report.gaps;
            all.retain(|_| places.next().is_none_or(stays));
            self.gaps_at.retain(stays);
        }
    }

    fn intent(&mut self, line: &Line) {
        let data = &line.data;
        let text = |name: &str| {
            data.get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let (effect, undo) = (text("effect"), text("undo"));
        if let Some(step) = self.at(data) {
            step.requests += 1;
            step.writes += u64::from(effect != "read");
        }
        let lasting = undo.strip_prefix("lasting: ");
        if let Some(why) = lasting.filter(|_| effect == "create") {
            let made = Made {
                resource: text("target"),
                of: text("item"),
                why: why.to_owned(),
            };
            self.making.insert(line.seq, made);
        }
        self.undoable |= undoable(data);
    }

    fn step(&mut self, line: &Line) {
        let data = &line.data;
        let text = |name: &str| data.get(name).and_then(Value::as_str).map(str::to_owned);
        let items = cited(&self.run_dir, data.get("items"));
        let Some(key) = key(data) else {
            return;
        };
        let (state, outcome) = (text("state"), text("outcome"));
        if state.as_deref() == Some("skipped") && outcome.is_none() {
            self.left.insert(key.clone());
        }
        // Taken again, or found to be needless after all.
        let anew = state.as_deref() == Some("started") || outcome.as_deref() == Some("skipped");
        if anew && self.steps.contains_key(&key) {
            self.forget(true, |other| *other == key);
            self.checks.remove(&key);
        }
        if !self.steps.contains_key(&key) {
            let place = data.get("order").and_then(Value::as_u64);
            self.order.push((place.unwrap_or(u64::MAX), key.clone()));
        }
        let step = self.steps.entry(key.clone()).or_insert_with(|| StepReport {
            id: key.1.clone(),
            title: text("title").unwrap_or_default(),
            status: StepStatus::Pending,
            started_at: None,
            ended_at: None,
            check: None,
            requests: 0,
            writes: 0,
            items: None,
        });
        match state.as_deref() {
            Some("started") => {
                step.started_at = Some(line.time.clone());
                step.status = StepStatus::Unknown;
                step.items = items.as_array().map(|items| items.len() as u64);
                if let Some(title) = text("title") {
                    step.title = title;
                }
            }
            Some("skipped") => step.status = StepStatus::Skipped,
            _ => {
                step.ended_at = Some(line.time.clone());
                step.status = match outcome.as_deref() {
                    Some("done") => StepStatus::Done,
                    Some("unknown") => StepStatus::Unknown,
                    Some("skipped" | "left_undone") => StepStatus::Skipped,
                    _ => StepStatus::Failed,
                };
            }
        }
    }

    fn check(&mut self, data: &Map<String, Value>) {
        let claim = data
            .get("claim")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let holds = data.get("holds").and_then(Value::as_bool);
        let observed = data.get("observed").and_then(Value::as_str);
        let observed = observed.filter(|_| holds != Some(true)).map(str::to_owned);
        let Some(key) = key(data).filter(|key| self.steps.contains_key(key)) else {
            return;
        };
        let item = data.get("item").and_then(Value::as_str).unwrap_or_default();
        let all = self.checks.entry(key).or_default();
        let same =
            |(other, check): &&mut (String, CheckReport)| other == item && check.claim == claim;
        let check = CheckReport {
            claim: claim.clone(),
            holds,
            observed,
        };
        match all.iter_mut().find(same) {
            Some((_, known)) => *known = check,
            None => all.push((item.to_owned(), check)),
        }
    }

    fn evidence(&mut self, data: &Map<String, Value>) {
        let text = |name: &str| {
            data.get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        self.report.evidence.push(EvidenceRef {
            exhibit: text("exhibit"),
            name: text("name"),
            sha256: text("sha256"),
            size: data.get("size").and_then(Value::as_u64).unwrap_or(0),
            stored: data
                .get("stored")
                .and_then(|stored| stored.get("uri"))
                .and_then(Value::as_str)
                .map(str::to_owned),
        });
    }

    /// What stays open for several targets in the same words is one thing with several targets.
    fn residual(&mut self, data: &Map<String, Value>) {
        let text = |name: &str| data.get(name).and_then(Value::as_str).map(str::to_owned);
        let (what, until) = (text("what").unwrap_or_default(), text("until"));
        let target = index(data).and_then(|index| self.report.targets.get(index));
        let target = target.map(|target| target.target.clone());
        let residual = &mut self.report.residual;
        let at = *self
            .residual_at
            .entry((what.clone(), until.clone()))
            .or_insert_with(|| {
                residual.push(Residual {
                    what,
                    until,
                    targets: Vec::new(),
                });
                residual.len() - 1
            });
        residual[at].targets.extend(target);
    }

    /// What a step says for several targets in the same words is said once.
    fn said(&mut self, data: &Map<String, Value>) {
        let what = data.get("text").and_then(Value::as_str).unwrap_or_default();
        let target = index(data).and_then(|index| self.report.targets.get(index));
        let target = target.map(|target| target.target.clone());
        let all = &mut self.report.said;
        let at = *self.said_at.entry(what.to_owned()).or_insert_with(|| {
            all.push(Said {
                what: what.to_owned(),
                targets: Vec::new(),
            });
            all.len() - 1
        });
        let said = &mut all[at];
        if !target.as_ref().is_some_and(|it| said.targets.contains(it)) {
            said.targets.extend(target);
        }
    }

    fn note(&mut self, line: &Line) {
        let data = &line.data;
        let text = |name: &str| data.get(name).and_then(Value::as_str).map(str::to_owned);
        match text("kind").as_deref() {
            Some("gap") => {
                self.gaps_at.push(key(data));
                self.report.gaps.push(Gap {
                    step: text("step"),
                    what: text("text").unwrap_or_default(),
                });
            }
            Some("say") => self.said(data),
            Some("finding") => {
                let target = index(data).and_then(|index| self.report.targets.get(index));
                let target = target.map(|target| target.target.clone());
                findings::add(&mut self.report.findings, &mut self.found_at, data, target);
            }
            Some("residual") => self.residual(data),
            Some("not_done") => {
                self.not_done_at.push(key(data));
                self.report.not_done.push(NotDone {
                    step: text("step").unwrap_or_default(),
                    why: text("why").unwrap_or_default(),
                    next: text("next").unwrap_or_default(),
                });
            }
            // What another way has settled is not left to do.
            Some("covered") => {
                let settles = data.get("settles").and_then(Value::as_array);
                let settles: Vec<&str> = settles
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect();
                let at = index(data);
                self.forget(false, |(index, step)| {
                    Some(*index) == at && settles.contains(&step.as_str())
                });
            }
            Some("collateral") => self.report.collateral.extend(text("text")),
            Some("target") => self.target(data),
            Some("result") => {
                self.ended = true;
                let code = data.get("exit_code").and_then(Value::as_u64);
                self.report.exit_code = code.and_then(|code| u8::try_from(code).ok());
                self.report.finished_at = Some(line.time.clone());
                self.report.status = text("status")
                    .and_then(|word| serde_json::from_value(Value::String(word)).ok())
                    .unwrap_or_default();
            }
            _ => {}
        }
    }

    fn target(&mut self, data: &Map<String, Value>) {
        let text = |value: &Value, name: &str| {
            value
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let Some(target) = index(data).and_then(|index| self.report.targets.get_mut(index)) else {
            return;
        };
        target.status = data
            .get("status")
            .cloned()
            .and_then(|word| serde_json::from_value(word).ok())
            .unwrap_or_default();
        target.contained_at = data
            .get("contained_at")
            .and_then(Value::as_str)
            .map(str::to_owned);
        target.error = data
            .get("error")
            .filter(|error| error.is_object())
            .map(|error| ErrorReport {
                code: text(error, "code"),
                message: text(error, "message"),
                hint: text(error, "hint"),
            });
    }

    fn at(&mut self, data: &Map<String, Value>) -> Option<&mut StepReport> {
        self.steps.get_mut(&key(data)?)
    }

    /// A write without an answer makes its step unknown, whatever else it says.
    pub(super) fn unknown(&mut self, open: impl Iterator<Item = OpenIntent>) {
        for intent in open.filter(|intent| intent.effect != "read") {
            let index = usize::try_from(intent.target_index).unwrap_or(usize::MAX);
            if let Some(step) = self
                .steps
                .get_mut(&(index, intent.step))
                .filter(|step| step.status != StepStatus::Done)
            {
                step.status = StepStatus::Unknown;
            }
        }
    }

    /// Marks what later runs of the case have put back.
    pub(super) fn undone(&mut self, run_dir: &Path) {
        let Some(case) = run_dir.parent().filter(|_| self.report.mode != "undo") else {
            return;
        };
        for sibling in std::fs::read_dir(case)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
        {
            // Only the first line of each tells; the others of a case are not read to their end.
            if started(&sibling).ok().and_then(|start| start.of).as_ref() != Some(&self.report.run)
            {
                continue;
            }
            let mut put_back = Vec::new();
            let mut all = false;
            let told = walk(&sibling, |line| {
                let text = |name: &str| line.data.get(name).and_then(Value::as_str);
                let done = line.kind == "step"
                    && line.data.get("undoes") == Some(&Value::Bool(true))
                    && text("outcome") == Some("done");
                if done && !text("why").is_some_and(|why| why.starts_with("stays")) {
                    put_back.extend(key(&line.data));
                }
                all |= line.kind == "note"
                    && text("kind") == Some("result")
                    && text("status") == Some("undone");
            });
            // One that cannot be read to its end proves nothing.
            if told.is_err() {
                continue;
            }
            for key in put_back {
                if let Some(step) = self.steps.get_mut(&key) {
                    step.status = StepStatus::Undone;
                }
            }
            if all {
                self.report.status = RunStatus::Undone;
            }
        }
    }

    pub(super) fn finish(mut self) -> RunReport {
        // What can be read at once is read at once; a person looks for the steps where the runbook has them.
        self.order.sort_by_key(|(place, _)| *place);
        for (_, key) in &self.order {
            if let (Some(target), Some(mut step)) =
                (self.report.targets.get_mut(key.0), self.steps.remove(key))
            {
                step.check = self.checks.remove(key).and_then(together);
                target.steps.push(step);
            }
        }
        let report = &mut self.report;
        if self.incident_log {
            report.status = RunStatus::Done;
        } else if !self.ended && report.status != RunStatus::Undone {
            report.status = RunStatus::Halted;
        }
        let all_contained = report
            .targets
            .iter()
            .all(|target| target.contained_at.is_some());
        report.contained_at = if all_contained {
            report
                .targets
                .iter()
                .filter_map(|target| target.contained_at.clone())
                .max()
        } else {
            None
        };
        if let (Some(deadline), true) = (&mut report.deadline, self.ended) {
            let time = |text: &Option<String>| {
                text.as_ref()
                    .and_then(|text| chrono::DateTime::parse_from_rfc3339(text).ok())
            };
            let allowed = i64::try_from(deadline.seconds.saturating_mul(1_000)).unwrap_or(i64::MAX);
            deadline.kept = match (time(&report.started_at), time(&report.contained_at)) {
                (Some(start), Some(end)) => Some((end - start).num_milliseconds() <= allowed),
                _ => Some(false),
            };
            deadline.kept_since_detection = time(&report.detected_at).map(|noticed| {
                time(&report.contained_at)
                    .is_some_and(|end| (end - noticed).num_milliseconds() <= allowed)
            });
        }
        let times: Vec<&String> = report
            .residual
            .iter()
            .filter_map(|residual| residual.until.as_ref())
            .collect();
        findings::sort(&mut report.findings);
        report.residual_until = times.into_iter().max().cloned();
        let inside = inside(report);
        report.undo =
            (self.undoable && report.mode != "undo" && report.status != RunStatus::Undone)
                .then(|| format!("azir undo {}{inside}", report.run));
        let again = matches!(report.mode.as_str(), "execute" | "drill")
            && matches!(report.status, RunStatus::Failed | RunStatus::Partial)
            && report.targets.len() > 1
            && again::unfinished(report).next().is_some();
        report.retry = again.then(|| {
            format!(
                "azir {} --retry {}{inside}",
                report.runbook.name, report.run
            )
        });
        self.report
    }
}

/// Returns what a command that acts on a run of a drill is typed with, wherever it is typed.
pub(super) fn inside(report: &RunReport) -> String {
    if report.drill {
        format!(" --incident {}", report.incident)
    } else {
        String::new()
    }
}

/// Returns the checks of a step as one: false before unknown before true.
fn together(checks: Vec<(String, CheckReport)>) -> Option<CheckReport> {
    checks
        .into_iter()
        .map(|(_, check)| check)
        .reduce(|known, next| CheckReport {
            claim: format!("{}; {}", known.claim, next.claim),
            observed: match (known.observed, next.observed) {
                (Some(known), Some(more)) => Some(format!("{known}; {more}")),
                (known, more) => known.or(more),
            },
            holds: match (known.holds, next.holds) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (None, _) | (_, None) => None,
                _ => Some(true),
            },
        })
}

/// Which step of which target.
type Key = (usize, String);

fn index(data: &Map<String, Value>) -> Option<usize> {
    usize::try_from(data.get("target_index")?.as_u64()?).ok()
}

fn key(data: &Map<String, Value>) -> Option<Key> {
    Some((index(data)?, data.get("step")?.as_str()?.to_owned()))
}
