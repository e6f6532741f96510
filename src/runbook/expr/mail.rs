//! Filters that know inbox rules (Graph sheet section 1.20).

use serde_json::{Value, json};

use super::filters::{arg, list};
use super::language::Row;
use super::rating::{Rating, text};

pub(super) const ROWS: &[Row] = &[(
    "judged_rules",
    judged_rules,
    "inbox rules | judged_rules(own domains): each with the addresses outside, severity and what speaks against it",
)];

/// Where mail is put so that nobody sees it, as parts of a folder's name.
const HIDING: [&str; 4] = ["rss", "conversation history", "archive", "junk"];
/// Words that an attacker's rule waits for.
const WORDS: [&str; 10] = [
    "password",
    "mfa",
    "invoice",
    "security",
    "payment",
    "bank",
    "wire",
    "phish",
    "hacked",
    "suspicious",
];

fn judged_rules(value: &Value, args: &[Value]) -> Result<Value, String> {
    let domains = list(arg(args, 0)?)?;
    Ok(list(value)?
        .iter()
        .map(|rule| {
            let outside = outside(rule, domains);
            let rating = rate(rule, &outside);
            let name = match text(rule, "displayName").trim() {
                "" => "without a name",
                name => name,
            };
            let what = format!("inbox rule {name:?}{}", rating.reasons_after(" "));
            let mut judged = rule.as_object().cloned().unwrap_or_default();
            judged.extend([
                ("outside".to_owned(), json!(outside)),
                ("severity".to_owned(), json!(rating.severity())),
                ("what".to_owned(), json!(what)),
            ]);
            Value::Object(judged)
        })
        .collect())
}

fn rate(rule: &Value, outside: &[&str]) -> Rating {
    let mut rating = Rating::default();
    let actions = rule.get("actions").unwrap_or(&Value::Null);
    if !outside.is_empty() {
        rating.high(format!("sends mail outside: {}", outside.join(", ")));
    }
    let is = |name: &str| actions.get(name) == Some(&Value::Bool(true));
    if is("permanentDelete") {
        rating.high("destroys mail for good".to_owned());
    }
    if is("delete") && is("markAsRead") {
        rating.high("deletes mail and marks it as read".to_owned());
    } else if is("delete") {
        rating.medium("deletes mail".to_owned());
    }
    // A folder is named by an id that says nothing, or by a well-known name.
    let folder = text(actions, "moveToFolder").to_lowercase();
    if HIDING.iter().any(|hiding| folder.contains(hiding)) {
        rating.high(format!("moves mail to {folder}"));
    } else if is("markAsRead") && !folder.is_empty() {
        rating.medium("moves mail away and marks it as read".to_owned());
    }
    let name = text(rule, "displayName").trim();
    if name.chars().count() <= 2 && !name.chars().any(char::is_alphanumeric) {
        rating.medium("has a name that nobody gives a rule".to_owned());
    }
    let conditions = rule.get("conditions").map(Value::to_string);
    let conditions = conditions.unwrap_or_default().to_lowercase();
    let words: Vec<&str> = WORDS
        .into_iter()
        .filter(|word| conditions.contains(word))
        .collect();
    if !words.is_empty() {
        rating.medium(format!("waits for {}", words.join(", ")));
    }
    if rule.get("isEnabled") == Some(&Value::Bool(false)) {
        rating.info("is switched off".to_owned());
    }
    if rule.get("isReadOnly") == Some(&Value::Bool(true)) {
        rating.info("cannot be changed through Graph".to_owned());
    }
    rating
}

/// Returns the addresses that a rule sends to and that lie in none of the tenant's domains.
fn outside<'a>(rule: &'a Value, domains: &[Value]) -> Vec<&'a str> {
    let mut found = Vec::new();
    for name in ["forwardTo", "redirectTo", "forwardAsAttachmentTo"] {
        let to = crate::json::member(rule, "actions").and_then(|actions| actions.get(name));
        let to = to.and_then(Value::as_array).into_iter().flatten();
        found.extend(to.map(|recipient| text(recipient, "emailAddress.address")));
    }
    found.retain(|address| {
        let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
        let own = |known: &Value| {
            known
                .as_str()
                .is_some_and(|own| own.eq_ignore_ascii_case(domain))
        };
        // An address without a domain is an Exchange name, which only a mailbox of the tenant has.
        !domain.is_empty() && !domains.iter().any(own)
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(rule: &Value) -> (String, String) {
        let judged = judged_rules(&json!([rule]), &[json!(["contoso.com"])]).unwrap();
        (
            text(&judged[0], "severity").to_owned(),
            text(&judged[0], "what").to_owned(),
        )
    }

    #[test]
    fn a_rule_that_sends_mail_outside_is_bad_and_one_that_keeps_it_inside_is_not() {
        let to = |address: &str| json!({"displayName": "Team", "isEnabled": true, "actions": {"forwardTo": [{"emailAddress": {"address": address}}]}});
        assert_eq!(
            judged(&to("drop@evil.example")),
            (
                "high".to_owned(),
                "inbox rule \"Team\" sends mail outside: drop@evil.example".to_owned()
            )
        );
        assert_eq!(judged(&to("alice@CONTOSO.com")).0, "info");
        // A domain that only ends like the tenant's own is another one.
        assert_eq!(judged(&to("a@evilcontoso.com")).0, "high");
    }

    #[test]
    fn a_rule_that_hides_mail_is_found_by_what_it_does_and_waits_for() {
        for (rule, severity) in [
            (
                json!({"displayName": "..", "actions": {"moveToFolder": "RSS Feeds", "markAsRead": true}}),
                "high",
            ),
            (
                json!({"displayName": "x", "actions": {"delete": true, "markAsRead": true}}),
                "high",
            ),
            (
                json!({"displayName": "Bills", "conditions": {"subjectContains": ["Invoice"]}, "actions": {"copyToFolder": "AAMk"}}),
                "medium",
            ),
            (
                json!({"displayName": "News", "conditions": {"subjectContains": ["Weekly"]}, "actions": {"moveToFolder": "AAMk"}}),
                "info",
            ),
        ] {
            assert_eq!(judged(&rule).0, severity, "{rule}");
        }
    }
}
