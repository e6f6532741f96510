//! Who vouches for a record, in words: signatures, time stamps, copies elsewhere, and who does not.

use std::fmt::Write as _;

use crate::report::model::{JournalRef, RunReport, SignedBy};

pub(super) fn record(out: &mut String, report: &RunReport) {
    let journal = &report.journal;
    let _ = writeln!(out, "Record: {}", record_words(journal));
    let receipts: Vec<String> = journal
        .receipts
        .iter()
        .map(|(witness, count)| match witness.as_str() {
            "tsa" => format!("{count} of time stamps"),
            "worm" => format!("{count} of the vault"),
            other => format!("{count} of {other}"),
        })
        .collect();
    if !receipts.is_empty() {
        // A receipt inside the record proves nothing; what it cites does.
        let _ = writeln!(
            out,
            "  receipts {}; proved by azir journal verify with --tsa-ca or --earlier-checkpoint",
            receipts.join(", ")
        );
    }
    for gap in &journal.missing {
        let _ = writeln!(out, "  {}", gap_words(&gap.witness, &gap.since, &gap.why));
    }
    let _ = writeln!(out, "  {}\n", journal.path);
}

/// Says what the verifier said: entries, who signed, what anchors it, whether it is closed.
pub(super) fn record_words(journal: &JournalRef) -> String {
    let entries = match journal.entries {
        1 => "1 entry".to_owned(),
        many => format!("{many} entries"),
    };
    if !journal.verified {
        return format!("{entries}, DOES NOT VERIFY");
    }
    let anchored = match journal.anchored_to {
        Some(_) if journal.anchored => "anchored".to_owned(),
        Some(size) => format!("anchored up to entry {size}"),
        None => "not anchored outside this machine".to_owned(),
    };
    let verifies = if journal.torn {
        "verifies up to a torn end, as a crash leaves it"
    } else {
        "verifies"
    };
    let mut words = vec![verifies.to_owned(), signed_words(journal), anchored];
    if journal.transfer_pending {
        words.push("a transfer is PENDING".to_owned());
    }
    words.push(
        if journal.sealed {
            "sealed"
        } else {
            "not sealed"
        }
        .to_owned(),
    );
    format!("{entries}, {}", words.join("; "))
}

/// Says who signed: `signed by alice@contoso.example (touch: yes, PIN: no)`.
pub(super) fn signed_words(journal: &JournalRef) -> String {
    if journal.signed.is_empty() {
        return "unsigned by a person".to_owned();
    }
    let told = |signed: &SignedBy| {
        let presence = signed.touch.zip(signed.pin);
        let mut words = person_words(&signed.principal, presence);
        if signed.second {
            words.push_str(" as second person");
        }
        if signed.entries < journal.entries {
            words.push_str(&format!(" up to entry {}", signed.entries));
        }
        words
    };
    let told: Vec<String> = journal.signed.iter().map(told).collect();
    let by_responder = journal.signed.iter().any(|signed| !signed.second);
    let unsigned = if by_responder {
        ""
    } else {
        ", unsigned by the responder"
    };
    let by = if journal.signers_outside {
        ""
    } else {
        " (by the run's own signers file)"
    };
    format!("signed by {}{by}{unsigned}", told.join(" and "))
}

/// Names a person, and what a security key says of them: touch and PIN.
pub(super) fn person_words(principal: &str, presence: Option<(bool, bool)>) -> String {
    let word = |yes| if yes { "yes" } else { "no" };
    match presence {
        Some((touch, pin)) => format!("{principal} (touch: {}, PIN: {})", word(touch), word(pin)),
        None => principal.to_owned(),
    }
}

/// Says who does not vouch, since when and why.
pub(super) fn gap_words(witness: &str, since: &str, why: &str) -> String {
    match witness {
        "person" => format!("unsigned by a person since {since}: {why}"),
        "tsa" => format!("UNANCHORED since {since}, no time stamp: {why}"),
        _ => format!("UNANCHORED since {since}, no immutable copy: {why}"),
    }
}
