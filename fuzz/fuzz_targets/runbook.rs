//! Runbooks: any bytes are a runbook or a list of problems, each at a place; a runbook can be linted.
#![no_main]

use azir::runbook::catalogue::Catalogue;
use azir::runbook::{lint, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match parse::parse_bytes("fuzz.yaml", bytes) {
        Ok(runbook) => {
            let _ = lint::lint("fuzz.yaml", &runbook, &Catalogue::shipped());
        }
        Err(problems) => assert!(!problems.is_empty()),
    }
});
