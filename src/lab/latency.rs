//! How long the services take: round figures of what is seen in practice, scaled by the lab's options.

use std::time::Duration;

/// Returns how long an answer takes before scaling.
pub(super) fn of_request(method: &str, path: &str) -> Duration {
    let path = path.to_ascii_lowercase();
    let millis = match method {
        "GET" | "HEAD" if path.contains("operation") => 30,
        "GET" | "HEAD" => 60,
        _ if path.ends_with("/token") => 80,
        _ if path.contains("resourcegraph") => 200,
        _ => 150,
    };
    Duration::from_millis(millis)
}

/// Returns how long an operation on a resource type takes before scaling.
pub(super) fn of_operation(kind: &str) -> Duration {
    let millis = match kind.to_ascii_lowercase().as_str() {
        "microsoft.compute/restorepointcollections/restorepoints"
        | "microsoft.compute/snapshots" => 2_500,
        "microsoft.compute/virtualmachines" => 3_000,
        "effective" => 2_000,
        _ => 1_000,
    };
    Duration::from_millis(millis)
}
