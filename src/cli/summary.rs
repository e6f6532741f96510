//! The last word on a run: how it stands, what stays open and until when, where the record is, what to type next.

mod many;

use std::fmt::Write as _;

use super::config::{LAB, NO_PROFILE};
use super::found;
use super::prose::{Reader, brief, count};
use super::vouched;
use crate::ids::ArmId;
use crate::report::model::{RunReport, RunStatus, StepStatus, TargetReport};

/// More targets than are told one by one.
const MANY: usize = 20;

/// Returns the summary of a run: where the record is first, how it stands and what to type last, where the eye rests.
pub(super) fn text(report: &RunReport, reader: &Reader) -> String {
    let mut out = String::from("\n");
    list(&mut out, report, reader, "Made, and stays:", made(report));
    list(
        &mut out,
        report,
        reader,
        "Evidence on this machine only:",
        evidence(report, None),
    );
    for place in places(report) {
        list(
            &mut out,
            report,
            reader,
            &format!("Evidence, stored in {place}:"),
            evidence(report, Some(&place)),
        );
    }
    vouched::record(&mut out, report);
    out.push_str(&reader.wrapped("", &headline(report)));
    if report.targets.len() > MANY {
        out.push_str(&many::verdicts(report, reader));
    } else {
        for target in &report.targets {
            out.push_str(&verdict(report, target, reader));
        }
    }
    let (head, found) = found::told(report);
    list(&mut out, report, reader, &head, found);
    let gaps = report.gaps.iter().map(|gap| gap.what.clone());
    list(
        &mut out,
        report,
        reader,
        "Gaps in evidence or checks:",
        unique(gaps),
    );
    list(
        &mut out,
        report,
        reader,
        "Checks that do not hold:",
        false_checks(report),
    );
    list(
        &mut out,
        report,
        reader,
        "Touches also:",
        unique(report.collateral.iter().cloned()),
    );
    let open = report.residual.iter().map(|residual| {
        let whose = whose(report, &residual.targets, &residual.what);
        let until = residual.until.as_ref();
        let until = until.map(|until| format!(" ({})", reader.until(until)));
        format!("{whose}{}{}", residual.what, until.unwrap_or_default())
    });
    list(&mut out, report, reader, "Stays open:", open.collect());
    list(
        &mut out,
        report,
        reader,
        "Worth knowing:",
        said(report, false),
    );
    later(&mut out, report);
    left(&mut out, report, reader);
    next(&mut out, report);
    out
}

/// Tells a list under its head; nothing where it is empty.
fn list(out: &mut String, report: &RunReport, reader: &Reader, head: &str, mut lines: Vec<String>) {
    if lines.is_empty() {
        return;
    }
    let more = many::cut(report, &mut lines);
    lines.extend(more);
    out.push_str(head);
    out.push('\n');
    for line in lines {
        out.push_str(&reader.wrapped("  - ", &brief(&line)));
    }
}

/// Says how one of several targets stands, or why the only one does not stand as it should.
fn verdict(report: &RunReport, target: &TargetReport, reader: &Reader) -> String {
    let name = ArmId::name_of(&target.target);
    let mut out = String::new();
    let several = report.targets.len() > 1;
    let word = standing(report, target);
    let why = target.error.as_ref();
    let why = why.map(|error| brief(&error.message).into_owned());
    match (several, why) {
        (true, Some(why)) => out.push_str(&reader.wrapped("  ", &format!("{name}: {word}: {why}"))),
        (true, None) => out.push_str(&reader.wrapped("  ", &format!("{name}: {word}"))),
        (false, Some(why)) => out.push_str(&reader.wrapped("  ", &format!("{name}: {why}"))),
        (false, None) => {}
    }
    if let Some(error) = target.error.as_ref().filter(|error| !error.hint.is_empty()) {
        out.push_str(&format!("  next: {}\n", error.hint));
    }
    out
}

/// Says in words how a target stands.
fn standing(report: &RunReport, target: &TargetReport) -> &'static str {
    match target.status {
        RunStatus::Contained | RunStatus::ContainedResidual => "contained",
        RunStatus::Unchecked if target.contained_at.is_some() => "contained, not everything proved",
        RunStatus::Partial if target.contained_at.is_some() => "contained, not everything done",
        _ if report.deadline.is_some() && target.contained_at.is_none() => "NOT CONTAINED",
        RunStatus::Done => "done",
        RunStatus::Undone => "put back",
        RunStatus::Unchecked => "done, not proved",
        RunStatus::Partial => "partly done",
        RunStatus::Refused => "refused",
        RunStatus::Declined => "declined",
        RunStatus::Halted => "halted",
        RunStatus::Failed => "failed",
    }
}

fn false_checks(report: &RunReport) -> Vec<String> {
    let steps = report.targets.iter().flat_map(|target| &target.steps);
    let checks = steps.filter_map(|step| step.check.as_ref());
    checks
        .filter(|check| check.holds != Some(true))
        .map(|check| {
            let word = if check.holds.is_some() {
                "false"
            } else {
                "unknown"
            };
            match &check.observed {
                Some(observed) => format!("{word}: {} (seen: {observed})", check.claim),
                None => format!("{word}: {}", check.claim),
            }
        })
        .collect()
}

/// Where the words of a step end and a command begins.
const COMMAND: &str = ": azir ";

/// Tells what steps had to say, each once; those that end with a command, or the others.
fn said(report: &RunReport, commands: bool) -> Vec<String> {
    let said = report.said.iter();
    let said = said.filter(|said| said.what.contains(COMMAND) == commands);
    // What is not known stands among what stays open already.
    let open = |what: &str| {
        let mut residual = report.residual.iter();
        residual.any(|open| open.what.strip_prefix("not known: ") == Some(what))
    };
    let said = said.filter(|said| !open(&said.what));
    unique(said.map(|said| format!("{}{}", whose(report, &said.targets, &said.what), said.what)))
}

/// Tells the commands that steps asked for, each whole on a line of its own, the reasons once.
fn later(out: &mut String, report: &RunReport) {
    let mut before = String::new();
    let mut all = said(report, true);
    let more = many::cut(report, &mut all);
    for said in all {
        let Some((why, command)) = said.split_once(COMMAND) else {
            continue;
        };
        let why = why.rsplit_once(": ").map_or(why, |(_, why)| why);
        if why != before {
            let _ = writeln!(out, "Later, because {why}:");
            before = why.to_owned();
        }
        let _ = writeln!(out, "  azir {command}{}", place(report));
    }
    if let Some(more) = more {
        let _ = writeln!(out, "  {more}");
    }
}

/// Returns the flag that makes a command act where the run did.
fn place(report: &RunReport) -> String {
    match report.profile.as_str() {
        "" | NO_PROFILE => String::new(),
        LAB => " --lab".to_owned(),
        other => format!(" --profile {other}"),
    }
}

fn unique(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    for line in lines {
        if !seen.contains(&line) {
            seen.push(line);
        }
    }
    seen
}

/// Tells what was left undone: the steps that wait for the same command in one line, and the command below it.
fn left(out: &mut String, report: &RunReport, reader: &Reader) {
    let mut groups: Vec<(&str, &str, Vec<&str>)> = Vec::new();
    for left in &report.not_done {
        let known = groups
            .iter_mut()
            .find(|(why, next, _)| *why == left.why && *next == left.next);
        match known {
            Some((_, _, steps)) => steps.push(&left.step),
            None => groups.push((&left.why, &left.next, vec![&left.step])),
        }
    }
    // Of a refused run everything is undone, and its reason stands above.
    if groups.is_empty() || report.status == RunStatus::Refused {
        return;
    }
    out.push_str("Left undone:\n");
    if report.targets.len() > MANY {
        out.push_str(&many::left(report, reader));
        return;
    }
    for (why, next, steps) in groups {
        out.push_str(&reader.wrapped("  - ", &format!("{} ({why})", steps.join(", "))));
        let place = place(report);
        let _ = writeln!(out, "    next: {next}{place}");
    }
}

/// Returns the places outside this machine that hold evidence, each once.
fn places(report: &RunReport) -> Vec<String> {
    let stored = report
        .evidence
        .iter()
        .filter_map(|exhibit| exhibit.stored.as_deref());
    unique(stored.map(|uri| folder(uri).to_owned()))
}

/// Returns an address less its last part, which only repeats digest and name.
fn folder(uri: &str) -> &str {
    uri.rsplit_once('/').map_or(uri, |(folder, _)| folder)
}

fn evidence(report: &RunReport, place: Option<&str>) -> Vec<String> {
    let there = report.evidence.iter();
    let there = there.filter(|exhibit| exhibit.stored.as_deref().map(folder) == place);
    unique(there.map(|exhibit| {
        let digest = exhibit.sha256.get(..16).unwrap_or(&exhibit.sha256);
        let size = match exhibit.size {
            0 => "empty".to_owned(),
            bytes => count(bytes, "byte"),
        };
        format!("{}: {size}, sha256 {digest}", exhibit.name)
    }))
}

/// Tells what the run made, a line for each reason why it stays.
fn made(report: &RunReport) -> Vec<String> {
    let mut by_reason: Vec<(&str, Vec<String>)> = Vec::new();
    for made in &report.made {
        let (name, of) = (ArmId::name_of(&made.resource), ArmId::name_of(&made.of));
        // An item without a name of its own says nothing about what was made.
        let nameless = of.starts_with("item ");
        let target = report.targets.iter().any(|target| target.target == made.of);
        let told = if nameless || target {
            name.to_owned()
        } else {
            format!("{name} of {of}")
        };
        match by_reason.iter_mut().find(|(why, _)| *why == made.why) {
            Some((_, names)) => names.push(told),
            None => by_reason.push((&made.why, vec![told])),
        }
    }
    by_reason
        .into_iter()
        .map(|(why, names)| {
            let shown = names.iter().take(8).cloned().collect::<Vec<_>>().join(", ");
            let more = match names.len().saturating_sub(8) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("{shown}{more} ({why})")
        })
        .collect()
}

/// Names the targets that something concerns, unless it is every one of them, or what is said names it already.
pub(super) fn whose(report: &RunReport, targets: &[String], said: &str) -> String {
    if targets.is_empty() || targets.len() == report.targets.len() {
        return String::new();
    }
    if let [only] = targets
        && said.contains(ArmId::name_of(only))
    {
        return String::new();
    }
    let names: Vec<&str> = targets
        .iter()
        .take(4)
        .map(|target| ArmId::name_of(target))
        .collect();
    match targets.len().saturating_sub(names.len()) {
        0 => format!("{}: ", names.join(", ")),
        more => format!("{} and {more} more: ", names.join(", ")),
    }
}

fn headline(report: &RunReport) -> String {
    let word = match report.status {
        RunStatus::Contained => "CONTAINED",
        RunStatus::ContainedResidual => "CONTAINED, with something left open",
        RunStatus::Done => "DONE",
        RunStatus::Partial => "PARTLY DONE",
        RunStatus::Failed => "FAILED: nothing took effect",
        RunStatus::Unchecked => "DONE, NOT PROVED",
        RunStatus::Refused => "REFUSED: no write was sent",
        RunStatus::Declined => "DECLINED",
        RunStatus::Halted if report.held_by.is_some() => "STILL RUNNING",
        RunStatus::Halted => "HALTED before its end",
        RunStatus::Undone if report.mode == "undo" && put_back(report) == 0 => {
            "NOTHING TO PUT BACK"
        }
        RunStatus::Undone => "PUT BACK",
    };
    let names: Vec<&str> = report
        .targets
        .iter()
        .map(|target| ArmId::name_of(&target.target))
        .collect();
    let named = if names.len() > 5 {
        format!("{} targets", names.len())
    } else {
        names.join(", ")
    };
    let deadline = report
        .deadline
        .filter(|_| report.status != RunStatus::Refused)
        .and_then(|deadline| deadline.kept)
        .map_or_else(String::new, |kept| match (kept, &report.contained_at) {
            (true, _) => ", deadline kept".to_owned(),
            (false, Some(_)) => ", DEADLINE MISSED".to_owned(),
            // Whether the rest can be done in time is not known yet.
            (false, None) => not_contained(report),
        });
    let took = seconds(report)
        .map(|seconds| format!(" after {seconds:.1} s"))
        .unwrap_or_default();
    let noticed = since_detection(report)
        .map(|span| format!(", {} after detection", super::view::span(span)))
        .unwrap_or_default();
    let drill = if report.drill { "DRILL " } else { "" };
    format!("{drill}{word}: {named}{took}{deadline}{noticed}")
}

/// Returns how long after detection containment came, where both are known.
fn since_detection(report: &RunReport) -> Option<std::time::Duration> {
    let time = |text: &Option<String>| chrono::DateTime::parse_from_rfc3339(text.as_deref()?).ok();
    (time(&report.contained_at)? - time(&report.detected_at)?)
        .to_std()
        .ok()
}

fn not_contained(report: &RunReport) -> String {
    let targets = report.targets.iter();
    match targets
        .filter(|target| target.contained_at.is_some())
        .count()
    {
        0 => ", NOT CONTAINED".to_owned(),
        some => format!(", ONLY {some} OF {} CONTAINED", report.targets.len()),
    }
}

/// Returns how many writes an undo sent.
fn put_back(report: &RunReport) -> u64 {
    let steps = report.targets.iter().flat_map(|target| &target.steps);
    steps.map(|step| step.writes).sum()
}

fn seconds(report: &RunReport) -> Option<f64> {
    let time = |text: &Option<String>| chrono::DateTime::parse_from_rfc3339(text.as_deref()?).ok();
    let end = time(&report.contained_at).or_else(|| time(&report.finished_at))?;
    Some((end - time(&report.started_at)?).num_milliseconds() as f64 / 1_000.0)
}

/// Says what can be typed next.
fn next(out: &mut String, report: &RunReport) {
    let journal = &report.journal;
    let short = crate::report::run::short(&report.run);
    if let Some(resume) = &report.resume {
        let _ = writeln!(out, "Go on:  {}", resume.replace(&report.run, short));
    }
    if report.status == RunStatus::Halted
        && report.mode == "undo"
        && let Some(of) = &report.of
    {
        let _ = writeln!(out, "Again:  azir undo {of}");
    }
    let _ = writeln!(out, "Verify: azir journal verify {short}");
    // A run that broke off is looked at first: after a seal nothing can be settled in it.
    let over = report.status != RunStatus::Halted && report.resume.is_none();
    if over && (!journal.missing.is_empty() || !journal.sealed) {
        let _ = writeln!(out, "Seal:   azir journal seal {short}");
    }
    if let Some(retry) = &report.retry {
        let _ = writeln!(
            out,
            "Retry:  {}{}",
            retry.replace(&report.run, short),
            place(report)
        );
    }
    if let Some(undo) = &report.undo {
        let _ = writeln!(out, "Undo:   {}", undo.replace(&report.run, short));
    }
}

/// Returns the steps of a run, for `azir show`.
pub(super) fn steps(report: &RunReport, reader: &Reader) -> String {
    let mut out = format!(
        "{}{}{} {}, incident {}, run {}\nstarted {}\n",
        if report.drill { "DRILL " } else { "" },
        if report.mode == "undo" {
            "undo of "
        } else {
            ""
        },
        report.runbook.name,
        report.runbook.version,
        report.incident,
        report.run,
        reader.at(report.started_at.as_deref().unwrap_or("unknown"))
    );
    if let Some(of) = &report.of {
        let _ = writeln!(out, "puts back run {of}");
    }
    if let Some(holder) = &report.held_by {
        let _ = writeln!(out, "still being written by {holder}");
    }
    for target in &report.targets {
        let _ = writeln!(out, "\n{}", target.target);
        for step in &target.steps {
            let nothing = step.status == StepStatus::Done && step.items == Some(0);
            let mark = match step.status {
                StepStatus::Done if nothing => "--",
                StepStatus::Pending => "..",
                StepStatus::Done => "ok",
                StepStatus::Failed => "!!",
                StepStatus::Unknown => "??",
                StepStatus::Skipped => "--",
                StepStatus::Undone => "<-",
            };
            let check = step.check.as_ref().map_or("", |check| match check.holds {
                Some(true) => ", checked",
                Some(false) => ", CHECK FALSE",
                None => ", check unknown",
            });
            let requests = match step.requests {
                0 if nothing => ", nothing to do".to_owned(),
                0 => String::new(),
                requests => format!(", {}", count(requests, "request")),
            };
            let said = format!("{}{check}{requests}", step.title);
            out.push_str(&reader.wrapped(&format!("  {mark} {:<24} ", step.id), &said));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::model::{
        Deadline, ErrorReport, EvidenceRef, JournalRef, NotDone, Residual, RunbookRef, Said,
    };

    const A: &str =
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/vm-a";
    const B: &str =
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/vm-b";

    fn reader() -> Reader {
        Reader {
            now: "2026-11-25T02:18:22Z".parse().unwrap(),
            zone: chrono::FixedOffset::east_opt(3600).unwrap(),
            width: None,
        }
    }

    fn target(id: &str, status: RunStatus, contained: bool) -> TargetReport {
        TargetReport {
            target: id.to_owned(),
            status,
            contained_at: contained.then(|| "2026-11-25T02:18:20Z".to_owned()),
            error: None,
            steps: Vec::new(),
        }
    }

    fn two() -> RunReport {
        let mut locked = target(B, RunStatus::Partial, false);
        locked.error = Some(ErrorReport {
            code: "ScopeLocked".to_owned(),
            message: "the scope '/subscriptions/s/resourceGroups/g' is locked".to_owned(),
            hint: "az lock list".to_owned(),
        });
        let left = |step: &str| NotDone {
            step: step.to_owned(),
            why: "the target stopped at step swap".to_owned(),
            next: format!("azir isolate-vm {B} --incident IR-1"),
        };
        let exhibit = EvidenceRef {
            exhibit: "E1".to_owned(),
            name: "activity-log-g.jsonl".to_owned(),
            sha256: "0123456789abcdef0123".to_owned(),
            size: 0,
            stored: Some("https://v/ir-evidence/IR-1/run/0123-activity-log-g.jsonl".to_owned()),
        };
        RunReport {
            run: "d8f934ad-ed6c-4817-8483-c5fd065dc165".to_owned(),
            incident: "IR-1".to_owned(),
            mode: "execute".to_owned(),
            profile: LAB.to_owned(),
            runbook: RunbookRef {
                name: "isolate-vm".to_owned(),
                ..RunbookRef::default()
            },
            status: RunStatus::Partial,
            deadline: Some(Deadline {
                seconds: 300,
                kept: Some(false),
                kept_since_detection: None,
            }),
            targets: vec![target(A, RunStatus::Contained, true), locked],
            not_done: vec![left("flows"), left("tags")],
            residual: vec![Residual {
                what: "tokens stay valid".to_owned(),
                until: Some("2026-11-26T02:18:22Z".to_owned()),
                targets: vec![A.to_owned()],
            }],
            said: vec![Said {
                what: "the log lags: azir collect-activity-log /subscriptions/s/resourceGroups/g"
                    .to_owned(),
                targets: vec![A.to_owned()],
            }],
            evidence: vec![exhibit.clone(), exhibit],
            journal: JournalRef {
                path: "/home/cases/IR-1/run".to_owned(),
                entries: 1,
                verified: true,
                sealed: true,
                ..JournalRef::default()
            },
            resume: None,
            undo: Some("azir undo d8f934ad-ed6c-4817-8483-c5fd065dc165".to_owned()),
            ..RunReport::default()
        }
    }

    #[test]
    fn the_last_screen_says_who_is_contained_what_stays_open_and_what_to_type() {
        assert_eq!(
            text(&two(), &reader()),
            format!(
                "
Evidence, stored in https://v/ir-evidence/IR-1/run:
  - activity-log-g.jsonl: empty, sha256 0123456789abcdef
Record: 1 entry, verifies; unsigned by a person; not anchored outside this machine; sealed
  /home/cases/IR-1/run

PARTLY DONE: vm-a, vm-b, ONLY 1 OF 2 CONTAINED
  vm-a: contained
  vm-b: NOT CONTAINED: the scope 'resource group g' is locked
  next: az lock list
Stays open:
  - vm-a: tokens stay valid (until 2026-11-26 02:18 UTC, 03:18 here, in 24 h)
Later, because the log lags:
  azir collect-activity-log /subscriptions/s/resourceGroups/g --lab
Left undone:
  - flows, tags (the target stopped at step swap)
    next: azir isolate-vm {B} --incident IR-1 --lab
Verify: azir journal verify d8f934ad
Undo:   azir undo d8f934ad
"
            )
        );
    }

    #[test]
    fn a_run_that_is_still_written_is_running_and_one_that_was_killed_says_what_to_type() {
        let mut report = RunReport {
            status: RunStatus::Halted,
            targets: vec![target(A, RunStatus::Halted, false)],
            not_done: Vec::new(),
            resume: Some("azir resume d8f934ad-ed6c-4817-8483-c5fd065dc165".to_owned()),
            ..two()
        };
        report.deadline = None;
        let killed = text(&report, &reader());
        assert!(
            killed.contains("\nHALTED before its end: vm-a\n"),
            "{killed}"
        );
        assert!(
            killed.contains("\nGo on:  azir resume d8f934ad\n"),
            "{killed}"
        );
        report.held_by = Some("process 7".to_owned());
        report.resume = None;
        let running = text(&report, &reader());
        assert!(running.contains("\nSTILL RUNNING: vm-a\n"), "{running}");
        assert!(!running.contains("Go on:"), "{running}");
    }

    #[test]
    fn a_target_that_is_named_already_is_not_named_again() {
        let (report, of) = (two(), [A.to_owned()]);
        assert_eq!(whose(&report, &of, "it is off"), "vm-a: ");
        assert_eq!(whose(&report, &of, "vm-a is off"), "");
        let both = [A.to_owned(), B.to_owned()];
        assert_eq!(whose(&report, &both, "it is off"), "");
    }
}
