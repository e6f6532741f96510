//! `azir drill report`: a judged drill for people and for programs.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::ArgMatches;

use super::{Kept, put_back};
use crate::cli::exit::Exit;
use crate::cli::home::Home;
use crate::cli::refusal::Refusal;
use crate::cli::{Output, export, out, shown};
use crate::clock::seconds;
use crate::digest::Digest;
use crate::drill::history::history as history_of;
use crate::drill::page::page;
use crate::drill::record::{Standing, State};
use crate::drill::report::{DrillReport, report as report_of};

/// Tells a judged drill.
pub(in crate::cli) fn report(own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
    let kept = Kept::of(own, home);
    let name = own
        .get_one::<String>("drill")
        .map_or("last", String::as_str);
    let (folder, standing) = chosen(&kept, name)?;
    let history = history_of(&kept.counted());
    let report =
        report_of(folder, standing, kept.findings(), history).ok_or_else(|| unjudged(standing))?;
    for gap in &report.gaps {
        out::line(&format!("azir: {} {}", report.mark, shown::line(gap)));
    }
    let to = own.get_one::<String>("to").filter(|path| *path != "-");
    let format = match own.get_one::<String>("format") {
        Some(format) => format.as_str(),
        None if to.is_none() && Output::of(own) != Output::Human => "json",
        None => "html",
    };
    let text = match format {
        "json" => serde_json::to_string(&report).unwrap_or_default(),
        _ => page(&report, &seconds(kept.now)),
    };
    match to {
        None => out::raw(&text),
        Some(path) => write(own, &report, format, Path::new(path), &text, folder)?,
    }
    Ok(kept.end(Exit::Done.code()))
}

/// Finds a drill by its id, the beginning of it, or as the last that was judged.
fn chosen<'a>(kept: &'a Kept, name: &str) -> Result<&'a (PathBuf, Standing), Refusal> {
    let id = |drill: &&(PathBuf, Standing)| drill.1.begun.drill.clone();
    if name == "last" {
        let judged = kept.drills.iter();
        let judged = judged.filter(|(_, standing)| standing.verdict.is_some());
        let last = judged
            .max_by_key(|(_, standing)| standing.verdict.as_ref().map(|verdict| verdict.judged_at));
        let running = kept.drills.iter().find(|(_, standing)| standing.runs());
        return last.ok_or_else(|| {
            let hint = running
                .as_ref()
                .map_or("azir drill list".to_owned(), |drill| {
                    format!("azir drill finish {}", id(drill))
                });
            Refusal::usage("no drill was judged yet", hint)
        });
    }
    let whole = kept.drills.iter().find(|drill| id(drill) == name);
    let begins = |drill: &&(PathBuf, Standing)| id(drill).starts_with(name);
    let found: Vec<_> = match whole {
        Some(drill) => vec![drill],
        None => kept.drills.iter().filter(begins).collect(),
    };
    match found.as_slice() {
        [one] => Ok(one),
        [] => Err(not_there(kept, name)),
        many => {
            let ids: Vec<String> = many.iter().map(id).collect();
            Err(Refusal::usage(
                format!("{name} names {} drills: {}", ids.len(), ids.join(", ")),
                format!("azir drill report {}", ids[0]),
            ))
        }
    }
}

fn not_there(kept: &Kept, name: &str) -> Refusal {
    let damaged = kept
        .unreadable
        .iter()
        .find(|(path, _)| path.ends_with(name));
    match damaged {
        Some((path, why)) => Refusal {
            hint: put_back(path),
            ..Refusal::integrity(why)
        },
        None => Refusal::usage(format!("there is no drill {name}"), "azir drill list"),
    }
}

fn unjudged(standing: &Standing) -> Refusal {
    let drill = &standing.begun.drill;
    match standing.state {
        State::Aborting | State::Aborted => Refusal::usage(
            format!("drill {drill} was aborted, and so was never judged"),
            format!("azir drill start {}", standing.begun.scenario.name),
        ),
        _ => Refusal::usage(
            format!("drill {drill} is not judged yet"),
            format!("azir drill finish {drill}"),
        ),
    }
}

/// Writes a report to a new file, and says which.
fn write(
    own: &ArgMatches,
    report: &DrillReport,
    format: &str,
    path: &Path,
    text: &str,
    folder: &Path,
) -> Result<(), Refusal> {
    let mut file = export::create(path, folder)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    if let Err(error) = written {
        // A part of a report must not be taken for one.
        let _ = std::fs::remove_file(path);
        return Err(export::not_written(path, &error));
    }
    let (mark, size) = (&report.mark, text.len());
    let sha256 = Digest::of(text.as_bytes());
    let shown = path.display();
    if Output::of(own) == Output::Human {
        out::line(&format!(
            "{mark} {format} written to {shown}, {size} bytes, sha256 {sha256}"
        ));
    } else {
        let told = serde_json::json!({"format": format, "path": shown.to_string(), "sha256": sha256, "size": size, "mark": mark});
        out::result(&told.to_string());
    }
    Ok(())
}
