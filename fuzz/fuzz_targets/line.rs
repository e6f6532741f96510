//! Lines: what the verifier's scanner accepts is what a JSON reader reads and RFC 8785 writes, byte for byte.
#![no_main]

use azir::journal::verify::parsers;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

fuzz_target!(|bytes: &[u8]| {
    // As it came, and with the right hash before it: no fuzzer finds one by itself.
    accepted(bytes);
    if let Some(rest) = bytes
        .strip_prefix(b"{")
        .and_then(|rest| rest.strip_suffix(b"\n"))
    {
        let hash = hex::encode(
            Sha256::new()
                .chain_update(b"{")
                .chain_update(rest)
                .finalize(),
        );
        accepted(&[b"{\"_hash\":\"", hash.as_bytes(), b"\",", rest, b"\n"].concat());
    }
});

fn accepted(line: &[u8]) {
    if !parsers::line(line) {
        return;
    }
    let value: Value = serde_json::from_slice(line).expect("a line is JSON");
    let mut canonical =
        azir::json::canonical(&value).expect("a line holds no number that cannot be written");
    canonical.push('\n');
    assert_eq!(canonical.as_bytes(), line);
    assert_eq!(value.as_object().map(serde_json::Map::len), Some(10));
}
