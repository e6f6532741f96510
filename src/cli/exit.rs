//! Exit codes: one documented type, listed in `--help` and the README.

/// How a command ends, in the order of precedence: the first that applies.
/// `azir journal verify` and `azir journal check-proof` have their own codes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Exit {
    Usage,
    CannotRecord,
    Integrity,
    Declined,
    Refused,
    Partly,
    Failed,
    Unproved,
    Done,
    Interrupted,
    /// `azir journal verify` and `check-proof` alone: there was nothing that it could read.
    CannotRead,
}

impl Exit {
    /// Returns the code.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Partly => 3,
            Self::Unproved | Self::CannotRead => 4,
            Self::Refused => 5,
            Self::Integrity => 6,
            Self::Declined => 7,
            Self::CannotRecord => 75,
            Self::Interrupted => 130,
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Done => "contained and checked, or done",
            Self::Failed => {
                "failed: nothing took effect; lint findings; azir wait --timeout: not over yet; a drill failed or is overdue"
            }
            Self::Usage => "usage; nobody there to confirm the plan",
            Self::Partly => {
                "partly: some write took effect, some step or target failed or was left undone"
            }
            Self::Unproved => "done, but a check is false or unknown, or evidence has a gap",
            Self::Refused => {
                "refused before any write: guard, preflight, drift, ambiguous or unknown target"
            }
            Self::Integrity => {
                "the journal does not verify, or the record of a drill cannot be read"
            }
            Self::Declined => "declined by the responder",
            Self::CannotRecord => "the record cannot be kept; nothing further was sent",
            Self::Interrupted => {
                "stopped at once by a second ctrl-C; the journal says what is unknown"
            }
            Self::CannotRead => "journal verify, check-proof: nothing that can be read",
        }
    }
}

/// The codes that help lists, in the order of precedence.
const LISTED: &[Exit] = &[
    Exit::Usage,
    Exit::CannotRecord,
    Exit::Integrity,
    Exit::Declined,
    Exit::Refused,
    Exit::Partly,
    Exit::Failed,
    Exit::Unproved,
    Exit::Done,
    Exit::Interrupted,
];

/// Returns the list of exit codes for help.
pub(super) fn help() -> String {
    let mut text = String::from("Exit codes, the first that applies:\n");
    for exit in LISTED {
        text.push_str(&format!("  {:>3}  {}\n", exit.code(), exit.meaning()));
    }
    text.push_str("azir journal verify, check-proof: 0 verified and anchored, 1 tampered, 2 verified, not anchored, 3 torn end, 4 cannot read\n");
    text
}
