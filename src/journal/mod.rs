//! The chain-of-custody record: lines, chain, tree, checkpoints, signatures, and their verifier.
//!
//! `FORMAT.md` beside this file is normative. The verifier shares nothing with the writer but the
//! format's constants. Knows no cloud and no runbook.
