//! The local store: a file a digest, durable before anything cites it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::digest::Digest;

/// The evidence folder of a run.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

/// An object that is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Kept {
    /// Its digest and name.
    pub sha256: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// Why an object cannot be kept or had.
#[derive(Debug, thiserror::Error)]
#[error("{what} {}", path.display())]
pub struct StoreError {
    what: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

fn failed<'a>(what: &'static str, path: &'a Path) -> impl Fn(io::Error) -> StoreError + 'a {
    move |source| StoreError {
        what,
        path: path.to_path_buf(),
        source,
    }
}

impl Store {
    /// Opens the evidence folder of a run, making it where it is missing.
    ///
    /// # Errors
    /// A folder that cannot be made.
    pub fn open(run_dir: &Path) -> Result<Self, StoreError> {
        let folder = run_dir.join("evidence");
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&folder).map_err(failed("make", &folder))?;
        // An earlier session may have ended between a name and its way to disk; what has a name is taken as kept.
        sync(&folder)?;
        Ok(Self { folder })
    }

    /// Opens the evidence folder of a run that is there already.
    ///
    /// # Errors
    /// A folder that is missing.
    pub fn open_existing(run_dir: &Path) -> Result<Self, StoreError> {
        let folder = run_dir.join("evidence");
        std::fs::read_dir(&folder).map_err(failed("read", &folder))?;
        Ok(Self { folder })
    }

    /// Keeps bytes; the same bytes twice are one object, and the second time costs nothing.
    ///
    /// # Errors
    /// A disk that refuses.
    pub fn put(&self, bytes: &[u8]) -> Result<Kept, StoreError> {
        let kept = Kept {
            sha256: Digest::of(bytes),
            size: bytes.len() as u64,
        };
        let named = self.folder.join(kept.sha256.to_string());
        // A link that somebody laid in its place is not followed.
        let known = std::fs::symlink_metadata(named);
        if known.is_ok_and(|known| known.is_file() && known.len() == kept.size) {
            return Ok(kept);
        }
        let mut object = self.begin()?;
        object.write(bytes)?;
        object.finish()
    }

    /// Begins an object that is written piece by piece.
    ///
    /// # Errors
    /// A disk that refuses.
    pub fn begin(&self) -> Result<Object, StoreError> {
        let unnamed = self.folder.join(format!("tmp-{}", uuid::Uuid::new_v4()));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&unnamed).map_err(failed("make", &unnamed))?;
        Ok(Object {
            folder: self.folder.clone(),
            unnamed,
            file,
            hasher: Sha256::new(),
            size: 0,
        })
    }

    /// Returns an object's bytes, which are checked against its name.
    ///
    /// # Errors
    /// An object that is missing or changed.
    pub fn get(&self, digest: Digest) -> Result<Vec<u8>, StoreError> {
        let path = self.folder.join(digest.to_string());
        let bytes = std::fs::read(&path).map_err(failed("read", &path))?;
        if Digest::of(&bytes) != digest {
            let changed = io::Error::new(
                io::ErrorKind::InvalidData,
                "its content is not what its name says",
            );
            return Err(failed("read", &path)(changed));
        }
        Ok(bytes)
    }
}

fn sync(folder: &Path) -> Result<(), StoreError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed("sync", folder))
}

/// An object that is being written; dropped unfinished, it leaves nothing.
pub struct Object {
    folder: PathBuf,
    unnamed: PathBuf,
    file: File,
    hasher: Sha256,
    size: u64,
}

impl Object {
    /// Adds bytes.
    ///
    /// # Errors
    /// A disk that refuses.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file
            .write_all(bytes)
            .map_err(failed("write", &self.unnamed))?;
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Makes the object durable under its digest.
    ///
    /// # Errors
    /// A disk that refuses.
    pub fn finish(self) -> Result<Kept, StoreError> {
        let sha256 = Digest(self.hasher.clone().finalize().into());
        let named = self.folder.join(sha256.to_string());
        self.file
            .sync_all()
            .map_err(failed("sync", &self.unnamed))?;
        match std::fs::hard_link(&self.unnamed, &named) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed("name", &named)(error)),
        }
        sync(&self.folder)?;
        Ok(Kept {
            sha256,
            size: self.size,
        })
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        // What has its name by now keeps it; the other name is only in the way.
        let _ = std::fs::remove_file(&self.unnamed);
    }
}
