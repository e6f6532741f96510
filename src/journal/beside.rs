//! Files beside a checkpoint that come from somebody else, whole or not at all.

use std::io;
use std::path::Path;

use super::disk::Disk;
use super::format::checkpoint_name;

/// Puts a file beside checkpoint `number` and makes it durable; returns false where one is there already, which stays.
///
/// # Errors
/// A folder that cannot be written.
pub fn put(
    disk: &dyn Disk,
    run_dir: &Path,
    number: u64,
    ending: &str,
    bytes: &[u8],
) -> io::Result<bool> {
    let folder = run_dir.join("cp");
    let named = folder.join(checkpoint_name(number, ending));
    let unnamed = folder.join(format!("tmp-{number:06}.{ending}-{}", std::process::id()));
    let written = disk.create(&unnamed).and_then(|mut file| {
        file.write(bytes)?;
        file.sync()
    });
    let linked = match written.and_then(|()| disk.link(&unnamed, &named)) {
        Ok(()) => disk.sync_folder(&folder).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && named.exists() => Ok(false),
        Err(error) => Err(error),
    };
    // What is left of it is ignored by every reader (FORMAT.md, "On disk").
    let _ = disk.remove(&unnamed);
    linked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::disk::RealDisk;

    #[test]
    fn the_first_one_stays() {
        let run = tempfile::tempdir().unwrap();
        std::fs::create_dir(run.path().join("cp")).unwrap();
        assert!(put(&RealDisk, run.path(), 3, "tsr", b"a").unwrap());
        assert!(!put(&RealDisk, run.path(), 3, "tsr", b"b").unwrap());
        assert_eq!(
            std::fs::read(run.path().join("cp/000003.tsr")).unwrap(),
            b"a"
        );
        assert_eq!(std::fs::read_dir(run.path().join("cp")).unwrap().count(), 1);
    }
}
