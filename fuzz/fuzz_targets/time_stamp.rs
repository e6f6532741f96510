//! Time stamps: any bytes are judged, and nothing stands after a reply that is accepted.
#![no_main]

use azir::journal::verify::parsers;
use libfuzzer_sys::fuzz_target;

const MESSAGE: &[u8] = include_bytes!("../corpus/checkpoint/sealed");

fuzz_target!(|bytes: &[u8]| {
    if parsers::time_stamp(bytes, MESSAGE) {
        assert!(!parsers::time_stamp(&[bytes, b"\0"].concat(), MESSAGE));
        assert!(!parsers::time_stamp(&bytes[..bytes.len() - 1], MESSAGE));
        assert!(!parsers::time_stamp(bytes, b"another"));
    }
});
