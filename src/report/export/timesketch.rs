//! Events for a timeline in Timesketch, as JSON lines or CSV: one row an entry, told in words, with what it is
//! searched by in columns of their own ("Create timeline from JSON/JSONL/CSV file": `message`, `datetime` and
//! `timestamp_desc` are mandatory).

use std::io::Write;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::ExportError;
use super::header::Header;
use crate::digest::Digest;
use crate::journal::Line;
use crate::journal::reader::Lines;
use crate::report::teller::Teller;
use crate::report::words::{text, who};

/// The columns; the first three are the mandatory ones.
const COLUMNS: &[&str] = &[
    "message",
    "datetime",
    "timestamp_desc",
    "timestamp",
    "incident",
    "run",
    "mode",
    "cloud",
    "seq",
    "entry_type",
    "actor",
    "step",
    "target",
    "item",
    "effect",
    "outcome",
    "client_request_id",
    "request_id",
    "correlation_request_id",
    "sha256",
    "session",
    "entry_hash",
];

/// Writes one JSON object a line; members that an entry does not have are left out. Returns how many.
///
/// # Errors
/// A journal that cannot be read; an output that cannot be written.
pub fn jsonl(run_dir: &Path, to: &mut impl Write) -> Result<u64, ExportError> {
    rows(run_dir, |row| {
        let members: Map<String, Value> = COLUMNS
            .iter()
            .zip(row)
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| ((*name).to_owned(), value))
            .collect();
        writeln!(to, "{}", Value::Object(members))
    })
}

/// Writes CSV with a head line (RFC 4180, LF). A cell that a spreadsheet would take for a formula is escaped by an
/// apostrophe. Returns how many rows follow the head.
///
/// # Errors
/// As [`jsonl`].
pub fn csv(run_dir: &Path, to: &mut impl Write) -> Result<u64, ExportError> {
    writeln!(to, "{}", COLUMNS.join(",")).map_err(ExportError::Write)?;
    rows(run_dir, |row| {
        let cells: Vec<String> = row.iter().map(cell).collect();
        writeln!(to, "{}", cells.join(","))
    })
}

fn rows(
    run_dir: &Path,
    mut write: impl FnMut(Vec<Value>) -> std::io::Result<()>,
) -> Result<u64, ExportError> {
    let header = Header::read(run_dir)?;
    let mut teller = Teller::default();
    let mut lines = Lines::open(run_dir)?;
    let mut count = 0;
    while let Some(line) = lines.next_line()? {
        let message = format!("{}{}", header.mark(), teller.tell(&line));
        let chain = lines.head().chain;
        write(row(
            &header,
            &line,
            &message,
            &line.time,
            description(&line),
            chain,
        ))
        .map_err(ExportError::Write)?;
        count += 1;
        // What a person did outside azir has a time of its own, told afterwards.
        let at = text(&line, "at");
        if line.kind == "manual" && chrono::DateTime::parse_from_rfc3339(&at).is_ok() {
            write(row(
                &header,
                &line,
                &message,
                &at,
                "Done by hand, as told",
                chain,
            ))
            .map_err(ExportError::Write)?;
            count += 1;
        }
    }
    Ok(count)
}

fn row(
    header: &Header,
    line: &Line,
    message: &str,
    time: &str,
    description: &str,
    chain: Digest,
) -> Vec<Value> {
    let word = |text: String| {
        if text.is_empty() {
            Value::Null
        } else {
            Value::String(text)
        }
    };
    let moment = chrono::DateTime::parse_from_rfc3339(time).ok();
    let datetime = moment.map(|moment| moment.to_utc().format("%Y-%m-%dT%H:%M:%S%.6f+00:00"));
    let of = |path: &str| word(text(line, path));
    COLUMNS
        .iter()
        .map(|column| match *column {
            "message" => json!(message),
            "datetime" => datetime
                .as_ref()
                .map_or(Value::Null, |time| json!(time.to_string())),
            "timestamp_desc" => json!(description),
            "timestamp" => moment.map_or(Value::Null, |moment| json!(moment.timestamp_micros())),
            "incident" | "mode" | "cloud" => word(header.word(column)),
            "run" => json!(header.run),
            "seq" => json!(line.seq),
            "entry_type" => json!(line.kind),
            "actor" => json!(who(line)),
            "outcome" => line
                .data
                .get("outcome")
                .or_else(|| line.data.get("holds"))
                .cloned()
                .unwrap_or(Value::Null),
            "session" => json!(line.session),
            "entry_hash" => json!(chain.to_string()),
            path => of(path),
        })
        .collect()
}

/// What kind of time an entry's is.
fn description(line: &Line) -> &'static str {
    match line.kind.as_str() {
        "run.start" => "Run started",
        "session.open" => "Session opened",
        "action.intent" => "Request about to be sent",
        "action.result" => "Answer received",
        "action.reconcile" => "Unknown request settled",
        "step" => "Step",
        "check" => "Effect read back",
        "evidence" => "Evidence collected",
        "decision" => "Decision taken",
        "manual" => "Work by hand recorded",
        "note" => "Note taken",
        "transfer" => "Custody transferred",
        "anchor" => "Checkpoint anchored",
        "clock.jump" => "Clock jumped",
        "heartbeat" => "Heartbeat",
        "run.halt" => "Run halted",
        "redact" => "Evidence taken out",
        "seal" => "Run sealed",
        _ => "Entry recorded",
    }
}

fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    // What begins like this is evaluated by spreadsheets: names in a tenant under attack are the attacker's to choose.
    let safe = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text
    };
    if safe.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", safe.replace('"', "\"\""))
    } else {
        safe
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for bad in ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1"] {
            let cell = cell(&json!(bad));
            assert!(cell.trim_start_matches('"').starts_with('\''), "{cell}");
        }
        assert_eq!(cell(&json!("a=1")), "a=1");
        assert_eq!(cell(&json!("a,\"b\"\n")), "\"a,\"\"b\"\"\n\"");
        assert_eq!(cell(&json!(7)), "7");
        assert_eq!(cell(&json!("=a,b")), "\"'=a,b\"");
        assert_eq!(cell(&Value::Null), "");
    }
}
