//! One writer a run: a lock on the run folder, in which its holder says who it is.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::path::Path;

use super::writer::{JournalError, disk};

/// The lock of a run, held until this is dropped or the process ends.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file would not do: a child that is just being started has it open until it is another program.
        // What cannot be unlocked is free when the last of them is gone.
        let _ = self.file.unlock();
    }
}

/// Takes the run's lock, and writes into it who has it.
pub(crate) fn lock(run_dir: &Path) -> Result<Lock, JournalError> {
    let path = run_dir.join("lock");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&path).map_err(disk("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(JournalError::Locked {
                holder: holder(run_dir),
            });
        }
        Err(TryLockError::Error(error)) => return Err(disk("lock", &path)(error)),
    }
    // Who holds it is said for people; a disk too full to say it must not keep a run from being continued.
    let _ = file
        .set_len(0)
        .and_then(|()| file.write_all(us().as_bytes()));
    Ok(Lock { file })
}

fn us() -> String {
    let process = std::process::id();
    #[cfg(unix)]
    {
        let host = rustix::system::uname();
        format!(
            "process {process} of user {} on {}",
            rustix::process::getuid().as_raw(),
            host.nodename().to_string_lossy()
        )
    }
    #[cfg(not(unix))]
    format!("process {process}")
}

/// Returns who holds a run's lock, as its file says.
pub fn holder(run_dir: &Path) -> String {
    let said = std::fs::read_to_string(run_dir.join("lock"))
        .ok()
        .filter(|text| !text.is_empty());
    said.unwrap_or_else(|| "another process".to_owned())
}

/// Returns whether a writer holds the run.
pub fn is_held(run_dir: &Path) -> bool {
    // Asking takes a shared lock for a moment, so that two who ask do not see each other as a writer.
    File::open(run_dir.join("lock"))
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}
