//! SSH signatures: only the very bytes that were committed as a seed fit the message.
#![no_main]

use azir::journal::verify::parsers;
use libfuzzer_sys::fuzz_target;

const MESSAGE: &[u8] = include_bytes!("../corpus/checkpoint/sealed");
const GOOD: [&[u8]; 2] = [
    include_bytes!("../corpus/ssh_signature/session"),
    include_bytes!("../corpus/ssh_signature/human"),
];

fuzz_target!(|bytes: &[u8]| {
    assert_eq!(
        parsers::ssh_signature(bytes, MESSAGE),
        GOOD.contains(&bytes)
    );
});
