//! Key Vault's data plane: secrets with their versions, soft delete, rights by role or by access policy
//! (graph-and-data-planes.md section 6).
//!
//! The lab keeps of a value only its SHA-256: what is asked for a value is refused with 501, and a test can tell that
//! what lies in a vault is what was made elsewhere.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::entra::Claims;
use super::gate::Grants;
use super::reply::{Ask, Reply};
use super::store::Store;
use super::vault_log;
use crate::digest::Digest;
use crate::random::Random;

/// Versions of the interface that are known (section 6).
const VERSIONS: &[&str] = &[
    "7.0",
    "7.1",
    "7.2",
    "7.3",
    "7.4",
    "7.5",
    "7.6",
    "2025-07-01",
    "2026-04-01",
];
/// Items on a page, at most and usually.
const PAGE: usize = 25;
/// The largest value, in bytes.
const LARGEST: usize = 25 * 1024;
const VAULT: &str = "Microsoft.KeyVault/vaults";
const VERSION_KIND: &str = "vaultSecrets";
const DELETED_KIND: &str = "deletedVaultSecrets";

/// A request on its way to a vault.
pub(super) struct Visit<'a> {
    pub(super) store: &'a mut Store,
    pub(super) ask: &'a Ask,
    pub(super) claims: &'a Claims,
    pub(super) now: DateTime<Utc>,
    pub(super) now_us: u64,
    pub(super) random: &'a dyn Random,
    /// Items on a page.
    pub(super) page: Option<usize>,
}

/// Returns an error as Key Vault writes it.
pub(super) fn error(status: u16, code: &str, message: &str, inner: Option<&str>) -> Reply {
    let mut error = json!({"code": code, "message": message});
    if let Some(inner) = inner {
        error["innererror"] = json!({"code": inner});
    }
    Reply::json(status, &json!({"error": error}))
}

/// Answers a request to `VAULT.vault.localhost`.
pub(super) fn answer(visit: &mut Visit<'_>, vault: &str) -> Reply {
    let found = visit.store.of_type("", VAULT).find(|value| {
        value["name"]
            .as_str()
            .is_some_and(|name| name.eq_ignore_ascii_case(vault))
    });
    let Some(found) = found.cloned() else {
        return error(404, "VaultNotFound", "The vault does not exist.", None);
    };
    match visit.ask.query("api-version") {
        Some(version) if VERSIONS.contains(&version) => {}
        _ => {
            return error(
                400,
                "BadParameter",
                "The specified version is not recognized.",
                None,
            );
        }
    }
    let segments: Vec<String> = visit
        .ask
        .segments()
        .iter()
        .map(|&part| part.to_owned())
        .collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let method = visit.ask.method.clone();
    let (right, action) = match (method.as_str(), segments.as_slice()) {
        ("GET", ["secrets"] | ["secrets", _, "versions"]) => {
            ("list", "secrets/readMetadata/action")
        }
        ("GET", ["secrets", _] | ["secrets", _, _]) => ("get", "secrets/getSecret/action"),
        ("PUT", ["secrets", _]) => ("set", "secrets/setSecret/action"),
        ("PATCH", ["secrets", _, _]) => ("set", "secrets/update/action"),
        ("DELETE", ["secrets", _]) => ("delete", "secrets/delete"),
        ("GET", ["deletedsecrets"]) => ("list", "secrets/readMetadata/action"),
        ("GET", ["deletedsecrets", _]) => ("get", "secrets/readMetadata/action"),
        ("POST", ["deletedsecrets", _, "recover"]) => ("recover", "secrets/recover/action"),
        ("DELETE", ["deletedsecrets", _]) => ("purge", "secrets/purge/action"),
        _ => {
            let message = format!("The lab does not model {method} {}.", visit.ask.path);
            return error(501, "NotModelled", &message, None);
        }
    };
    if let Err(refusal) = allowed(visit, &found, right, action) {
        note(visit, &found, &refusal);
        return refusal;
    }
    let reply = carry_out(visit, vault, (&method, &segments));
    note(visit, &found, &reply);
    reply
}

/// Writes down what was asked, and how it was answered.
fn note(visit: &mut Visit<'_>, vault: &Value, reply: &Reply) {
    let what = (visit.ask, visit.claims, reply.status);
    let when = (visit.random, visit.now, visit.now_us);
    vault_log::note(visit.store, vault, what, when);
}

fn carry_out(visit: &mut Visit<'_>, vault: &str, (method, segments): (&str, &[&str])) -> Reply {
    let origin = visit.ask.origin.clone();
    let mut secrets = Secrets {
        visit,
        vault: vault.to_ascii_lowercase(),
        origin,
    };
    match (method, segments) {
        ("GET", ["secrets"]) => secrets.list(),
        ("GET", ["secrets", name, "versions"]) => secrets.versions(name),
        ("GET", ["secrets", name, rest @ ..]) => secrets.get(name, rest.first().copied()),
        ("PUT", ["secrets", name]) => secrets.set(name),
        ("PATCH", ["secrets", name, version]) => secrets.update(name, version),
        ("DELETE", ["secrets", name]) => secrets.delete(name),
        ("GET", ["deletedsecrets"]) => secrets.deleted(),
        ("GET", ["deletedsecrets", name]) => secrets.deleted_one(name),
        ("POST", ["deletedsecrets", name, "recover"]) => secrets.recover(name),
        (_, [_, name, ..]) => secrets.purge(name),
        _ => error(501, "NotModelled", "The lab does not model this.", None),
    }
}

/// By Azure roles or by the vault's own access policies, never by both.
fn allowed(visit: &Visit<'_>, vault: &Value, right: &str, action: &str) -> Result<(), Reply> {
    let by_roles = vault["properties"]["enableRbacAuthorization"] == true;
    let may = if by_roles {
        let scope = vault["id"].as_str().unwrap_or_default();
        Grants::of(visit.store, visit.claims).allow_data(&format!("{VAULT}/{action}"), scope)
    } else {
        let policies = vault["properties"]["accessPolicies"].as_array();
        policies.into_iter().flatten().any(|policy| {
            let rights = policy["permissions"]["secrets"].as_array();
            policy["objectId"]
                .as_str()
                .is_some_and(|id| id.eq_ignore_ascii_case(&visit.claims.oid))
                && rights.into_iter().flatten().any(|one| {
                    one.as_str().is_some_and(|one| {
                        one.eq_ignore_ascii_case(right) || one.eq_ignore_ascii_case("all")
                    })
                })
        })
    };
    let inner = if by_roles {
        "ForbiddenByRbac"
    } else {
        "AccessDenied"
    };
    if may {
        Ok(())
    } else {
        let message = format!(
            "Caller is not authorized to perform action on resource. Action: '{VAULT}/{action}'"
        );
        Err(error(403, "Forbidden", &message, Some(inner)))
    }
}

struct Secrets<'v, 'a> {
    visit: &'v mut Visit<'a>,
    vault: String,
    origin: String,
}

impl Secrets<'_, '_> {
    fn key(&self, name: &str, version: &str) -> String {
        format!("{}/{}/{version}", self.vault, name.to_ascii_lowercase())
    }

    /// Returns the versions of a secret, the oldest first.
    fn of(&self, name: &str) -> Vec<Value> {
        let mut found: Vec<Value> = self
            .visit
            .store
            .directory
            .all_now(VERSION_KIND)
            .filter(|one| {
                one["vault"] == self.vault.as_str()
                    && one["name"]
                        .as_str()
                        .is_some_and(|own| own.eq_ignore_ascii_case(name))
            })
            .cloned()
            .collect();
        found.sort_by_key(|one| one["number"].as_u64());
        found
    }

    fn shown(&self, one: &Value, versioned: bool) -> Value {
        let mut shown = json!({
            "id": if versioned { format!("{}/secrets/{}/{}", self.origin, text(one, "name"), text(one, "version")) } else { format!("{}/secrets/{}", self.origin, text(one, "name")) },
            "attributes": one["attributes"], "tags": one["tags"],
        });
        for member in ["contentType", "managed"] {
            if !one[member].is_null() {
                shown[member] = one[member].clone();
            }
        }
        shown
    }

    fn page(&self, items: &[Value]) -> Reply {
        let size = self.visit.page.unwrap_or(PAGE).min(PAGE);
        let asked = self.visit.ask.query("maxresults").map(str::parse::<usize>);
        let size = match asked {
            None => size,
            Some(Ok(asked)) if (1..=PAGE).contains(&asked) => asked.min(size),
            Some(_) => {
                return error(
                    400,
                    "BadParameter",
                    "maxresults must be between 1 and 25.",
                    None,
                );
            }
        };
        let skip = self
            .visit
            .ask
            .query("$skiptoken")
            .and_then(|token| token.parse::<usize>().ok())
            .unwrap_or(0);
        let value: Vec<&Value> = items.iter().skip(skip).take(size).collect();
        let next = (items.len() > skip + size).then(|| {
            let version = self.visit.ask.query("api-version").unwrap_or_default();
            format!(
                "{}{}?api-version={version}&$skiptoken={}",
                self.origin,
                self.visit.ask.path,
                skip + size
            )
        });
        Reply::json(200, &json!({"value": value, "nextLink": next}))
    }

    fn names(&self, kind: &str) -> Vec<String> {
        let all = self.visit.store.directory.all_now(kind);
        let mut names: Vec<String> = all
            .filter(|one| one["vault"] == self.vault.as_str())
            .map(|one| text(one, "name").to_owned())
            .collect();
        names.sort();
        names.dedup();
        names
    }

    fn list(&self) -> Reply {
        let newest = |name: String| self.of(&name).last().map(|one| self.shown(one, false));
        let items: Vec<Value> = self
            .names(VERSION_KIND)
            .into_iter()
            .filter_map(newest)
            .collect();
        self.page(&items)
    }

    fn versions(&self, name: &str) -> Reply {
        let versions = self.of(name);
        // Not in the order of their making.
        let mut items: Vec<Value> = versions.iter().map(|one| self.shown(one, true)).collect();
        items.sort_by(|one, other| one["id"].as_str().cmp(&other["id"].as_str()));
        self.page(&items)
    }

    fn get(&self, name: &str, version: Option<&str>) -> Reply {
        let versions = self.of(name);
        let found = match version {
            Some(version) => versions.iter().find(|one| one["version"] == version),
            None => versions.last(),
        };
        match found {
            None => not_found(name),
            Some(one) if one["attributes"]["enabled"] == false => error(
                403,
                "Forbidden",
                "Operation get is not allowed on a disabled secret.",
                Some("SecretDisabled"),
            ),
            Some(_) => error(
                501,
                "NotModelled",
                "The lab keeps no value of a secret, so it cannot tell one.",
                None,
            ),
        }
    }

    fn set(&mut self, name: &str) -> Reply {
        if name.is_empty()
            || name.len() > 127
            || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        {
            return error(
                400,
                "BadParameter",
                "The request URI contains an invalid name.",
                None,
            );
        }
        let members = match members(
            self.visit.ask,
            &["value", "contentType", "tags", "attributes"],
        ) {
            Ok(members) => members,
            Err(refusal) => return refusal,
        };
        let Some(value) = members.get("value").and_then(Value::as_str) else {
            return error(400, "BadParameter", "Property value is required.", None);
        };
        if value.len() > LARGEST {
            return error(400, "BadParameter", "The secret value is too large.", None);
        }
        let deleted = format!("{}/{}", self.vault, name.to_ascii_lowercase());
        if self
            .visit
            .store
            .directory
            .now(DELETED_KIND, &deleted)
            .is_some()
        {
            let message = format!(
                "Secret {name} is currently in a deleted but recoverable state, and its name cannot be reused."
            );
            return error(
                409,
                "Conflict",
                &message,
                Some("ObjectIsDeletedButRecoverable"),
            );
        }
        let versions = self.of(name);
        if versions.last().is_some_and(|one| one["managed"] == true) {
            return error(
                403,
                "Forbidden",
                "The secret is managed by a certificate.",
                Some("AccessDenied"),
            );
        }
        let version = self.visit.random.uuid().simple().to_string();
        let given = members.get("attributes").cloned().unwrap_or_default();
        let seconds = self.visit.now.timestamp();
        let mut attributes = json!({"enabled": given.get("enabled").cloned().unwrap_or(json!(true)), "created": seconds, "updated": seconds, "recoveryLevel": "Recoverable+Purgeable", "recoverableDays": 90});
        for member in ["nbf", "exp"] {
            if let Some(value) = given.get(member) {
                attributes[member] = value.clone();
            }
        }
        let one = json!({
            "vault": self.vault, "name": versions.last().map_or(name, |one| text(one, "name")), "version": version,
            "number": versions.len(), "attributes": attributes, "tags": members.get("tags").cloned().unwrap_or(json!({})),
            "contentType": members.get("contentType"), "managed": null,
            "__sha256": Digest::of(value.as_bytes()).to_string(),
        });
        let mut shown = self.shown(&one, true);
        shown["value"] = json!(value);
        let key = self.key(name, &version);
        self.visit
            .store
            .put_object(VERSION_KIND, &key, one, self.visit.now_us);
        Reply::json(200, &shown)
    }

    fn update(&mut self, name: &str, version: &str) -> Reply {
        let members = match members(self.visit.ask, &["attributes", "contentType", "tags"]) {
            Ok(members) => members,
            Err(refusal) => return refusal,
        };
        let key = self.key(name, version);
        let Some(mut one) = self.visit.store.directory.now(VERSION_KIND, &key).cloned() else {
            return not_found(name);
        };
        for (member, value) in members {
            if member == "attributes" {
                for (attribute, value) in value.as_object().into_iter().flatten() {
                    one["attributes"][attribute] = value.clone();
                }
            } else {
                one[member] = value;
            }
        }
        one["attributes"]["updated"] = json!(self.visit.now.timestamp());
        let shown = self.shown(&one, true);
        self.visit
            .store
            .put_object(VERSION_KIND, &key, one, self.visit.now_us);
        Reply::json(200, &shown)
    }

    /// All versions of a name go together; it can be recovered for a while.
    fn delete(&mut self, name: &str) -> Reply {
        let versions = self.of(name);
        let Some(newest) = versions.last() else {
            return not_found(name);
        };
        let mut shown = self.shown(newest, true);
        let seconds = self.visit.now.timestamp();
        shown["recoveryId"] = json!(format!("{}/deletedsecrets/{name}", self.origin));
        shown["deletedDate"] = json!(seconds);
        shown["scheduledPurgeDate"] = json!(seconds + 90 * 86_400);
        for one in &versions {
            let key = self.key(name, text(one, "version"));
            self.visit
                .store
                .remove_object(VERSION_KIND, &key, self.visit.now_us);
        }
        let key = format!("{}/{}", self.vault, name.to_ascii_lowercase());
        let kept = json!({"vault": self.vault, "name": text(newest, "name"), "shown": shown, "versions": versions});
        self.visit
            .store
            .put_object(DELETED_KIND, &key, kept, self.visit.now_us);
        Reply::json(200, &shown)
    }

    fn deleted(&self) -> Reply {
        let items: Vec<Value> = self
            .names(DELETED_KIND)
            .iter()
            .filter_map(|name| {
                self.visit.store.directory.now(
                    DELETED_KIND,
                    &format!("{}/{}", self.vault, name.to_ascii_lowercase()),
                )
            })
            .map(|one| one["shown"].clone())
            .collect();
        self.page(&items)
    }

    fn deleted_one(&self, name: &str) -> Reply {
        let key = format!("{}/{}", self.vault, name.to_ascii_lowercase());
        match self.visit.store.directory.now(DELETED_KIND, &key) {
            Some(one) => Reply::json(200, &one["shown"]),
            None => not_found(name),
        }
    }

    fn recover(&mut self, name: &str) -> Reply {
        let key = format!("{}/{}", self.vault, name.to_ascii_lowercase());
        let Some(deleted) = self
            .visit
            .store
            .remove_object(DELETED_KIND, &key, self.visit.now_us)
        else {
            return not_found(name);
        };
        for one in deleted["versions"].as_array().into_iter().flatten() {
            let key = self.key(name, text(one, "version"));
            self.visit
                .store
                .put_object(VERSION_KIND, &key, one.clone(), self.visit.now_us);
        }
        Reply::json(200, &deleted["shown"])
    }

    fn purge(&mut self, name: &str) -> Reply {
        let key = format!("{}/{}", self.vault, name.to_ascii_lowercase());
        match self
            .visit
            .store
            .remove_object(DELETED_KIND, &key, self.visit.now_us)
        {
            Some(_) => Reply::empty(204),
            None => not_found(name),
        }
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn not_found(name: &str) -> Reply {
    let message = format!("A secret with (name/id) {name} was not found in this key vault.");
    error(404, "SecretNotFound", &message, None)
}

fn members(ask: &Ask, known: &[&str]) -> Result<Map<String, Value>, Reply> {
    let Ok(Value::Object(members)) = serde_json::from_slice(&ask.body) else {
        return Err(error(
            400,
            "BadParameter",
            "The request body is no JSON object.",
            None,
        ));
    };
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(error(
            400,
            "BadParameter",
            &format!("Property {name} is not known."),
            None,
        )),
        None => Ok(members),
    }
}

/// Puts a secret of the seed into its vault.
pub(super) fn seed(
    store: &mut Store,
    vault: &str,
    secret: &crate::lab::scenario::Secret,
    made: i64,
) {
    let name = secret.name.as_str();
    for (number, value) in secret.values.iter().enumerate() {
        let version = Digest::of(format!("{vault} {name} {number}").as_bytes()).to_string();
        let version = version.get(..32).unwrap_or_default().to_owned();
        let created = made - 86_400 * (100 - number as i64);
        let one = json!({
            "vault": vault.to_ascii_lowercase(), "name": name, "version": version, "number": number,
            "attributes": {"enabled": true, "created": created, "updated": created, "recoveryLevel": "Recoverable+Purgeable", "recoverableDays": 90},
            "tags": secret.tags, "contentType": secret.content_type, "managed": secret.managed.then_some(true),
            "__sha256": Digest::of(value.as_bytes()).to_string(),
        });
        let key = format!(
            "{}/{}/{version}",
            vault.to_ascii_lowercase(),
            name.to_ascii_lowercase()
        );
        store.directory.seed(VERSION_KIND, &key, one);
    }
}

/// Says of every vault where it is: the port is another one at each start.
pub(super) fn at_port(store: &mut Store, port: u16) {
    let vaults: Vec<Value> = store.of_type("", VAULT).cloned().collect();
    for mut vault in vaults {
        let uri = format!("https://{}.vault.localhost:{port}/", text(&vault, "name"));
        vault["properties"]["vaultUri"] = json!(uri);
        let id = text(&vault, "id").to_owned();
        store.seed(&id, vault);
    }
}
