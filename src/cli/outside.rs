//! What this machine knows that a record cannot say of itself: whose key is whose.

use std::path::Path;

use super::home::Home;
use crate::journal::person::signers::principals;
use crate::journal::verify::Outside;

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
        ..Outside::default()
    }
}
