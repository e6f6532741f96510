//! The constants of azir-journal-v1: all that writer and verifier share.

/// The name of the format.
pub const FORMAT: &str = "azir-journal-v1";
/// The namespace of checkpoint signatures.
pub const NAMESPACE: &str = "azir-checkpoint-v1";
/// The name of the form of single-entry proofs.
pub const PROOF_FORMAT: &str = "azir-proof-v1";
/// What every line begins with.
pub const FRAME_START: &[u8] = b"{\"_hash\":\"";
/// The longest line in bytes, its LF included.
pub const MAX_LINE: usize = 65_536;
/// The deepest level of an object or array; the line's own object is level 0.
pub const MAX_DEPTH: usize = 32;
/// Entries after which a writer owes a checkpoint.
pub const CHECKPOINT_EVERY: u64 = 100;
/// The chain value before the first line.
pub const ZERO_CHAIN: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Returns the name of a segment.
pub fn segment_name(number: u64) -> String {
    format!("seg-{number:06}.jsonl")
}

/// Returns the name of a file in `cp`: the checkpoint itself (`cp`) or what stands beside it (`session.sig`, `tsr`, ...).
pub fn checkpoint_name(number: u64, ending: &str) -> String {
    format!("{number:06}.{ending}")
}
