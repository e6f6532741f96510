//! Inbox rules and mailbox settings (section 1.20).

use serde_json::{Value, json};

use super::query::{self, Shape};
use super::{Route, Visit, body, missing, route, users};
use crate::lab::reply::{Reply, graph_error};

const RULE: Shape = Shape {
    name: "users/mailFolders('inbox')/messageRules",
    properties: &[
        "id",
        "actions",
        "conditions",
        "displayName",
        "exceptions",
        "hasError",
        "isEnabled",
        "isReadOnly",
        "sequence",
    ],
    usual: &[],
    expands: &[],
    pages: (999, 100),
    directory: false,
};

const READ: &[&str] = &["MailboxSettings.Read", "MailboxSettings.ReadWrite"];
const WRITE: &[&str] = &["MailboxSettings.ReadWrite"];

pub(super) const ROUTES: &[Route] = &[
    route("GET", "users/{}/mailFolders/inbox/messageRules", READ, list),
    route(
        "GET",
        "users/{}/mailFolders/inbox/messageRules/{}",
        READ,
        get,
    ),
    route(
        "POST",
        "users/{}/mailFolders/inbox/messageRules",
        WRITE,
        create,
    ),
    route(
        "PATCH",
        "users/{}/mailFolders/inbox/messageRules/{}",
        WRITE,
        patch,
    ),
    route(
        "DELETE",
        "users/{}/mailFolders/inbox/messageRules/{}",
        WRITE,
        delete,
    ),
    route("GET", "users/{}/mailboxSettings", READ, settings),
];

/// Returns the user whose mailbox it is; guests and those without a mail address have none.
fn mailbox(visit: &Visit<'_>, key: &str) -> Result<String, Reply> {
    let user = users::find(visit, key).ok_or_else(|| missing(key))?;
    if user["userType"] == "Guest" || user["mail"].is_null() {
        return Err(graph_error(
            404,
            "MailboxNotEnabledForRESTAPI",
            "The mailbox is either inactive, soft-deleted, or is hosted on-premise.",
        ));
    }
    Ok(user["id"].as_str().unwrap_or_default().to_owned())
}

fn gone() -> Reply {
    graph_error(
        404,
        "ErrorItemNotFound",
        "The specified object was not found in the store.",
    )
}

fn read_only() -> Reply {
    graph_error(
        403,
        "ErrorAccessDenied",
        "The rule is read-only and cannot be modified.",
    )
}

fn key(user: &str, rule: &str) -> String {
    format!("{user}/{rule}")
}

fn list(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let user = match mailbox(visit, held[0]) {
        Ok(user) => user,
        Err(refusal) => return refusal,
    };
    let mut rules = visit.listed("inboxRules", |rule| rule["__user"] == user.as_str());
    rules.sort_by_key(|rule| rule["sequence"].as_i64());
    match query::read(visit, &RULE) {
        Ok(query) => query.page(visit, &RULE, rules),
        Err(refusal) => refusal,
    }
}

fn get(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let user = match mailbox(visit, held[0]) {
        Ok(user) => user,
        Err(refusal) => return refusal,
    };
    match (
        query::read_one(visit, &RULE),
        visit.current("inboxRules", &key(&user, held[1])),
    ) {
        (Ok(query), Some(rule)) => query::one(visit, &RULE, &query, &rule),
        (Ok(_), None) => gone(),
        (Err(refusal), _) => refusal,
    }
}

fn create(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let user = match mailbox(visit, held[0]) {
        Ok(user) => user,
        Err(refusal) => return refusal,
    };
    let known = [
        "actions",
        "conditions",
        "displayName",
        "exceptions",
        "isEnabled",
        "sequence",
    ];
    let members = match body::read(visit, &known) {
        Ok(members) => members,
        Err(refusal) => return refusal,
    };
    if let Err(refusal) = body::text(&members, "displayName") {
        return refusal;
    }
    let mut rule = json!({"conditions": null, "exceptions": null, "actions": null, "isEnabled": true, "sequence": 1, "hasError": false, "isReadOnly": false});
    for (name, value) in members {
        rule[name] = value;
    }
    let id = visit.new_id();
    rule["id"] = json!(id);
    rule["__user"] = json!(user);
    visit.put("inboxRules", &key(&user, &id), rule.clone());
    Reply::json(201, &super::directory::shown(&rule))
}

fn patch(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let user = match mailbox(visit, held[0]) {
        Ok(user) => user,
        Err(refusal) => return refusal,
    };
    let place = key(&user, held[1]);
    let Some(mut rule) = visit.current("inboxRules", &place) else {
        return gone();
    };
    let members = match body::read(visit, &["isEnabled", "displayName", "sequence"]) {
        Ok(members) => members,
        Err(refusal) => return refusal,
    };
    if rule["isReadOnly"] == true {
        return read_only();
    }
    for (name, value) in members {
        rule[name] = value;
    }
    visit.put("inboxRules", &place, rule.clone());
    Reply::json(200, &super::directory::shown(&rule))
}

fn delete(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let user = match mailbox(visit, held[0]) {
        Ok(user) => user,
        Err(refusal) => return refusal,
    };
    let place = key(&user, held[1]);
    if visit
        .current("inboxRules", &place)
        .is_some_and(|rule| rule["isReadOnly"] == true)
    {
        return read_only();
    }
    match visit.remove("inboxRules", &place) {
        Some(_) => Reply::empty(204),
        None => gone(),
    }
}

/// Forwarding of the whole mailbox is not among them: only Exchange's own interface tells it.
fn settings(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    if let Err(refusal) = mailbox(visit, held[0]) {
        return refusal;
    }
    let context = visit.context(&format!("users('{}')/mailboxSettings", held[0]));
    Reply::json(
        200,
        &json!({
            "@odata.context": context, "archiveFolder": null, "timeZone": "UTC",
            "delegateMeetingMessageDeliveryOptions": "sendToDelegateOnly", "dateFormat": "yyyy-MM-dd", "timeFormat": "HH:mm",
            "automaticRepliesSetting": {"status": "disabled", "externalAudience": "none", "internalReplyMessage": "", "externalReplyMessage": ""},
            "language": {"locale": "en-US", "displayName": "English (United States)"}, "userPurpose": "user",
            "workingHours": {"daysOfWeek": ["monday", "tuesday", "wednesday", "thursday", "friday"], "startTime": "08:00:00.0000000", "endTime": "17:00:00.0000000", "timeZone": {"name": "UTC"}},
        }),
    )
}

/// Returns what an inbox rule of the seed has besides what is written.
pub(super) fn usual(user: &str, id: &str) -> Value {
    json!({"id": id, "displayName": "rule", "sequence": 1, "isEnabled": true, "hasError": false, "isReadOnly": false, "conditions": null, "exceptions": null, "actions": {}, "__user": user})
}

/// Returns the place of an inbox rule.
pub(super) fn place(user: &str, id: &str) -> String {
    key(user, id)
}
