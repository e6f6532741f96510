//! Checkpoints: one spelling each, so a changed byte is no longer the same checkpoint.
#![no_main]

use azir::journal::verify::parsers;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some(size) = parsers::checkpoint(bytes) else {
        return;
    };
    let text = std::str::from_utf8(bytes).expect("a checkpoint is text");
    assert_eq!(text.lines().nth(1), Some(size.to_string().as_str()));
    assert!(!text.contains('\r') && text.ends_with("Z\n"));
});
