//! Where azir keeps its configuration and cases, and how a run is named on the command line.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::entered::Entered;
use super::refusal::Refusal;
use crate::drill::record;
use crate::report::cases;

/// The home folder, and the drill that a command takes place in: whose cases are its own, so that what is rehearsed
/// is never listed, shown or undone as the real thing, nor the other way round.
#[derive(Clone, Debug)]
pub(super) struct Home {
    pub(super) root: PathBuf,
    pub(super) drill: Option<Arc<Entered>>,
}

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
        Ok(Self {
            root: std::path::absolute(&home).unwrap_or(home),
            drill: None,
        })
    }

    /// Returns the folder of all cases; in a drill, of its own one.
    pub(super) fn cases(&self) -> PathBuf {
        match &self.drill {
            Some(drill) => drill.folder.join("cases"),
            None => self.root.join("cases"),
        }
    }

    /// Returns the responder's signers file: whose key is whose.
    pub(super) fn signers(&self) -> PathBuf {
        self.root.join("signers")
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
        let mut found = cases::named(&self.cases(), name);
        if found.is_empty() && name == "last" {
            return Err(Refusal::usage(
                "there is no run yet",
                "azir isolate-vm vm-app-01 --lab",
            ));
        }
        match found.len() {
            1 => Ok(found.remove(0)),
            0 => Err(self.elsewhere(name)),
            count => {
                let ids: Vec<String> = found.iter().filter_map(|path| cases::id_of(path)).collect();
                Err(Refusal::usage(
                    format!("{name} names {count} runs: {}", ids.join(", ")),
                    "give more digits of the run's id",
                ))
            }
        }
    }

    /// Says that there is no such run, or in which drill it is.
    fn elsewhere(&self, name: &str) -> Refusal {
        let (drills, _) = record::all(&self.root);
        let of_drill = drills.into_iter().find(|(folder, standing)| {
            let entered = self.drill.as_ref();
            entered.is_none_or(|entered| entered.standing.begun.drill != standing.begun.drill)
                && !cases::named(&folder.join("cases"), name).is_empty()
        });
        match of_drill {
            Some((_, standing)) if name != "last" => {
                let drill = standing.begun.drill;
                Refusal::usage(
                    format!("run {name} belongs to drill {drill}, whose records are kept apart"),
                    format!("--incident {drill}"),
                )
            }
            _ => Refusal::usage(
                format!("there is no run {name} in {}", self.cases().display()),
                "azir list",
            ),
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
