//! What is left beside a checkpoint after it was made: signatures of persons, time stamps.
//!
//! Under a name only once it is whole and durable, so that a crash leaves no half signature, which would be taken for
//! a forged one.

use std::io::ErrorKind;
use std::path::Path;

use super::disk::Disk;
use super::format::checkpoint_name;
use super::writer::{JournalError, disk};

/// Leaves `bytes` beside checkpoint `number` as `ending`; returns whether they were left: what is there already stays.
///
/// # Errors
/// A disk that refuses.
pub fn leave(
    on: &dyn Disk,
    run_dir: &Path,
    number: u64,
    ending: &str,
    bytes: &[u8],
) -> Result<bool, JournalError> {
    let folder = run_dir.join("cp");
    let path = folder.join(checkpoint_name(number, ending));
    if path.exists() {
        return Ok(false);
    }
    let unnamed = folder.join(format!("tmp-{}-{ending}", uuid::Uuid::new_v4()));
    let mut file = on.create(&unnamed).map_err(disk("make", &unnamed))?;
    let named = file
        .write(bytes)
        .and_then(|()| file.sync())
        .map_err(disk("write", &unnamed))
        .and_then(|()| match on.link(&unnamed, &path) {
            Ok(()) => Ok(true),
            // Somebody else left it meanwhile.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(disk("name", &path)(error)),
        });
    let removed = on.remove(&unnamed).map_err(disk("remove", &unnamed));
    let named = named?;
    removed?;
    on.sync_folder(&folder).map_err(disk("sync", &folder))?;
    Ok(named)
}
