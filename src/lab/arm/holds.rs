//! Legal holds of containers: tags that are set and cleared (arm.md section 3; "Blob Containers - Set Legal Hold",
//! "Blob Containers - Clear Legal Hold (REST API)").

use serde_json::{Value, json};

use super::{Arm, only_members};
use crate::ids::ArmId;
use crate::lab::reply::{Reply, arm_error, not_modelled};

/// The most tags of a container.
const MOST: usize = 10;

impl Arm<'_> {
    pub(super) fn legal_hold(&mut self, id: &ArmId, action: &str) -> Result<Reply, Reply> {
        let mut container = self.found(id)?;
        let body = self.ask.json()?;
        only_members(
            &body,
            &["tags", "allowProtectedAppendWritesAll", "hasLegalHold"],
            "LegalHold",
        )?;
        if body["allowProtectedAppendWritesAll"] == true {
            return Err(not_modelled("appends under a legal hold"));
        }
        let given = tags(&body["tags"]).ok_or_else(|| {
            let message =
                "A legal hold needs tags of 3 to 23 letters and digits, and at least one of them.";
            arm_error(400, "InvalidRequestPropertyValue", message)
        })?;
        let mut held = tags(&container["properties"]["legalHold"]).unwrap_or_default();
        match action {
            "setlegalhold" => held.extend(given),
            "clearlegalhold" => held.retain(|tag| !given.contains(tag)),
            other => return Err(not_modelled(&format!("{other} on containers"))),
        }
        held.sort();
        held.dedup();
        if held.len() > MOST {
            let message = format!("A container has at most {MOST} tags of legal holds.");
            return Err(arm_error(409, "ContainerOperationFailure", &message));
        }
        container["properties"]["legalHold"] = json!(held);
        self.store.put(id.as_str(), container);
        Ok(Reply::json(
            200,
            &json!({"hasLegalHold": !held.is_empty(), "tags": held}),
        ))
    }
}

/// Returns tags in lower case, as they are kept; `None`: there is none, or one is not well formed.
fn tags(value: &Value) -> Option<Vec<String>> {
    let all = value.as_array().filter(|all| !all.is_empty())?;
    let good =
        |tag: &str| (3..=23).contains(&tag.len()) && tag.chars().all(|c| c.is_ascii_alphanumeric());
    let texts = all.iter().map(|tag| tag.as_str().filter(|tag| good(tag)));
    texts.map(|tag| tag.map(str::to_ascii_lowercase)).collect()
}
