//! What becomes of other resources when one is gone: a machine lets its parts go, a vault can be recovered for a while
//! (arm.md sections 2.1 and 4).

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::compute::MACHINE;
use super::vaults::{self, VAULT};
use crate::lab::store::Store;

/// Follows up that these resources are gone.
pub(in crate::lab) fn released(store: &mut Store, gone: &[Value], now: DateTime<Utc>) {
    for value in gone {
        let kind = value["type"].as_str().unwrap_or_default();
        if kind.eq_ignore_ascii_case(MACHINE) {
            let_go(store, value);
        } else if kind.eq_ignore_ascii_case(VAULT) {
            vaults::bury(store, value, now);
        }
    }
}

/// Detaches the disks and interfaces of a machine; those that were to go with it go.
fn let_go(store: &mut Store, machine: &Value) {
    let properties = &machine["properties"];
    let storage = &properties["storageProfile"];
    let data = storage["dataDisks"].as_array().into_iter().flatten();
    for disk in data.chain([&storage["osDisk"]]) {
        let id = disk["managedDisk"]["id"].as_str().unwrap_or_default();
        part(store, id, &disk["deleteOption"], |value| {
            if let Some(members) = value.as_object_mut() {
                members.shift_remove("managedBy");
            }
            value["properties"]["diskState"] = json!("Unattached");
        });
    }
    let nics = properties["networkProfile"]["networkInterfaces"].as_array();
    for nic in nics.into_iter().flatten() {
        let id = nic["id"].as_str().unwrap_or_default();
        part(store, id, &nic["properties"]["deleteOption"], |value| {
            if let Some(members) = value["properties"].as_object_mut() {
                members.shift_remove("virtualMachine");
                members.shift_remove("primary");
            }
        });
    }
}

fn part(store: &mut Store, id: &str, option: &Value, detach: impl FnOnce(&mut Value)) {
    let Some(mut value) = store.get(id).cloned() else {
        return;
    };
    if option == "Delete" {
        store.delete(id);
    } else {
        detach(&mut value);
        store.put(id, value);
    }
}
