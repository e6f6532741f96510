//! Permissions on Graph: what the token says of itself, against what each write takes
//! (graph-and-data-planes.md sections 1 and 5.7).
//!
//! A token of Graph is decoded for this and nothing else, and only where it speaks: an application's directory roles
//! may allow what no permission of its does, and what a token does not say nobody knows.

use super::finding::Finding;
use super::meant::Meant;
use crate::azure::Identity;
use crate::engine::plan::{Preflight, Verdict};
use crate::runbook::graph::{enough_for, including};

const WHAT: &str = "graph permissions";
/// Microsoft Graph itself, as an application.
const GRAPH: &str = "00000003-0000-0000-c000-000000000000";
/// The role that every member of a tenant holds.
const MEMBER: &str = "b79fbf4d-3ef9-4689-8143-76b194e85509";
/// What the token of an application names in the place of a role it holds (seen in tokens that people have shown; no
/// document says so).
const APPLICATION: &str = "0997a1d0-0d1d-4acb-b408-d5ca73121e90";

/// What is known of who speaks to Graph.
pub(super) struct Speaker<'i> {
    /// The token's words, or why there is none.
    pub(super) identity: Result<&'i Identity, &'i str>,
    /// Where Graph is.
    pub(super) endpoint: &'i str,
}

impl Speaker<'_> {
    /// Judges one write.
    pub(super) fn judge(&self, meant: &Meant) -> Finding {
        let members: Vec<&str> = meant.members.iter().map(String::as_str).collect();
        let unknown = |text: String| Finding::new(WHAT, Verdict::Unknown, text);
        let Some(enough) = enough_for(&meant.method, &meant.path, &members) else {
            return unknown(format!(
                "which permission {} {} takes is not known here",
                meant.method, meant.path
            ));
        };
        let any = enough.join(" or ");
        let (identity, held) = match self.held() {
            Ok(held) => held,
            Err(why) => return unknown(format!("it takes {any}, and {why}")),
        };
        let found: Vec<&str> = enough
            .iter()
            .copied()
            .filter(|permission| held.contains(permission))
            .collect();
        match found.first() {
            Some(own) if found.iter().all(|one| one.ends_with(".OwnedBy")) => unknown(format!(
                "the token has {own}, which is enough for applications of its own only"
            )),
            Some(own) => Finding::new(WHAT, Verdict::Pass, format!("the token has {own}")),
            None if directory_role(identity) || held.contains(&"Directory.AccessAsUser.All") => {
                unknown(format!(
                    "the token has none of {any}, and a directory role that may allow it all the same"
                ))
            }
            None => {
                let least = enough.first().copied().unwrap_or_default();
                let mut finding = Finding::new(
                    WHAT,
                    Verdict::Fail,
                    format!(
                        "it takes {any}, which the token does not have: Graph would answer 403 Authorization_RequestDenied"
                    ),
                );
                finding.missing = vec![least.to_owned()];
                finding.then(self.grant(identity, least))
            }
        }
    }

    /// Says which declared permissions that only read the token lacks: what they would show stays unknown.
    pub(super) fn reads(&self, declared: &[String]) -> Vec<Preflight> {
        let reading = declared
            .iter()
            .filter(|name| !name.contains("Write") && name.contains(".Read"));
        let reading: Vec<&String> = reading.collect();
        if reading.is_empty() {
            return Vec::new();
        }
        let (identity, held) = match self.held() {
            Ok(held) => held,
            Err(why) => {
                let text = format!("what the runbook reads there takes permissions, and {why}");
                return vec![Preflight::new(WHAT, Verdict::Unknown, text)];
            }
        };
        let lacking: Vec<String> = reading
            .into_iter()
            .filter(|name| !including(name).iter().any(|one| held.contains(one)))
            .cloned()
            .collect();
        let Some(first) = lacking.first() else {
            return vec![Preflight::new(
                WHAT,
                Verdict::Pass,
                "the token has what the runbook's reads take",
            )];
        };
        let next = self.grant(identity, first);
        let text = format!(
            "the token lacks {}: what the runbook reads with it may stay unknown; {next}",
            lacking.join(", ")
        );
        let mut answer = Preflight::new(WHAT, Verdict::Unknown, text).then(next);
        answer.missing = lacking;
        vec![answer]
    }

    /// Returns what the token says that it may do.
    fn held(&self) -> Result<(&Identity, Vec<&str>), String> {
        let identity = self
            .identity
            .map_err(|why| format!("no token for Graph could be had ({why})"))?;
        let all = identity.roles.iter().chain(&identity.scopes);
        let held: Vec<&str> = all.map(String::as_str).collect();
        if held.is_empty() {
            return Err("the token names neither roles nor scopes".to_owned());
        }
        Ok((identity, held))
    }

    /// Returns what is typed to be granted a permission: by an administrator to an application, by signing in anew to
    /// a person.
    fn grant(&self, identity: &Identity, permission: &str) -> String {
        if identity.scopes.is_empty() {
            let app = &identity.appid;
            return format!(
                "az ad app permission add --id {app} --api {GRAPH} --api-permissions $(az ad sp show --id {GRAPH} --query \"appRoles[?value=='{permission}'].id\" -o tsv)=Role && az ad app permission admin-consent --id {app}"
            );
        }
        format!("az login --scope {}/{permission}", self.endpoint)
    }
}

/// Whether the caller may hold a directory role: the token says so, or says nothing of roles. A user's token names the
/// role of every member, and an application's a template that is no role, whatever else they hold.
fn directory_role(identity: &Identity) -> bool {
    let mut roles = identity.directory_roles.iter();
    let none = |role: &String| {
        [MEMBER, APPLICATION]
            .iter()
            .any(|known| role.eq_ignore_ascii_case(known))
    };
    identity.directory_roles.is_empty() || roles.any(|role| !none(role))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::model::Plane;

    fn identity(roles: &[&str], wids: &[&str]) -> Identity {
        let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        Identity {
            oid: "o".to_owned(),
            appid: "a".to_owned(),
            tenant: "t".to_owned(),
            upn: None,
            expires: None,
            kind: None,
            roles: owned(roles),
            scopes: Vec::new(),
            directory_roles: owned(wids),
        }
    }

    #[test]
    fn a_token_that_speaks_and_lacks_is_refused_and_a_silent_one_is_not_known() {
        let meant = Meant {
            target: "t".to_owned(),
            node: 0,
            step: "disable".to_owned(),
            plane: Plane::Graph,
            method: "PATCH".to_owned(),
            path: "/v1.0/users/u".to_owned(),
            api_version: None,
            body: None,
            members: vec!["accountEnabled".to_owned()],
            there: false,
        };
        for (roles, wids, verdict) in [
            (&["User.ReadWrite.All"][..], &[][..], Verdict::Pass),
            (&["User.EnableDisableAccount.All"], &[], Verdict::Pass),
            (&["User.Read.All"], &[MEMBER], Verdict::Fail),
            (&["User.Read.All"], &["fe930be7"], Verdict::Unknown),
            (&[], &[], Verdict::Unknown),
        ] {
            let own = identity(roles, wids);
            let speaker = Speaker {
                identity: Ok(&own),
                endpoint: "https://graph.microsoft.com",
            };
            assert_eq!(speaker.judge(&meant).verdict, verdict, "{roles:?}");
        }
        let none = Speaker {
            identity: Err("no"),
            endpoint: "",
        };
        assert_eq!(none.judge(&meant).verdict, Verdict::Unknown);
        assert_eq!(none.reads(&[]), []);
        let own = identity(&["Directory.Read.All"], &[]);
        let speaker = Speaker {
            identity: Ok(&own),
            endpoint: "",
        };
        let verdict = |name: &str| speaker.reads(&[name.to_owned()])[0].verdict;
        assert_eq!(verdict("User.Read.All"), Verdict::Pass);
        assert_eq!(verdict("AuditLog.Read.All"), Verdict::Unknown);
    }
}
