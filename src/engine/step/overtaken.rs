//! Somebody else changed a resource between its reading and its writing: the service refuses the write, azir says what
//! changed, reads afresh, and writes on that.

use serde_json::Value;

use super::Item;
use super::difference::differences;
use crate::engine::failure::{Failure, FailureKind};

/// How often a write is made anew because of it.
const AFRESH: u32 = 3;

/// Whether a write was refused because of it and may be made anew; counts how often it was.
pub(crate) fn overtaken(failure: &Failure, again: &mut u32) -> bool {
    let stale = failure.stale && failure.kind == FailureKind::Failed && *again < AFRESH;
    *again += u32::from(stale);
    stale
}

/// Says what somebody else changed between reading and writing.
pub(super) async fn tell(
    item: &Item<'_>,
    read: &Value,
    fresh: &Value,
    again: u32,
) -> Result<(), Failure> {
    let mut found = Vec::new();
    differences("", read, fresh, &[], &mut found);
    let what = if found.is_empty() {
        "nothing that can be seen but its etag".to_owned()
    } else {
        found.join(", ")
    };
    let name = crate::ids::ArmId::name_of(&item.key);
    let text = format!(
        "somebody else changed {name} after it was read ({what}); it was read afresh and the change is made on that, {again} of {AFRESH}"
    );
    item.target.say(item.node, &text).await
}
