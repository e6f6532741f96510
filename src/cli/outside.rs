//! What this machine knows that a record cannot say of itself: whose key is whose.

use std::path::{Path, PathBuf};

use super::config::Config;
use super::home::Home;
use crate::journal::person::signers::principals;
use crate::journal::verify::Outside;
use crate::report::run::started;

/// Returns what a run's own summary is verified against: the home's signers file, where it knows the run's persons.
///
/// A case folder that came from elsewhere has signers who are strangers here; their signatures are judged by the
/// folder's own file, which the summary says, and `azir journal verify --signers` by one that was obtained from them.
pub(super) fn of(home: &Home, run_dir: &Path) -> Outside {
    let file = home.signers();
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let theirs = std::fs::read_to_string(run_dir.join("signers")).unwrap_or_default();
    let known = principals(&text);
    let knows_them = !known.is_empty() && principals(&theirs).is_subset(&known);
    Outside {
        signers: knows_them.then_some(file),
        tsa_ca: roots(home, run_dir),
        ..Outside::default()
    }
}

/// Returns the roots that the run's own profile trusts for time stamps, where this machine has that profile.
fn roots(home: &Home, run_dir: &Path) -> Option<PathBuf> {
    let stamped = run_dir.join("cp").read_dir().ok()?.flatten().any(|entry| {
        let name = entry.file_name();
        let ending = name.to_string_lossy().rsplit('.').next().map(str::to_owned);
        ending.is_some_and(|ending| ending.starts_with("tsr"))
    });
    // Judging stamps costs a process each: nothing is asked for where there are none.
    if !stamped {
        return None;
    }
    let profile = started(run_dir).ok()?.profile;
    let (_, profile) = Config::load(home).ok()?.choose(Some(&profile)).ok()?;
    profile.time_stamp_roots.filter(|file| file.is_file())
}
