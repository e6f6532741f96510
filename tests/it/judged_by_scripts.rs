//! The three runbooks of the reference documents, as scripts for the Azure CLI, run whole against one lab, and azir's
//! own against another of the same tenant. What they leave is the same, but for what `az/differences.yaml` lists with
//! its reason; a difference that is not listed fails, and so does a listed one that is none.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use crate::az_kit::{Judge, folder, scenario};
use crate::support::Azir;

/// A difference that is meant to be.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    /// The object: a resource's id in lower case, or `kind/id` of the directory, or `blobs/key`; `*` is any text.
    of: String,
    /// The member, as a JSON pointer; absent: the object itself is there on one side only.
    #[serde(default)]
    member: String,
    /// Why.
    why: String,
}

/// An object, and its member.
type Place = (String, String);

#[test]
#[ignore = "needs azure-cli from PyPI"]
fn the_isolation_script_leaves_what_isolate_vm_leaves_but_for_what_is_listed() {
    same_but_for("isolate-vm", "vm-app-01");
}

#[test]
#[ignore = "needs azure-cli from PyPI"]
fn the_token_script_leaves_what_revoke_user_leaves_but_for_what_is_listed() {
    same_but_for("revoke-user", "alice@contoso.com");
}

#[test]
#[ignore = "needs azure-cli from PyPI"]
fn the_forensic_script_leaves_what_snapshot_vm_leaves_but_for_what_is_listed() {
    same_but_for("snapshot-vm", "vm-app-01");
}

#[test]
fn every_listed_difference_has_its_reason() {
    for (runbook, listed) in listed() {
        assert!(folder().join(format!("{runbook}.sh")).exists());
        assert!(listed.iter().all(|one| one.why.len() > 10), "{runbook}");
    }
}

fn listed() -> BTreeMap<String, Vec<Listed>> {
    let text = std::fs::read_to_string(folder().join("differences.yaml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

fn same_but_for(runbook: &str, target: &str) {
    let judge = Judge::new();
    let seeded = judge.azir.lab.state();
    let done = judge.script(&format!("{runbook}.sh"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    let by_script = changed(&seeded, &judge.azir.lab.state());
    let azir = Azir::with("faults: []", |options| options.scenario = scenario());
    let seeded = azir.lab.state();
    let done = azir.run(&[runbook, target, "--incident", "IR-1", "--yes"]);
    assert!(matches!(done.code, 0 | 4), "{}{}", done.stdout, done.stderr);
    let by_azir = changed(&seeded, &azir.lab.state());
    let mut all = listed();
    let listed = all.remove(runbook).unwrap();
    let (mut unlisted, mut met) = (Vec::new(), BTreeSet::new());
    for (place, sides) in different(&by_script, &by_azir) {
        let fits = |one: &Listed| like(&one.of, &place.0) && like(&one.member, &place.1);
        let found: Vec<usize> = (0..listed.len()).filter(|at| fits(&listed[*at])).collect();
        if found.is_empty() {
            unlisted.push(format!("{} {}: {sides}", place.0, place.1));
        }
        met.extend(found);
    }
    let none: Vec<String> = (0..listed.len())
        .filter(|at| !met.contains(at))
        .map(|at| format!("{} {}", listed[at].of, listed[at].member))
        .collect();
    assert!(
        unlisted.is_empty() && none.is_empty(),
        "not listed:\n{}\nlisted, but the same:\n{}",
        unlisted.join("\n"),
        none.join("\n")
    );
}

/// Returns what a run changed: members by place, with what is never the same twice taken out. An object that was not
/// there before has a place of its own, and one that is gone, too.
fn changed(seeded: &Value, now: &Value) -> BTreeMap<Place, String> {
    let (before, after) = (objects(seeded), objects(now));
    let mut changed = BTreeMap::new();
    for (name, object) in &after {
        let Some(old) = before.get(name) else {
            changed.insert((name.clone(), String::new()), "made".to_owned());
            members(object, "", &mut |at, value| {
                changed.insert((name.clone(), at.to_owned()), plain(value));
            });
            continue;
        };
        members(object, "", &mut |at, value| {
            if old.pointer(at) != Some(value) {
                changed.insert((name.clone(), at.to_owned()), plain(value));
            }
        });
        members(old, "", &mut |at, _| {
            if object.pointer(at).is_none() {
                changed.insert((name.clone(), at.to_owned()), "gone".to_owned());
            }
        });
    }
    for name in before.keys().filter(|name| !after.contains_key(*name)) {
        changed.insert((name.clone(), String::new()), "gone".to_owned());
    }
    changed
}

/// Returns every object of a state by its name. A snapshot goes by its disk, so that two of the same disk are compared;
/// a record of the directory's log by what was done, of which only that it is there counts.
fn objects(state: &Value) -> BTreeMap<String, Value> {
    let resources = state["resources"].as_object().into_iter().flatten();
    let named = |(id, value): (&String, &Value)| {
        let disk = value["properties"]["creationData"]["sourceResourceId"].as_str();
        let snapshot = disk.filter(|_| value["type"] == "Microsoft.Compute/snapshots");
        let name = snapshot.map(|disk| format!("snapshots of {}", disk.to_lowercase()));
        (name.unwrap_or_else(|| id.clone()), value.clone())
    };
    let mut all: BTreeMap<String, Value> = resources.map(named).collect();
    for (key, length) in state["blobs"].as_object().into_iter().flatten() {
        all.insert(format!("blobs/{key}"), length.clone());
    }
    for (kind, of) in state["directory"].as_object().into_iter().flatten() {
        for (id, value) in of.as_object().into_iter().flatten() {
            match (kind.as_str(), value["activityDisplayName"].as_str()) {
                ("directoryAudits", Some(done)) => {
                    let on = &value["targetResources"][0]["displayName"];
                    let name = format!("{kind}/{done} of {}", on.as_str().unwrap_or_default());
                    all.insert(name, Value::Null);
                }
                _ => {
                    all.insert(format!("{kind}/{id}"), value.clone());
                }
            }
        }
    }
    all
}

/// Calls with each member that has no members of its own.
fn members(value: &Value, at: &str, each: &mut impl FnMut(&str, &Value)) {
    let escaped = |name: &str| name.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(inner) if !inner.is_empty() => {
            for (name, value) in inner {
                members(value, &format!("{at}/{}", escaped(name)), each);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, value) in items.iter().enumerate() {
                members(value, &format!("{at}/{index}"), each);
            }
        }
        _ => each(at, value),
    }
}

/// A value without what is new in every lab: moments, ids that were made, etags and digests.
fn plain(value: &Value) -> String {
    let Some(text) = value.as_str() else {
        return value.to_string();
    };
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    if text.parse::<chrono::DateTime<chrono::Utc>>().is_ok() {
        "<time>".to_owned()
    } else if text.starts_with("W/\"") || (text.starts_with('"') && text.ends_with('"')) {
        "<etag>".to_owned()
    } else if text.len() >= 32 && digits(text) {
        "<id>".to_owned()
    } else {
        text.to_owned()
    }
}

/// Returns where two runs left something else, and what. Of an object that only one of them made, it says so once.
fn different(
    script: &BTreeMap<Place, String>,
    azir: &BTreeMap<Place, String>,
) -> BTreeMap<Place, String> {
    let alone = |place: &Place| {
        let whole = (place.0.clone(), String::new());
        !place.1.is_empty() && script.get(&whole) != azir.get(&whole)
    };
    let places: BTreeSet<&Place> = script.keys().chain(azir.keys()).collect();
    let differ = places
        .into_iter()
        .filter(|place| script.get(*place) != azir.get(*place) && !alone(place));
    differ
        .map(|place| {
            let side = |of: &BTreeMap<Place, String>| {
                of.get(place)
                    .map_or_else(|| "nothing".to_owned(), Clone::clone)
            };
            let sides = format!("the script left {}, azir {}", side(script), side(azir));
            (place.clone(), sides)
        })
        .collect()
}

/// Matches a text against a pattern in which `*` stands for any text.
fn like(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in between {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}
