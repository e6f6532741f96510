//! Filters that know the credentials of applications and service principals (Graph sheet sections 1.15 and 1.16).
//!
//! Credentials lie on the application, on its service principal, or on both; each is one line here, with its
//! holder, whatever it lies on. A rating says why in words, and never that something is clean.

use chrono::{DateTime, Datelike, Utc};
use serde_json::{Map, Value, json};

use super::filters::{arg, list, text_arg};
use super::language::Row;
use super::order::{at, moment};
use super::rating::{Rating, actor, text};

pub(super) const ROWS: &[Row] = &[
    (
        "credentials",
        credentials,
        "applications or service principals | credentials('application', tenant): each secret and certificate, with its holder",
    ),
    (
        "crowded",
        crowded,
        "credentials | crowded(2, time): the holders of more that are valid then, with their number",
    ),
    (
        "federated",
        federated,
        "federated credentials | federated(application): each as a credential of this holder",
    ),
    (
        "judged_credentials",
        judged,
        "credentials | judged_credentials(now, {long, old, recent, issuers}, audits): each with severity and what speaks against it",
    ),
];

/// From this year on an end is a way to say never.
const NEVER: i32 = 2_090;

fn credentials(value: &Value, args: &[Value]) -> Result<Value, String> {
    let (on, tenant) = (text_arg(args, 0)?, text_arg(args, 1)?);
    let mut all = Vec::new();
    for holder in list(value)? {
        let certificates = members(holder, "keyCredentials");
        for (kind, credential) in members(holder, "passwordCredentials")
            .iter()
            .map(|credential| ("secret", credential))
            .chain(
                certificates
                    .iter()
                    .map(|credential| ("certificate", credential)),
            )
        {
            let mut one = of_holder(holder, on, tenant);
            let signs = is_signing(credential, certificates);
            one.extend(object(json!({
                "id": credential.get("keyId"),
                "kind": kind,
                "name": name(credential),
                "start": credential.get("startDateTime"),
                "end": credential.get("endDateTime"),
                "signs": signs,
            })));
            all.push(Value::Object(one));
        }
    }
    Ok(Value::Array(all))
}

fn federated(value: &Value, args: &[Value]) -> Result<Value, String> {
    let holder = arg(args, 0)?;
    Ok(list(value)?
        .iter()
        .map(|credential| {
            let mut one = of_holder(holder, "application", "");
            one.extend(object(json!({
                "id": credential.get("id"),
                "kind": "federated",
                "name": text(credential, "name"),
                "issuer": credential.get("issuer"),
                "subject": credential.get("subject"),
                "start": null,
                "end": null,
                "signs": false,
            })));
            Value::Object(one)
        })
        .collect())
}

fn crowded(value: &Value, args: &[Value]) -> Result<Value, String> {
    let most = arg(args, 0)?
        .as_u64()
        .ok_or("it compares with a whole number")?;
    let now = moment(text_arg(args, 1)?).ok_or("it needs a time")?;
    let mut holders: Vec<(Value, u64)> = Vec::new();
    for credential in list(value)? {
        let valid = at(credential, "end").is_none_or(|end| end > now);
        if !valid || credential["kind"] == "federated" {
            continue;
        }
        let of = |known: &Value| known["holder"] == credential["holder"];
        match holders.iter_mut().find(|(known, _)| of(known)) {
            Some((_, number)) => *number += 1,
            None => holders.push((credential.clone(), 1)),
        }
    }
    Ok(holders
        .into_iter()
        .filter(|(_, number)| *number > most)
        .map(|(one, number)| {
            json!({"holder": one["holder"], "holder_name": one["holder_name"], "on": one["on"], "number": number})
        })
        .collect())
}

fn judged(value: &Value, args: &[Value]) -> Result<Value, String> {
    let now = moment(text_arg(args, 0)?).ok_or("it needs a time")?;
    let limits = Limits::of(arg(args, 1)?);
    let audits = list(arg(args, 2)?)?;
    Ok(list(value)?
        .iter()
        .map(|credential| {
            let added = addition(credential, audits);
            let rating = limits.rate(credential, now, added);
            let what = format!(
                "{}: {} on the {}{}",
                text(credential, "holder_name"),
                called(credential),
                text(credential, "on"),
                rating.reasons_after(" ")
            );
            let mut judged = object(credential.clone());
            let age = at(credential, "start").map(|start| (now - start).num_days());
            let left = at(credential, "end").map(|end| (end - now).num_days());
            judged.extend(object(json!({
                "age_days": age,
                "left_days": left,
                "added_by": added.map(actor),
                "severity": rating.severity(),
                "what": what,
            })));
            Value::Object(judged)
        })
        .collect())
}

/// What is too long, too old or unknown; a member that is missing sets no limit.
struct Limits<'a> {
    /// Days of validity.
    long: i64,
    /// Days since the start.
    old: i64,
    /// Seconds back from now in which an addition is worth a look.
    recent: i64,
    /// Issuers whose tokens are expected.
    issuers: Vec<&'a str>,
}

impl<'a> Limits<'a> {
    fn of(value: &'a Value) -> Self {
        let number = |name: &str| value.get(name).and_then(Value::as_i64).unwrap_or(i64::MAX);
        let issuers = value.get("issuers").and_then(Value::as_array);
        Self {
            long: number("long"),
            old: number("old"),
            recent: number("recent"),
            issuers: issuers
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect(),
        }
    }

    fn rate(&self, credential: &Value, now: DateTime<Utc>, added: Option<&Value>) -> Rating {
        let mut rating = Rating::default();
        let (start, end) = (at(credential, "start"), at(credential, "end"));
        let expired = end.is_some_and(|end| end <= now);
        if credential["kind"] == "federated" {
            self.rate_issuer(credential, &mut rating);
        } else if let (true, Some(end)) = (expired, end) {
            rating.info(format!("expired on {}", end.date_naive()));
        } else {
            self.rate_span(start, end, now, &mut rating);
            self.rate_place(credential, &mut rating);
        }
        let when = added.and_then(|event| at(event, "activityDateTime"));
        let since = when.or(start).map(|time| (now - time).num_seconds());
        if since.is_some_and(|since| since <= self.recent) {
            let day = when.or(start).map(|time| time.date_naive().to_string());
            rating.medium(format!("was added on {}", day.unwrap_or_default()));
        }
        match added {
            Some(event) => rating.info(format!("added by {}", actor(event))),
            None => rating.info("by whom it was added is not known".to_owned()),
        }
        rating
    }

    fn rate_span(
        &self,
        start: Option<DateTime<Utc>>,
        end: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
        rating: &mut Rating,
    ) {
        match (start, end) {
            (_, None) => rating.high("never expires".to_owned()),
            (_, Some(end)) if end.year() >= NEVER => rating.high("never expires".to_owned()),
            (Some(start), Some(end)) if (end - start).num_days() > self.long => {
                rating.medium(format!("is valid for {} days", (end - start).num_days()));
            }
            (None, _) => rating.low("its age is not known".to_owned()),
            _ => {}
        }
        if let Some(age) = start.map(|start| (now - start).num_days())
            && age > self.old
        {
            rating.low(format!("is {age} days old"));
        }
    }

    /// A credential on the service principal works like one on the application, and fewer people look there.
    fn rate_place(&self, credential: &Value, rating: &mut Rating) {
        if credential["on"] != "service principal" || credential["managed"] == true {
            return;
        }
        if credential["signs"] == true {
            rating.info("signs SAML answers".to_owned());
        } else if credential["foreign"] == true {
            rating.high("was put on an application of another tenant".to_owned());
        } else {
            rating.medium("is not where the application's owner looks".to_owned());
        }
    }

    fn rate_issuer(&self, credential: &Value, rating: &mut Rating) {
        let (issuer, subject) = (text(credential, "issuer"), text(credential, "subject"));
        let expected = self
            .issuers
            .iter()
            .any(|known| super::rating::wildcard(known, issuer.trim_end_matches('/')));
        let trusts = format!("trusts {issuer} for {subject}");
        if !expected {
            rating.high(format!(
                "{trusts}, an issuer that is not among the expected ones"
            ));
        } else if subject.ends_with(":pull_request") {
            rating.medium(format!("{trusts}, so that any pull request may use it"));
        } else {
            rating.info(trusts);
        }
    }
}

/// Finds the audit event that added a credential: by its key id, which the event's new value names.
fn addition<'a>(credential: &Value, audits: &'a [Value]) -> Option<&'a Value> {
    let (id, holder) = (text(credential, "id"), text(credential, "holder"));
    audits
        .iter()
        .filter(|event| {
            let name = text(event, "activityDisplayName").to_lowercase();
            name.contains("credential") || name.contains("certificates and secrets")
        })
        .find(|event| {
            members(event, "targetResources").iter().any(|target| {
                let changes = members(target, "modifiedProperties");
                text(target, "id").eq_ignore_ascii_case(holder)
                    && !id.is_empty()
                    && changes.iter().any(|change| {
                        let (old, new) = (text(change, "oldValue"), text(change, "newValue"));
                        new.contains(id) && !old.contains(id)
                    })
            })
        })
}

fn of_holder(holder: &Value, on: &str, tenant: &str) -> Map<String, Value> {
    let home = text(holder, "appOwnerOrganizationId");
    object(json!({
        "holder": holder.get("id"),
        "holder_name": text(holder, "displayName"),
        "app_id": holder.get("appId"),
        "on": on,
        "foreign": !home.is_empty() && !home.eq_ignore_ascii_case(tenant),
        "managed": text(holder, "servicePrincipalType") == "ManagedIdentity",
    }))
}

/// Whether a credential is one of the pair that signs SAML answers: both of its keys, and the secret with their id.
fn is_signing(credential: &Value, certificates: &[Value]) -> bool {
    certificates.iter().any(|certificate| {
        let same = |name: &str| {
            let value = text(credential, name);
            !value.is_empty() && value == text(certificate, name)
        };
        text(certificate, "usage") == "Sign" && (same("keyId") || same("customKeyIdentifier"))
    })
}

fn name(credential: &Value) -> &str {
    match text(credential, "displayName") {
        "" => "without a name",
        name => name,
    }
}

fn called(credential: &Value) -> String {
    let id = text(credential, "id");
    match text(credential, "kind") {
        "federated" => format!("federated credential {}", text(credential, "name")),
        kind => format!("{kind} {} ({id})", text(credential, "name")),
    }
}

fn members<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    let found = value.get(name).and_then(Value::as_array);
    found.map_or(&[], Vec::as_slice)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app() -> Value {
        json!({"id": "A", "appId": "C", "displayName": "shop", "passwordCredentials": [
            {"keyId": "k1", "displayName": "ever", "startDateTime": "2026-04-01T00:00:00Z", "endDateTime": "2299-12-31T00:00:00Z"},
            {"keyId": "k2", "displayName": "good", "startDateTime": "2026-04-01T00:00:00Z", "endDateTime": "2026-09-01T00:00:00Z"},
            {"keyId": "k3", "displayName": null, "startDateTime": "2023-01-01T00:00:00Z", "endDateTime": "2025-01-01T00:00:00Z"},
        ], "keyCredentials": []})
    }

    fn rated(list: &Value, audits: &Value) -> Vec<(String, String)> {
        let limits = json!({"long": 730, "old": 365, "recent": 86_400, "issuers": ["https://token.actions.githubusercontent.com"]});
        let now = json!("2026-05-01T00:00:00Z");
        let judged = judged(list, &[now, limits, audits.clone()]).unwrap();
        let pair = |one: &Value| {
            (
                text(one, "severity").to_owned(),
                text(one, "what").to_owned(),
            )
        };
        judged.as_array().unwrap().iter().map(pair).collect()
    }

    #[test]
    fn a_secret_without_end_is_bad_and_a_short_one_is_not() {
        let all = credentials(&json!([app()]), &[json!("application"), json!("T")]).unwrap();
        let rated = rated(&all, &json!([]));
        assert_eq!(rated[0].0, "high");
        assert_eq!(
            rated[0].1,
            "shop: secret ever (k1) on the application never expires; by whom it was added is not known"
        );
        assert_eq!(rated[1].0, "info");
        assert!(rated[2].1.contains("expired on 2025-01-01"), "{rated:?}");
        let crowd =
            |most: u64| crowded(&all, &[json!(most), json!("2026-05-01T00:00:00Z")]).unwrap();
        assert_eq!(crowd(1)[0]["number"], 2);
        assert_eq!(crowd(2), json!([]));
    }

    #[test]
    fn who_added_a_secret_is_told_by_its_key_id_alone() {
        let event = |id: &str, old: &str| {
            json!({"activityDisplayName": "Update application \u{2013} Certificates and secrets management ", "activityDateTime": "2026-04-30T12:00:00Z",
                "initiatedBy": {"user": {"userPrincipalName": "mallory@contoso.com", "ipAddress": "203.0.113.9"}},
                "targetResources": [{"id": "a", "modifiedProperties": [{"displayName": "KeyDescription", "oldValue": old, "newValue": format!("[\"KeyIdentifier={id}\"]")}]}]})
        };
        let all = credentials(&json!([app()]), &[json!("application"), json!("T")]).unwrap();
        let found = rated(&all, &json!([event("k2", "[]")]));
        assert_eq!(found[1].0, "medium");
        assert!(
            found[1].1.ends_with(
                "was added on 2026-04-30; added by mallory@contoso.com from 203.0.113.9"
            ),
            "{found:?}"
        );
        // It was there before the event.
        let found = rated(&all, &json!([event("k2", "[\"KeyIdentifier=k2\"]")]));
        assert_eq!(found[1].0, "info");
    }

    #[test]
    fn where_a_credential_lies_matters() {
        let principal = |home: &str, kind: &str| {
            json!([{"id": "S", "displayName": "x", "appOwnerOrganizationId": home, "servicePrincipalType": kind,
                "passwordCredentials": [{"keyId": "k", "startDateTime": "2026-01-01T00:00:00Z", "endDateTime": "2026-09-01T00:00:00Z"}]}])
        };
        for (home, kind, expected) in [
            ("other", "Application", "high"),
            ("t", "Application", "medium"),
            ("", "ManagedIdentity", "info"),
        ] {
            let args = [json!("service principal"), json!("T")];
            let all = credentials(&principal(home, kind), &args).unwrap();
            assert_eq!(rated(&all, &json!([]))[0].0, expected, "{home} {kind}");
        }
        let saml = json!([{"id": "S", "passwordCredentials": [{"keyId": "k", "startDateTime": "2026-01-01T00:00:00Z", "endDateTime": "2026-09-01T00:00:00Z"}],
            "keyCredentials": [{"keyId": "k", "usage": "Sign"}]}]);
        let all = credentials(&saml, &[json!("service principal"), json!("T")]).unwrap();
        assert_eq!(all[0]["signs"], true);
    }

    #[test]
    fn a_federated_credential_is_judged_by_its_issuer_and_subject() {
        let of = |issuer: &str, subject: &str| {
            let list = json!([{"id": "f", "name": "ci", "issuer": issuer, "subject": subject}]);
            rated(&federated(&list, &[app()]).unwrap(), &json!([]))[0]
                .0
                .clone()
        };
        let github = "https://token.actions.githubusercontent.com";
        assert_eq!(of(github, "repo:contoso/shop:ref:refs/heads/main"), "info");
        assert_eq!(of(github, "repo:contoso/shop:pull_request"), "medium");
        assert_eq!(of("https://evil.example", "x"), "high");
    }
}
