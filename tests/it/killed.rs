//! A run killed at any of its requests can be undone: what took effect is put back, what did not is left alone.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Azir, without_etags};

/// What of the tenant an undo answers for.
fn answered_for(state: &Value) -> Value {
    let resources = state["resources"].as_object().unwrap();
    let ours = |id: &str| {
        (id.contains("/networkinterfaces/hard-nic") || id.contains("/virtualmachines/vm-hard-01"))
            && !id.contains("/roleassignments/")
    };
    resources
        .iter()
        .filter(|(id, _)| ours(id))
        .map(|(id, resource)| {
            let identity = &resource["identity"];
            let kept = serde_json::json!({
                "identity": [identity["type"], identity["userAssignedIdentities"]],
                "properties": if id.contains("/networkinterfaces/") { without_etags(&resource["properties"]) } else { Value::Null },
                "tags": resource["tags"],
            });
            (id.clone(), kept)
        })
        .collect()
}

/// Starts a run, kills it while it waits for the answer to the `nth` request that fits, undoes it.
fn killed_and_undone(method: &str, path: &str, nth: usize) {
    let azir = Azir::with(
        &format!(
            "faults: [{{method: {method}, path: '{path}', nth: {nth}, do: delay-after, millis: 600000}}]"
        ),
        |_| {},
    );
    let before = answered_for(&azir.lab.state());
    assert!(before.as_object().unwrap().len() >= 4, "{before}");
    let args = [
        "isolate-vm",
        "vm-hard-01",
        "--incident",
        "IR-1",
        "--yes",
        "--choose",
        "cut_roles_which=all",
    ];
    kill_at(&azir, &args, method, path, nth);
    let place = format!("{method} {path} {nth}");
    let verified = azir.run(&["journal", "verify", "last"]);
    assert!(
        matches!(verified.code, 2 | 3),
        "{place}: {}",
        verified.stdout
    );
    let killed = azir.json(&["show", "last"]).1;
    assert_eq!(killed["status"], "halted", "{place}");
    let done = azir.run(&["undo", "last", "--yes"]);
    assert_eq!(done.code, 0, "{place}: {}{}", done.stdout, done.stderr);
    assert_eq!(answered_for(&azir.lab.state()), before, "{place}");
    // What was put back is told so, and nothing of it is still said to be unknown.
    let run = killed["run"].as_str().unwrap();
    assert_eq!(azir.json(&["show", run]).1["status"], "undone", "{place}");
    assert!(
        !azir
            .run(&["show", run])
            .stdout
            .contains("Only the cloud knows"),
        "{place}"
    );
}

/// Runs a command and kills it while it waits for the answer to the `nth` request from now on that fits.
pub(crate) fn kill_at(azir: &Azir, args: &[&str], method: &str, path: &str, nth: usize) {
    let sent = || {
        let all = azir.lab.requests();
        let fits = all.iter().filter(|request| {
            let known = request.path.to_ascii_lowercase();
            request.method == method && known.contains(&path.to_ascii_lowercase())
        });
        fits.count()
    };
    let mut child = azir
        .command(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while sent() < nth {
        assert!(
            Instant::now() < deadline,
            "{method} {path} {nth} never came"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn an_undo_killed_at_a_write_is_finished_by_the_next() {
    // The run itself sends one request of each kind before; the undo's own comes after it.
    for (method, path, nth) in [
        (
            "PATCH",
            "vm-hard-01/providers/Microsoft.Resources/tags/default",
            2,
        ),
        ("PUT", "/networkInterfaces/", 5),
        ("PATCH", "/virtualMachines/vm-hard-01", 5),
    ] {
        let azir = Azir::with(
            &format!(
                "faults: [{{method: {method}, path: '{path}', nth: {nth}, do: delay-after, millis: 600000}}]"
            ),
            |_| {},
        );
        let before = answered_for(&azir.lab.state());
        let (code, report) =
            azir.json(&["isolate-vm", "vm-hard-01", "--incident", "IR-1", "--yes"]);
        assert_eq!(code, 0, "{report}");
        let run = report["run"].as_str().unwrap();
        kill_at(&azir, &["undo", run, "--yes"], method, path, nth);
        assert_eq!(azir.json(&["show", "last"]).1["status"], "halted");
        let done = azir.run(&["undo", run, "--yes"]);
        assert_eq!(
            done.code, 0,
            "{method} {path}: {}{}",
            done.stdout, done.stderr
        );
        assert_eq!(answered_for(&azir.lab.state()), before, "{method} {path}");
    }
}

#[test]
fn a_run_killed_while_it_reads_is_undone_without_a_write() {
    for (path, nth) in [
        ("/virtualMachines/vm-hard-01", 1),
        ("/networkInterfaces/hard-nic-2", 1),
        ("/roleAssignments", 1),
        ("/roleDefinitions", 1),
        ("/networkSecurityGroups", 1),
    ] {
        killed_and_undone("GET", path, nth);
    }
}

#[test]
fn a_run_killed_while_it_writes_is_put_back_from_what_its_journal_has() {
    for (method, path, nth) in [
        ("PUT", "/snapshots/", 2),
        ("PUT", "/networkInterfaces/", 1),
        ("PUT", "/networkInterfaces/", 3),
        ("PUT", "/securityRules/azir-flush", 1),
        ("PATCH", "/virtualMachines/vm-hard-01", 1),
        ("DELETE", "/roleAssignments/", 1),
        (
            "PATCH",
            "vm-hard-01/providers/Microsoft.Resources/tags/default",
            1,
        ),
        ("PUT", "/ir-evidence/", 1),
    ] {
        killed_and_undone(method, path, nth);
    }
}

/// Returns of the hard user what an undo answers for.
fn of_the_user(state: &Value) -> Value {
    state["directory"]["users"]["88888888-8888-4888-8888-888888888802"]["accountEnabled"].clone()
}

const CUT: [&str; 7] = [
    "revoke-user",
    "heidi@contoso.com",
    "--incident",
    "IR-1",
    "--yes",
    "--choose",
    "attackers_which=b6332ec1-7057-4abe-9331-3d72feddfe41,12121212-1212-4212-8212-121212121202",
];

/// The tests that share the requests of a cut among them, so that they take no longer than they must.
const SHARES: usize = 4;

/// Returns the requests of a cut that is not killed, each with which one it is of those that a fault cannot tell from it.
fn requests_of_a_cut() -> Vec<(String, String, usize)> {
    let azir = Azir::new();
    let (code, report) = azir.json(&CUT);
    assert_eq!(code, 0, "{report}");
    let sent: Vec<(String, String)> = azir
        .lab
        .requests()
        .into_iter()
        .filter(|request| !request.path.contains("oauth2/") && !request.path.contains("/metadata/"))
        .map(|request| (request.method, request.path))
        .collect();
    let which = |place: usize| {
        let (method, path) = &sent[place];
        let alike = sent[..=place].iter().filter(|(known, other)| {
            known == method
                && other
                    .to_ascii_lowercase()
                    .contains(&path.to_ascii_lowercase())
        });
        alike.count()
    };
    (0..sent.len())
        // Evidence bears the run's id in its path, which is another one each time.
        .filter(|place| !sent[*place].1.contains("/ir-evidence/"))
        .map(|place| (sent[place].0.clone(), sent[place].1.clone(), which(place)))
        .collect()
}

fn killed_and_cleared(share: usize) {
    let requests = requests_of_a_cut();
    assert!(requests.len() >= 40, "{}", requests.len());
    let own = requests.iter().skip(share).step_by(SHARES);
    for (method, path, nth) in own {
        let place = format!("{method} {path} {nth}");
        let azir = Azir::with(
            &format!(
                "faults: [{{method: {method}, path: '{path}', nth: {nth}, do: delay-after, millis: 600000}}]"
            ),
            |_| {},
        );
        kill_at(&azir, &CUT, method, path, *nth);
        if !azir.home.path().join("cases/IR-1").exists() {
            // Killed while the user was looked up: there is no run yet, and nothing was written.
            assert!(azir.writes().is_empty(), "{place}");
            continue;
        }
        let killed = azir.json(&["show", "last"]).1;
        assert_eq!(killed["status"], "halted", "{place}");
        let cut = of_the_user(&azir.lab.state()) == false;
        let run = killed["run"].as_str().unwrap();
        let refused = azir.run(&["undo", run, "--yes"]);
        assert_eq!(
            refused.code,
            if cut { 5 } else { 0 },
            "{place}: {}{}",
            refused.stdout,
            refused.stderr
        );
        let done = azir.run(&["undo", run, "--yes", "--clearance", "a drill"]);
        assert_eq!(done.code, 0, "{place}: {}{}", done.stdout, done.stderr);
        assert_eq!(of_the_user(&azir.lab.state()), true, "{place}");
    }
}

#[test]
fn a_cut_of_a_user_killed_at_any_request_is_undone_after_a_clearance_and_not_before_1() {
    killed_and_cleared(0);
}

#[test]
fn a_cut_of_a_user_killed_at_any_request_is_undone_after_a_clearance_and_not_before_2() {
    killed_and_cleared(1);
}

#[test]
fn a_cut_of_a_user_killed_at_any_request_is_undone_after_a_clearance_and_not_before_3() {
    killed_and_cleared(2);
}

#[test]
fn a_cut_of_a_user_killed_at_any_request_is_undone_after_a_clearance_and_not_before_4() {
    killed_and_cleared(3);
}
