//! The scales in which a sign-in is weighed: reasons for and against the user, and the verdict that they give.

/// Reasons on both sides, with their weights.
#[derive(Default)]
pub(super) struct Scales {
    pub(super) against: Vec<(u32, String)>,
    pub(super) for_user: Vec<(u32, String)>,
    pub(super) unknown: Vec<&'static str>,
    /// Against this nothing counts.
    pub(super) settled: bool,
}

pub(super) const ATTACK: &str = "probably not the user";
pub(super) const UNCLEAR: &str = "unclear, ask the user by another way";
pub(super) const EXPLAINED: &str = "explained";

impl Scales {
    pub(super) fn verdict(&self) -> &'static str {
        let sum = |side: &[(u32, String)]| side.iter().map(|(weight, _)| *weight).sum::<u32>();
        let (against, for_user) = (sum(&self.against), sum(&self.for_user));
        if self.settled || against >= for_user + 3 {
            ATTACK
        } else if for_user >= against + 2 && !self.against.iter().any(|(weight, _)| *weight >= 2) {
            EXPLAINED
        } else {
            UNCLEAR
        }
    }

    pub(super) fn what_is_unknown(&self) -> String {
        if self.unknown.is_empty() {
            String::new()
        } else {
            format!(". Not known: {}", self.unknown.join(", "))
        }
    }
}
