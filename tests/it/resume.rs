//! A run killed at any of its requests is gone on with, and ends as one that was never disturbed.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Map, Value, json};

use crate::support::{Azir, killed_when};

const ISOLATE: [&str; 7] = [
    "isolate-vm",
    "vm-hard-01",
    "--incident",
    "IR-1",
    "--yes",
    "--choose",
    "cut_roles_which=all",
];

const REVOKE: [&str; 7] = [
    "revoke-user",
    "heidi@contoso.com",
    "--incident",
    "IR-1",
    "--yes",
    "--choose",
    "attackers_which=b6332ec1-7057-4abe-9331-3d72feddfe41,12121212-1212-4212-8212-121212121202",
];

/// A run that nobody disturbs: how the tenant stands after it, and how many requests it takes.
struct Undisturbed {
    code: i32,
    status: Value,
    state: Value,
    /// Of each request, whether it writes.
    requests: Vec<bool>,
}

impl Undisturbed {
    fn of(args: &[&str]) -> Self {
        let azir = Azir::new();
        let (code, report) = azir.json(args);
        Self {
            code,
            status: report["status"].clone(),
            state: plain(&azir.lab.state(), report["run"].as_str().unwrap()),
            requests: azir.lab.requests().iter().map(|sent| sent.write).collect(),
        }
    }
}

/// Returns a state of the lab less what differs between any two runs: times, etags, ids that are made, and what the
/// tenant logs of requests.
fn plain(state: &Value, run: &str) -> Value {
    let mut plain = Map::new();
    for kind in ["resources", "directory"] {
        plain.insert(kind.to_owned(), strip(&state[kind], run, &run[..8]));
    }
    Value::Object(plain)
}

/// Members that the tenant makes anew each time, and those that tell of requests.
const MADE: [&str; 11] = [
    "activity",
    "created",
    "directoryAudits",
    "etag",
    "incrementalSnapshotFamilyId",
    "resourceGuid",
    "signIns",
    "sourceUniqueId",
    "uniqueId",
    "updated",
    "vaultUri",
];

/// Returns where two states differ, the first few places.
fn differences(path: &str, one: &Value, other: &Value, found: &mut Vec<String>) {
    if one == other || found.len() > 4 {
        return;
    }
    if let (Value::Array(a), Value::Array(b)) = (one, other)
        && a.len() == b.len()
    {
        for (place, (one, other)) in a.iter().zip(b).enumerate() {
            differences(&format!("{path}/{place}"), one, other, found);
        }
        return;
    }
    let (Value::Object(a), Value::Object(b)) = (one, other) else {
        let cut = |value: &Value| value.to_string().chars().take(300).collect::<String>();
        found.push(format!("{path}: {} instead of {}", cut(one), cut(other)));
        return;
    };
    let names = a
        .keys()
        .chain(b.keys().filter(|name| !a.contains_key(*name)));
    for name in names {
        let (one, other) = (a.get(name), b.get(name));
        let (one, other) = (one.unwrap_or(&Value::Null), other.unwrap_or(&Value::Null));
        differences(&format!("{path}/{name}"), one, other, found);
    }
}

fn strip(value: &Value, run: &str, short: &str) -> Value {
    let text = |text: &str| text.replace(run, "RUN").replace(short, "SHORT");
    match value {
        Value::Object(members) => members
            .iter()
            .filter(|(name, _)| !name.starts_with("__") && !MADE.contains(&name.as_str()))
            .map(|(name, value)| (text(name), strip(value, run, short)))
            .collect(),
        Value::Array(items) => items.iter().map(|item| strip(item, run, short)).collect(),
        Value::String(word) if word.parse::<chrono::DateTime<chrono::Utc>>().is_ok() => {
            json!("TIME")
        }
        Value::String(word) => Value::String(text(word)),
        other => other.clone(),
    }
}

/// Runs a command and kills it while it waits for the answer to its `nth` request, which is done, or is kept back.
fn kill_at(azir: &Azir, args: &[&str], nth: usize) {
    killed_when(azir, args, || {
        azir.lab.kept_back() > 0 || azir.lab.requests().len() >= nth
    });
}

/// Kills a run at its `nth` request, before or after the effect, goes on with it, and says what is not as it is after
/// a run that nobody disturbs.
fn killed_and_resumed(
    args: &[&str],
    undisturbed: &Undisturbed,
    nth: usize,
    fault: &str,
) -> Vec<String> {
    let script = format!("faults: [{{nth: {nth}, do: {fault}, millis: 600000}}]");
    let azir = Azir::with(&script, |_| {});
    kill_at(&azir, args, nth);
    let begun = azir.home.path().join("cases/IR-1").exists();
    let mut wrong = Vec::new();
    let done = if begun {
        azir.run(&["resume", "last"])
    } else {
        // Killed while its target was looked up: there is no run yet, and nothing was written.
        assert!(azir.writes().is_empty(), "{nth} {fault}");
        azir.run(args)
    };
    if done.code != undisturbed.code {
        wrong.push(format!(
            "code {}: {}{}",
            done.code, done.stdout, done.stderr
        ));
    }
    let (_, report) = azir.json(&["show", "last"]);
    if report["status"] != undisturbed.status || report["not_done"] != json!([]) {
        wrong.push(format!("{} {}", report["status"], report["not_done"]));
    }
    let state = plain(&azir.lab.state(), report["run"].as_str().unwrap());
    differences("", &state, &undisturbed.state, &mut wrong);
    let verified = azir.run(&["journal", "verify", "last"]);
    if !matches!(verified.code, 2 | 3) || !verified.stdout.contains(" 0 open intents") {
        wrong.push(format!("record {}: {}", verified.code, verified.stdout));
    }
    wrong
}

/// Kills a run at every request of `share` of `shares`, each time anew, before and after the effect.
fn killed_at(args: &[&str], share: usize, shares: usize) {
    let undisturbed = Undisturbed::of(args);
    let count = undisturbed.requests.len();
    assert!(count >= 40, "{count}");
    // Requests that run side by side come in any order, so that what is a write here may be a read there.
    let tried: Vec<(usize, &str)> = (1..=count)
        .skip(share)
        .step_by(shares)
        .flat_map(|nth| [(nth, "delay"), (nth, "delay-after")])
        .collect();
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    // Each has a tenant and a home of its own, and waits more than it works.
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some((nth, fault)) = tried.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let wrong = killed_and_resumed(args, &undisturbed, *nth, fault);
                    if !wrong.is_empty() {
                        let wrong = wrong.join("\n");
                        let told = format!("request {nth} of {count}, {fault}: {wrong}");
                        failed.lock().unwrap().push(told);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(
        failed.is_empty(),
        "{} failed: {}",
        failed.len(),
        failed.join("\n")
    );
}

/// So many runs are killed side by side.
const WORKERS: usize = 4;

/// One request in so many is tried in the tests that everybody runs; all of them in those that take their time.
const SAMPLE: usize = 12;

#[test]
fn an_isolation_killed_here_and_there_ends_as_one_that_was_not() {
    killed_at(&ISOLATE, 7, SAMPLE);
}

#[test]
fn a_cut_killed_here_and_there_ends_as_one_that_was_not() {
    killed_at(&REVOKE, 5, SAMPLE);
}

#[test]
#[ignore = "needs minutes: a run for every request, before and after its effect"]
fn an_isolation_killed_at_any_request_ends_as_one_that_was_not() {
    killed_at(&ISOLATE, 0, 1);
}

#[test]
#[ignore = "needs minutes: a run for every request, before and after its effect"]
fn a_cut_killed_at_any_request_ends_as_one_that_was_not() {
    killed_at(&REVOKE, 0, 1);
}

const ROTATE: [&str; 10] = [
    "rotate-app-secret",
    "shop-backend",
    "--vault",
    "kv-shop",
    "--mode",
    "cut",
    "--incident",
    "IR-1",
    "--yes",
    "--no-input",
];

/// Returns what is upstream and in the vault after a rotation: how many secrets, and whether the newest version names
/// the one that there is.
fn rotated(azir: &Azir) -> (usize, bool) {
    let state = azir.lab.state();
    let application = &state["directory"]["applications"]["aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaa01"];
    let secrets = application["passwordCredentials"].as_array().unwrap();
    let held: Vec<&str> = crate::support::each(&state, "vaultSecrets")
        .into_iter()
        .filter(|version| version["name"] == "shop-backend-secret")
        .filter(|version| version["attributes"]["enabled"] == true)
        .filter_map(|version| version["tags"]["azir-key-id"].as_str())
        .collect();
    let known = secrets
        .iter()
        .all(|secret| held.contains(&secret["keyId"].as_str().unwrap()));
    (secrets.len(), known)
}

#[test]
fn a_rotation_killed_at_any_of_its_writes_leaves_one_secret_that_the_vault_holds() {
    let undisturbed = Azir::new();
    let (code, report) = undisturbed.json(&ROTATE);
    assert_eq!(code, 0, "{}", report["targets"]);
    assert_eq!(rotated(&undisturbed), (1, true));
    let writes: Vec<usize> = undisturbed
        .lab
        .requests()
        .iter()
        .enumerate()
        .filter(|(_, sent)| sent.write && !sent.path.contains("oauth2"))
        .map(|(place, _)| place + 1)
        .collect();
    assert!(writes.len() >= 3, "{writes:?}");
    let resumed = |nth: usize, fault: &str| {
        let script = format!("faults: [{{nth: {nth}, do: {fault}, millis: 600000}}]");
        let azir = Azir::with(&script, |_| {});
        kill_at(&azir, &ROTATE, nth);
        let done = azir.run(&["resume"]);
        let said = format!("{nth} {fault}: {}{}", done.stdout, done.stderr);
        assert_eq!(done.code, 0, "{said}");
        assert_eq!(rotated(&azir), (1, true), "{said}");
        let shown = azir.json(&["show", "last"]).1;
        assert_eq!(shown["status"], "done", "{said}");
    };
    // All at once: each that took no effect waits two minutes for one that might yet show.
    std::thread::scope(|scope| {
        for nth in writes {
            for fault in ["delay", "delay-after"] {
                scope.spawn(move || resumed(nth, fault));
            }
        }
    });
}

#[test]
fn a_rotation_that_the_vault_would_not_take_is_made_anew_and_its_first_secret_is_not_taken_back_twice()
 {
    let script =
        "faults: [{method: PUT, path: /secrets/, do: status, status: 429, retry_after: 90000}]";
    let azir = Azir::with(script, |_| {});
    let failed = azir.run(&ROTATE);
    assert_ne!(failed.code, 0, "{}", failed.stdout);
    let done = azir.run(&["resume"]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    assert_eq!(rotated(&azir), (1, true));
}

#[test]
fn a_policy_whose_answer_was_lost_is_known_by_its_name_and_taken_away_by_the_undo() {
    let script = "faults: [{method: POST, path: /conditionalAccess/policies, do: delay-after, millis: 600000}]";
    let azir = Azir::with(script, |_| {});
    let words = [
        "restrict-user",
        "alice@contoso.com",
        "--incident",
        "IR-1",
        "--yes",
    ];
    let blocked = |azir: &Azir| {
        azir.lab.state()["directory"]
            .to_string()
            .contains("azir IR-1 block")
    };
    killed_when(&azir, &words, || blocked(&azir));
    let done = azir.run(&["resume"]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let made = azir.writes().into_iter();
    let made = made.filter(|write| write.starts_with("POST") && write.contains("/policies"));
    assert_eq!(made.count(), 1, "it is not made a second time");
    let cleared = ["undo", "last", "--yes", "--clearance", "a false alarm"];
    let done = azir.run(&cleared);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let mut writes = azir.writes().into_iter();
    let gone =
        writes.any(|write| write.starts_with("DELETE") && write.contains("/conditionalAccess/"));
    assert!(gone, "{}", done.stdout);
}

#[test]
fn nothing_open_is_no_error_and_several_are_told_apart() {
    let azir = Azir::new();
    let done = azir.run(&["resume"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("no run is open"), "{}", done.stderr);
    assert_eq!(azir.json(&["resume"]), (0, json!({"open": []})));
    for incident in ["IR-1", "IR-2"] {
        let script = "faults: [{method: PUT, path: /snapshots/, do: delay, millis: 600000}]";
        let other = Azir::with(script, |_| {});
        let args = ["snapshot-vm", "vm-app-01", "--incident", incident, "--yes"];
        kill_at(&other, &args, 1_000_000);
        let from = other.home.path().join("cases").join(incident);
        let to = azir.home.path().join("cases").join(incident);
        copy(&from, &to);
    }
    let done = azir.run(&["resume"]);
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert!(done.stderr.contains("2 runs are open"), "{}", done.stderr);
    assert!(done.stderr.contains("IR-1") && done.stderr.contains("IR-2"));
}

/// Copies a folder as it is.
fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let (old, new) = (entry.path(), to.join(entry.file_name()));
        if old.is_dir() {
            copy(&old, &new);
        } else {
            std::fs::copy(&old, &new).unwrap();
        }
    }
}

#[test]
fn a_second_responder_goes_on_from_a_copy_of_the_case() {
    let script =
        "faults: [{method: PUT, path: /networkInterfaces/, do: delay-after, millis: 600000}]";
    let azir = Azir::with(script, |_| {});
    let args = [
        "isolate-vm",
        "vm-app-01",
        "--incident",
        "IR-1",
        "--yes",
        "--responder",
        "alice@contoso.com",
    ];
    let swapped = || {
        let all = azir.lab.requests();
        let mut sent = all.iter().filter(|sent| sent.write);
        sent.any(|sent| sent.path.contains("/networkInterfaces/"))
    };
    killed_when(&azir, &args, swapped);
    // Another machine: another home, without the profile, and the case's folder.
    let other = tempfile::tempdir().unwrap();
    copy(&azir.home.path().join("cases"), &other.path().join("cases"));
    let mut command = azir.command(&[
        "resume",
        "--responder",
        "bob@contoso.com",
        "--output",
        "json",
    ]);
    command.env("AZIR_HOME", other.path());
    let done = crate::support::done(command.output().unwrap());
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(report["status"], "contained_residual");
    assert_eq!(report["resume"], Value::Null);
    let swaps = azir.writes();
    let swaps: Vec<_> = swaps
        .iter()
        .filter(|write| write.contains("/networkInterfaces/"))
        .collect();
    assert_eq!(
        swaps.len(),
        1,
        "what took effect is not sent again: {swaps:?}"
    );
    let log = std::fs::read_to_string(
        std::path::Path::new(report["journal"]["path"].as_str().unwrap()).join("seg-000002.jsonl"),
    )
    .unwrap();
    assert!(log.contains("bob@contoso.com") && log.contains("\"reason\":\"resume\""));
    assert!(log.contains("action.reconcile"));
    // Once more there is nothing to do, and it says so with the same code.
    let mut command = azir.command(&["resume", "last"]);
    command.env("AZIR_HOME", other.path());
    let again = crate::support::done(command.output().unwrap());
    assert_eq!(again.code, 0, "{}{}", again.stdout, again.stderr);
    assert!(
        again.stderr.contains("nothing of it is left to do"),
        "{}",
        again.stderr
    );
}

#[test]
fn what_the_service_would_not_take_is_tried_again_with_what_was_made_of_it() {
    let script = "faults: [{method: PUT, path: /networkInterfaces/, do: status, status: 429, retry_after: 90000}]";
    let azir = Azir::with(script, |_| {});
    let before = networks(&azir);
    let (code, report) = azir.json(&["isolate-vm", "vm-app-01", "--incident", "IR-1", "--yes"]);
    assert_eq!(code, 3, "{}", report["not_done"]);
    let left = report["not_done"].to_string();
    assert!(
        !left.contains("subnet_cut"),
        "what may yet pass is done no other way: {left}"
    );
    let run = report["run"].as_str().unwrap();
    assert_eq!(report["resume"], format!("azir resume {run}"));
    assert_eq!(report["journal"]["sealed"], false);
    let told = azir.run(&["show", "last"]).stdout;
    assert!(told.contains("Go on:  azir resume"), "{told}");
    let (code, report) = azir.json(&["resume"]);
    assert_eq!(code, 0, "{}", report["not_done"]);
    assert_eq!(report["status"], "contained_residual");
    assert_eq!(report["not_done"], json!([]));
    assert_eq!(report["journal"]["sealed"], true);
    // What was made of the interfaces is made anew: flows are judged again, and the tag tells the truth.
    let writes = azir.writes();
    let of = |part: &str| writes.iter().filter(|write| write.contains(part)).count();
    assert_eq!(of("/securityRules/azir-flush"), 1, "{writes:?}");
    assert_eq!(
        of("vm-app-01/providers/Microsoft.Resources/tags/default"),
        2,
        "{writes:?}"
    );
    let state = azir.lab.state();
    let machine = state["resources"].as_object().unwrap().iter();
    let tagged = machine
        .filter(|(id, _)| id.ends_with("/virtualmachines/vm-app-01"))
        .all(|(_, machine)| machine["tags"]["ir-status"] == "isolated");
    assert!(tagged);
    // What two sessions wrote is put back as one run's.
    assert_ne!(networks(&azir), before);
    let done = azir.run(&["undo", "last", "--yes"]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    assert_eq!(networks(&azir), before);
}

#[test]
fn evidence_that_could_not_be_had_holds_up_nobody_a_second_time() {
    let script = "faults: [{method: PUT, path: /snapshots/, do: status, status: 400}, \
                  {method: PUT, path: /networkInterfaces/, do: delay, millis: 600000}]";
    let azir = Azir::with(script, |_| {});
    let args = ["isolate-vm", "vm-app-01", "--incident", "IR-1", "--yes"];
    kill_at(&azir, &args, usize::MAX);
    let captured = |azir: &Azir| {
        let writes = azir.writes();
        writes
            .iter()
            .filter(|write| write.starts_with("PUT ") && write.contains("/snapshots/"))
            .count()
    };
    let before = captured(&azir);
    assert_eq!(before, 2);
    let (code, report) = azir.json(&["resume"]);
    // The gap is named, and what is left is done.
    assert_eq!(code, 4, "{}", report["not_done"]);
    assert_eq!(captured(&azir), before);
    assert!(!report["gaps"].as_array().unwrap().is_empty());
    assert!(report["targets"][0]["contained_at"].is_string());
}

/// Returns the NSG of every interface, and the identity and tags of every machine.
fn networks(azir: &Azir) -> Value {
    let state = azir.lab.state();
    let all = state["resources"].as_object().unwrap().iter();
    let kept = all.filter_map(|(id, one)| {
        let nsg = one["properties"].get("networkSecurityGroup");
        let machine = id.contains("/virtualmachines/").then(|| {
            json!([
                one["identity"]["type"],
                one["identity"]["userAssignedIdentities"],
                one["tags"]
            ])
        });
        let nsg = nsg.filter(|nsg| !nsg.is_null()).cloned();
        Some((id.clone(), nsg.or(machine)?))
    });
    kept.collect()
}
