//! Where azir keeps its configuration and cases, and how a run is named on the command line.

use std::path::{Path, PathBuf};

use super::refusal::Refusal;
use crate::report::cases;
use crate::report::run::started;

/// The home folder.
#[derive(Clone, Debug)]
pub(super) struct Home(pub(super) PathBuf);

impl Home {
    /// Finds it: `AZIR_HOME`, else `$XDG_DATA_HOME/azir`, else `~/.local/share/azir`.
    pub(super) fn find() -> Result<Self, Refusal> {
        let var = |name: &str| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let home = var("AZIR_HOME")
            .or_else(|| var("XDG_DATA_HOME").map(|data| data.join("azir")))
            .or_else(|| var("HOME").map(|home| home.join(".local/share/azir")))
            .ok_or_else(|| {
                Refusal::record(
                    "there is no home folder: neither AZIR_HOME, XDG_DATA_HOME nor HOME is set",
                    "export AZIR_HOME=/path/to/a/folder",
                )
            })?;
        Ok(Self(std::path::absolute(&home).unwrap_or(home)))
    }

    /// Returns the folder of all cases.
    pub(super) fn cases(&self) -> PathBuf {
        self.0.join("cases")
    }

    /// Returns the responder's signers file: whose key is whose.
    pub(super) fn signers(&self) -> PathBuf {
        self.0.join("signers")
    }

    /// Makes the folder of cases, to see early whether it can be written.
    pub(super) fn prepare(&self) -> Result<(), Refusal> {
        let cases = self.cases();
        let probe = cases.join(format!(".probe-{}", std::process::id()));
        std::fs::create_dir_all(&cases)
            .and_then(|()| std::fs::write(&probe, b""))
            .and_then(|()| std::fs::remove_file(&probe))
            .map_err(|error| {
                Refusal::record(
                    format!("cannot write to {}: {error}", cases.display()),
                    "export AZIR_HOME=/path/to/a/writable/folder",
                )
            })
    }

    /// Finds the run that `name` means: a folder, `last`, an id or a unique prefix of one.
    pub(super) fn run(&self, name: &str) -> Result<PathBuf, Refusal> {
        let path = Path::new(name);
        if path.is_dir() && (path.join("seg-000001.jsonl").exists() || path.join("cp").exists()) {
            return Ok(path.to_path_buf());
        }
        if path.is_dir() && path.components().count() > 1 {
            return of_folder(path);
        }
        let folders = cases::folders(&self.cases());
        if name == "last" {
            // What people wrote around the runs is no run that could be shown or undone as the last one.
            let of_runbook = |path: &&PathBuf| !started(path).unwrap_or_default().is_incident_log();
            let last = folders.iter().find(of_runbook).or(folders.first());
            return last.cloned().ok_or_else(|| {
                Refusal::usage("there is no run yet", "azir isolate-vm vm-app-01 --lab")
            });
        }
        let wanted = name
            .strip_prefix("run-")
            .unwrap_or(name)
            .to_ascii_lowercase();
        let mut found: Vec<PathBuf> = folders
            .into_iter()
            .filter(|path| {
                id_of(path).is_some_and(|id| !wanted.is_empty() && id.starts_with(&wanted))
            })
            .collect();
        match found.len() {
            1 => Ok(found.remove(0)),
            0 => Err(Refusal::usage(
                format!("there is no run {name} in {}", self.cases().display()),
                "azir list",
            )),
            count => {
                let ids: Vec<String> = found.iter().filter_map(|path| id_of(path)).collect();
                Err(Refusal::usage(
                    format!("{name} names {count} runs: {}", ids.join(", ")),
                    "give more digits of the run's id",
                ))
            }
        }
    }
}

/// Returns the run of a folder that is a case, if it has one only.
fn of_folder(folder: &Path) -> Result<PathBuf, Refusal> {
    let mut runs = cases::of_case(folder);
    match runs.len() {
        0 => Err(Refusal::usage(
            format!("{} holds no run", folder.display()),
            "azir list",
        )),
        1 => Ok(runs.remove(0)),
        count => Err(Refusal::usage(
            format!("{} is a case with {count} runs", folder.display()),
            format!("azir list {}", folder.display()),
        )),
    }
}

fn id_of(path: &Path) -> Option<String> {
    path.file_name()?
        .to_str()?
        .strip_prefix("run-")
        .map(str::to_owned)
}
