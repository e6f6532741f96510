//! `azir list`, `azir show` and `azir journal show`: what the case folders say, without the cloud.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::ArgMatches;

use super::exit::Exit;
use super::home::Home;
use super::refusal::Refusal;
use super::{Output, case, out, outside, shown, summary};
use crate::ids::ArmId;
use crate::journal::Line;
use crate::report::model::{RunReport, RunStatus};
use crate::report::{cases, run, words};

fn chosen(own: &ArgMatches, home: &Home) -> Result<PathBuf, Refusal> {
    home.run(own.get_one::<String>("run").map_or("last", String::as_str))
}

/// Lists the runs of every case.
pub(super) fn list(own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
    let outside = |run_dir: &Path| outside::of(home, run_dir);
    let listing = match own.get_one::<String>("folder") {
        Some(folder) => cases::list_case(&case::folder(folder)?, outside),
        None => cases::list(&home.cases(), outside),
    };
    let code = if listing.damaged() {
        Exit::Integrity.code()
    } else {
        Exit::Done.code()
    };
    let cases::Listing { lines, unreadable } = listing;
    for (path, why) in &unreadable {
        out::line(&format!("azir: {}", shown::line(why)));
        out::line(&format!("next: azir journal verify {}", path.display()));
    }
    if Output::of(own) != Output::Human {
        out::result(&serde_json::to_string(&lines).unwrap_or_default());
        return Ok(code);
    }
    if lines.is_empty() && unreadable.is_empty() {
        out::line(&format!("no runs yet in {}", home.cases().display()));
        out::line("next: azir isolate-vm vm-app-01 --lab");
        return Ok(code);
    }
    let mut text = String::new();
    for line in lines {
        let targets: Vec<&str> = line
            .targets
            .iter()
            .map(|target| ArmId::name_of(target))
            .collect();
        let status = serde_json::to_value(line.status)
            .ok()
            .and_then(|word| word.as_str().map(str::to_owned))
            .unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{}  {:<20}  {:<18}  {:<20}  {:<18}  {:<14}  {}",
            run::short(&line.run),
            line.started_at
                .as_deref()
                .unwrap_or_default()
                .chars()
                .take(19)
                .collect::<String>(),
            line.incident,
            if line.mode == "undo" {
                format!("undo {}", line.runbook)
            } else {
                line.runbook
            },
            status,
            if !line.verified {
                "DOES NOT VERIFY"
            } else if line.signed.is_empty() {
                "unsigned"
            } else if line.signed_whole {
                "signed"
            } else {
                "signed in part"
            },
            targets.join(", ")
        );
    }
    out::result(&shown::block(&text));
    Ok(code)
}

/// Shows how a run stands.
pub(super) fn show(own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
    shown_run(&chosen(own, home)?, own, home).map(|(_, code)| code)
}

/// Shows how the run in a folder stands; returns that, and 6 where its record does not verify, else 0.
pub(super) fn shown_run(
    run_dir: &Path,
    own: &ArgMatches,
    home: &Home,
) -> Result<(RunReport, u8), Refusal> {
    let report = run::report(run_dir, &outside::of(home, run_dir)).map_err(|error| Refusal {
        hint: format!("azir journal verify {}", run_dir.display()),
        ..Refusal::integrity(&error)
    })?;
    // How a run stands is told all the same; that its record was changed is what counts.
    let code = if report.journal.verified {
        0
    } else {
        out::line(&format!(
            "azir: the record does not verify, so this may not be what happened; next: azir journal verify {}",
            run_dir.display()
        ));
        Exit::Integrity.code()
    };
    if Output::of(own) != Output::Human {
        out::result(&serde_json::to_string(&report).unwrap_or_default());
        return Ok((report, code));
    }
    let reader = out::reader();
    let mut text = summary::steps(&report, &reader);
    let unknown = run::unknown(run_dir).map_err(|error| Refusal::integrity(&error))?;
    // What was put back was read first: the cloud has been asked.
    if !unknown.is_empty() && report.status != RunStatus::Undone {
        text.push_str(
            "\nUnknown: sent, or about to be, and no answer is on record. Only the cloud knows:\n",
        );
        for intent in unknown {
            let _ = writeln!(
                text,
                "  {} {} ({}, line {})",
                intent.method, intent.target, intent.step, intent.seq
            );
            let _ = writeln!(text, "    ask: az resource show --ids {}", intent.item);
            let _ = writeln!(
                text,
                "    the provider's log has it under client request id {}",
                intent.client_request_id
            );
        }
    }
    text.push_str(&summary::text(&report, &reader));
    out::result(&shown::block(&text));
    Ok((report, code))
}

/// Shows the lines of a journal.
pub(super) fn journal_show(own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
    let run_dir = chosen(own, home)?;
    if Output::of(own) != Output::Human {
        return written(&run_dir);
    }
    each(&run_dir, |out, line, _| {
        out.line(&shown::line(&readable(line)));
    })
}

/// Writes each line exactly as it was written.
pub(super) fn written(run_dir: &Path) -> Result<u8, Refusal> {
    each(run_dir, |out, _, bytes| out.raw(bytes))
}

/// Lets `say` write each line, as it is read; says so where the lines do not reach the end.
fn each(run_dir: &Path, say: impl Fn(&mut out::Stream, &Line, &str)) -> Result<u8, Refusal> {
    let mut out = out::Stream::new();
    let mut shown = 0;
    crate::journal::reader::each(run_dir, |line, bytes, _| {
        shown += bytes.len() as u64 + 1;
        say(&mut out, &line, bytes);
    })
    .map_err(|error| Refusal::integrity(&error))?;
    out.end().map_err(|error| Refusal::cut_off(&error))?;
    let rest = size(run_dir).saturating_sub(shown);
    let hint = format!("azir journal verify {}", run_dir.display());
    if shown == 0 {
        return Err(Refusal {
            hint,
            ..Refusal::integrity(&format!("{} holds no line of a journal", run_dir.display()))
        });
    }
    if rest > 0 {
        out::line(&format!(
            "azir: {rest} bytes are no lines of the journal and are not shown"
        ));
        out::line(&format!("next: {hint}"));
    }
    Ok(0)
}

/// Returns how many bytes the segments of a run have.
fn size(run_dir: &Path) -> u64 {
    std::fs::read_dir(run_dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("seg-"))
        .filter_map(|entry| entry.metadata().ok())
        .map(|metadata| metadata.len())
        .sum()
}

/// Returns a line as people read it: number, time, who, what kind, what.
fn readable(line: &Line) -> String {
    format!(
        "{:>5} {} {:<12} {:<16} {}",
        line.seq,
        line.time.get(11..23).unwrap_or_default(),
        words::who(line),
        line.kind,
        words::what(line)
    )
}
