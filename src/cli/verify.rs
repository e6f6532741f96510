//! `azir journal verify`, `prove` and `check-proof`: what the record proves, to whom, and what it cannot.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use serde_json::json;

use super::exit::Exit;
use super::home::Home;
use super::refusal::Refusal;
use super::{Output, out, shown};
use crate::journal::prove::{ProveError, prove};
use crate::journal::verify::{Finding, Level, Outside, ProofReport, Report, check_proof, verify};
use crate::report::by_hand::{self, ByHand};
use crate::report::cases;
use crate::report::export::header::Header;

/// Verifies a run; exits with the verifier's own codes.
pub(super) fn journal(own: &ArgMatches, home: Result<Home, Refusal>) -> Result<u8, Refusal> {
    let name = own.get_one::<String>("run").map_or("last", String::as_str);
    // A folder is taken as it is, however damaged: saying what is wrong with it is the verifier's work.
    let run_dir = if Path::new(name).is_dir() {
        PathBuf::from(name)
    } else {
        home.and_then(|home| home.run(name))
            .map_err(|refusal| Refusal {
                exit_code: Exit::CannotRead.code(),
                ..refusal
            })?
    };
    let outside = Outside {
        min_size: own.get_one::<u64>("min-size").copied(),
        ..outside(own)
    };
    let report = verify(&run_dir, &outside);
    let runs = cases::of_case(&run_dir);
    if report.exit_code == Exit::CannotRead.code() && !runs.is_empty() {
        out::line("azir: this is the folder of a case; each of its runs is verified by itself");
        for run in &runs {
            out::line(&format!("next: azir journal verify {}", run.display()));
        }
    }
    let by_hand = by_hand::lines(&run_dir, &outside, &report);
    if Output::of(own) != Output::Human {
        let mut value = json!(report);
        value["by_hand"] = json!(by_hand);
        out::result(&value.to_string());
        return Ok(report.exit_code);
    }
    out::result(&shown::block(&told(&report, &run_dir, &by_hand)));
    Ok(report.exit_code)
}

/// Returns what was handed in from outside.
pub(super) fn outside(own: &ArgMatches) -> Outside {
    let path = |name: &str| own.get_one::<String>(name).map(PathBuf::from);
    Outside {
        origin: own.get_one::<String>("origin").cloned(),
        signers: path("signers"),
        tsa_ca: path("tsa-ca"),
        earlier_checkpoints: own
            .get_many::<String>("earlier-checkpoint")
            .into_iter()
            .flatten()
            .map(PathBuf::from)
            .collect(),
        min_size: None,
    }
}

fn told(report: &Report, run_dir: &Path, by_hand: &[ByHand]) -> String {
    let verdict = match report.exit_code {
        0 => "VERIFIED and anchored",
        1 => "NOT VERIFIED: changed, damaged, or not made by azir",
        2 => "VERIFIED, not anchored: what is missing is listed",
        3 => "VERIFIED up to a torn end, as a crash leaves it",
        _ => "CANNOT READ",
    };
    let mut text = format!(
        "{verdict}\n{} entries, {} open intents\n{}\n",
        report.entries,
        report.open_intents,
        run_dir.display()
    );
    if report.exit_code != 4 {
        text.push_str(&since(report));
    }
    // Writing to a String cannot fail.
    if report.open_intents > 0 {
        let seqs: Vec<String> = report.open.iter().take(20).map(u64::to_string).collect();
        let more = if report.open.len() > seqs.len() {
            ", ..."
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "open: only the cloud knows what came of the requests of entries {}{more}",
            seqs.join(", ")
        );
    }
    for vouching in &report.vouched {
        let persons = [&vouching.responder, &vouching.second]
            .into_iter()
            .flatten();
        let persons: Vec<&str> = persons.map(String::as_str).collect();
        let stamps = vouching.stamps.iter().map(|stamp| {
            let judged = if stamp.verified {
                "stamped"
            } else {
                "stamp not judged,"
            };
            format!("{judged} {}", stamp.time)
        });
        let by = if persons.is_empty() {
            None
        } else {
            Some(format!("signed by {}", persons.join(" and ")))
        };
        let all: Vec<String> = by.into_iter().chain(stamps).collect();
        let _ = writeln!(
            text,
            "checkpoint {} over {} entries: {}",
            vouching.number,
            vouching.size,
            all.join("; ")
        );
    }
    text.push_str(&findings(&report.findings));
    if !by_hand.is_empty() {
        text.push_str("Without azir, line by line in a shell:\n");
        for ByHand { what, line } in by_hand {
            let _ = writeln!(text, "  # {what}\n  {line}");
        }
    }
    text
}

/// What the chain proves, and since when.
fn since(report: &Report) -> String {
    let since = match &report.unchanged_since {
        Some(since) => format!(
            "entries 0 to {} unchanged since {}, when an authority that you named stamped them",
            since.size - 1,
            since.time
        ),
        None => {
            "unchanged since the checkpoint you hold; nothing that you named says when that was"
                .to_owned()
        }
    };
    let anchored = report.anchored_to.map_or(String::new(), |size| {
        format!("; anchored up to {size} of {} entries", report.entries)
    });
    if report.exit_code == 1 {
        return "nothing may be relied on that an error below touches\n".to_owned();
    }
    format!(
        "{since}{anchored}\nthe record cannot show that what was written was true, nor detect who holds every key\n"
    )
}

/// Lists findings; what a code means is said where it first stands.
fn findings(findings: &[Finding]) -> String {
    let mut text = String::new();
    let mut explained = HashSet::new();
    for finding in findings {
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
        let said = shown::line(&finding.text);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {level:<5} {place}{said} [{}]", finding.code);
        if explained.insert(finding.meaning) {
            let _ = writeln!(text, "        {}", finding.meaning);
        }
    }
    text
}

/// Writes the proof of one entry.
pub(super) fn prove_entry(own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
    let words: Vec<&String> = own.get_many("of").into_iter().flatten().collect();
    let (run, seq) = match words[..] {
        [seq] => ("last", seq),
        [run, seq, ..] => (run.as_str(), seq),
        [] => {
            return Err(Refusal::usage(
                "no entry was named",
                "azir journal prove last 0",
            ));
        }
    };
    let number = seq.parse::<u64>().map_err(|_| {
        Refusal::usage(
            format!("{seq} is no number of an entry"),
            format!("azir journal show {run}"),
        )
    })?;
    let run_dir = home.run(run)?;
    let proof = prove(&run_dir, number, !own.get_flag("only-entry"))
        .map_err(|error| refused(&error, &run_dir))?;
    let Some(path) = own.get_one::<String>("to").filter(|path| *path != "-") else {
        let mut stream = out::Stream::new();
        stream.raw(proof.trim_end_matches('\n'));
        stream.end().map_err(|error| Refusal::cut_off(&error))?;
        return Ok(Exit::Done.code());
    };
    if let Some(warning) = Header::read(&run_dir)
        .ok()
        .and_then(|header| header.warning())
    {
        out::line(warning);
    }
    let mut file = super::export::create(Path::new(path), &run_dir)?;
    file.write_all(proof.as_bytes())
        .map_err(|error| super::export::not_written(Path::new(path), &error))?;
    out::line(&format!("entry {number} is shown by {path}"));
    out::line(&format!("next: azir journal check-proof {path}"));
    Ok(Exit::Done.code())
}

fn refused(error: &ProveError, run_dir: &Path) -> Refusal {
    let run_dir = run_dir.display();
    let hint = match error {
        ProveError::NoEntry { .. } => format!("azir journal show {run_dir}"),
        ProveError::NotCovered(_) => {
            "resume or seal the run: its next checkpoint covers the entry".to_owned()
        }
        _ => format!("azir journal verify {run_dir}"),
    };
    match error {
        ProveError::NoEntry { .. } | ProveError::NotCovered(_) => {
            Refusal::usage(error.to_string(), hint)
        }
        _ => Refusal {
            hint,
            ..Refusal::integrity(error)
        },
    }
}

/// Checks the proof of one entry; exits with the verifier's own codes.
pub(super) fn proof(own: &ArgMatches) -> u8 {
    let file = own.get_one::<String>("file").map_or("", String::as_str);
    let report = check_proof(Path::new(file), &outside(own));
    if Output::of(own) == Output::Human {
        out::result(&shown::block(&proof_told(&report)));
    } else {
        out::result(&serde_json::to_string(&report).unwrap_or_default());
    }
    report.exit_code
}

fn proof_told(report: &ProofReport) -> String {
    let verdict = match report.exit_code {
        0 => "PROVED and anchored",
        1 => "NOT PROVED: changed, damaged, or not made by azir",
        2 => "PROVED by what the file itself holds, not anchored: what is missing is listed",
        _ => "CANNOT READ",
    };
    let mut text = format!("{}{verdict}\n", report.mark);
    // Writing to a String cannot fail.
    if !report.entry.is_null() {
        let word = |name: &str| report.entry[name].as_str().unwrap_or_default();
        let _ = writeln!(
            text,
            "entry {} of {}: {} at {}\n{}",
            report.index,
            shown::line(&report.origin),
            word("type"),
            word("time"),
            shown::line(&report.entry["data"].to_string())
        );
    }
    text.push_str(&findings(&report.findings));
    for (title, list) in [
        ("It proves:", &report.proves),
        ("It does not prove:", &report.does_not_prove),
    ] {
        if !list.is_empty() {
            let _ = writeln!(text, "{title}");
        }
        for line in list {
            let _ = writeln!(text, "  - {}", shown::line(line));
        }
    }
    text
}
