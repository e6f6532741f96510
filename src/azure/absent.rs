//! What Microsoft Graph does not have in every cloud (graph-and-data-planes.md section 5.6, "Missing features by
//! metadata"): not a matter of permissions or licences, so nobody should have to ask.

use super::cloud::Cloud;
use super::request::Plane;

/// `cloud, beginning of the path below the version, what it is`; all in lower case but the last.
const ABSENT: [(&str, &str, &str); 5] = [
    (
        "azurechinacloud",
        "identityprotection/",
        "Entra ID Protection (risky users and risk detections)",
    ),
    (
        "azurechinacloud",
        "security/incidents",
        "Defender XDR's incidents",
    ),
    (
        "azurechinacloud",
        "security/runhuntingquery",
        "Defender XDR's hunting",
    ),
    (
        "azurechinacloud",
        "security/auditlog/",
        "the unified audit log's queries",
    ),
    (
        "azureusgovernment",
        "security/auditlog/",
        "the unified audit log's queries",
    ),
];

impl Cloud {
    /// Returns what a call asks for, if this cloud does not have it; the path begins with the version.
    pub fn lacks(&self, plane: Plane, path: &str) -> Option<&'static str> {
        let (_, below) = path.trim_start_matches('/').split_once('/')?;
        let below = below
            .to_ascii_lowercase()
            .replace("microsoft.graph.security.", "");
        ABSENT
            .iter()
            .filter(|_| plane == Plane::Graph)
            .find(|(cloud, start, _)| {
                self.name.eq_ignore_ascii_case(cloud) && below.starts_with(start)
            })
            .map(|(.., what)| *what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_absent_where_the_metadata_has_it_not() {
        let lacks = |cloud: &str, path: &str| {
            let cloud = Cloud::builtin(cloud).unwrap();
            cloud.lacks(Plane::Graph, path).is_some()
        };
        for (path, china, government) in [
            ("/v1.0/identityProtection/riskyUsers/x", true, false),
            ("/beta/security/runHuntingQuery", true, false),
            (
                "/v1.0/security/microsoft.graph.security.runHuntingQuery",
                true,
                false,
            ),
            ("/v1.0/security/incidents", true, false),
            ("/beta/security/auditLog/queries", true, true),
            ("/v1.0/auditLogs/signIns", false, false),
            ("/v1.0/identity/conditionalAccess/policies", false, false),
        ] {
            assert_eq!(lacks("AzureChinaCloud", path), china, "{path}");
            assert_eq!(lacks("AzureUSGovernment", path), government, "{path}");
            assert!(!lacks("AzureCloud", path), "{path}");
        }
        let china = Cloud::builtin("AzureChinaCloud").unwrap();
        assert!(china.lacks(Plane::Arm, "/x/identityProtection/y").is_none());
    }
}
