//! The simulated tenant: Entra, ARM, Graph, Blob over loopback TLS.
//!
//! A generic resource store and small rules. Knows no runbook, engine or journal: the examiner does
//! not see the answers. What it does not model it refuses with 501.
