//! Filters that know network addresses.

use std::net::IpAddr;

use serde_json::json;

use super::filters::text;
use super::language::Row;
use super::rules::within;

pub(super) const ROWS: &[Row] = &[(
    "is_address",
    |value, _| Ok(json!(is_address(text(value)?))),
    "text | is_address: whether it is a network address and nothing else",
)];

/// Whether a text is an address of version 4 or 6.
pub(super) fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

/// Whether an address lies in one of the ranges; a range that is none holds nothing.
pub(super) fn in_any(address: &str, ranges: &[&str]) -> bool {
    ranges.iter().any(|range| within(address, range))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_lies_in_its_range_and_in_no_other() {
        for (range, address, expected) in [
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("0.0.0.0/0", "203.0.113.1", true),
            ("2001:db8::/32", "2001:db8::1", true),
            ("::/0", "2001:db8::1", true),
            ("::/0", "192.0.2.7", false),
            ("192.0.2.0/33", "192.0.2.0", false),
            ("vpn", "192.0.2.0", false),
        ] {
            assert_eq!(in_any(address, &[range]), expected, "{range} {address}");
        }
        assert!(is_address("2001:db8::1") && !is_address("192.0.2.0/24"));
    }
}
