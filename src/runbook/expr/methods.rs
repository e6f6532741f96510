//! Authentication methods of a user: what each is, where it is deleted, when and by whom it was added (Graph sheet
//! sections 1.6 and 1.7).

use serde_json::{Value, json};

use super::filters::{arg, list};
use super::language::Row;
use super::rating::{actor, text};

pub(super) const ROWS: &[Row] = &[(
    "auth_methods",
    auth_methods,
    "authentication methods | auth_methods(audits): those that can be deleted, in an order in which they can, each with kind, collection and label",
)];

/// Type, collection, in words, place in the order of deletion, as the audit's reason names it.
const KINDS: [(&str, &str, &str, u8, &str); 10] = [
    (
        "temporaryAccessPass",
        "temporaryAccessPassMethods",
        "temporary access pass",
        0,
        "temporary access pass",
    ),
    (
        "email",
        "emailMethods",
        "e-mail address for resets",
        0,
        "email",
    ),
    (
        "softwareOath",
        "softwareOathMethods",
        "authenticator code",
        1,
        "authenticator app with code",
    ),
    (
        "external",
        "externalAuthenticationMethods",
        "external method",
        1,
        "external",
    ),
    (
        "fido2",
        "fido2Methods",
        "security key or passkey",
        1,
        "fido",
    ),
    (
        "windowsHelloForBusiness",
        "windowsHelloForBusinessMethods",
        "Windows Hello for Business",
        1,
        "hello",
    ),
    (
        "platformCredential",
        "platformCredentialMethods",
        "platform credential",
        1,
        "platform",
    ),
    (
        "microsoftAuthenticator",
        "microsoftAuthenticatorMethods",
        "Microsoft Authenticator",
        2,
        "microsoft authenticator",
    ),
    ("phone", "phoneMethods", "phone", 3, "phone"),
    (
        "hardwareOath",
        "hardwareOathMethods",
        "hardware token",
        1,
        "hardware",
    ),
];

/// Activities that say that a method was added (section 1.7 and 2.2).
const ADDED: [&str; 5] = [
    "user registered security info",
    "admin registered security info",
    "add fido2 security key",
    "add windows hello for business credential",
    "add passwordless phone sign-in credential",
];

fn auth_methods(value: &Value, args: &[Value]) -> Result<Value, String> {
    let audits = list(arg(args, 0)?)?;
    let mut methods: Vec<(u8, Value)> = list(value)?
        .iter()
        .filter_map(|method| described(method, audits))
        .collect();
    methods.sort_by_key(|(order, _)| *order);
    Ok(methods.into_iter().map(|(_, method)| method).collect())
}

fn described(method: &Value, audits: &[Value]) -> Option<(u8, Value)> {
    let kind = method.get("@odata.type")?.as_str()?;
    let name = kind
        .strip_prefix("#microsoft.graph.")?
        .strip_suffix("AuthenticationMethod")?;
    let (_, collection, words, order, reason) = KINDS.iter().find(|(known, ..)| *known == name)?;
    // An alternate mobile phone must go before the mobile phone that it is an alternate of.
    let phone = text(method, "phoneType");
    let order = if phone == "mobile" { order + 1 } else { *order };
    let which = [
        "phoneNumber",
        "emailAddress",
        "displayName",
        "deviceTag",
        "model",
    ]
    .iter()
    .map(|member| text(method, member))
    .find(|found| !found.is_empty())
    .unwrap_or_default();
    let which = match (which, phone) {
        ("", _) => String::new(),
        (which, "") => format!(" {which}"),
        (which, phone) => format!(" {which} ({phone})"),
    };
    let created = text(method, "createdDateTime");
    let added = if created.is_empty() {
        "added at a time not told".to_owned()
    } else {
        format!("added {created}")
    };
    let by = added_by(created, reason, audits);
    Some((
        order,
        json!({
            "id": text(method, "id"), "kind": words, "collection": collection, "added": created,
            "label": format!("{words}{which}, {added}{by}"),
        }),
    ))
}

/// Says who added a method, where the log of the directory names it: the same kind, within an hour of its time.
fn added_by(created: &str, reason: &str, audits: &[Value]) -> String {
    let time = |text: &str| text.parse::<chrono::DateTime<chrono::Utc>>().ok();
    let of_it = |audit: &&Value| {
        let activity = text(audit, "activityDisplayName").to_lowercase();
        let said = format!("{activity} {}", text(audit, "resultReason").to_lowercase());
        ADDED.contains(&activity.as_str()) && said.contains(reason)
    };
    let candidates: Vec<&Value> = audits.iter().filter(of_it).collect();
    let near = |audit: &&&Value| match (time(text(audit, "activityDateTime")), time(created)) {
        (Some(logged), Some(created)) => (logged - created).num_minutes().abs() <= 60,
        _ => false,
    };
    match (candidates.iter().find(near), candidates.as_slice()) {
        (Some(audit), _) => format!(" by {}", actor(audit)),
        (None, [audit, ..]) if created.is_empty() => format!(
            "; the log has one of this kind added {} by {}",
            text(audit, "activityDateTime"),
            actor(audit)
        ),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_come_in_an_order_in_which_they_can_be_deleted_and_the_password_does_not_come() {
        let methods = json!([
            {"@odata.type": "#microsoft.graph.passwordAuthenticationMethod", "id": "28c10230-6103-485e-b985-444c60001490"},
            {"@odata.type": "#microsoft.graph.phoneAuthenticationMethod", "id": "m", "phoneNumber": "+1 1", "phoneType": "mobile", "createdDateTime": null},
            {"@odata.type": "#microsoft.graph.phoneAuthenticationMethod", "id": "a", "phoneNumber": "+44 7", "phoneType": "alternateMobile", "createdDateTime": "2026-11-23T03:00:00Z"},
            {"@odata.type": "#microsoft.graph.softwareOathAuthenticationMethod", "id": "s", "createdDateTime": "2026-11-23T03:10:00Z"},
            {"@odata.type": "#microsoft.graph.externalAuthenticationMethod", "id": "x", "displayName": "Duo"},
        ]);
        let audits = json!([
            {"activityDisplayName": "User registered security info", "activityDateTime": "2026-11-23T03:00:20Z", "resultReason": "User registered Phone",
                "initiatedBy": {"user": {"userPrincipalName": "heidi@contoso.com", "ipAddress": "203.0.113.77"}}},
        ]);
        let found = auth_methods(&methods, &[audits]).unwrap();
        let shown: Vec<(&str, &str)> = found
            .as_array()
            .unwrap()
            .iter()
            .map(|method| (text(method, "id"), text(method, "label")))
            .collect();
        assert_eq!(
            shown,
            [
                ("s", "authenticator code, added 2026-11-23T03:10:00Z"),
                ("x", "external method Duo, added at a time not told"),
                (
                    "a",
                    "phone +44 7 (alternateMobile), added 2026-11-23T03:00:00Z by heidi@contoso.com from 203.0.113.77"
                ),
                (
                    "m",
                    "phone +1 1 (mobile), added at a time not told; the log has one of this kind added 2026-11-23T03:00:20Z by heidi@contoso.com from 203.0.113.77"
                ),
            ]
        );
        assert_eq!(found[1]["collection"], "externalAuthenticationMethods");
    }
}
