//! `azir list`, `azir show` and `azir journal`: what the case folders say, without the cloud.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::ArgMatches;
use serde_json::Value;

use super::home::Home;
use super::refusal::Refusal;
use super::{Output, out, summary};
use crate::ids::ArmId;
use crate::journal::verify::{Level, Outside, verify};
use crate::report::{cases, run};

fn chosen(own: &ArgMatches, home: &Home) -> Result<PathBuf, Refusal> {
    home.run(own.get_one::<String>("run").map_or("last", String::as_str))
}

fn unreadable(error: &dyn std::fmt::Display) -> Refusal {
    Refusal {
        code: "integrity".into(),
        message: error.to_string(),
        target: None,
        hint: "azir journal verify RUN".into(),
        exit_code: 6,
    }
}

/// Lists the runs of every case.
pub(super) fn list(matches: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
    let lines = cases::lines(&home.cases());
    if Output::of(matches) != Output::Human {
        out::result(&serde_json::to_string(&lines).unwrap_or_default());
        return Ok(0);
    }
    if lines.is_empty() {
        out::line(&format!("no runs yet in {}", home.cases().display()));
        out::line("next: azir isolate-vm vm-app-01 --lab");
        return Ok(0);
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
            "{}  {:<20}  {:<18}  {:<20}  {}  {}",
            &line.run[..line.run.len().min(8)],
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
            targets.join(", ")
        );
    }
    out::result(&text);
    Ok(0)
}

/// Shows how a run stands.
pub(super) fn show(matches: &ArgMatches, own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
    let run_dir = chosen(own, home)?;
    let report = run::report(&run_dir).map_err(|error| unreadable(&error))?;
    if Output::of(matches) != Output::Human {
        out::result(&serde_json::to_string(&report).unwrap_or_default());
        return Ok(0);
    }
    let mut text = summary::steps(&report);
    let unknown = run::unknown(&run_dir).map_err(|error| unreadable(&error))?;
    if !unknown.is_empty() {
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
    text.push_str(&summary::text(&report));
    out::result(&text);
    Ok(0)
}

/// Shows the lines of a journal.
pub(super) fn journal_show(
    matches: &ArgMatches,
    own: &ArgMatches,
    home: &Home,
) -> Result<u8, Refusal> {
    let run_dir = chosen(own, home)?;
    let json = Output::of(matches) != Output::Human;
    let mut text = String::new();
    crate::journal::reader::each(&run_dir, |line, bytes, _| {
        if json {
            text.push_str(bytes);
            text.push('\n');
            return;
        }
        let of = |name: &str| {
            line.data
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let what = match line.kind.as_str() {
            "action.intent" => {
                let api = line.data.get("api");
                let member = |name: &str| {
                    api.and_then(|api| api.get(name))
                        .and_then(Value::as_str)
                        .unwrap_or_default()
                };
                format!("{} {} ({})", member("method"), of("target"), of("step"))
            }
            "action.result" => format!(
                "of {}: {} {}",
                line.data.get("intent").and_then(Value::as_u64).unwrap_or(0),
                of("outcome"),
                of("error_code")
            ),
            "step" => format!("{} {} {}", of("step"), of("state"), of("outcome")),
            "check" => format!(
                "{}: {}",
                of("claim"),
                line.data
                    .get("holds")
                    .and_then(Value::as_bool)
                    .map_or("unknown".to_owned(), |holds| holds.to_string())
            ),
            "evidence" => format!("{} {}", of("exhibit"), of("name")),
            "note" => format!(
                "{} {}",
                of("kind"),
                [of("text"), of("what"), of("status")].concat()
            ),
            _ => String::new(),
        };
        let _ = writeln!(
            text,
            "{:>5} {} {:<16} {what}",
            line.seq,
            line.time.get(11..23).unwrap_or_default(),
            line.kind
        );
    })
    .map_err(|error| unreadable(&error))?;
    out::result(&text);
    Ok(0)
}

/// Exports a journal: each line exactly as it was written.
pub(super) fn journal_export(own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
    let run_dir = chosen(own, home)?;
    crate::journal::reader::each(&run_dir, |_, bytes, _| out::result(bytes))
        .map_err(|error| unreadable(&error))?;
    Ok(0)
}

/// Verifies a run; exits with the verifier's own codes.
pub(super) fn journal_verify(
    matches: &ArgMatches,
    own: &ArgMatches,
    home: &Home,
) -> Result<u8, Refusal> {
    let name = own.get_one::<String>("run").map_or("last", String::as_str);
    // A folder is taken as it is, however damaged: saying what is wrong with it is the verifier's work.
    let run_dir = if std::path::Path::new(name).is_dir() {
        PathBuf::from(name)
    } else {
        home.run(name).map_err(|refusal| Refusal {
            exit_code: 4,
            ..refusal
        })?
    };
    let path = |name: &str| own.get_one::<String>(name).map(PathBuf::from);
    let outside = Outside {
        origin: own.get_one::<String>("origin").cloned(),
        signers: path("signers"),
        tsa_ca: path("tsa-ca"),
        earlier_checkpoints: own
            .get_many::<String>("earlier-checkpoint")
            .into_iter()
            .flatten()
            .map(PathBuf::from)
            .collect(),
        min_size: own.get_one::<u64>("min-size").copied(),
    };
    let report = verify(&run_dir, &outside);
    if Output::of(matches) != Output::Human {
        out::result(&serde_json::to_string(&report).unwrap_or_default());
        return Ok(report.exit_code);
    }
    let verdict = match report.exit_code {
        0 => "VERIFIED and anchored",
        1 => "NOT VERIFIED: changed, damaged, or not made by azir",
        2 => {
            "VERIFIED, not anchored: unchanged since the checkpoint you hold, and nothing outside says when that was"
        }
        3 => "VERIFIED up to a torn end, as a crash leaves it",
        _ => "CANNOT READ",
    };
    let mut text = format!(
        "{verdict}\n{} entries, {} open intents\n{}\n",
        report.entries,
        report.open_intents,
        run_dir.display()
    );
    for finding in &report.findings {
        let level = match finding.level {
            Level::Note => "note",
            Level::Gap => "gap",
            Level::Torn => "torn",
            Level::Error => "ERROR",
        };
        let place = match finding.line {
            Some(line) => format!("{}:{line}: ", finding.file),
            None if finding.file.is_empty() => String::new(),
            None => format!("{}: ", finding.file),
        };
        let _ = writeln!(text, "  {level:<5} {place}{}", finding.text);
    }
    out::result(&text);
    Ok(report.exit_code)
}
