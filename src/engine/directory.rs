//! From what was typed to the one object of the directory that is meant, by Microsoft Graph.
//!
//! A principal name can be given to somebody else tomorrow, so it is resolved once, before the run, and only the
//! object's id is used from then on (graph-and-data-planes.md section 0.1). Names are exact: two of one name are
//! refused with both ids, none with what is near.

use futures_util::StreamExt;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use std::collections::BTreeMap;

use super::calls::{CallPlace, Calls};
use super::error::EngineError;
use super::failure::Failure;
use super::power::Teller;
use super::step::wire;
use crate::azure::Reader;
use crate::runbook::expr::RenderedCall;
use crate::runbook::model::{ObjectKind, Plane};

/// Objects that are looked up at once.
const AT_ONCE: usize = 32;
/// What stands in a path segment as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'@');

const USER: &str = "id,userPrincipalName,displayName,userType,onPremisesSyncEnabled,accountEnabled";
const PRINCIPAL: &str =
    "id,appId,displayName,servicePrincipalType,appOwnerOrganizationId,accountEnabled";
const APPLICATION: &str = "id,appId,displayName";
const DEVICE: &str = "id,deviceId,displayName";
const NAMED: &str = "id,displayName";

/// Looks objects up.
pub(crate) struct Directory<'a> {
    reader: &'a Reader,
    calls: Calls,
    command: &'a str,
}

/// What one lookup found: the objects that are meant, and names that are near.
struct Lookup {
    meant: Vec<Value>,
    near: Vec<String>,
}

impl<'a> Directory<'a> {
    /// Looks with `reader`, for the runbook `command`.
    pub(crate) fn new(reader: &'a Reader, teller: Teller, command: &'a str) -> Self {
        Self {
            reader,
            calls: Calls::new(None, teller, CallPlace::default()),
            command,
        }
    }

    /// Returns the objects that `typed` names, in order, each once.
    pub(crate) async fn objects(
        &self,
        kind: ObjectKind,
        typed: &[String],
    ) -> Result<Vec<Value>, EngineError> {
        let mut looked_up = futures_util::stream::iter(typed)
            .map(|text| self.object(kind, text))
            .buffered(AT_ONCE);
        let mut seen = BTreeMap::new();
        let mut objects = Vec::new();
        while let Some(object) = looked_up.next().await {
            let object = object?;
            if seen.insert(identity(&object), ()).is_none() {
                objects.push(object);
            }
        }
        Ok(objects)
    }

    /// Returns the one object that `typed` names.
    pub(crate) async fn object(&self, kind: ObjectKind, typed: &str) -> Result<Value, EngineError> {
        let found = match kind {
            ObjectKind::User => self.user(typed).await,
            ObjectKind::Application => self.application(typed).await,
            ObjectKind::Device => self.device(typed).await,
            ObjectKind::Principal => self.principal(typed).await,
        };
        let mut found = found.map_err(|failure| cloud(&failure))?;
        match found.meant.len() {
            1 => Ok(found.meant.remove(0)),
            0 => Err(self.unknown(kind, typed, &found.near)),
            _ => Err(self.ambiguous(kind, typed, &found.meant)),
        }
    }

    async fn user(&self, typed: &str) -> Result<Lookup, Failure> {
        // No key holds a slash, and some services split at one even where it is encoded.
        if !typed.contains(['/', '\\'])
            && let Some(user) = self.one(by_key("users", typed), USER).await?
        {
            return Ok(Lookup::one(user_of(&user)));
        }
        // A guest's principal name is no address that anybody types, so its mail is looked for, too.
        let begin = literal(begin_of(typed));
        let filter = format!(
            "mail eq {} or startswith(userPrincipalName,{begin}) or startswith(displayName,{begin})",
            literal(typed)
        );
        let near = self.some("users", USER, &filter).await.unwrap_or_default();
        Ok(Lookup {
            meant: Vec::new(),
            near: texts(&near, "userPrincipalName"),
        })
    }

    /// An application is its service principal here and, where this is its home, the application object: asked for
    /// by either's id, by the id that both share, or by name.
    async fn application(&self, typed: &str) -> Result<Lookup, Failure> {
        let (principals, applications) = if is_guid(typed) {
            let app = format!("(appId='{typed}')");
            let (by_id, by_app, own_by_id, own_by_app) = tokio::try_join!(
                self.one(by_key("servicePrincipals", typed), PRINCIPAL),
                self.one(format!("/v1.0/servicePrincipals{app}"), PRINCIPAL),
                self.one(by_key("applications", typed), APPLICATION),
                self.one(format!("/v1.0/applications{app}"), APPLICATION),
            )?;
            (
                [by_id, by_app].into_iter().flatten().collect::<Vec<_>>(),
                [own_by_id, own_by_app].into_iter().flatten().collect(),
            )
        } else {
            let filter = format!("displayName eq {}", literal(typed));
            tokio::try_join!(
                self.some("servicePrincipals", PRINCIPAL, &filter),
                self.some("applications", APPLICATION, &filter),
            )?
        };
        let mut pairs: BTreeMap<String, (Option<Value>, Option<Value>)> = BTreeMap::new();
        for principal in principals {
            let app = text(&principal, "appId");
            pairs.entry(app).or_default().0 = Some(principal);
        }
        for application in applications {
            let app = text(&application, "appId");
            pairs.entry(app).or_default().1 = Some(application);
        }
        let mut meant = Vec::new();
        for (app, (principal, application)) in pairs {
            meant.push(self.pair(&app, principal, application).await?);
        }
        let near = if meant.is_empty() && !is_guid(typed) {
            let filter = format!("startswith(displayName,{})", literal(begin_of(typed)));
            let near = self.some("servicePrincipals", PRINCIPAL, &filter).await;
            texts(&near.unwrap_or_default(), "displayName")
        } else {
            Vec::new()
        };
        Ok(Lookup { meant, near })
    }

    /// Reads the half of an application that is not known yet.
    async fn pair(
        &self,
        app: &str,
        principal: Option<Value>,
        application: Option<Value>,
    ) -> Result<Value, Failure> {
        let key = format!("(appId='{}')", utf8_percent_encode(app, SEGMENT));
        let principal = match principal {
            Some(known) => Some(known),
            None => {
                self.one(format!("/v1.0/servicePrincipals{key}"), PRINCIPAL)
                    .await?
            }
        };
        let application = match application {
            Some(known) => Some(known),
            None => {
                self.one(format!("/v1.0/applications{key}"), APPLICATION)
                    .await?
            }
        };
        let of = |object: &Option<Value>, member: &str| {
            object
                .as_ref()
                .map_or(Value::Null, |object| object[member].clone())
        };
        let name = match of(&principal, "displayName") {
            Value::Null => of(&application, "displayName"),
            name => name,
        };
        Ok(json!({
            "id": of(&principal, "id"),
            "name": name,
            "app_id": app,
            "application_id": of(&application, "id"),
            "kind": of(&principal, "servicePrincipalType"),
            "home_tenant": of(&principal, "appOwnerOrganizationId"),
        }))
    }

    async fn device(&self, typed: &str) -> Result<Lookup, Failure> {
        let shown = |device: &Value| json!({"id": device["id"], "name": device["displayName"], "device_id": device["deviceId"]});
        if is_guid(typed) {
            let alternate = format!("/v1.0/devices(deviceId='{typed}')");
            let (by_id, by_device) = tokio::try_join!(
                self.one(by_key("devices", typed), DEVICE),
                self.one(alternate, DEVICE),
            )?;
            return Ok(Lookup {
                meant: by_id.or(by_device).iter().map(shown).collect(),
                near: Vec::new(),
            });
        }
        let filter = format!("displayName eq {}", literal(typed));
        let found = self.some("devices", DEVICE, &filter).await?;
        if !found.is_empty() {
            return Ok(Lookup {
                meant: found.iter().map(shown).collect(),
                near: Vec::new(),
            });
        }
        let filter = format!("startswith(displayName,{})", literal(begin_of(typed)));
        let near = self
            .some("devices", DEVICE, &filter)
            .await
            .unwrap_or_default();
        Ok(Lookup {
            meant: Vec::new(),
            near: texts(&near, "displayName"),
        })
    }

    async fn principal(&self, typed: &str) -> Result<Lookup, Failure> {
        if typed.contains('@') {
            let mut found = self.user(typed).await?;
            for user in &mut found.meant {
                *user = principal_of(
                    &json!({"id": user["id"], "displayName": user["upn"]}),
                    "user",
                );
            }
            return Ok(found);
        }
        let (users, applications, groups) = if is_guid(typed) {
            let (user, application, group) = tokio::try_join!(
                self.one(by_key("users", typed), USER),
                self.one(by_key("servicePrincipals", typed), NAMED),
                self.one(by_key("groups", typed), NAMED),
            )?;
            (
                Vec::from_iter(user),
                Vec::from_iter(application),
                Vec::from_iter(group),
            )
        } else {
            let filter = format!("displayName eq {}", literal(typed));
            tokio::try_join!(
                self.some("users", USER, &filter),
                self.some("servicePrincipals", NAMED, &filter),
                self.some("groups", NAMED, &filter),
            )?
        };
        let user = |user: &Value| {
            principal_of(
                &json!({"id": user["id"], "displayName": user["userPrincipalName"]}),
                "user",
            )
        };
        Ok(Lookup {
            meant: users
                .iter()
                .map(user)
                .chain(
                    applications
                        .iter()
                        .map(|one| principal_of(one, "servicePrincipal")),
                )
                .chain(groups.iter().map(|one| principal_of(one, "group")))
                .collect(),
            near: Vec::new(),
        })
    }

    /// Reads an object, or finds that it is not there.
    async fn one(&self, path: String, select: &str) -> Result<Option<Value>, Failure> {
        let mut call = get(&path, select);
        call.missing_ok = true;
        let answer = wire::read(self.reader, &call, &self.calls).await?;
        Ok((answer.status != 404 && !answer.body.is_null()).then_some(answer.body))
    }

    /// Reads those objects of a collection that a filter lets through.
    async fn some(
        &self,
        collection: &str,
        select: &str,
        filter: &str,
    ) -> Result<Vec<Value>, Failure> {
        let mut call = get(&format!("/v1.0/{collection}"), select);
        call.query.push(("$filter".to_owned(), filter.to_owned()));
        call.pages = Some("value".to_owned());
        wire::read_list(self.reader, &call, &self.calls).await
    }

    fn unknown(&self, kind: ObjectKind, typed: &str, near: &[String]) -> EngineError {
        let near: Vec<&str> = near.iter().take(3).map(String::as_str).collect();
        let (meant, hint) = match near.first() {
            Some(first) => (
                format!("; near: {}", near.join(", ")),
                format!("azir {} {}", self.command, quoted(first)),
            ),
            None => (String::new(), kind.list_command().to_owned()),
        };
        self.refused(
            "unknown_target",
            format!("the directory has no {} {typed}{meant}", kind.word()),
            typed,
            hint,
        )
    }

    fn ambiguous(&self, kind: ObjectKind, typed: &str, found: &[Value]) -> EngineError {
        let candidates: Vec<String> = found
            .iter()
            .map(|object| match kind {
                ObjectKind::Application => format!("{} (appId)", text(object, "app_id")),
                ObjectKind::Principal => {
                    format!("{} ({})", text(object, "id"), text(object, "kind"))
                }
                ObjectKind::User | ObjectKind::Device => text(object, "id"),
            })
            .collect();
        let first = candidates.first().and_then(|one| one.split(' ').next());
        let hint = format!("azir {} {}", self.command, first.unwrap_or("ID"));
        self.refused(
            "ambiguous_target",
            format!(
                "{} {}s are called {typed}: {}",
                candidates.len(),
                kind.word(),
                candidates.join(" and ")
            ),
            typed,
            hint,
        )
    }

    fn refused(
        &self,
        code: &'static str,
        message: String,
        target: &str,
        hint: String,
    ) -> EngineError {
        EngineError::Refused {
            code,
            message,
            target: Some(target.to_owned()),
            hint,
        }
    }
}

impl Lookup {
    fn one(object: Value) -> Self {
        Self {
            meant: vec![object],
            near: Vec::new(),
        }
    }
}

/// Returns what makes an object the same as another: its id, or that of an application without a service principal.
fn identity(object: &Value) -> String {
    let id = object["id"].as_str().or_else(|| object["app_id"].as_str());
    id.unwrap_or_default().to_ascii_lowercase()
}

fn user_of(user: &Value) -> Value {
    json!({
        "id": user["id"],
        "name": user["userPrincipalName"],
        "upn": user["userPrincipalName"],
        "display_name": user["displayName"],
        "user_type": user["userType"].as_str().unwrap_or("Member"),
        "synced": user["onPremisesSyncEnabled"] == true,
        "enabled": user["accountEnabled"],
    })
}

fn principal_of(object: &Value, kind: &str) -> Value {
    json!({"id": object["id"], "name": object["displayName"], "kind": kind})
}

fn text(object: &Value, member: &str) -> String {
    object[member].as_str().unwrap_or_default().to_owned()
}

fn texts(objects: &[Value], member: &str) -> Vec<String> {
    objects.iter().map(|object| text(object, member)).collect()
}

fn is_guid(typed: &str) -> bool {
    uuid::Uuid::try_parse(typed).is_ok()
}

/// Returns the path of an object; one that begins with `$` would be read as an option of the collection.
fn by_key(collection: &str, key: &str) -> String {
    if key.starts_with('$') {
        let quoted = key.replace('\'', "''");
        return format!(
            "/v1.0/{collection}('{}')",
            utf8_percent_encode(&quoted, SEGMENT)
        );
    }
    format!("/v1.0/{collection}/{}", utf8_percent_encode(key, SEGMENT))
}

/// Returns the beginning of what was typed, by which something near may be found.
fn begin_of(typed: &str) -> &str {
    let local = typed.split('@').next().unwrap_or(typed);
    local
        .char_indices()
        .nth(3)
        .map_or(local, |(end, _)| &local[..end])
}

/// Returns `text` as an `OData` literal that it cannot break out of.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Returns a name as a shell takes it.
pub(super) fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@._-/:,=".contains(c);
    if !name.is_empty() && name.chars().all(plain) {
        name.to_owned()
    } else {
        format!("'{}'", name.replace('\'', "'\\''"))
    }
}

fn get(path: &str, select: &str) -> RenderedCall {
    RenderedCall {
        plane: Plane::Graph,
        method: "GET".to_owned(),
        path_or_url: path.to_owned(),
        query: vec![("$select".to_owned(), select.to_owned())],
        api_version: None,
        headers: Vec::new(),
        body: None,
        pages: None,
        missing_ok: false,
    }
}

fn cloud(failure: &Failure) -> EngineError {
    EngineError::Cloud {
        code: failure.code.clone(),
        message: failure.message.clone(),
        hint: failure.hint.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_segment_whatever_is_in_it() {
        for (typed, path) in [
            ("alice@contoso.com", "/v1.0/users/alice@contoso.com"),
            (
                "gary_partner.example#EXT#@contoso.onmicrosoft.com",
                "/v1.0/users/gary%5Fpartner.example%23EXT%23@contoso.onmicrosoft.com",
            ),
            ("$x@contoso.com", "/v1.0/users('%24x@contoso.com')"),
            ("../groups?x", "/v1.0/users/..%2Fgroups%3Fx"),
        ] {
            assert_eq!(by_key("users", typed).replace('_', "%5F"), path, "{typed}");
        }
        assert_eq!(literal("o'brien"), "'o''brien'");
    }

    #[test]
    fn what_is_near_begins_alike() {
        assert_eq!(begin_of("alice@contoso.com"), "ali");
        assert_eq!(begin_of("äö"), "äö");
        assert_eq!(begin_of(""), "");
        assert_eq!(quoted("it's"), "'it'\\''s'");
    }
}
