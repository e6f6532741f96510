//! `azir journal export`: the record in other forms, each a file of its own that names its own digest.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::Path;

use clap::ArgMatches;

use super::exit::Exit;
use super::home::Home;
use super::refusal::Refusal;
use super::{Output, out, record, verify};
use crate::clock::{Clock as _, SystemClock};
use crate::digest::Digest;
use crate::journal::verify::{Outside, verify as judge};
use crate::report::export::{ExportError, bag, case, header::Header, html, timesketch};

/// Exports a run.
pub(super) fn journal(own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
    let run_dir = home.run(own.get_one::<String>("run").map_or("last", String::as_str))?;
    let format = own
        .get_one::<String>("format")
        .map_or("jsonl", String::as_str);
    let outside = verify::outside(own);
    if format != "html" && given(&outside) {
        return Err(Refusal::usage(
            format!(
                "{format} tells what was written and judges nothing: --origin, --signers, --tsa-ca and --earlier-checkpoint are for html"
            ),
            format!("azir journal verify {}", run_dir.display()),
        ));
    }
    let header = Header::read(&run_dir).map_err(|error| failed(&error, &run_dir))?;
    if let Some(warning) = header.warning() {
        out::line(warning);
    }
    if crate::journal::reader::is_held(&run_dir) {
        out::line("azir: the run is still being written; the export has what is there now");
    }
    // What is exported is what is there; that it was changed is said, and no script takes it for the record.
    let changed = matches!(judge(&run_dir, &Outside::default()).exit_code, 1 | 4);
    let end = if changed {
        out::line(&format!(
            "azir: the record does not verify, and the export tells only what can be read of it; next: azir journal verify {}",
            run_dir.display()
        ));
        Exit::Integrity.code()
    } else {
        Exit::Done.code()
    };
    let Some(path) = own.get_one::<String>("to").filter(|path| *path != "-") else {
        if format == "jsonl" {
            return record::written(&run_dir).map(|code| code.max(end));
        }
        let stdout = BufWriter::new(std::io::stdout().lock());
        return match write(format, &run_dir, &outside, stdout) {
            // Whoever closed the pipe has read enough.
            Err(ExportError::Write(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                Ok(end)
            }
            other => other
                .map(|()| end)
                .map_err(|error| failed(&error, &run_dir)),
        };
    };
    let path = Path::new(path);
    let file = create(path, &run_dir)?;
    let written = write(format, &run_dir, &outside, BufWriter::new(&file))
        .and_then(|()| file.sync_all().map_err(ExportError::Write));
    if let Err(error) = written {
        // A part of an export must not be taken for one.
        let _ = std::fs::remove_file(path);
        return Err(failed(&error, &run_dir));
    }
    let (sha256, size) = File::open(path)
        .and_then(Digest::of_reader)
        .map_err(|error| not_written(path, &error))?;
    say(own, header.mark(), format, path, sha256, size);
    Ok(end)
}

fn given(outside: &Outside) -> bool {
    outside.origin.is_some()
        || outside.signers.is_some()
        || outside.tsa_ca.is_some()
        || !outside.earlier_checkpoints.is_empty()
}

fn write(
    format: &str,
    run_dir: &Path,
    outside: &Outside,
    mut to: impl Write,
) -> Result<(), ExportError> {
    let now = SystemClock.now();
    match format {
        "timesketch-jsonl" => timesketch::jsonl(run_dir, &mut to).map(|_| ())?,
        "timesketch-csv" => timesketch::csv(run_dir, &mut to).map(|_| ())?,
        "case" => case::json_ld(run_dir, &mut to).map(|_| ())?,
        "html" => {
            let made = now.format("%Y-%m-%dT%H:%M:%SZ").to_string();
            html::page(run_dir, outside, &made, &mut to)?;
        }
        "bagit" => {
            let today = now.format("%Y-%m-%d").to_string();
            bag::bag(run_dir, &mut to, &today).map(|_| ())?;
        }
        _ => {
            use crate::journal::export::ExportError as Lines;
            crate::journal::export::jsonl(run_dir, &mut to)
                .map(|_| ())
                .map_err(|error| match error {
                    Lines::Journal(error) => ExportError::Journal(error),
                    Lines::Write(error) => ExportError::Write(error),
                })?;
        }
    }
    to.flush().map_err(ExportError::Write)
}

fn say(own: &ArgMatches, mark: &str, format: &str, path: &Path, sha256: Digest, size: u64) {
    let path = path.display().to_string();
    if Output::of(own) == Output::Human {
        out::line(&format!(
            "{mark}{format} written to {path}, {size} bytes, sha256 {sha256}"
        ));
        out::line(&format!(
            "next, to put the export on record: azir attach {path}"
        ));
    } else {
        let told = serde_json::json!({"format": format, "path": path, "sha256": sha256, "size": size, "mark": mark.trim(), "next": format!("azir attach {path}")});
        out::result(&told.to_string());
    }
}

/// Makes a new file for an export, never inside the record itself.
pub(super) fn create(path: &Path, record: &Path) -> Result<File, Refusal> {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let folder = whole.parent().and_then(|folder| folder.canonicalize().ok());
    let inside = record.canonicalize().ok();
    if folder
        .zip(inside)
        .is_some_and(|(folder, inside)| folder.starts_with(inside))
    {
        return Err(Refusal::usage(
            format!(
                "{} lies inside {}, which is the record and is never changed",
                path.display(),
                record.display()
            ),
            "give a path outside that folder",
        ));
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| {
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            Refusal::usage(
                format!(
                    "{} is there already, and nothing is overwritten",
                    path.display()
                ),
                "give another path",
            )
        } else {
            not_written(path, &error)
        }
    })
}

/// Says that a file could not be written.
pub(super) fn not_written(path: &Path, error: &std::io::Error) -> Refusal {
    Refusal::failed(
        "not_written",
        format!("cannot write {}: {error}", path.display()),
        "give a path in a folder that you may write to",
    )
}

fn failed(error: &ExportError, run_dir: &Path) -> Refusal {
    use std::error::Error as _;
    let why = error
        .source()
        .map(|why| format!(": {why}"))
        .unwrap_or_default();
    match error {
        ExportError::Write(_) => Refusal::failed(
            "not_written",
            format!("{error}{why}"),
            "free some room, or give another path",
        ),
        _ => Refusal {
            hint: format!("azir journal verify {}", run_dir.display()),
            ..Refusal::integrity(&format!("{error}{why}"))
        },
    }
}
