//! What each finding means for somebody who must rely on the record and does not know the format.
//!
//! A finding's own text says what was seen; these say what follows from it. Codes stay the same between versions.

use super::finding::Level;

/// Returns what a finding means.
pub(super) fn meaning(code: &str, level: Level) -> &'static str {
    MEANINGS
        .iter()
        .find(|(codes, _)| codes.contains(&code))
        .map_or_else(|| by_level(level), |(_, meaning)| meaning)
}

fn by_level(level: Level) -> &'static str {
    match level {
        Level::Note => "Worth knowing; it changes nothing about the verdict.",
        Level::Gap => "Something that would prove more is missing; what is there still holds.",
        Level::Torn => "The record ends as a crash leaves it.",
        Level::Error => "The record is not as its writer left it, or azir did not write it.",
    }
}

/// Codes, and what they mean; one sentence serves all codes that lead to the same conclusion. In the order in which
/// a verifier meets them.
const MEANINGS: &[(&[&str], &str)] = &[
    (
        &["cannot-read"],
        "Nothing can be said about the record until this is put right: neither that it is true nor that it was changed.",
    ),
    (
        &["foreign-file", "lone-file"],
        "Somebody or something else than azir put this here. It is no part of the record.",
    ),
    (
        &["missing-file"],
        "A part of the record was removed or lost. What lies in it can no longer be shown.",
    ),
    (
        &["lone-signature", "time-back"],
        "A crash or a clock that was set explains this; nothing is lost by it.",
    ),
    (
        &[
            "bad-checkpoint",
            "size-order",
            "larger-than-log",
            "wrong-root",
            "wrong-chain",
            "wrong-files",
            "wrong-length",
            "wrong-hash",
        ],
        "The entries are not those that were sealed at that time: the log or the checkpoint was changed afterwards. Nothing that this checkpoint covers may be relied on.",
    ),
    (
        &["other-origin"],
        "This is the record of another run than the one it is held against.",
    ),
    (
        &["too-short"],
        "Entries that were there before are gone: the record was cut off at its end.",
    ),
    (
        &["no-checkpoint", "checkpoint-owed"],
        "For these entries only the chain speaks. Whoever could write the folder could have written them anew; make sure of another witness.",
    ),
    (
        &["no-session-signature", "other-key"],
        "The checkpoint was not made, or not kept, as azir makes it; it may have been replaced.",
    ),
    (
        &["bad-signature"],
        "This signature was not made over this checkpoint by the key that it names: one of the two was changed or exchanged.",
    ),
    (
        &["unknown-key", "other-person"],
        "A key signed that has no say here, or not at that time. Ask whose key it is before you rely on what it signed.",
    ),
    (
        &["bad-signers"],
        "The list of keys cannot be trusted as it is; obtain one from somebody who does not hold this folder.",
    ),
    (
        &["no-signers", "no-outside-signers"],
        "Who signed cannot be judged by a list that lies with the record itself; obtain a signers file elsewhere and give it with --signers.",
    ),
    (
        &["bad-stamp"],
        "This time stamp proves nothing about this checkpoint: it was changed, belongs to something else, or is of an authority that you did not name.",
    ),
    (
        &["stamp-delay"],
        "The stamp's time counts, and it says only that the entries existed by then.",
    ),
    (
        &["unsigned", "head-unsigned"],
        "No person has put a name to these entries. They hold together, and nobody answers for them with a key of their own.",
    ),
    (
        &["transfer-pending"],
        "A hand-over is complete when both have signed; until then the one who handed over still answers for it.",
    ),
    (
        &["no-outside-origin"],
        "Without the origin, or a checkpoint kept elsewhere, a whole record of another run could stand here in its place.",
    ),
    (
        &["head-not-anchored"],
        "Nobody outside vouches for the time: the entries could have been written today, by whoever holds the keys.",
    ),
    (
        &["not-closed"],
        "Entries could have been cut off at the end without a trace; a seal, or the number of entries known elsewhere, would exclude that.",
    ),
    (
        &[
            "bad-line",
            "no-first-line",
            "wrong-opening",
            "no-format",
            "bad-incident",
            "bad-origin",
            "bad-mode",
            "bad-undo",
            "bad-responder",
            "bad-session-key",
        ],
        "A line that azir never writes, with a hash made to fit: somebody who knows the format wrote it.",
    ),
    (
        &["wrong-seq", "wrong-prev"],
        "The chain is broken here: entries were removed, inserted, exchanged or changed. Everything from here on is in doubt.",
    ),
    (
        &["corrupt"],
        "A crash does not do this. Bytes in the middle were changed, and whole entries still stand behind them.",
    ),
    (
        &["torn-tail"],
        "The machine or the program stopped while this was written. All entries before it are whole; what was being written is unknown.",
    ),
    (
        &["after-seal"],
        "The run was closed, and something was added afterwards.",
    ),
    (
        &["wrong-previous"],
        "The end of the segment before is not what the next session found there: it was changed in between or since.",
    ),
    (
        &["other-session", "session-again", "mono-back"],
        "Lines of different sessions were brought together, or times were changed.",
    ),
    (
        &[
            "bad-intent",
            "bad-outcome",
            "bad-found",
            "no-intent",
            "answered-again",
            "request-id-again",
            "wrong-open-intents",
        ],
        "What was about to be done and what came of it do not fit each other as azir records them: the account was invented or edited.",
    ),
    (
        &["bad-citation", "two-sizes"],
        "A line names evidence in a way that azir never does; which object it means is open.",
    ),
    (
        &["missing-evidence"],
        "An exhibit that the record cites is gone from this folder and nothing says where else it is.",
    ),
    (
        &["changed-evidence", "other-size"],
        "This exhibit is not what was collected. The record around it still says what it should be.",
    ),
    (
        &["redacted"],
        "The exhibit was taken out on purpose; the line that says so names reason and authority.",
    ),
    (
        &["uncited"],
        "Left over, as after a crash between keeping an object and naming it; no entry rests on it.",
    ),
    (
        &["more"],
        "The list is cut so that it can be read; the verdict counts them all.",
    ),
    (
        &[
            "bad-proof",
            "wrong-path",
            "wrong-index",
            "wrong-tree-size",
            "wrong-opening-line",
        ],
        "The entry shown is not the one that the checkpoint covers, or the proof was changed.",
    ),
    (
        &["other-checkpoint"],
        "It can neither support nor refute this proof; use it on the whole run.",
    ),
    (
        &["no-opening"],
        "The session's key is taken from its own signature; that it is the run's key is not shown.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the words of `text` that are written as a finding's code is: `"two-words"`.
    fn codes(text: &str) -> impl Iterator<Item = &str> {
        text.split('"').filter(|word| {
            word.contains('-')
                && !word.starts_with('-')
                && !word.ends_with('-')
                && word
                    .bytes()
                    .all(|byte| byte == b'-' || byte.is_ascii_lowercase())
        })
    }

    #[test]
    fn every_code_has_its_meaning_once() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/journal/verify");
        let mut seen = std::collections::BTreeSet::new();
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            if entry.file_name() == "plain.rs" {
                continue;
            }
            let text = std::fs::read_to_string(entry.path()).unwrap();
            for code in codes(text.split("#[cfg(test)]").next().unwrap()) {
                let count = MEANINGS
                    .iter()
                    .filter(|(codes, _)| codes.contains(&code))
                    .count();
                assert_eq!(count, 1, "{code} in {}", entry.path().display());
                seen.insert(code.to_owned());
            }
        }
        assert!(seen.len() > 60, "{}", seen.len());
        for code in MEANINGS.iter().flat_map(|(codes, _)| *codes) {
            let alone = ["corrupt", "unsigned", "redacted", "uncited", "more"].contains(code);
            assert!(alone || seen.contains(*code), "{code} is never found");
        }
    }
}
