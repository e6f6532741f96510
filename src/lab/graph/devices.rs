//! Devices: read and disable (section 1.10).

use serde_json::{Value, json};

use super::audit::{self, Act};
use super::query::{self, Shape};
use super::{Route, Visit, alternate, bad, body, groups, missing, route, users};
use crate::lab::reply::Reply;

/// What a device has.
const DEVICE: Shape = Shape {
    name: "devices",
    properties: &[
        "id",
        "accountEnabled",
        "approximateLastSignInDateTime",
        "createdDateTime",
        "deviceId",
        "deviceOwnership",
        "displayName",
        "enrollmentType",
        "isCompliant",
        "isManaged",
        "isRooted",
        "managementType",
        "manufacturer",
        "model",
        "operatingSystem",
        "operatingSystemVersion",
        "profileType",
        "registrationDateTime",
        "trustType",
    ],
    usual: &[],
    expands: &["registeredOwners"],
    pages: (999, 100),
    directory: true,
};

const READ: &[&str] = &[
    "Device.Read.All",
    "Device.ReadWrite.All",
    "Directory.Read.All",
];

pub(super) const ROUTES: &[Route] = &[
    route("GET", "devices", READ, list),
    route("GET", "devices/{}", READ, get),
    route("GET", "devices/{}/registeredOwners", READ, owners),
    route("GET", "users/{}/registeredDevices", READ, of_user),
    route("GET", "users/{}/ownedDevices", READ, of_user),
    route("PATCH", "devices/{}", &["Device.ReadWrite.All"], patch),
];

fn list(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    match query::read(visit, &DEVICE) {
        Ok(query) => query.page(visit, &DEVICE, visit.listed("devices", |_| true)),
        Err(refusal) => refusal,
    }
}

/// Finds a device by object id, or by `deviceId='x'`.
fn find(visit: &Visit<'_>, key: &str) -> Option<Value> {
    let Some(device) = alternate(key, "deviceId") else {
        return visit.seen("devices", key).cloned();
    };
    let all = visit.listed("devices", |one| {
        one["deviceId"]
            .as_str()
            .is_some_and(|id| id.eq_ignore_ascii_case(device))
    });
    all.into_iter().next()
}

fn get(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    match (query::read_one(visit, &DEVICE), find(visit, held[0])) {
        (Ok(query), Some(device)) => query::one(visit, &DEVICE, &query, &device),
        (Ok(_), None) => missing(held[0]),
        (Err(refusal), _) => refusal,
    }
}

fn owners(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let Some(device) = find(visit, held[0]) else {
        return missing(held[0]);
    };
    let owner = device["__owner"].as_str().unwrap_or_default();
    let owners: Vec<Value> = groups::object(visit, owner).into_iter().collect();
    match query::read(visit, &groups::OBJECTS) {
        Ok(query) => query.page(visit, &groups::OBJECTS, owners),
        Err(refusal) => refusal,
    }
}

fn of_user(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let Some(user) = users::find(visit, held[0]) else {
        return missing(held[0]);
    };
    let mut devices = visit.listed("devices", |device| device["__owner"] == user["id"]);
    for device in &mut devices {
        device["@odata.type"] = json!("#microsoft.graph.device");
    }
    match query::read(visit, &DEVICE) {
        Ok(query) => query.page(visit, &DEVICE, devices),
        Err(refusal) => refusal,
    }
}

fn patch(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let found =
        find(visit, held[0]).and_then(|device| visit.current("devices", device["id"].as_str()?));
    let Some(mut device) = found else {
        return missing(held[0]);
    };
    let members = match body::read(visit, &["accountEnabled"]) {
        Ok(members) => members,
        Err(refusal) => return refusal,
    };
    let Some(enabled) = members.get("accountEnabled").and_then(Value::as_bool) else {
        return bad("Invalid value specified for property 'accountEnabled' of resource 'Device'.");
    };
    let old = device["accountEnabled"].clone();
    device["accountEnabled"] = json!(enabled);
    let act = Act {
        activity: "Update device",
        category: "Device",
        kind: "Device",
        target: &device,
        modified: &[("AccountEnabled", json!([old]), json!([enabled]))],
    };
    audit::write(visit, &act);
    let id = device["id"].as_str().unwrap_or_default().to_owned();
    visit.put("devices", &id, device);
    Reply::empty(204)
}
