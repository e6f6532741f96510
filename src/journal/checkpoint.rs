//! Checkpoints as the writer leaves them: what the log is at a moment, signed by the session's key before it gets its name.
//!
//! Signatures of persons, time stamps and copies elsewhere come beside a checkpoint later, by whoever asks
//! [`unsigned`](super::reader::unsigned) which ones still lack them; the writer never waits for any of that.

use std::path::{Path, PathBuf};

use base64::Engine as _;

use super::disk::Disk;
use super::format::checkpoint_name;
use super::sign::SessionKey;
use super::writer::{Head, JournalError, disk};
use crate::digest::Digest;

/// The checkpoints of one session.
pub(crate) struct Checkpoints {
    folder: PathBuf,
    key: SessionKey,
    origin: String,
    session: String,
    number: u64,
    size: u64,
}

impl Checkpoints {
    /// Goes on after checkpoint `number`, which covers `size` entries.
    pub(crate) fn after(
        run_dir: &Path,
        key: SessionKey,
        origin: String,
        session: String,
        number: u64,
        size: u64,
    ) -> Self {
        Self {
            folder: run_dir.join("cp"),
            key,
            origin,
            session,
            number,
            size,
        }
    }

    /// Returns the number of the last one.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Returns the size of the last one.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Writes the next one. `files`: segment name, bytes and digest of those bytes, in order.
    pub(crate) fn write(
        &mut self,
        on: &dyn Disk,
        head: Head,
        root: Digest,
        files: &[(String, u64, Digest)],
        time: &str,
    ) -> Result<(), JournalError> {
        let mut text = format!(
            "{}\n{}\n{}\nchain {}\n",
            self.origin,
            head.entries,
            base64::engine::general_purpose::STANDARD.encode(root.0),
            head.chain
        );
        for (name, bytes, digest) in files {
            text.push_str(&format!("file {name} {bytes} {digest}\n"));
        }
        text.push_str(&format!("time {time}\n"));
        let number = self.number + 1;
        // The signature is named first: a checkpoint without one would be an error, one without its checkpoint is not.
        self.name(
            on,
            &checkpoint_name(number, "session.sig"),
            self.key.sign(text.as_bytes()).as_bytes(),
        )?;
        on.sync_folder(&self.folder)
            .map_err(disk("sync", &self.folder))?;
        self.name(on, &checkpoint_name(number, "cp"), text.as_bytes())?;
        on.sync_folder(&self.folder)
            .map_err(disk("sync", &self.folder))?;
        self.number = number;
        self.size = head.entries;
        Ok(())
    }

    /// Puts aside a signature that an earlier session left without its checkpoint: its number is needed now.
    pub(crate) fn put_aside_lone_signature(&self, on: &dyn Disk) -> Result<(), JournalError> {
        let lone = self
            .folder
            .join(checkpoint_name(self.number + 1, "session.sig"));
        if !lone.exists() {
            return Ok(());
        }
        let aside = self
            .folder
            .join(format!("tmp-{}-lone.session.sig", self.session));
        on.link(&lone, &aside).map_err(disk("name", &aside))?;
        on.remove(&lone).map_err(disk("remove", &lone))?;
        on.sync_folder(&self.folder)
            .map_err(disk("sync", &self.folder))
    }

    fn name(&self, on: &dyn Disk, name: &str, bytes: &[u8]) -> Result<(), JournalError> {
        let path = self.folder.join(name);
        let unnamed = self.folder.join(format!("tmp-{}-{name}", self.session));
        let mut file = on.create(&unnamed).map_err(disk("make", &unnamed))?;
        file.write(bytes)
            .and_then(|()| file.sync())
            .map_err(disk("write", &unnamed))?;
        on.link(&unnamed, &path).map_err(disk("name", &path))?;
        on.remove(&unnamed).map_err(disk("remove", &unnamed))
    }
}
