//! Persons who sign: the responder's own key, in a file or in ssh-agent, and the signers file that says whose it is.
//!
//! What the session's key signs proves that nothing was changed since; what a person signs says who answers for it.
//! Knows keys, signatures and the two places where a secret may lie; asks nobody for a passphrase and waits for
//! nobody longer than it is told to. Start reading at [`key`].

mod agent;
mod countersign;
mod error;
mod file;
mod key;
mod public;
pub mod signers;

pub use agent::Agent;
pub use countersign::{Countersigned, NotCountersigned, countersign};
pub use error::KeyError;
pub use file::KeyFile;
pub use key::{KeyName, PATIENCE, PersonKey, Presence, Signature};
pub use public::PublicKey;
