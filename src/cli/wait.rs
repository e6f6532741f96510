//! `azir wait`: until a run is over, and then what it came to; with `--residual` on until what it left open has ended,
//! and then people are told.
//!
//! A run is over when nobody holds its lock: it ended, or its process did. The lock is asked for, never taken, so that
//! who waits holds up nobody.

use std::path::Path;
use std::time::{Duration, Instant};

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::acted::keep_apart;
use super::exit::Exit;
use super::home::Home;
use super::refusal::Refusal;
use super::{Output, notify, out, outside, record, shown};
use crate::journal::reader::{holder, is_held};
use crate::report::model::{RunReport, RunStatus};
use crate::report::run::{report, short, started, told};
use crate::runbook::model::ParamKind;

/// How often the lock is asked for.
const OFTEN: Duration = Duration::from_millis(200);

/// How often a person is told how far the run is.
const TOLD: Duration = Duration::from_secs(10);

/// Returns the command line.
pub(super) fn command(run: Arg) -> Command {
    Command::new("wait")
        .about("Wait until a run is over, and show what it came to, with its exit code")
        .arg(run)
        .arg(
            Arg::new("timeout")
                .long("timeout")
                .value_name("DURATION")
                .value_parser(duration)
                .help("Give up after so long, as 90s, 5m or 24h: exit code 1, and the run goes on"),
        )
        .arg(
            Arg::new("residual")
                .long("residual")
                .action(ArgAction::SetTrue)
                .help("Wait on until what the run left open has ended, and tell the channels of its profile then"),
        )
}

/// Reads a duration by the rules of the runbooks.
fn duration(text: &str) -> Result<Duration, String> {
    let seconds = ParamKind::Duration.parse(text)?;
    Ok(Duration::from_secs(seconds.as_u64().unwrap_or_default()))
}

/// Waits for a run, and shows it.
pub(super) fn wait(own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
    let run_dir = home.run(own.get_one::<String>("run").map_or("last", String::as_str))?;
    let most = own.get_one::<Duration>("timeout").copied();
    if own.get_flag("residual") {
        // Who is told of an exercise is told inside it, where it says so.
        let start = started(&run_dir).map_err(|error| Refusal::integrity(&error))?;
        keep_apart(&start, home, "wait --residual")?;
    }
    let begun = Instant::now();
    until_over(&run_dir, most)?;
    if own.get_flag("residual") {
        // Whether anybody can be told is known before hours are waited, and not after.
        let channels = notify::of_run(own, home, &run_dir)?;
        let report = at_end(&run_dir, home)?;
        if until_closed(&report, most, begun)? {
            // It may have been undone meanwhile.
            notify::residual_ended(&channels, &at_end(&run_dir, home)?)?;
        }
    }
    let (report, shown) = record::shown_run(&run_dir, own, home)?;
    say_killed(&report);
    Ok(if shown == 0 { code(&report) } else { shown })
}

fn at_end(run_dir: &Path, home: &Home) -> Result<RunReport, Refusal> {
    report(run_dir, &outside::of(home, run_dir)).map_err(|error| Refusal::integrity(&error))
}

/// Waits until everything that a run left open and whose end is known has ended; returns whether there was such a thing.
fn until_closed(
    report: &RunReport,
    most: Option<Duration>,
    begun: Instant,
) -> Result<bool, Refusal> {
    let Some((until, at)) = last_end(report) else {
        let text = if report.residual.is_empty() {
            "left nothing open"
        } else {
            "left open what has no known end"
        };
        out::line(&format!(
            "azir: run {} {text}; nobody is told",
            short(&report.run)
        ));
        return Ok(false);
    };
    out::line(&format!(
        "azir: waiting until {until} for what run {} left open",
        short(&report.run)
    ));
    loop {
        // By the clock on the wall: a laptop that slept has waited, too.
        let left = (at - chrono::Utc::now()).to_std().unwrap_or_default();
        if left.is_zero() {
            return Ok(true);
        }
        if let Some(most) = most.filter(|most| begun.elapsed() >= *most) {
            return Err(Refusal::failed(
                "timeout",
                format!(
                    "what run {} left open ends at {until}, and not within {}",
                    short(&report.run),
                    super::view::span(most)
                ),
                format!("azir wait {} --residual", short(&report.run)),
            ));
        }
        let piece = most.map_or(TOLD, |most| TOLD.min(most.saturating_sub(begun.elapsed())));
        std::thread::sleep(piece.min(left));
    }
}

/// Returns when the last of what stays open ends, of all whose end is known, as the record says it and as a time.
fn last_end(report: &RunReport) -> Option<(&str, chrono::DateTime<chrono::Utc>)> {
    let known = report.residual.iter().filter_map(|open| {
        let until = open.until.as_deref()?;
        Some((until, until.parse().ok()?))
    });
    known.max_by_key(|(_, at)| *at)
}

/// Waits until nobody writes a run any more; how far it is goes to stderr meanwhile.
pub(super) fn until_over(run_dir: &Path, most: Option<Duration>) -> Result<(), Refusal> {
    let begun = Instant::now();
    let id = crate::report::cases::id_of(run_dir).unwrap_or_else(|| run_dir.display().to_string());
    let mut told_at: Option<Instant> = None;
    while is_held(run_dir) {
        if let Some(most) = most.filter(|most| begun.elapsed() >= *most) {
            return Err(Refusal::failed(
                "timeout",
                format!(
                    "run {id} is still being written by {} after {}; it goes on",
                    holder(run_dir),
                    super::view::span(most)
                ),
                format!("azir wait {id}, or azir show {id}"),
            ));
        }
        if told_at.is_none_or(|at| at.elapsed() >= TOLD) {
            out::line(&format!("azir: {}", shown::line(&far(run_dir, &id))));
            told_at = Some(Instant::now());
        }
        std::thread::sleep(most.map_or(OFTEN, |most| {
            OFTEN.min(most.saturating_sub(begun.elapsed()))
        }));
    }
    Ok(())
}

/// Says how far a run is, as its journal tells it.
fn far(run_dir: &Path, id: &str) -> String {
    let targets = told(run_dir)
        .map(|report| report.targets)
        .unwrap_or_default();
    let ended = targets.iter().filter(|one| one.status != RunStatus::Halted);
    format!(
        "waiting for run {}, written by {}: {} of {} targets have ended",
        short(id),
        holder(run_dir),
        ended.count(),
        targets.len()
    )
}

/// Returns the exit code of a run that is over: its own, or, where it was killed, what it left behind.
pub(super) fn code(report: &RunReport) -> u8 {
    if !report.journal.verified {
        return Exit::Integrity.code();
    }
    if let Some(code) = report.exit_code {
        return code;
    }
    let steps = report.targets.iter().flat_map(|target| &target.steps);
    let wrote = steps.map(|step| step.writes).sum::<u64>() > 0;
    match report.status {
        // What people write around the runs has no end of its own.
        RunStatus::Done => Exit::Done.code(),
        _ if wrote => Exit::Partly.code(),
        _ => Exit::Failed.code(),
    }
}

/// Says of a run that was killed what to type.
pub(super) fn say_killed(report: &RunReport) {
    if report.exit_code.is_none() && report.status == RunStatus::Halted {
        out::line(&format!(
            "azir: run {} was stopped before its end, and nobody writes it",
            report.run
        ));
        out::line(&format!("next: azir resume {}", short(&report.run)));
    }
}

/// Shows a run that is over as the command that ran it did, and returns its exit code.
pub(super) fn ended(run_dir: &Path, output: Output, home: &Home) -> Result<u8, Refusal> {
    let report =
        report(run_dir, &outside::of(home, run_dir)).map_err(|error| Refusal::integrity(&error))?;
    let code = code(&report);
    match output {
        Output::Human => out::result(&shown::block(&super::summary::text(
            &report,
            &out::reader(),
        ))),
        Output::Json => out::result(&serde_json::to_string(&report).unwrap_or_default()),
        Output::Ndjson => {
            for event in ["joined", "run_ended"] {
                let event = serde_json::json!({"event": event, "run": report.run, "incident": report.incident, "status": report.status, "exit_code": code});
                out::result(&event.to_string());
            }
        }
    }
    say_killed(&report);
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_was_killed_has_the_code_of_what_it_left_behind() {
        let mut report = RunReport::default();
        report.journal.verified = true;
        assert_eq!(code(&report), 1);
        report.exit_code = Some(4);
        assert_eq!(code(&report), 4);
        report.journal.verified = false;
        assert_eq!(code(&report), 6);
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert!(duration("soon").is_err());
    }
}
