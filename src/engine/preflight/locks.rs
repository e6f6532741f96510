//! Locks: `ReadOnly` refuses every write and action in its scope, `CanNotDelete` every delete, whoever asks (arm.md
//! section 6.7).

use serde_json::Value;

use super::listed::Listed;
use super::place;

/// The type, and the version that is asked.
pub(super) const LOCK: (&str, &str) = ("Microsoft.Authorization/locks", "2016-09-01");

/// A lock in the way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Locked {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) level: String,
    pub(super) scope: String,
}

/// Returns the lock that refuses a write.
pub(super) fn of(listed: &Listed, method: &str, path: &str) -> Option<Locked> {
    let mut locks = listed.near(path);
    locks.find_map(|lock| in_the_way(lock, method, path))
}

fn in_the_way(lock: &Value, method: &str, path: &str) -> Option<Locked> {
    let id = lock["id"].as_str()?;
    // Whoever may manage locks may remove the one that is in the way.
    let on_a_lock = !place::extended(path, LOCK.0).is_empty();
    let level = lock["properties"]["level"].as_str()?;
    let scope = place::extended(id, LOCK.0);
    let deletes = method == "DELETE";
    let forbids = deletes || level.eq_ignore_ascii_case("ReadOnly");
    // What holds a locked thing cannot be deleted either.
    let applies = place::within(path, scope) || (deletes && place::within(scope, path));
    (forbids && applies && !on_a_lock).then(|| Locked {
        id: id.to_owned(),
        name: lock["name"].as_str().unwrap_or_default().to_owned(),
        level: level.to_owned(),
        scope: scope.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_lock_holds_below_itself_and_keeps_what_holds_it() {
        let group = "/subscriptions/s/resourceGroups/g";
        let vm = format!("{group}/providers/Microsoft.Compute/virtualMachines/v");
        let other = format!("{group}/providers/Microsoft.Compute/virtualMachines/w");
        let lock = |scope: &str, level: &str| json!({"id": format!("{scope}/providers/{}/l", LOCK.0), "name": "l", "properties": {"level": level}});
        for (scope, level, method, path, locked) in [
            (group, "ReadOnly", "PATCH", vm.as_str(), true),
            (group, "ReadOnly", "POST", &vm, true),
            (group, "CanNotDelete", "PATCH", &vm, false),
            (group, "CanNotDelete", "DELETE", &vm, true),
            (&vm, "CanNotDelete", "DELETE", group, true),
            (&vm, "ReadOnly", "PATCH", &other, false),
            ("/subscriptions/S", "ReadOnly", "PUT", &vm, true),
        ] {
            let found = in_the_way(&lock(scope, level), method, path);
            assert_eq!(
                found.is_some(),
                locked,
                "{level} at {scope}: {method} {path}"
            );
        }
        let lock_itself = format!("{group}/providers/{}/l", LOCK.0);
        assert_eq!(
            in_the_way(&lock(group, "ReadOnly"), "DELETE", &lock_itself),
            None
        );
    }
}
