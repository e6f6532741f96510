//! What holds for every runbook that azir ships, found by itself: it lints clean, its plan writes nothing, its
//! run ends well on the lab's hardest machine, and its undo brings back what was there, less what it says stays.

use std::collections::BTreeSet;

use azir::runbook::catalogue::Catalogue;
use azir::runbook::model::{ObjectKind, Param, ParamKind, Runbook};
use serde_json::{Value, json};

use crate::support::{Azir, SUB};

/// Returns what is typed for a runbook: its targets are the hard machine, and what it cannot do without.
fn typed(runbook: &Runbook) -> Vec<String> {
    let mut words = vec![runbook.name.value.clone()];
    let more: &[&str] = match runbook.name.value.as_str() {
        // Nobody is there to rotate by hand what the hard user could read.
        "respond-token-theft" => &["--user", "bob@contoso.com"],
        "reissue-access" => &["--role", "Security Reader"],
        _ => &[],
    };
    words.extend(more.iter().map(|word| (*word).to_owned()));
    for (name, param) in &runbook.params {
        if let Some(value) = value(name, param) {
            if param.position.is_none() {
                words.push(format!("--{name}"));
            }
            words.push(value);
        }
    }
    words
}

fn value(name: &str, param: &Param) -> Option<String> {
    match &param.kind {
        ParamKind::Resource(kind) if kind == "Microsoft.Compute/virtualMachines" => {
            Some("vm-hard-01".to_owned())
        }
        // Without a place it looks everywhere, also where the lab's responder may not write.
        ParamKind::List(_) if name == "place" => Some(format!(
            "{}/northeurope",
            SUB.trim_start_matches("/subscriptions/")
        )),
        ParamKind::List(_) if name == "vault" => Some("kv-shop".to_owned()),
        // Of the other secrets nobody knows where they come from, and nobody is there to rotate them by hand.
        ParamKind::List(_) if name == "only" => Some("shop-backend-secret".to_owned()),
        _ if !param.required => None,
        ParamKind::Enum(values) => values.first().cloned(),
        ParamKind::Object(kind) => Some(
            match kind {
                ObjectKind::User | ObjectKind::Principal => "heidi@contoso.com",
                ObjectKind::Application => "shop-backend",
                ObjectKind::Device => "DESKTOP-7QK2X",
            }
            .to_owned(),
        ),
        _ if name == "vault" => Some(format!(
            "{SUB}/resourceGroups/rg-workload-prod/providers/Microsoft.KeyVault/vaults/kv-shop"
        )),
        _ if name == "group" => Some(format!("{SUB}/resourceGroups/rg-hard-prod")),
        _ => panic!("this test does not know what to type for {name}"),
    }
}

/// Returns the ids of the steps, of this runbook and of those that it calls, that say why what they made stays.
fn staying(catalogue: &Catalogue, runbook: &Runbook) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for name in std::iter::once(runbook.name.value.as_str())
        .chain(catalogue.sources().map(|(name, _)| name))
    {
        let (runbook, _) = catalogue.load(name).unwrap();
        for step in runbook.steps.iter().filter(|step| step.lasting.is_some()) {
            ids.insert(step.id.value.clone());
        }
    }
    ids
}

/// What the directory keeps by itself, its logs and when sessions began to count.
const LOGS: &[&str] = &["directoryAudits", "signIns"];
const ITS_OWN: &[&str] = &[
    "refreshTokensValidFromDateTime",
    "signInSessionsValidFromDateTime",
];
/// What a new password leaves on its user: it does not come back, as the step that sets it says.
const OF_A_PASSWORD: &[&str] = &["lastPasswordChangeDateTime", "passwordProfile"];

/// Kinds of objects that come back under a new id.
const RENEWED: &[&str] = &[
    "accessPolicies",
    "appRoleAssignments",
    "eligibilities",
    "federatedIdentityCredentials",
    "inboxRules",
    "oauth2PermissionGrants",
    "roleAssignments",
];
/// What is the service's when it makes such an object.
const OF_THE_MAKING: &[&str] = &[
    "createdDateTime",
    "deletedDateTime",
    "id",
    "roleEligibilityScheduleId",
    "__end",
    "__start",
];

/// Returns what the tenant's writable members are, without what `stays` was written: resources by id, objects of the
/// directory by kind and id.
fn writable(state: &Value, stays: &BTreeSet<String>) -> Value {
    let resources = state["resources"].as_object().unwrap();
    let kinds = state["directory"].as_object().unwrap();
    let objects = kinds
        .iter()
        .filter(|(kind, _)| !LOGS.contains(&kind.as_str()));
    let objects = objects.flat_map(|(kind, objects)| {
        let objects = objects.as_object().unwrap().iter();
        objects.map(move |(id, object)| {
            let mut object = object.clone();
            let renewed = RENEWED.contains(&kind.as_str());
            if let Some(members) = object.as_object_mut() {
                members.retain(|name, value| {
                    let name = name.as_str();
                    let made = OF_THE_MAKING.contains(&name) || value.is_null();
                    !(ITS_OWN.contains(&name) || renewed && made)
                });
            }
            // What is made again has a new id, and is known by what it says.
            let said: std::collections::BTreeMap<_, _> =
                object.as_object().into_iter().flatten().collect();
            let key = if renewed {
                json!(said).to_string()
            } else {
                id.clone()
            };
            (format!("{kind}/{key}"), object)
        })
    });
    let resources = resources
        .iter()
        .map(|(id, resource)| (id.clone(), resource.clone()));
    let all: std::collections::BTreeMap<String, Value> = resources.chain(objects).collect();
    all.iter()
        .filter(|(id, _)| !stays.contains(*id))
        .map(|(id, resource)| {
            let mut resource = resource.clone();
            strip(&mut resource, id, stays);
            (id.clone(), resource)
        })
        .collect()
}

/// Takes out what no client can set, and children whose making was declared to last.
fn strip(value: &mut Value, of: &str, stays: &BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            members.retain(|name, value| {
                !name.starts_with("__")
                    && !value.is_null()
                    && !matches!(
                        name.as_str(),
                        "createdBy"
                            | "createdOn"
                            | "etag"
                            | "principalId"
                            | "provisioningState"
                            | "resourceGuid"
                            | "updated"
                            | "updatedBy"
                            | "updatedOn"
                    )
            });
            members
                .values_mut()
                .for_each(|member| strip(member, of, stays));
        }
        Value::Array(items) => {
            items.retain(|item| {
                let name = item["name"].as_str().unwrap_or_default();
                !stays.contains(&format!("{of}/securityrules/{name}"))
            });
            for item in items {
                strip(item, of, stays);
            }
        }
        _ => {}
    }
}

/// Returns what the steps that last have written, as the journal names it, in lower case.
fn written(azir: &Azir, incident: &str, steps: &BTreeSet<String>) -> BTreeSet<String> {
    let text = std::fs::read_to_string(azir.run_dir(incident).join("seg-000001.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["type"] == "action.intent" && line["data"]["effect"] != "read")
        .filter(|line| {
            let step = line["data"]["step"].as_str().unwrap_or_default();
            steps.contains(step.rsplit('.').next().unwrap())
        })
        .map(|line| {
            line["data"]["target"]
                .as_str()
                .unwrap()
                .to_ascii_lowercase()
        })
        .collect()
}

/// Returns the writes that changed the tenant; evidence goes to the vault and stays.
fn to_tenant(azir: &Azir) -> Vec<String> {
    let mut writes = azir.writes();
    writes.retain(|write| write.contains(" /subscriptions/") || write.contains(" /v1.0/"));
    writes
}

#[test]
fn every_shipped_runbook_lints_plans_runs_and_is_undone() {
    let catalogue = Catalogue::shipped();
    let names: Vec<&str> = catalogue.sources().map(|(name, _)| name).collect();
    assert!(names.contains(&"isolate-vm"), "{names:?}");
    for name in names {
        let (runbook, _) = catalogue.load(name).unwrap();
        let azir = Azir::new();
        let lint = azir.run(&["runbook", "lint", name]);
        assert_eq!(lint.code, 0, "{name}: {}{}", lint.stdout, lint.stderr);

        let words = typed(&runbook);
        let run = |more: &[&str]| {
            let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
            words.extend(more);
            azir.json(&words)
        };
        if name == "reissue-access" {
            let cleared = ["note", "--clears", "heidi@contoso.com", "a drill"];
            let said = azir.run(&[&cleared[..], &["--incident", "IR-1"]].concat());
            assert_eq!(said.code, 0, "{}", said.stderr);
        }
        let (code, plan) = run(&["--incident", "IR-1", "--plan"]);
        assert_eq!(code, 0, "{name}: {plan}");
        assert!(azir.writes().is_empty(), "{name}: {:?}", azir.writes());

        let nothing = BTreeSet::new();
        let before = azir.lab.state();
        let (code, report) = run(&["--incident", "IR-1", "--yes"]);
        assert_eq!(code, 0, "{name}: {report}");
        let stays = written(&azir, "IR-1", &staying(&catalogue, &runbook));
        let changed = writable(&azir.lab.state(), &nothing) != writable(&before, &nothing);
        assert_eq!(
            changed,
            !to_tenant(&azir).is_empty(),
            "{name}: what was written shows in the tenant, and nothing else does"
        );

        let cleared = ["undo", "last", "--yes", "--clearance", "a drill"];
        let (code, undone) = azir.json(&cleared);
        if code == 5 {
            // A run that wrote nothing has nothing to undo.
            assert!(to_tenant(&azir).is_empty(), "{name}: {undone}");
            continue;
        }
        assert_eq!(code, 0, "{name}: {undone}");
        let (was, is) = (
            writable(&before, &stays),
            writable(&azir.lab.state(), &stays),
        );
        // A verdict on a risk stays in its history; the opposite one is all that an undo can give.
        let verdict = |id: &String| id.starts_with("riskyUsers/");
        for (id, was) in was
            .as_object()
            .unwrap()
            .iter()
            .filter(|(id, _)| !verdict(id))
        {
            let without_password = |object: &Value| {
                let mut object = object.clone();
                if let Some(members) = object.as_object_mut() {
                    members.retain(|member, _| !OF_A_PASSWORD.contains(&member.as_str()));
                }
                object
            };
            let (was, is) = (without_password(was), without_password(&is[id]));
            assert_eq!(was, is, "{name}: {id}");
        }
        let new: Vec<&String> = is
            .as_object()
            .unwrap()
            .keys()
            .filter(|id| was.get(*id).is_none())
            // A vault keeps the version that undo disabled.
            .filter(|id| {
                !id.starts_with("vaultSecrets/") || is[*id]["attributes"]["enabled"] == true
            })
            .collect();
        assert_eq!(
            json!(new),
            json!([]),
            "{name}: left behind and not declared"
        );
    }
}
