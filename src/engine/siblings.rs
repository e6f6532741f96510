//! The other runs of a case, as far as this machine has them.

use std::path::Path;

use serde_json::{Value, json};

use super::error::{EngineError, chain};
use crate::evidence::Store;

/// Heads above this many bytes are cited from evidence (FORMAT.md, `run.start`).
const INLINE_BYTES: usize = 8 * 1024;

/// Returns the heads of the runs beside `run_dir` as a line carries them: inline where they are few, else cited.
pub(crate) fn seen(run_dir: &Path, store: &Store) -> Result<Value, EngineError> {
    let heads = heads(run_dir, None);
    let text = heads.to_string();
    if text.len() <= INLINE_BYTES {
        return Ok(heads);
    }
    let kept = store
        .put(text.as_bytes())
        .map_err(|error| EngineError::Record {
            message: chain(&error),
            hint: "free the disk, or name another folder with AZIR_HOME".to_owned(),
        })?;
    Ok(json!({"sha256": kept.sha256.to_string(), "size": kept.size}))
}

/// Returns the heads of the runs beside `run_dir`, as a journal line cites them: `{run, size, chain}`.
///
/// A run that cannot be read is left out: what was not seen is not claimed to have been.
pub(crate) fn heads(run_dir: &Path, except: Option<&Path>) -> Value {
    let Some(case) = run_dir.parent() else {
        return json!([]);
    };
    let mut folders: Vec<std::path::PathBuf> = std::fs::read_dir(case)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path != run_dir && Some(path.as_path()) != except && run_id(path).is_some())
        .collect();
    folders.sort();
    let heads = folders.iter().filter_map(|path| {
        let head = crate::journal::head(path).ok()?;
        Some(json!({"run": run_id(path)?, "size": head.entries, "chain": head.chain.to_string()}))
    });
    heads.collect()
}

/// Returns the run's id if `path` is named as a run folder.
pub(crate) fn run_id(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let id = name.strip_prefix("run-")?;
    uuid::Uuid::parse_str(id).ok()?;
    Some(id.to_owned())
}
