//! Drills in a subscription for exercises: built, answered, judged, and cleared away without a trace.
//!
//! The tenant is a lab that azir takes for a cloud; what was in it before is compared with what is in it after.

use std::path::Path;
use std::sync::Arc;

use azir::azure::{Effect, Plane, RequestParts, WriteRequest};
use azir::clock::{Clock, SystemClock};
use azir::lab::scenario::Scenario;
use serde_json::{Map, Value, json};

use crate::az_kit;
use crate::azure_server::Told;
use crate::staged::client;
use crate::support::{Azir, Done, killed_when};

const EXERCISE: &str = "/subscriptions/22222222-2222-4222-8222-222222222240";
const PROD: &str = "/subscriptions/22222222-2222-4222-8222-222222222222";
const SCENARIOS: [&str; 2] = ["token-theft", "vm-compromise"];

const CONFIG: &str = r#"
profile = "tabletop"
[profiles.tabletop]
tabletop = true
subscriptions = ["22222222-2222-4222-8222-222222222240"]
regions = ["westeurope"]
bastion = ["10.99.0.0/24"]
snapshots = { resource_group = "rg-exercise" }
quarantine = { resource_group = "rg-exercise", name = "nsg-ir-quarantine" }
vault = { account = "sttabletop", container = "ir-evidence" }
[profiles.prod]
subscriptions = ["22222222-2222-4222-8222-222222222222"]
vault = { account = "stforensicirprodweu", container = "ir-evidence" }
"#;

/// What remembers, whatever is cleared away.
const LOGS: [&str; 4] = ["blobEvents", "directoryAudits", "signIns", "vaultEvents"];

/// A tenant with a subscription for exercises.
fn tenant(faults: &str, latency: f64) -> Azir {
    let azir = Azir::with(faults, |options| {
        options.latency = latency;
        // An operation that takes no time need not be waited for.
        options.poll_after = Some(0);
        let whole = Scenario::load("default").unwrap();
        options.scenario = az_kit::with(whole, include_str!("drill/tabletop.yaml"));
    });
    configure(&azir, CONFIG);
    azir
}

fn configure(azir: &Azir, config: &str) {
    std::fs::write(azir.home.path().join("config.toml"), config).unwrap();
}

/// Returns what lies in the tenant, but for evidence and logs: each thing by its place.
fn state(azir: &Azir) -> Map<String, Value> {
    let state = azir.lab.state();
    let mut all = state["resources"].as_object().unwrap().clone();
    for (kind, objects) in state["directory"].as_object().unwrap() {
        if !LOGS.contains(&kind.as_str()) {
            let objects = objects.as_object().unwrap().clone();
            all.extend(
                objects
                    .into_iter()
                    .map(|(id, value)| (format!("{kind}/{id}"), value)),
            );
        }
    }
    all
}

/// Holds that the tenant is as it was.
fn nothing_is_left(azir: &Azir, before: &Map<String, Value>) {
    let after = state(azir);
    let new: Vec<&String> = after
        .keys()
        .filter(|id| !before.contains_key(*id))
        .collect();
    assert_eq!(new, Vec::<&String>::new(), "nothing is new");
    for (id, value) in before {
        assert_eq!(after.get(id), Some(value), "{id}");
    }
}

/// Somebody else does something in the tenant.
fn send(azir: &Azir, method: &str, path: &str, version: &str, body: Option<Value>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let client = client(&azir.lab, &clock, None).await;
        let parts = RequestParts {
            plane: Plane::Arm,
            method: method.to_owned(),
            path_or_url: path.to_owned(),
            query: Vec::new(),
            api_version: Some(version.to_owned()),
            headers: Vec::new(),
            body: body.map(|body| body.to_string().into()),
        };
        let request = WriteRequest::new(parts, Effect::Update, true).unwrap();
        client.write(&request, &Told::default()).await.unwrap();
    });
}

fn json_of(done: &Done) -> Value {
    serde_json::from_str(&done.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", done.stdout, done.stderr))
}

fn start<'a>(scenario: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["drill", "start", scenario, "--yes", "--output", "json"];
    args.extend(more);
    args
}

/// Plants a scenario for people, and returns the drill's id.
fn planted(azir: &Azir, scenario: &str) -> String {
    let done = azir.run(&start(scenario, &[]));
    assert_eq!(done.code, 0, "{}", done.stderr);
    json_of(&done)["drill"].as_str().unwrap().to_owned()
}

/// Returns the only drill that there is.
fn drill(azir: &Azir) -> String {
    let folder = std::fs::read_dir(azir.home.path().join("drills")).unwrap();
    let names: Vec<String> = folder
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(names.len(), 1, "{names:?}");
    names[0].clone()
}

fn record(azir: &Azir, drill: &str) -> String {
    let folder = azir.home.path().join("drills").join(drill);
    std::fs::read_to_string(folder.join("drill.jsonl")).unwrap()
}

#[test]
fn azir_answers_every_scenario_by_itself_and_nothing_is_left() {
    for scenario in SCENARIOS {
        // Times of the directory are whole seconds: what is made and taken back in the same one looks untouched.
        let azir = tenant("faults: []", 0.4);
        let before = state(&azir);
        let done = azir.run(&start(scenario, &["--auto"]));
        let verdict = json_of(&done);
        let lines = verdict["lines"].as_array().unwrap().iter();
        let missed: Vec<&Value> = lines.filter(|line| line["holds"] != true).collect();
        assert_eq!(missed, Vec::<&Value>::new(), "{scenario}");
        assert_eq!((done.code, &verdict["place"]), (0, &json!("tabletop")));
        assert_eq!(verdict["left"], json!([]), "{scenario}");
        nothing_is_left(&azir, &before);
        let elsewhere: Vec<String> = azir
            .writes()
            .into_iter()
            .filter(|write| write.to_lowercase().contains(PROD))
            .collect();
        assert_eq!(elsewhere, Vec::<String>::new(), "{scenario}");
        // What was in the tenant as a secret is nowhere on this machine.
        no_secret_below(azir.home.path(), &azir);
    }
}

/// Holds that no file of the home, the lab's own apart, holds the drill's password or a secret of its applications.
fn no_secret_below(home: &Path, azir: &Azir) {
    let mut folders = vec![home.to_path_buf()];
    let lab = home.join("lab");
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path == lab {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            // How the password of a drill begins; and how the lab writes the secret of an application.
            for secret in ["Aa1!", "\"secretText\":\""] {
                assert!(!text.contains(secret), "{} holds {secret}", path.display());
            }
        }
    }
    assert!(azir.lab.state().to_string().contains("resources"));
}

#[test]
fn people_answer_and_what_they_made_goes_too_but_nothing_that_is_not_theirs() {
    let azir = tenant("faults: []", 0.0);
    let before = state(&azir);
    let id = planted(&azir, "vm-compromise");
    let short = id.as_str();
    let vm = azir
        .writes()
        .into_iter()
        .find(|write| write.contains("/virtualMachines/") && write.ends_with("-web-07"))
        .unwrap();
    let vm = vm.strip_prefix("PUT ").unwrap().to_owned();
    let ran = azir.run(&["isolate-vm", &vm, "--yes", "--incident", short]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    // Somebody else works in the subscription meanwhile.
    let other = format!(
        "{EXERCISE}/resourceGroups/rg-exercise/providers/Microsoft.Network/networkSecurityGroups/nsg-other"
    );
    let body = json!({"location": "westeurope", "properties": {"securityRules": []}});
    send(&azir, "PUT", &other, "2023-11-01", Some(body));
    let done = azir.run(&["drill", "finish", "--output", "json"]);
    assert_eq!(done.code, 1, "the roles are still there: {}", done.stderr);
    assert_eq!(json_of(&done)["left"], json!([]));
    let mut expected = before;
    let added = state(&azir).remove(&other.to_lowercase()).unwrap();
    expected.insert(other.to_lowercase(), added);
    nothing_is_left(&azir, &expected);
    let record = record(&azir, short);
    assert!(
        record.contains("is not the drill's"),
        "it is said: {record}"
    );
    // A snapshot in another group and the quarantine were made by the run, and went.
    for made in ["/snapshots/", "nsg-ir-quarantine"] {
        let cleared = record
            .lines()
            .filter(|line| line.contains("\"cleared\"") && line.contains(made));
        assert!(cleared.count() > 0, "{made}: {record}");
    }
}

#[test]
fn what_is_not_of_the_drill_is_refused_whoever_asks_for_it_in_it() {
    let azir = tenant("faults: []", 0.0);
    let id = planted(&azir, "vm-compromise");
    let at = ["--incident", id.as_str(), "--yes"];
    let vm = format!(
        "{PROD}/resourceGroups/rg-workload-prod/providers/Microsoft.Compute/virtualMachines/vm-app-01"
    );
    let before = azir.writes().len();
    for target in [
        vec!["isolate-vm", vm.as_str()],
        vec!["revoke-user", "alice@contoso.com"],
        vec!["revoke-app", "shop-backend"],
    ] {
        let args = [&target[..], &at[..], &["--output", "json"][..]].concat();
        let done = azir.run(&args);
        assert_eq!(done.code, 5, "{target:?}: {}{}", done.stdout, done.stderr);
        let told = json_of(&done).to_string();
        assert!(told.contains("\"guard\""), "{told}");
    }
    assert_eq!(azir.writes().len(), before, "no write was sent");
    // A profile that is another one by now is no place for it any more, not even to clear away.
    let moved = CONFIG.replacen("8222-222222222240", "8222-222222222230", 1);
    let real = CONFIG.replacen("tabletop = true", "tabletop = false", 1);
    for command in [
        vec!["isolate-vm", vm.as_str(), at[0], at[1], at[2]],
        vec!["drill", "abort", id.as_str()],
    ] {
        for config in [&moved, &real] {
            configure(&azir, config);
            let done = azir.run(&command);
            assert_eq!(done.code, 5, "{command:?}: {}", done.stderr);
        }
    }
    assert_eq!(azir.writes().len(), before, "no write was sent");
}

#[test]
fn no_drill_begins_where_it_has_no_business() {
    let azir = tenant("faults: []", 0.0);
    let shared = CONFIG.replacen(
        "subscriptions = [\"22222222-2222-4222-8222-222222222222\"]",
        "subscriptions = [\"22222222-2222-4222-8222-222222222222\", \"22222222-2222-4222-8222-222222222240\"]",
        1,
    );
    let nowhere = CONFIG.replacen(
        "subscriptions = [\"22222222-2222-4222-8222-222222222240\"]",
        "",
        1,
    );
    // Of the same cloud, for all that a name can tell.
    let evidence = CONFIG
        .replacen("sttabletop", "stforensicirprodweu", 1)
        .replacen(
            "[profiles.prod]",
            "[profiles.prod]\ncloud = \"https://127.0.0.1:1\"",
            1,
        );
    for (config, profile, why) in [
        (CONFIG.to_owned(), "prod", "not marked tabletop"),
        (shared, "tabletop", "one of profile prod"),
        (nowhere, "tabletop", "lists no subscriptions"),
        (evidence, "tabletop", "keeps its evidence"),
    ] {
        configure(&azir, &config);
        let done = azir.run(&start("vm-compromise", &["--profile", profile]));
        let error = &json_of(&done)["error"];
        assert_eq!((done.code, &error["code"]), (5, &json!("guard")), "{error}");
        assert!(error["message"].as_str().unwrap().contains(why), "{error}");
        let hint = error["hint"].as_str().unwrap();
        assert!(
            hint.contains("azir drill start vm-compromise --lab")
                || hint.contains("tabletop = true"),
            "{hint}"
        );
    }
    assert_eq!(azir.writes(), Vec::<String>::new());
    assert!(!azir.home.path().join("drills").exists());
}

#[test]
fn a_build_that_is_killed_at_any_of_its_writes_is_cleared_away_to_the_last() {
    for scenario in SCENARIOS {
        let whole = tenant("faults: []", 0.0);
        planted(&whole, scenario);
        let writes = whole.writes().len();
        assert!(writes > 15, "{scenario}: {writes}");
        for reached in 1..=writes {
            let azir = tenant("faults: []", 0.05);
            let before = state(&azir);
            killed_when(&azir, &start(scenario, &[]), || {
                azir.writes().len() >= reached
            });
            let id = drill(&azir);
            let done = azir.run(&["drill", "abort", &id, "--output", "json"]);
            assert_eq!(done.code, 0, "{scenario}, {reached}: {}", done.stderr);
            assert_eq!(json_of(&done)["left"], json!([]));
            nothing_is_left(&azir, &before);
        }
    }
}

#[test]
fn clearing_away_that_is_killed_anywhere_goes_on_where_it_was() {
    for scenario in SCENARIOS {
        let whole = tenant("faults: []", 0.0);
        planted(&whole, scenario);
        let built = whole.writes().len();
        assert_eq!(whole.run(&["drill", "abort"]).code, 0);
        let writes = whole.writes().len() - built;
        for reached in 1..=writes {
            let azir = tenant("faults: []", 0.05);
            let before = state(&azir);
            let id = planted(&azir, scenario);
            killed_when(&azir, &["drill", "abort", &id], || {
                azir.writes().len() >= built + reached
            });
            let record = record(&azir, &id);
            if !record.contains("\"closed\"") {
                let done = azir.run(&["drill", "abort", &id]);
                assert_eq!(done.code, 0, "{scenario}, {reached}: {}", done.stderr);
            }
            nothing_is_left(&azir, &before);
        }
    }
}

#[test]
fn what_was_made_without_an_answer_is_found_by_its_name() {
    for path in [
        "/v1.0/users",
        "/v1.0/groups",
        "/v1.0/applications",
        "/v1.0/servicePrincipals",
    ] {
        // An action whose answer is lost is not sent again: whether it happened, only the tenant knows.
        let script = json!({"faults": [{"method": "POST", "path": path, "do": "reset-after"}]});
        let azir = tenant(&script.to_string(), 0.0);
        let before = state(&azir);
        let done = azir.run(&start("token-theft", &[]));
        assert_eq!(done.code, 1, "{path}: {}", done.stderr);
        assert!(done.stderr.contains("clear away"), "{}", done.stderr);
        nothing_is_left(&azir, &before);
        let id = drill(&azir);
        assert!(record(&azir, &id).contains("\"closed\""), "{path}");
    }
}

#[test]
fn a_build_that_the_tenant_refuses_is_given_up_and_leaves_nothing() {
    for (path, status, code) in [
        ("/virtualMachines/", 409, "OperationNotAllowed"),
        (
            "/oauth2PermissionGrants",
            403,
            "Authorization_RequestDenied",
        ),
    ] {
        let script = json!({"faults": [{"path": path, "times": 99, "do": "status", "status": status, "code": code}]});
        let azir = tenant(&script.to_string(), 0.0);
        let before = state(&azir);
        let scenario = if path.contains("virtual") {
            "vm-compromise"
        } else {
            "token-theft"
        };
        let done = azir.run(&start(scenario, &[]));
        assert_eq!(done.code, 1, "{}", done.stderr);
        assert!(json_of(&done).to_string().contains(code), "{}", done.stdout);
        nothing_is_left(&azir, &before);
    }
}

#[test]
fn what_cannot_be_cleared_away_is_said_and_tried_again() {
    let azir = tenant("faults: []", 0.0);
    let before = state(&azir);
    let id = planted(&azir, "vm-compromise");
    let group = azir.writes()[0].strip_prefix("PUT ").unwrap().to_owned();
    let lock = format!("{group}/providers/Microsoft.Authorization/locks/hold");
    let body = json!({"properties": {"level": "CanNotDelete"}});
    send(&azir, "PUT", &lock, "2020-05-01", Some(body));
    let done = azir.run(&["drill", "abort", &id, "--output", "json"]);
    assert_eq!(done.code, 3, "{}", done.stderr);
    let left = json_of(&done)["left"].to_string();
    assert!(left.contains("locked"), "{left}");
    let next = format!("next: azir drill abort {id}");
    assert!(done.stderr.contains(&next), "{}", done.stderr);
    send(&azir, "DELETE", &lock, "2020-05-01", None);
    let done = azir.run(&["drill", "abort", &id]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    nothing_is_left(&azir, &before);
}

#[test]
fn a_directory_that_is_behind_is_waited_for() {
    let azir = Azir::with("faults: []", |options| {
        options.replication = std::time::Duration::from_millis(1500);
        options.poll_after = Some(0);
        let whole = Scenario::load("default").unwrap();
        options.scenario = az_kit::with(whole, include_str!("drill/tabletop.yaml"));
    });
    configure(&azir, CONFIG);
    let before = state(&azir);
    let id = planted(&azir, "token-theft");
    let done = azir.run(&["drill", "abort", &id]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    nothing_is_left(&azir, &before);
}

#[test]
fn the_rights_that_the_readme_names_suffice_to_build_and_to_clear() {
    for (scenario, caller) in std::iter::zip(SCENARIOS, ["447", "446"]) {
        let azir = tenant("faults: []", 0.0);
        let before = state(&azir);
        let caller = format!("44444444-4444-4444-8444-444444444{caller}");
        for args in [&start(scenario, &[])[..], &["drill", "abort"]] {
            let mut command = azir.command(args);
            command
                .env("AZURE_CLIENT_ID", &caller)
                .env("AZURE_CLIENT_SECRET", "lab-secret-of-the-instructor");
            let done = command.output().unwrap();
            let said = [done.stdout, done.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            assert!(done.status.success(), "{scenario}: {said}");
        }
        nothing_is_left(&azir, &before);
    }
}
