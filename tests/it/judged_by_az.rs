//! Microsoft's own Azure CLI runs every command of the reference documents against the lab, one by one, and each does
//! what its row in `az/commands.yaml` says: by its effect where it writes, by what it shows where it reads.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::az_kit::{Judge, folder};
use crate::support::Done;

/// Set to anything, the table is written anew.
const RENEW: &str = "AZIR_TEST_RENEW";
/// Chains that run at a time.
const WORKERS: usize = 3;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Chain {
    chain: String,
    rows: Vec<Row>,
}

/// A command of a document; the head of `commands.yaml` says what each member means.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    at: String,
    #[serde(default)]
    also: Vec<String>,
    written: String,
    #[serde(default)]
    why: String,
    #[serde(default)]
    run: String,
    fails: Option<Saying>,
    #[serde(default)]
    reads: Vec<String>,
    #[serde(default)]
    reads_not: Vec<String>,
    tells: Option<Member>,
    #[serde(default)]
    leaves: Vec<Left>,
    changes: Option<Changed>,
    #[serde(default)]
    checks: Vec<Saying>,
    #[serde(default)]
    verdict: Verdict,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Interactive,
    Refused,
    #[default]
    Works,
}

/// A command, and what its output says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Saying {
    run: String,
    says: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Member {
    r#in: String,
    r#where: Map<String, Value>,
    at: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Changed {
    r#in: String,
    r#where: Map<String, Value>,
    at: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Left {
    r#in: String,
    r#where: Map<String, Value>,
    #[serde(default)]
    has: BTreeMap<String, Value>,
    count: Option<usize>,
}

fn chains() -> Vec<Chain> {
    let text = std::fs::read_to_string(folder().join("commands.yaml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

#[test]
#[ignore = "needs azure-cli from PyPI"]
fn every_az_command_of_the_reference_documents_does_what_its_row_says() {
    let chains = chains();
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(chain) = chains.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let found = judged(chain);
                    wrong.lock().unwrap().extend(found);
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().unwrap();
    wrong.sort();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let (file, table) = (folder().join("commands.md"), table(&chains));
    if std::env::var_os(RENEW).is_some() {
        std::fs::write(&file, &table).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == table,
        "{} is not what this run found; run it again with {RENEW}=1 to write it anew",
        file.display()
    );
}

#[test]
fn a_command_stands_in_one_row_and_is_judged_by_something() {
    let mut places = BTreeSet::new();
    for row in chains().iter().flat_map(|chain| &chain.rows) {
        let key = (row.at.clone(), row.written.clone());
        assert!(places.insert(key), "{} is there twice", row.at);
        let judged = !row.reads.is_empty()
            || !row.leaves.is_empty()
            || !row.checks.is_empty()
            || row.tells.is_some()
            || row.changes.is_some();
        assert_eq!(row.verdict == Verdict::Works, judged, "{}", row.at);
        assert_eq!(row.run.is_empty(), row.verdict == Verdict::Interactive);
        assert!(row.verdict == Verdict::Works || !row.why.is_empty());
    }
}

#[test]
fn the_committed_table_is_that_of_the_rows() {
    let committed = std::fs::read_to_string(folder().join("commands.md")).unwrap();
    assert!(
        committed == table(&chains()),
        "commands.yaml was changed: run `cargo test -- --ignored judged_by_az` with {RENEW}=1"
    );
}

#[test]
fn the_readme_counts_as_the_table_does() {
    let chains = chains();
    let rows: Vec<&Row> = chains.iter().flat_map(|chain| &chain.rows).collect();
    let works = rows.iter().filter(|row| row.verdict == Verdict::Works);
    // A reason that begins so tells what else to know of a command that is right.
    let right = |row: &&&Row| row.why.is_empty() || row.why.starts_with("Works");
    let corrected = works.clone().filter(|row| !right(row)).count();
    let failing = rows.iter().filter(|row| row.fails.is_some()).count();
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    for said in [
        format!("runs the {} entries", rows.len()),
        format!(
            "{} of them work, {corrected} after a correction",
            works.count()
        ),
        format!("As written, {failing} of those are run"),
    ] {
        assert!(readme.contains(&said), "the README does not say {said:?}");
    }
}

/// Runs a chain against a lab of its own; returns what is wrong.
fn judged(chain: &Chain) -> Vec<String> {
    let rows = chain.rows.iter();
    let mut rows = rows
        .filter(|row| row.verdict != Verdict::Interactive)
        .peekable();
    if rows.peek().is_none() {
        return Vec::new();
    }
    let judge = Judge::new();
    let each = rows.filter_map(|row| {
        let found = judge_row(&judge, row).err()?;
        Some(format!("{} ({}): {found}", row.at, chain.chain))
    });
    each.collect()
}

fn judge_row(judge: &Judge, row: &Row) -> Result<(), String> {
    if let Some(fails) = &row.fails {
        let done = judge.bash(&fails.run);
        if done.code == 0 || !said(&done).contains(&fails.says) {
            return Err(unlike(
                "as written it should fail saying",
                &fails.says,
                &done,
            ));
        }
    }
    let before = judge.azir.lab.state();
    let done = judge.bash(&row.run);
    if row.verdict == Verdict::Refused {
        let named = done.code != 0 && said(&done).contains("NotModelled");
        return named
            .then_some(())
            .ok_or_else(|| unlike("it should be refused with", "NotModelled", &done));
    }
    if done.code != 0 {
        return Err(unlike("it should end with", "0", &done));
    }
    if let Some(text) = row.reads.iter().find(|text| !done.stdout.contains(*text)) {
        return Err(unlike("it should show", text, &done));
    }
    if let Some(text) = row
        .reads_not
        .iter()
        .find(|text| done.stdout.contains(*text))
    {
        return Err(unlike("it should not show", text, &done));
    }
    let state = judge.azir.lab.state();
    if let Some(told) = &row.tells {
        let found = found(&state, &told.r#in, &told.r#where);
        let value = found
            .first()
            .and_then(|one| one.pointer(&told.at)?.as_str());
        if value.is_none_or(|value| done.stdout.trim() != value) {
            return Err(unlike("it should tell", &told.at, &done));
        }
    }
    row.leaves.iter().try_for_each(|left| holds(&state, left))?;
    if let Some(changed) = &row.changes {
        let of = |state| {
            found(state, &changed.r#in, &changed.r#where)
                .first()
                .map(|one| (*one).clone())
                .unwrap_or_default()
        };
        let (old, new) = (of(&before), of(&state));
        if let Some(same) = changed
            .at
            .iter()
            .find(|at| old.pointer(at) == new.pointer(at))
        {
            return Err(format!("{same} is what it was"));
        }
    }
    row.checks.iter().try_for_each(|check| {
        let done = judge.bash(&check.run);
        let good = done.code == 0 && done.stdout.contains(&check.says);
        good.then_some(())
            .ok_or_else(|| unlike("its check should say", &check.says, &done))
    })
}

fn said(done: &Done) -> String {
    format!("{}{}", done.stdout, done.stderr)
}

/// What stdout holds is not repeated: it may be a secret.
fn unlike(what: &str, wanted: &str, done: &Done) -> String {
    format!(
        "{what} {wanted:?}; it ended with {}: {}",
        done.code,
        done.stderr.trim()
    )
}

/// Returns the objects of a kind whose members are so, whatever the case.
fn found<'a>(state: &'a Value, kind: &str, wanted: &Map<String, Value>) -> Vec<&'a Value> {
    let all = match kind {
        "resources" => state["resources"].as_object(),
        kind => state["directory"][kind].as_object(),
    };
    let same = |one: &Value, wanted: &Value| match (one.as_str(), wanted.as_str()) {
        (Some(one), Some(wanted)) => one.eq_ignore_ascii_case(wanted),
        _ => one == wanted,
    };
    let fits = |one: &&Value| {
        wanted
            .iter()
            .all(|(at, value)| one.pointer(at).is_some_and(|found| same(found, value)))
    };
    let all = all.into_iter().flat_map(Map::values);
    all.filter(fits).collect()
}

fn holds(state: &Value, left: &Left) -> Result<(), String> {
    let found = found(state, &left.r#in, &left.r#where);
    let place = format!("{} {:?}", left.r#in, left.r#where);
    let wanted = left.count.unwrap_or(1);
    if found.len() != wanted {
        return Err(format!(
            "of {place} there are {}, not {wanted}",
            found.len()
        ));
    }
    for one in found {
        for (at, value) in &left.has {
            let is = one.pointer(at).unwrap_or(&Value::Null);
            if is != value {
                return Err(format!("{at} of {place} is {is}, not {value}"));
            }
        }
    }
    Ok(())
}

fn table(chains: &[Chain]) -> String {
    let mut rows: Vec<&Row> = chains.iter().flat_map(|chain| &chain.rows).collect();
    let place = |row: &Row| {
        let (document, line) = row.at.split_once(':').unwrap();
        let line: usize = line.parse().unwrap();
        (std::cmp::Reverse(document.to_owned()), line)
    };
    rows.sort_by_key(|row| place(row));
    let of = |verdict| rows.iter().filter(|row| row.verdict == verdict).count();
    let mut text = format!(
        "<!-- Made by tests/it/judged_by_az.rs from what the Azure CLI did; see commands.yaml beside it. -->\n\n\
        # The Azure CLI against the lab\n\n\
        {} commands of the reference documents: {} work, {} are refused by the lab with 501, {} are nothing that a lab can judge.\n\n\
        | At | As written | What that says | As run | Verdict | Reason |\n|---|---|---|---|---|---|\n",
        rows.len(),
        of(Verdict::Works),
        of(Verdict::Refused),
        of(Verdict::Interactive),
    );
    for row in rows {
        let verdict = match row.verdict {
            Verdict::Interactive => "no command for a lab",
            Verdict::Refused => "refused (501)",
            Verdict::Works => "works",
        };
        let places: Vec<&str> = std::iter::once(&row.at)
            .chain(&row.also)
            .map(String::as_str)
            .collect();
        let run = if row.run.is_empty() {
            String::new()
        } else {
            code(&row.run)
        };
        let written = if row.verdict == Verdict::Interactive {
            row.written.clone()
        } else {
            code(&row.written)
        };
        let says = row.fails.as_ref().map(|fails| code(&fails.says));
        let says = says.unwrap_or_default();
        writeln!(
            text,
            "| {} | {written} | {says} | {run} | {verdict} | {} |",
            places.join(", "),
            row.why.replace('|', "\\|")
        )
        .unwrap();
    }
    text
}

/// A command on one line of a table.
fn code(command: &str) -> String {
    let line = command.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("`` {} ``", line.replace('|', "\\|"))
}
