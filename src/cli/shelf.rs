//! `azir runbook`: list, read, check and write runbooks.

use clap::ArgMatches;

use super::execute::Chosen;
use super::refusal::Refusal;
use super::{Output, out};
use crate::drill;
use crate::runbook::catalogue::{Catalogue, CatalogueError, title};
use crate::runbook::lint::lint;
use crate::runbook::parse::parse_bytes;
use crate::runbook::problem::{Problem, render};
use crate::runbook::{docs, schema};

/// Finds a runbook by name, or by the path of a file.
pub(super) fn find(catalogue: &Catalogue, name: &str) -> Result<Chosen, Refusal> {
    if is_path(name) {
        let bytes = read(name)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let runbook = parse_bytes(name, &bytes).map_err(|problems| bad(&problems, &text))?;
        return Ok(Chosen {
            runbook: runbook.into(),
            text: text.into(),
            origin: name.to_owned(),
        });
    }
    match catalogue.load(name) {
        Ok((runbook, text)) => {
            let shipped = catalogue.source(name).is_some_and(|source| source.shipped);
            let origin = if shipped {
                "shipped".to_owned()
            } else {
                catalogue
                    .source(name)
                    .map(|source| source.path.clone())
                    .unwrap_or_default()
            };
            Ok(Chosen {
                runbook,
                text,
                origin,
            })
        }
        Err(CatalogueError::Bad { problems, text, .. }) => Err(bad(&problems, &text)),
        Err(CatalogueError::Unknown { near, .. }) => {
            let hint = near.map_or_else(
                || "azir runbook list".to_owned(),
                |near| format!("azir {near}"),
            );
            Err(Refusal::usage(
                format!("there is no runbook named {name}"),
                hint,
            ))
        }
        Err(error) => Err(Refusal::usage(error.to_string(), "azir runbook list")),
    }
}

/// Finds a runbook for a command on the shelf; where another name was meant, that command is proposed.
pub(super) fn find_for(
    command: &str,
    catalogue: &Catalogue,
    name: &str,
) -> Result<Chosen, Refusal> {
    find(catalogue, name).map_err(|refusal| {
        let near = refusal.hint.strip_prefix("azir ");
        let near = near.filter(|near| !near.starts_with("runbook "));
        let hint = near.map(|near| format!("azir runbook {command} {near}"));
        Refusal {
            hint: hint.unwrap_or_else(|| refusal.hint.clone()),
            ..refusal
        }
    })
}

fn is_path(name: &str) -> bool {
    name.contains('/') || name.ends_with(".yaml") || name.ends_with(".yml")
}

fn read(path: &str) -> Result<Vec<u8>, Refusal> {
    std::fs::read(path)
        .map_err(|error| Refusal::usage(format!("{path}: {error}"), "azir runbook list"))
}

fn bad(problems: &[Problem], text: &str) -> Refusal {
    let shown: Vec<String> = problems
        .iter()
        .take(20)
        .map(|problem| render(problem, text))
        .collect();
    Refusal::usage(
        format!("the runbook cannot be read\n{}", shown.join("\n")),
        "azir runbook lint FILE",
    )
}

/// Returns the index of the folder `runbooks`: the runbooks, and the scenarios of drills below it.
fn index(catalogue: &Catalogue) -> String {
    docs::index(catalogue) + &drill::shelf::index()
}

/// Lists the runbooks.
pub(super) fn list(matches: &ArgMatches, own: &ArgMatches, catalogue: &Catalogue) -> u8 {
    if own.get_flag("markdown") {
        out::raw(&index(catalogue));
        return 0;
    }
    let mut text = String::new();
    let mut rows = Vec::new();
    for (name, source) in catalogue.sources() {
        rows.push(serde_json::json!({"name": name, "title": title(&source.text), "path": source.path, "shipped": source.shipped}));
        text.push_str(&format!(
            "{name:<24} {}{}\n",
            title(&source.text),
            if source.shipped { "" } else { "  (yours)" }
        ));
    }
    out::result(&if Output::of(matches) == Output::Human {
        text
    } else {
        serde_json::Value::from(rows).to_string()
    });
    0
}

/// Reads a runbook aloud.
pub(super) fn show(own: &ArgMatches, catalogue: &Catalogue) -> Result<u8, Refusal> {
    let name = own.get_one::<String>("name").map_or("", String::as_str);
    let chosen = find_for("show", catalogue, name)?;
    out::result(&docs::show(&chosen.runbook));
    Ok(0)
}

/// Checks runbooks; 1 if anything is found.
pub(super) fn check(
    matches: &ArgMatches,
    own: &ArgMatches,
    catalogue: &Catalogue,
) -> Result<u8, Refusal> {
    let mut names: Vec<String> = own
        .get_many::<String>("name")
        .into_iter()
        .flatten()
        .cloned()
        .collect();
    if names.is_empty() {
        names = catalogue
            .sources()
            .map(|(name, _)| name.to_owned())
            .collect();
    }
    let mut all: Vec<Problem> = Vec::new();
    let mut text = String::new();
    for name in &names {
        let (file, source) = match catalogue.source(name) {
            Some(source) if !is_path(name) => (source.path.clone(), source.text.to_string()),
            _ if is_path(name) => (
                name.clone(),
                String::from_utf8_lossy(&read(name)?).into_owned(),
            ),
            _ => {
                return Err(find(catalogue, name)
                    .err()
                    .unwrap_or_else(|| Refusal::usage("no such runbook", "azir runbook list")));
            }
        };
        let bytes = if is_path(name) {
            read(name)?
        } else {
            source.clone().into_bytes()
        };
        let problems = match parse_bytes(&file, &bytes) {
            Ok(runbook) => lint(&file, &runbook, catalogue),
            Err(problems) => problems,
        };
        for problem in &problems {
            text.push_str(&render(problem, &source));
        }
        all.extend(problems);
    }
    if Output::of(matches) != Output::Human {
        let rows: Vec<serde_json::Value> = all.iter().map(|problem| serde_json::json!({"code": problem.code, "file": problem.file, "line": problem.place.line, "column": problem.place.column, "message": problem.message, "help": problem.help})).collect();
        out::result(&serde_json::Value::from(rows).to_string());
    } else if all.is_empty() {
        out::line(&format!(
            "{}, nothing found.",
            super::prose::count(names.len() as u64, "runbook")
        ));
    } else {
        out::result(&text);
    }
    Ok(u8::from(!all.is_empty()))
}

/// Writes a new runbook; refuses to replace a file.
pub(super) fn new(own: &ArgMatches, catalogue: &Catalogue) -> Result<u8, Refusal> {
    let name = own.get_one::<String>("name").map_or("", String::as_str);
    let good = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    let why = if !good {
        "a name is of small letters, digits and hyphens and begins with a letter"
    } else if crate::runbook::catalogue::RESERVED.contains(&name) {
        "it is a command of azir's own"
    } else if catalogue.source(name).is_some() {
        "a runbook of this name is there already, and none may stand in its place"
    } else {
        ""
    };
    if !why.is_empty() {
        return Err(Refusal::usage(
            format!("{name:?} cannot name a new runbook: {why}"),
            "azir runbook new my-check",
        ));
    }
    let path = format!("{name}.yaml");
    let mut options = std::fs::OpenOptions::new();
    let written = options
        .write(true)
        .create_new(true)
        .open(&path)
        .and_then(|mut file| std::io::Write::write_all(&mut file, docs::new(name).as_bytes()));
    written.map_err(|error| {
        let why = if error.kind() == std::io::ErrorKind::AlreadyExists {
            "is there already and is not overwritten".to_owned()
        } else {
            format!("cannot be written: {error}")
        };
        Refusal::usage(format!("{path} {why}"), format!("azir runbook lint {path}"))
    })?;
    out::line(&format!("wrote {path}"));
    out::line(&format!(
        "next: azir runbook lint {path}, then azir run {path}"
    ));
    Ok(0)
}

/// Prints the JSON Schema of the format.
pub(super) fn print_schema() -> u8 {
    out::raw(&serde_json::to_string_pretty(&schema::schema()).unwrap_or_default());
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_in_the_repository_is_true() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks/README.md");
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        let now = index(&Catalogue::shipped());
        assert!(
            kept == now,
            "regenerate runbooks/README.md: azir runbook list --markdown\n{now}"
        );
    }
}
