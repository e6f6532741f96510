//! The last word on a run: how it stands, what stays open and until when, where the record is, what to type next.

use std::fmt::Write as _;

use crate::ids::ArmId;
use crate::report::model::{JournalRef, Residual, RunReport, RunStatus, SignedBy, StepStatus};

/// Returns the summary of a run.
pub(super) fn text(report: &RunReport) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(out, "\n{}", headline(report));
    for target in &report.targets {
        if let Some(error) = &target.error {
            let _ = writeln!(
                out,
                "  {}: {}",
                ArmId::name_of(&target.target),
                error.message
            );
            if !error.hint.is_empty() {
                let _ = writeln!(out, "  next: {}", error.hint);
            }
        }
    }
    list(
        &mut out,
        "Gaps in evidence or checks:",
        report.gaps.iter().map(|gap| gap.what.clone()),
    );
    let false_checks = report
        .targets
        .iter()
        .flat_map(|target| &target.steps)
        .filter_map(|step| {
            let check = step
                .check
                .as_ref()
                .filter(|check| check.holds != Some(true))?;
            Some(format!(
                "{}: {}",
                if check.holds.is_some() {
                    "false"
                } else {
                    "unknown"
                },
                check.claim
            ))
        });
    list(&mut out, "Checks that do not hold:", false_checks);
    list(
        &mut out,
        "Left undone:",
        report
            .not_done
            .iter()
            .map(|left| format!("{} ({}); next: {}", left.step, left.why, left.next)),
    );
    let open = report.residual.iter().map(|residual| {
        let whose = whose(report, residual);
        match &residual.until {
            Some(until) => format!("{whose}{} (until {until})", residual.what),
            None => format!("{whose}{}", residual.what),
        }
    });
    list(&mut out, "Stays open:", open);
    list(&mut out, "Touches also:", report.collateral.iter().cloned());
    list(&mut out, "Made, and stays:", made(report).into_iter());
    let evidence = report.evidence.iter().map(|exhibit| {
        let place = exhibit.stored.as_ref().map_or_else(
            || "on this machine only".to_owned(),
            |uri| format!("in the vault: {uri}"),
        );
        let size = match exhibit.size {
            0 => "empty".to_owned(),
            size => format!("{size} bytes"),
        };
        format!(
            "{} ({size}, sha256 {}), {place}",
            exhibit.name,
            &exhibit.sha256[..exhibit.sha256.len().min(16)]
        )
    });
    list(&mut out, "Evidence:", evidence);
    record(&mut out, report);
    out
}

/// Tells what the run made, a line for each reason why it stays.
fn made(report: &RunReport) -> Vec<String> {
    let mut by_reason: Vec<(&str, Vec<String>)> = Vec::new();
    for made in &report.made {
        let (name, of) = (ArmId::name_of(&made.resource), ArmId::name_of(&made.of));
        let told = if report.targets.iter().any(|target| target.target == made.of) {
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

/// Names the targets for which something stays open, unless it is every one of them.
fn whose(report: &RunReport, residual: &Residual) -> String {
    if residual.targets.is_empty() || residual.targets.len() == report.targets.len() {
        return String::new();
    }
    let names: Vec<&str> = residual
        .targets
        .iter()
        .take(4)
        .map(|target| ArmId::name_of(target))
        .collect();
    match residual.targets.len().saturating_sub(names.len()) {
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
        RunStatus::Halted => "HALTED before its end",
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
        .and_then(|deadline| deadline.kept)
        .map_or("", |kept| {
            if kept {
                ", deadline kept"
            } else {
                ", DEADLINE MISSED"
            }
        });
    let took = seconds(report)
        .map(|seconds| format!(" after {seconds:.1} s"))
        .unwrap_or_default();
    let noticed = since_detection(report)
        .map(|span| format!(", {} after detection", super::view::span(span)))
        .unwrap_or_default();
    let drill = if report.mode == "drill" { "DRILL " } else { "" };
    format!("{drill}{word}: {named}{took}{deadline}{noticed}")
}

/// Returns how long after detection containment came, where both are known.
fn since_detection(report: &RunReport) -> Option<std::time::Duration> {
    let time = |text: &Option<String>| chrono::DateTime::parse_from_rfc3339(text.as_deref()?).ok();
    (time(&report.contained_at)? - time(&report.detected_at)?)
        .to_std()
        .ok()
}

fn seconds(report: &RunReport) -> Option<f64> {
    let time = |text: &Option<String>| chrono::DateTime::parse_from_rfc3339(text.as_deref()?).ok();
    let end = time(&report.contained_at).or_else(|| time(&report.finished_at))?;
    Some((end - time(&report.started_at)?).num_milliseconds() as f64 / 1_000.0)
}

fn list(out: &mut String, head: &str, lines: impl Iterator<Item = String>) {
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(out, "{head}");
    for line in lines {
        let _ = writeln!(out, "  - {line}");
    }
}

fn record(out: &mut String, report: &RunReport) {
    let journal = &report.journal;
    let _ = writeln!(out, "Record: {}", record_words(journal));
    for gap in &journal.missing {
        let _ = writeln!(out, "  {}", gap_words(&gap.witness, &gap.since, &gap.why));
    }
    let _ = writeln!(out, "  {}", journal.path);
    let short = &report.run[..report.run.len().min(8)];
    let _ = writeln!(out, "Verify: azir journal verify {short}");
    // A run that broke off is looked at first: after a seal nothing can be settled in it.
    let over = report.status != RunStatus::Halted;
    if over && (!journal.missing.is_empty() || !journal.sealed) {
        let _ = writeln!(out, "Seal:   azir journal seal {short}");
    }
    if let Some(undo) = &report.undo {
        let _ = writeln!(out, "Undo:   {}", undo.replace(&report.run, short));
    }
}

/// Says what the verifier said: entries, who signed, what anchors it, whether it is closed.
pub(super) fn record_words(journal: &JournalRef) -> String {
    let entries = format!("{} entries", journal.entries);
    if !journal.verified {
        return format!("{entries}, DOES NOT VERIFY");
    }
    let anchored = match journal.anchored_to {
        Some(_) if journal.anchored => "anchored".to_owned(),
        Some(size) => format!("anchored up to entry {size}"),
        None => "not anchored outside this machine".to_owned(),
    };
    let mut words = vec!["verifies".to_owned(), signed_words(journal), anchored];
    if journal.transfer_pending {
        words.push("a transfer is PENDING".to_owned());
    }
    words.push(
        if journal.sealed {
            "sealed"
        } else {
            "not sealed"
        }
        .to_owned(),
    );
    format!("{entries}, {}", words.join("; "))
}

/// Says who signed: `signed by alice@contoso.example (touch: yes, PIN: no)`.
pub(super) fn signed_words(journal: &JournalRef) -> String {
    if journal.signed.is_empty() {
        return "unsigned by a person".to_owned();
    }
    let told = |signed: &SignedBy| {
        let presence = signed.touch.zip(signed.pin);
        let mut words = person_words(&signed.principal, presence);
        if signed.second {
            words.push_str(" as second person");
        }
        if signed.entries < journal.entries {
            words.push_str(&format!(" up to entry {}", signed.entries));
        }
        words
    };
    let told: Vec<String> = journal.signed.iter().map(told).collect();
    let by_responder = journal.signed.iter().any(|signed| !signed.second);
    let unsigned = if by_responder {
        ""
    } else {
        ", unsigned by the responder"
    };
    let by = if journal.signers_outside {
        ""
    } else {
        " (by the run's own signers file)"
    };
    format!("signed by {}{by}{unsigned}", told.join(" and "))
}

/// Names a person, and what a security key says of them: touch and PIN.
pub(super) fn person_words(principal: &str, presence: Option<(bool, bool)>) -> String {
    let word = |yes| if yes { "yes" } else { "no" };
    match presence {
        Some((touch, pin)) => format!("{principal} (touch: {}, PIN: {})", word(touch), word(pin)),
        None => principal.to_owned(),
    }
}

/// Says who does not vouch, since when and why.
pub(super) fn gap_words(witness: &str, since: &str, why: &str) -> String {
    match witness {
        "person" => format!("unsigned by a person since {since}: {why}"),
        "tsa" => format!("UNANCHORED since {since}, no time stamp: {why}"),
        _ => format!("UNANCHORED since {since}, no immutable copy: {why}"),
    }
}

/// Returns the steps of a run, for `azir show`.
pub(super) fn steps(report: &RunReport) -> String {
    let mut out = format!(
        "{} {} ({}), incident {}, run {}\nstarted {}\n",
        report.runbook.name,
        report.runbook.version,
        report.mode,
        report.incident,
        report.run,
        report.started_at.as_deref().unwrap_or("unknown")
    );
    for target in &report.targets {
        let _ = writeln!(out, "\n{}", target.target);
        for step in &target.steps {
            let mark = match step.status {
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
            let _ = writeln!(
                out,
                "  {mark} {:<28} {}{check}, {} requests",
                step.id, step.title, step.requests
            );
        }
    }
    out
}
