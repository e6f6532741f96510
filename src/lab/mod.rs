//! The simulated tenant: Entra, ARM, Graph, Key Vault, Log Analytics, Blob over loopback TLS.
//!
//! A generic resource store and small rules. Knows no runbook, engine or journal: the examiner does
//! not see the answers. What it does not model it refuses with 501. Start reading at [`Lab`] in `server`;
//! every request passes the gates of `gate` in the service's own order, then a rule per resource type. Microsoft's own
//! clients judge it: `tests/it/judged_by_az.rs`, `tests/it/judged_by_sdks.rs`.

mod act;
mod arm;
mod blob;
mod blob_blocks;
mod blob_body;
mod blob_container;
mod blob_list;
mod denials;
mod entra;
mod faults;
mod gate;
mod graph;
mod kql;
mod latency;
mod log_schema;
mod log_tables;
mod md5;
mod reply;
mod roles;
mod scaled;
pub mod scenario;
mod seed;
mod server;
mod store;
mod tenant;
mod throttle;
mod timespan;
mod tls;
mod vault;
mod vault_items;
mod vault_keys;
mod vault_log;
mod vault_secrets;
mod windows;
mod wire;
mod workspace;

pub use act::Act;
pub use faults::Faults;
pub use scaled::ScaledClock;
pub use server::{Lab, LabError, Logged, Options, Ready};
