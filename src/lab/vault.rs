//! Key Vault's data plane: which vault, who may do what there by role or by access policy, and what is logged
//! (graph-and-data-planes.md section 6). What lies in a vault is in `vault_items`, `vault_secrets` and `vault_keys`.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::entra::Claims;
use super::gate::Grants;
use super::reply::{Ask, Reply};
use super::store::Store;
use super::vault_items::{Items, text};
use super::vault_keys::KEYS;
use super::vault_secrets::SECRETS;
use super::{vault_keys, vault_log, vault_secrets};
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
const VAULT: &str = "Microsoft.KeyVault/vaults";

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
    let Some((right, action)) = needed(&method, &segments) else {
        let message = format!("The lab does not model {method} {}.", visit.ask.path);
        return error(501, "NotModelled", &message, None);
    };
    if let Err(refusal) = allowed(visit, &found, (folder(&segments), right), action) {
        note(visit, &found, &refusal);
        return refusal;
    }
    let reply = carry_out(visit, vault, (&method, &segments));
    note(visit, &found, &reply);
    reply
}

/// Returns the right that a request takes: as an access policy names it, and as a role does below the vault.
fn needed(method: &str, segments: &[&str]) -> Option<(&'static str, &'static str)> {
    Some(match (method, segments) {
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
        ("GET", ["keys" | "deletedkeys"] | ["keys", _, "versions"]) => ("list", "keys/read"),
        ("GET", ["keys", _, "rotationpolicy"]) => return None,
        ("GET", ["keys" | "deletedkeys", _] | ["keys", _, _]) => ("get", "keys/read"),
        ("POST", ["keys", _, "create"]) => ("create", "keys/create/action"),
        ("POST", ["keys", _, "rotate"]) => ("rotate", "keys/rotate/action"),
        ("PATCH", ["keys", _, _]) => ("update", "keys/update/action"),
        ("DELETE", ["keys", _]) => ("delete", "keys/delete"),
        ("POST", ["deletedkeys", _, "recover"]) => ("recover", "keys/recover/action"),
        ("DELETE", ["deletedkeys", _]) => ("purge", "keys/purge/action"),
        _ => return None,
    })
}

/// Returns what an access policy lists the rights under.
fn folder(segments: &[&str]) -> &'static str {
    match segments.first() {
        Some(&("keys" | "deletedkeys")) => "keys",
        _ => "secrets",
    }
}

/// Writes down what was asked, and how it was answered.
fn note(visit: &mut Visit<'_>, vault: &Value, reply: &Reply) {
    let what = (visit.ask, visit.claims, reply.status);
    let when = (visit.random, visit.now, visit.now_us);
    vault_log::note(visit.store, vault, what, when);
}

fn carry_out(visit: &mut Visit<'_>, vault: &str, (method, segments): (&str, &[&str])) -> Reply {
    let of = match folder(segments) {
        "keys" => &KEYS,
        _ => &SECRETS,
    };
    let mut items = Items::new(visit, vault, of);
    match (method, segments) {
        ("GET", ["secrets", name, rest @ ..]) if rest != ["versions"] => {
            vault_secrets::get(&items, name, rest.first().copied())
        }
        ("PUT", ["secrets", name]) => vault_secrets::set(&mut items, name),
        ("GET", ["keys", name, rest @ ..]) if rest != ["versions"] => {
            vault_keys::get(&items, name, rest.first().copied())
        }
        ("POST", ["keys", name, "create"]) => vault_keys::create(&mut items, name),
        ("POST", ["keys", name, "rotate"]) => vault_keys::rotate(&mut items, name),
        ("GET", ["secrets" | "keys"]) => items.list(),
        ("GET", [_, name, "versions"]) => items.versions(name),
        ("PATCH", [_, name, version]) => items.update(name, version),
        ("DELETE", ["secrets" | "keys", name]) => items.delete(name),
        ("GET", [_]) => items.deleted(),
        ("GET", [_, name]) => items.deleted_one(name),
        ("POST", [_, name, "recover"]) => items.recover(name),
        (_, [_, name, ..]) => items.purge(name),
        _ => error(501, "NotModelled", "The lab does not model this.", None),
    }
}

/// By Azure roles or by the vault's own access policies, never by both.
fn allowed(
    visit: &Visit<'_>,
    vault: &Value,
    (folder, right): (&str, &str),
    action: &str,
) -> Result<(), Reply> {
    let by_roles = vault["properties"]["enableRbacAuthorization"] == true;
    let may = if by_roles {
        let scope = vault["id"].as_str().unwrap_or_default();
        Grants::of(visit.store, visit.claims).allow_data(&format!("{VAULT}/{action}"), scope)
    } else {
        let policies = vault["properties"]["accessPolicies"].as_array();
        policies.into_iter().flatten().any(|policy| {
            let rights = policy["permissions"][folder].as_array();
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

/// Returns where a vault is.
pub(super) fn uri(name: &str, port: u16) -> String {
    format!("https://{name}.vault.localhost:{port}/")
}

/// Takes out all that lies in a vault, and what is deleted there.
pub(super) fn empty(store: &mut Store, vault: &str, at_us: u64) {
    let vault = vault.to_ascii_lowercase();
    for kind in [
        SECRETS.kind,
        SECRETS.deleted_kind,
        KEYS.kind,
        KEYS.deleted_kind,
    ] {
        let within = format!("{vault}/");
        for id in store.directory.ids(kind, |id, _| id.starts_with(&within)) {
            store.remove_object(kind, &id, at_us);
        }
    }
}

/// Says of every vault where it is: the port is another one at each start.
pub(super) fn at_port(store: &mut Store, port: u16) {
    let vaults: Vec<Value> = store.of_type("", VAULT).cloned().collect();
    for mut vault in vaults {
        vault["properties"]["vaultUri"] = json!(uri(text(&vault, "name"), port));
        let id = text(&vault, "id").to_owned();
        store.seed(&id, vault);
    }
}
