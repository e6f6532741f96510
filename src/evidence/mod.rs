//! Artefacts by digest: the local store, and what the vault in Blob storage must be asked.
//!
//! Knows files and digests; the requests to the vault are only described here, the engine sends them.

mod store;
pub mod vault;

pub use store::{Kept, Object, Store, StoreError};
