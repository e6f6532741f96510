//! The verifier's readers of single things, for fuzz targets: bytes in, accepted or not.
//!
//! No part of azir calls these; [`verify`](super::verify) does the same within a run folder.

use super::line::{self, Taken};
use super::{checkpoint, sshsig, stamp};

/// Returns whether a line, its LF included, has the right hash and obeys every rule on form.
pub fn line(bytes: &[u8]) -> bool {
    matches!(line::read(bytes), Taken::Frame { form: Ok(_), .. })
}

/// Returns the number of entries that a checkpoint covers, if it has exactly the lines of one.
pub fn checkpoint(bytes: &[u8]) -> Option<u64> {
    checkpoint::parse(bytes.to_vec(), String::new(), 1).map(|checkpoint| checkpoint.size)
}

/// Returns whether an armoured SSH signature over `message` is well-formed and fits; who made it is another question.
pub fn ssh_signature(armoured: &[u8], message: &[u8]) -> bool {
    sshsig::check(armoured, message).is_ok()
}

/// Returns whether a time-stamp reply is well-formed, grants, and stamps exactly `message`; its signature is another question.
pub fn time_stamp(reply: &[u8], message: &[u8]) -> bool {
    stamp::read(reply, message).is_some()
}
