//! Two persons: a plan that one wrote, another approved, and that is carried out as it stands or not at all.
//!
//! `azir plan NAME ... -o FILE` writes:
//! ```json
//! {"format": "azir-plan-v1", "plan": {"run": "...", "runbook": {...}, "steps": ...}, "digest": "<64 hex>",
//!  "signatures": [{"role": "planned", "by": "alice@contoso.com", "at": "2026-05-23T10:00:00Z",
//!                  "signature": "-----BEGIN SSH SIGNATURE-----\n..."}]}
//! ```
//! `digest` is the SHA-256 of `plan` in RFC 8785 form. Who plans or approves signs four lines, each with its LF:
//! `azir-plan-v1`, the digest, role and name, the time; with the person's own key, SSHSIG namespace `azir-plan-v1`, so
//! that `ssh-keygen -Y verify` can check it. The plan names the run's id: it can be carried out once.
//!
//! Knows files' contents, never files: reading, writing and keys are the command line's.
//! Start reading at [`file`], what is written; `count` says whose signatures count, `drift` what has changed since.

mod count;
mod drift;
mod file;

pub use count::Keys;
pub use drift::Approved;
pub use file::{PlanFile, Planned, Role, Signature};
