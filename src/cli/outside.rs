//! What this machine knows that a record cannot say of itself: whose key is whose.

use std::path::Path;

use super::home::Home;
use crate::journal::person::signers;
use crate::journal::verify::Outside;
use crate::report::run::responders;

/// Returns what a run's own summary is verified against: the home's signers file, where it knows the run's responders.
///
/// A case folder that came from elsewhere has responders who are strangers here; their signatures are judged by the
/// folder's own file, and `azir journal verify --signers` by one that was obtained from them.
pub(super) fn of(home: &Home, run_dir: &Path) -> Outside {
    let file = home.signers();
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let known = !text.is_empty()
        && responders(run_dir)
            .is_ok_and(|all| !all.is_empty() && all.iter().all(|upn| signers::names(&text, upn)));
    Outside {
        signers: known.then_some(file),
        ..Outside::default()
    }
}
