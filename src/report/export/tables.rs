//! What the page lists, gathered in one pass over the journal: decisions, exhibits, anchors, and the entries.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::ExportError;
use super::markup::escaped;
use crate::journal::Line;
use crate::journal::reader::Lines;
use crate::report::teller::Teller;
use crate::report::words::{chosen, text, who};

/// Entries that the page lists; the journal has them all.
const LISTED: usize = 2_000;

/// Rows of tables, in HTML.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// Decisions, work by hand and hand-overs.
    pub(super) persons: String,
    /// Exhibits.
    pub(super) exhibits: String,
    /// Gaps that exhibits themselves declare.
    pub(super) gaps: Vec<String>,
    /// Anchors that entries tell of.
    pub(super) anchors: String,
    /// Everything but reads and their answers.
    pub(super) entries: String,
    /// Entries that would be listed and are not.
    pub(super) left_out: usize,
    /// How many entries there are of each type.
    pub(super) counts: BTreeMap<String, u64>,
    /// Reads among the requests.
    pub(super) reads: u64,
}

impl Tables {
    /// Reads a journal.
    pub(super) fn read(run_dir: &Path) -> Result<Self, ExportError> {
        let mut tables = Self::default();
        let mut teller = Teller::default();
        let mut reads = std::collections::BTreeSet::new();
        let mut listed = 0;
        let mut lines = Lines::open(run_dir)?;
        while let Some(line) = lines.next_line()? {
            *tables.counts.entry(line.kind.clone()).or_default() += 1;
            let told = teller.tell(&line);
            tables.special(&line);
            let of = line.data.get("intent").and_then(Value::as_u64);
            if line.kind == "action.intent" && text(&line, "effect") == "read" {
                reads.insert(line.seq);
                tables.reads += 1;
                continue;
            }
            let ok = text(&line, "outcome") == "ok";
            if line.kind == "action.result" && ok && of.is_some_and(|seq| reads.remove(&seq)) {
                continue;
            }
            if listed == LISTED {
                tables.left_out += 1;
                continue;
            }
            listed += 1;
            tables.entries.push_str(&format!(
                "<tr><td>{}</td><td class=t>{}</td><td class=s>{}</td><td>{}</td><td>{}</td></tr>\n",
                line.seq,
                clock(&line.time),
                escaped(&line.kind),
                escaped(who(&line)),
                escaped(&told)
            ));
        }
        Ok(tables)
    }

    fn special(&mut self, line: &Line) {
        match line.kind.as_str() {
            "decision" | "manual" | "transfer" => self.person(line),
            "evidence" => self.exhibit(line),
            "anchor" => {
                let number = line.data.get("checkpoint").map(Value::to_string);
                self.anchors.push_str(&format!(
                    "<tr><td class=t>{}</td><td>{}</td><td>{}</td><td><code>{}</code></td></tr>\n",
                    clock(&line.time),
                    escaped(&text(line, "kind")),
                    escaped(&number.unwrap_or_default()),
                    escaped(
                        &line
                            .data
                            .get("receipt")
                            .map(Value::to_string)
                            .unwrap_or_default()
                    )
                ));
            }
            _ => {}
        }
    }

    fn person(&mut self, line: &Line) {
        let asked =
            ["question", "instruction", "about", "items", "purpose"].map(|name| text(line, name));
        let asked = asked.into_iter().find(|asked| !asked.is_empty());
        let choice = line.data.get("choice").map(chosen);
        let told = ["finding", "why", "words", "typed", "text"].map(|name| text(line, name));
        let choice = choice
            .or_else(|| told.into_iter().find(|told| !told.is_empty()))
            .or_else(|| {
                (line.kind == "transfer")
                    .then(|| format!("{} to {}", text(line, "from"), text(line, "to")))
            });
        let by = text(line, "by");
        let by = if by.is_empty() {
            by
        } else {
            format!(" ({by})")
        };
        self.persons.push_str(&format!(
            "<tr><td>{}</td><td class=t>{}</td><td>{}{}</td><td>{}</td><td>{}</td></tr>\n",
            line.seq,
            clock(&line.time),
            escaped(who(line)),
            escaped(&by),
            escaped(&asked.unwrap_or_else(|| line.kind.clone())),
            escaped(&choice.unwrap_or_default())
        ));
    }

    fn exhibit(&mut self, line: &Line) {
        let completeness = |name: &str| line.data.get("completeness").and_then(|all| all.get(name));
        for gap in completeness("gaps")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            self.gaps
                .push(format!("{}: {}", text(line, "name"), chosen(gap)));
        }
        let stored = text(line, "stored/uri");
        let rows = completeness("rows")
            .map(|rows| format!(", {rows} rows"))
            .unwrap_or_default();
        self.exhibits.push_str(&format!(
            "<tr><td>{}</td><td>{}<br>{}</td><td>{}{}</td><td><code>{}</code></td><td>{}</td></tr>\n",
            escaped(text(line, "exhibit").rsplit('/').next().unwrap_or_default()),
            escaped(&text(line, "name")),
            escaped(&text(line, "description")),
            line.data.get("size").map(Value::to_string).unwrap_or_default(),
            escaped(&rows),
            escaped(&text(line, "sha256")),
            escaped(if stored.is_empty() { "in this folder only" } else { &stored })
        ));
    }
}

/// A journal's time without its date's zeros of use to nobody: to the millisecond.
fn clock(time: &str) -> String {
    let short = time.get(..23).unwrap_or(time).replace('T', " ");
    escaped(&short)
}
