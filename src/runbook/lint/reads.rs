//! Reads: what is declared to read does not write, for a plan makes reads and must change nothing.

use super::{Found, Subject};
use crate::runbook::model::{Call, Plane};
use crate::runbook::walk;

/// The ends of paths whose POST only reads; the client knows the same ones and refuses any other in a plan.
const READING_POSTS: &[(Plane, &str)] = &[
    (Plane::Arm, "/checkpolicyrestrictions"),
    (Plane::Arm, "/effectivenetworksecuritygroups"),
    (Plane::Arm, "/effectiveroutetable"),
    (Plane::Arm, "/microsoft.resourcegraph/resources"),
    (Plane::Graph, "/getbyids"),
    (Plane::Graph, "/getmembergroups"),
    (Plane::Graph, "/runhuntingquery"),
    (Plane::Logs, "/query"),
];

pub(super) fn look(subject: &Subject<'_>, found: &mut Found<'_>) {
    for step in &subject.runbook.steps {
        walk::calls(step, &mut |call, writes| {
            if !writes && !reads(call) {
                let message = format!(
                    "{} is no read",
                    call.line.value.split(' ').next().unwrap_or_default()
                );
                let help = "write with request or edit, which are checked and undone; a POST reads only if azir knows that it does";
                found.add("read-writes", call.line.place, message, help);
            }
            if writes && call.line.value.starts_with("GET ") {
                found.add(
                    "write-reads",
                    call.line.place,
                    "GET is no write",
                    "read with read",
                );
            }
        });
    }
}

fn reads(call: &Call) -> bool {
    let (method, path) = call.line.value.split_once(' ').unwrap_or_default();
    let path = path
        .split('?')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    match method {
        "GET" | "HEAD" => true,
        "POST" => READING_POSTS
            .iter()
            .any(|(plane, end)| *plane == call.plane && path.ends_with(end)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::codes_of_steps;

    #[test]
    fn a_write_cannot_hide_in_a_read() {
        let read = |call: &str| {
            codes_of_steps(&format!(
                "  - {{id: a, phase: tag, title: A, read: {{{call}}}}}\n"
            ))
        };
        assert_eq!(read("graph: DELETE /v1.0/users/x"), ["read-writes"]);
        assert_eq!(
            read("graph: POST /v1.0/users/x/revokeSignInSessions"),
            ["read-writes"]
        );
        assert!(read("graph: POST /v1.0/security/runHuntingQuery").is_empty());
        let check = "  - {id: a, phase: tag, title: A, lasting: x, request: {graph: GET /v1.0/users}, check: {claim: c, get: {graph: PUT /v1.0/users}, that: \"{{ got }}\"}}\n";
        assert_eq!(codes_of_steps(check), ["write-reads", "read-writes"]);
    }
}
