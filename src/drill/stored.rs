//! Whether what was collected is where it should be, whole, and whether the record of it all verifies.

use super::judge::own;
use super::kept::{Kept, KeptRun};
use super::verdict::{Line, Part};
use crate::azure::Reader;
use crate::engine::errand;
use crate::report::run::short;

/// What each of these lines counts.
const POINTS: u32 = 5;

/// Reads every exhibit back from where it is stored and compares it with the record.
pub(super) async fn exhibits(reader: &Reader, kept: &Kept) -> Line {
    let mut why = Vec::new();
    let mut any = false;
    for KeptRun { report, .. } in kept.collecting() {
        for exhibit in &report.evidence {
            any = true;
            let name = &exhibit.name;
            let Some(stored) = &exhibit.stored else {
                why.push(format!("{name} is on this machine alone"));
                continue;
            };
            match errand::hash_blob(reader, stored).await {
                Ok((digest, _)) if digest.to_string() == exhibit.sha256 => {}
                Ok(_) => why.push(format!("{name} in the vault is not what the record says")),
                Err(error) => why.push(format!("{name} cannot be read back: {error}")),
            }
        }
    }
    if !any {
        why.push("nothing was collected".to_owned());
    }
    own(
        Part::Evidence,
        "exhibits_stored",
        "every exhibit is in the vault, as the record says",
        why,
        POINTS,
    )
}

/// Says whether there is a record, and every one verifies.
pub(super) fn records(kept: &Kept) -> Line {
    let mut why: Vec<String> = kept
        .runs
        .iter()
        .filter_map(|run| run.unverified.clone())
        .collect();
    let unreadable = kept.unreadable.iter();
    why.extend(unreadable.map(|(folder, error)| {
        let name = folder.file_name().unwrap_or_default();
        format!("{}: {error}", name.to_string_lossy())
    }));
    if kept.acted().next().is_none() {
        why.push("no run is on record: what was done was done past azir".to_owned());
    }
    own(
        Part::Evidence,
        "records_verify",
        "the record of every run verifies",
        why,
        POINTS,
    )
}

/// Says whether a run names a gap.
pub(super) fn gaps(kept: &Kept) -> Line {
    let none = kept.acted().next().is_none();
    let none = none.then(|| "no run is on record: nobody looked for any".to_owned());
    let gaps = kept.of_runbooks().flat_map(|KeptRun { report, .. }| {
        let name = format!("{} {}", report.runbook.name, short(&report.run));
        report
            .gaps
            .iter()
            .map(move |gap| format!("{name}: {}", gap.what))
    });
    own(
        Part::Evidence,
        "no_gaps",
        "no run names a gap in evidence or checks",
        none.into_iter().chain(gaps).collect(),
        POINTS,
    )
}
