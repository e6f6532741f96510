//! Exit codes: one documented type, listed in `--help` and the README.

/// The exit codes of azir, the first that applies. `azir journal verify` has its own.
pub(super) const CODES: &[(u8, &str)] = &[
    (0, "contained and checked, or done"),
    (1, "failed: nothing took effect; lint findings"),
    (2, "usage"),
    (
        3,
        "partly: some write took effect, some step or target failed or was left undone",
    ),
    (
        4,
        "done, but a check is false or unknown, or evidence has a gap",
    ),
    (
        5,
        "refused before any write: guard, preflight, drift, ambiguous or unknown target",
    ),
    (6, "the journal does not verify"),
    (7, "declined by the responder"),
    (75, "the record cannot be kept; nothing further was sent"),
];

/// Returns the list of exit codes for help.
pub(super) fn help() -> String {
    let mut text = String::from("Exit codes, the first that applies:\n");
    for (code, meaning) in CODES {
        text.push_str(&format!("  {code:>2}  {meaning}\n"));
    }
    text.push_str("azir journal verify: 0 verified and anchored, 1 tampered, 2 verified, not anchored, 3 torn end, 4 cannot read\n");
    text
}
