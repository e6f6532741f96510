//! `azir revoke-user`: who is cut, in which order, what is refused, what is read afterwards, and what may come back.

use serde_json::{Value, json};

use crate::support::{Azir, Done};

const HEIDI: &str = "88888888-8888-4888-8888-888888888802";
const ATTACKERS: &str =
    "attackers_which=b6332ec1-7057-4abe-9331-3d72feddfe41,12121212-1212-4212-8212-121212121202";

fn user<'a>(state: &'a Value, id: &str) -> &'a Value {
    &state["directory"]["users"][id]
}

/// Returns the writes to the directory; evidence goes to the vault.
fn to_graph(azir: &Azir) -> Vec<String> {
    let mut writes = azir.writes();
    writes.retain(|write| write.contains(" /v1.0/"));
    writes
}

fn methods(state: &Value, id: &str) -> usize {
    let all = state["directory"]["methods"].as_object().unwrap();
    all.keys().filter(|key| key.starts_with(id)).count()
}

fn said(report: &Value, list: &str) -> String {
    let items = report[list].as_array().unwrap();
    let all: Vec<&str> = items
        .iter()
        .filter_map(|item| item["what"].as_str())
        .collect();
    all.join("\n")
}

/// Runs as somebody else.
fn as_junior(azir: &Azir, args: &[&str]) -> Done {
    let output = azir
        .command(args)
        .env("AZURE_CLIENT_ID", "44444444-4444-4444-8444-444444444445")
        .env("AZURE_CLIENT_SECRET", "lab-secret-of-the-junior")
        .output()
        .unwrap();
    Done {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn the_hard_user_is_cut_off_and_everything_about_it_is_found() {
    let azir = Azir::new();
    let words = [
        "revoke-user",
        "heidi@contoso.com",
        "--incident",
        "IR-1",
        "--yes",
        "--choose",
        ATTACKERS,
    ];
    let (code, report) = azir.json(&words);
    assert_eq!(
        (code, &report["status"]),
        (0, &json!("contained_residual")),
        "{report}"
    );
    assert_eq!(report["targets"][0]["target"], "heidi@contoso.com");
    assert_eq!(
        to_graph(&azir)
            .iter()
            .map(|write| write.replace(HEIDI, "ID"))
            .collect::<Vec<_>>(),
        [
            "POST /v1.0/users/ID/revokeSignInSessions",
            "PATCH /v1.0/users/ID",
            "DELETE /v1.0/users/ID/authentication/softwareOathMethods/12121212-1212-4212-8212-121212121202",
            "DELETE /v1.0/users/ID/authentication/phoneMethods/b6332ec1-7057-4abe-9331-3d72feddfe41",
            "POST /v1.0/users/ID/revokeSignInSessions",
        ]
    );
    let state = azir.lab.state();
    assert_eq!(user(&state, HEIDI)["accountEnabled"], false);
    assert_eq!(methods(&state, HEIDI), 3);
    let found = said(&report, "findings");
    for what in [
        "PDF Converter may act for one user on Microsoft Graph: Mail.Read, Mail.Send",
        "sends mail outside: drop@attacker.example",
        "holds the directory role User Administrator",
        "holds the directory role Helpdesk Administrator",
        "may activate the directory role Application Administrator",
        "key vault kv-policy: an access policy allows get, list of its secrets",
        "key vault kv-shop: Key Vault Secrets User on",
        "storage account stshopprod: Storage Blob Data Reader on",
        "device DESKTOP-7QK2X was registered",
        "owns application heidi-tool-1 (1 secrets",
        "owns application heidi-tool-2 (1 secrets",
        "signed in from 203.0.113.77 (Frankfurt am Main, DE)",
    ] {
        assert!(found.contains(what), "{what}: {found}");
    }
    assert!(!found.contains("LAPTOP-HEIDI"), "{found}");
    let rows = |name: &str| {
        let exhibits = report["evidence"].as_array().unwrap();
        let exhibit = exhibits
            .iter()
            .find(|it| it["name"].as_str().unwrap().starts_with(name));
        let sha = exhibit.unwrap()["sha256"].as_str().unwrap();
        let kept = azir.run_dir("IR-1").join("evidence").join(sha);
        std::fs::read_to_string(kept).unwrap().lines().count()
    };
    assert_eq!(
        (
            rows("sign-ins-interactive"),
            rows("sign-ins-non-interactive")
        ),
        (23, 22)
    );
    let open = said(&report, "residual");
    for what in [
        "60 to 90 minutes",
        "cookies of their own",
        "the password of heidi@contoso.com is as it was",
        "Heidi's iPhone",
    ] {
        assert!(open.contains(what), "{what}: {open}");
    }
    assert!(
        !open.contains("+44"),
        "a method that is gone is not said to stay: {open}"
    );
    assert_eq!(azir.run(&["journal", "verify", "last"]).code, 2);
}

#[test]
fn methods_are_offered_with_who_added_them_and_none_goes_unchosen() {
    let azir = Azir::new();
    let (code, report) = azir.json(&[
        "revoke-user",
        "heidi@contoso.com",
        "--incident",
        "IR-1",
        "--yes",
    ]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(methods(&azir.lab.state(), HEIDI), 5);
    let lines = std::fs::read_to_string(azir.run_dir("IR-1").join("seg-000001.jsonl")).unwrap();
    assert!(lines.contains("phone +44 7700900199 (alternateMobile)"));
    assert!(
        !azir
            .writes()
            .iter()
            .any(|write| write.starts_with("DELETE"))
    );
}

#[test]
fn what_was_taken_comes_back_after_a_clearance_and_the_attackers_methods_never() {
    let azir = Azir::new();
    let words = [
        "revoke-user",
        "heidi@contoso.com",
        "--incident",
        "IR-1",
        "--yes",
        "--choose",
        ATTACKERS,
    ];
    // What was said before the cut knows nothing of it.
    assert_eq!(
        azir.run(&[
            "note",
            "--clears",
            "heidi@contoso.com",
            "was fine last week",
            "--incident",
            "IR-1"
        ])
        .code,
        0
    );
    let (code, report) = azir.json(&words);
    assert_eq!(code, 0, "{report}");
    let run = report["run"].as_str().unwrap().to_owned();
    let before = to_graph(&azir);
    let (code, refused) = azir.json(&["undo", &run, "--yes"]);
    assert_eq!(
        (code, &refused["error"]["code"]),
        (5, &json!("clearance")),
        "{refused}"
    );
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("heidi@contoso.com: disable the account"),
        "{message}"
    );
    assert!(
        message.contains(
            "before azir last changed by heidi@contoso.com: User registered security info"
        ),
        "{message}"
    );
    assert!(
        refused["error"]["hint"]
            .as_str()
            .unwrap()
            .contains("--clearance")
    );
    let plan = azir.run(&["undo", &run, "--plan"]);
    assert_eq!(plan.code, 5, "{}", plan.stdout);
    assert!(
        plan.stdout.contains("needs a recorded clearance"),
        "{}",
        plan.stdout
    );
    assert_eq!(to_graph(&azir), before, "nothing was given back");

    assert_eq!(
        azir.run(&[
            "note",
            "--clears",
            "HEIDI@contoso.com",
            "laptop reimaged",
            "--incident",
            "IR-1"
        ])
        .code,
        0
    );
    let (code, undone) = azir.json(&["undo", &run, "--yes"]);
    assert_eq!((code, &undone["status"]), (0, &json!("undone")), "{undone}");
    let state = azir.lab.state();
    assert_eq!(user(&state, HEIDI)["accountEnabled"], true);
    assert_eq!(methods(&state, HEIDI), 3);
    let new = to_graph(&azir).split_off(before.len());
    assert_eq!(new, [format!("PATCH /v1.0/users/{HEIDI}")]);
}

#[test]
fn a_clearance_given_with_the_undo_is_a_decision_in_its_record() {
    let azir = Azir::new();
    let (code, report) = azir.json(&[
        "revoke-user",
        "alice@contoso.com",
        "--incident",
        "IR-1",
        "--yes",
    ]);
    assert_eq!(code, 0, "{report}");
    let run = report["run"].as_str().unwrap().to_owned();
    let text = "pia cleared her: laptop reimaged";
    let (code, undone) = azir.json(&[
        "undo",
        &run,
        "--yes",
        "--clearance",
        text,
        "--responder",
        "carol@contoso.com",
    ]);
    assert_eq!(code, 0, "{undone}");
    let folder = undone["journal"]["path"].as_str().unwrap();
    let lines =
        std::fs::read_to_string(std::path::Path::new(folder).join("seg-000001.jsonl")).unwrap();
    let decision = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .find(|line| line["type"] == "decision")
        .unwrap();
    assert_eq!(decision["data"]["about"], "clearance");
    assert_eq!(decision["data"]["why"], text);
    assert_eq!(decision["data"]["subject"], "alice@contoso.com");
    assert_eq!(decision["actor"]["human"]["upn"], "carol@contoso.com");
}

#[test]
fn whom_to_cut_would_be_worse_is_refused_before_any_write() {
    let azir = Azir::new();
    azir.configure("break_glass = [\"BG01@contoso.onmicrosoft.com\"]");
    for (targets, why) in [
        (
            &["bg01@contoso.onmicrosoft.com"][..],
            "is a break-glass account",
        ),
        (
            &["Sync_DC01_0a1b2c@contoso.onmicrosoft.com"],
            "directory synchronisation",
        ),
        // Each alone is not the last one; all three together are.
        (
            &[
                "pia@contoso.com",
                "grace@contoso.com",
                "88888888-8888-4888-8888-888888888807",
            ],
            "nobody could undo anything",
        ),
    ] {
        let mut words = vec!["revoke-user"];
        words.extend(targets);
        words.extend(["--incident", "IR-1", "--yes"]);
        let done = azir.run(&words);
        assert_eq!(done.code, 5, "{targets:?}: {}{}", done.stdout, done.stderr);
        assert!(
            format!("{}{}", done.stdout, done.stderr).contains(why),
            "{why}: {}{}",
            done.stdout,
            done.stderr
        );
        let plan = azir.run(&[&words[..words.len() - 3], &["--plan"]].concat());
        assert_eq!(plan.code, 5, "{}", plan.stdout);
        assert!(plan.stdout.contains(why), "{why}: {}", plan.stdout);
    }
    let own = azir.run(&[
        "revoke-user",
        "alice@contoso.com",
        "--incident",
        "IR-1",
        "--yes",
        "--responder",
        "Alice@contoso.com",
    ]);
    assert_eq!(own.code, 5, "{}", own.stderr);
    assert!(to_graph(&azir).is_empty(), "{:?}", to_graph(&azir));
    let one = azir.run(&[
        "revoke-user",
        "pia@contoso.com",
        "--incident",
        "IR-1",
        "--yes",
    ]);
    assert_eq!(one.code, 0, "{}", one.stderr);
}

#[test]
fn a_guard_of_a_called_runbook_is_set_aside_by_two_persons() {
    let azir = Azir::new();
    azir.configure("break_glass = [\"bg01@contoso.onmicrosoft.com\"]");
    let file = azir.home.path().join("plan.json");
    let file = file.to_str().unwrap();
    let guard = "guards.not_break_glass";
    let plan = |guard: &str| {
        azir.run(&[
            "plan",
            "revoke-user",
            "bg01@contoso.onmicrosoft.com",
            "--incident",
            "IR-1",
            "--over-guard",
            guard,
            "--responder",
            "pia@contoso.com",
            "-o",
            file,
        ])
    };
    let unknown = plan("guards.break_glass");
    assert_eq!(unknown.code, 2, "{}", unknown.stderr);
    assert!(
        unknown
            .stderr
            .contains("did you mean guards.not_break_glass"),
        "{}",
        unknown.stderr
    );
    let planned = plan(guard);
    assert_eq!(planned.code, 0, "{}{}", planned.stdout, planned.stderr);
    let approved = azir.run(&["approve", file, "--yes", "--responder", "grace@contoso.com"]);
    assert_eq!(approved.code, 0, "{}", approved.stderr);
    let done = azir.run(&["run", "--approved", file, "--responder", "pia@contoso.com"]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let state = azir.lab.state();
    assert_eq!(
        user(&state, "88888888-8888-4888-8888-888888888807")["accountEnabled"],
        false
    );
}

#[test]
fn an_administrator_out_of_reach_is_refused_with_the_role_that_is_missing() {
    let azir = Azir::new();
    let done = as_junior(
        &azir,
        &[
            "revoke-user",
            "heidi@contoso.com",
            "--incident",
            "IR-1",
            "--yes",
            "--cut-only",
        ],
    );
    assert_eq!(done.code, 5, "{}{}", done.stdout, done.stderr);
    let said = format!("{}{}", done.stdout, done.stderr);
    assert!(
        said.contains("Privileged Authentication Administrator, or Global Administrator"),
        "{said}"
    );
    assert!(to_graph(&azir).is_empty());
    let done = as_junior(
        &azir,
        &[
            "revoke-user",
            "alice@contoso.com",
            "--incident",
            "IR-1",
            "--yes",
            "--cut-only",
        ],
    );
    // The junior may not write to the evidence container: a gap, and no reason to stop.
    assert_eq!(done.code, 4, "{}{}", done.stdout, done.stderr);
    let alice = "88888888-8888-4888-8888-888888888801";
    assert_eq!(user(&azir.lab.state(), alice)["accountEnabled"], false);
}

#[test]
fn guests_and_synced_users_are_cut_here_and_the_rest_is_said() {
    let azir = Azir::new();
    let guest = "gary_partner.example#EXT#@contoso.onmicrosoft.com";
    let (code, report) = azir.json(&["revoke-user", guest, "--incident", "IR-1", "--yes"]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(
        to_graph(&azir),
        ["PATCH /v1.0/users/88888888-8888-4888-8888-888888888803"]
    );
    assert!(
        said(&report, "residual").contains("its home tenant owns sessions, password and methods"),
        "{report}"
    );

    let plan = azir.run(&["revoke-user", "sam@contoso.com", "--plan"]);
    assert!(
        plan.stdout.contains("mastered on premises"),
        "{}",
        plan.stdout
    );
    let (code, report) = azir.json(&[
        "revoke-user",
        "sam@contoso.com",
        "--incident",
        "IR-2",
        "--yes",
    ]);
    // A task for a person that nobody did is left undone, and not a green tick.
    assert_eq!(
        (code, &report["status"]),
        (3, &json!("partial")),
        "{report}"
    );
    assert_eq!(
        user(&azir.lab.state(), "88888888-8888-4888-8888-888888888804")["accountEnabled"],
        false
    );
    let lines = std::fs::read_to_string(azir.run_dir("IR-2").join("seg-000001.jsonl")).unwrap();
    assert!(
        lines.contains("Disable-ADAccount -Identity 'CN=Sam Stone,OU=Staff,DC=contoso,DC=local'"),
        "{lines}"
    );
}

#[test]
fn one_who_is_disabled_already_is_revoked_and_not_enabled_by_the_undo() {
    let azir = Azir::new();
    let (code, report) = azir.json(&[
        "revoke-user",
        "mona@contoso.com",
        "--incident",
        "IR-1",
        "--yes",
    ]);
    assert_eq!(code, 0, "{report}");
    assert!(
        !to_graph(&azir)
            .iter()
            .any(|write| write.starts_with("PATCH")),
        "{:?}",
        to_graph(&azir)
    );
    let (code, undone) = azir.json(&["undo", "last", "--yes"]);
    assert_eq!(code, 0, "{undone}");
    assert_eq!(
        user(&azir.lab.state(), "88888888-8888-4888-8888-888888888810")["accountEnabled"],
        false
    );
}

#[test]
fn many_are_read_first_then_cut_in_one_burst_then_collected_from() {
    // One's state is slow to come, so that another's cut would overtake it if nobody waited.
    let slow = "88888888-8888-4888-8888-888888888809";
    let azir = Azir::with(
        &format!(
            "faults: [{{method: GET, path: '/users/{slow}/transitiveMemberOf', nth: 1, do: delay, millis: 700}}]"
        ),
        |_| {},
    );
    let list = azir.home.path().join("list.txt");
    std::fs::write(
        &list,
        "# of the phishing mail\nalice@contoso.com\n\nbob@contoso.com\n",
    )
    .unwrap();
    let words = [
        "revoke-user",
        "heidi@contoso.com",
        "--from",
        list.to_str().unwrap(),
        "--incident",
        "IR-1",
        "--yes",
    ];
    let (code, report) = azir.json(&words);
    assert_eq!(code, 0, "{report}");
    let requests = azir.lab.requests();
    let places = |fits: &dyn Fn(&str, &str) -> bool| {
        let found = requests.iter().enumerate();
        found
            .filter(|(_, request)| fits(&request.method, &request.path))
            .map(|(place, _)| place)
            .collect::<Vec<_>>()
    };
    let read = places(&|method, path| {
        method == "GET" && path.ends_with("/transitiveMemberOf/microsoft.graph.group")
    });
    let cut = places(&|method, path| method == "PATCH" && path.contains("/users/"));
    let collected = places(&|_, path| path.ends_with("/auditLogs/signIns"));
    assert_eq!((read.len(), cut.len()), (3, 3));
    assert!(read.iter().max() < cut.iter().min(), "{read:?} {cut:?}");
    assert!(
        cut.iter().max() < collected.iter().min(),
        "{cut:?} {collected:?}"
    );
}

#[test]
fn who_cannot_be_read_or_may_not_be_cut_holds_nobody_else_up() {
    // Resolved once, and then not to be read.
    let bob = "88888888-8888-4888-8888-888888888809";
    let azir = Azir::with(
        &format!(
            "faults: [{{method: GET, path: '/users/{bob}', nth: 1, do: status, status: 403}}]"
        ),
        |_| {},
    );
    let words = [
        "revoke-user",
        "alice@contoso.com",
        "bob@contoso.com",
        "Sync_DC01_0a1b2c@contoso.onmicrosoft.com",
        "--incident",
        "IR-1",
        "--yes",
    ];
    let (code, report) = azir.json(&words);
    assert_eq!(code, 3, "{report}");
    let state = azir.lab.state();
    let alice = user(&state, "88888888-8888-4888-8888-888888888801");
    assert_eq!(alice["accountEnabled"], false);
    assert_eq!(user(&state, bob)["accountEnabled"], true);
}

#[test]
fn cut_only_asks_no_log_and_says_what_was_not_looked_at() {
    let azir = Azir::new();
    let (code, report) = azir.json(&[
        "revoke-user",
        "heidi@contoso.com",
        "--incident",
        "IR-1",
        "--yes",
        "--cut-only",
    ]);
    assert_eq!(code, 0, "{report}");
    let asked = azir.lab.requests();
    assert!(
        !asked
            .iter()
            .any(|request| request.path.contains("/auditLogs/")),
        "{asked:?}"
    );
    assert!(said(&report, "residual").contains("--cut-only"), "{report}");
}

#[test]
fn one_part_that_fails_is_named_and_the_rest_of_the_cut_is_made() {
    let azir = Azir::with(
        "faults: [{method: POST, path: revokeSignInSessions, times: 9, do: status, status: 403}]",
        |_| {},
    );
    let (code, report) = azir.json(&[
        "revoke-user",
        "alice@contoso.com",
        "--incident",
        "IR-1",
        "--yes",
    ]);
    assert_eq!(code, 3, "{report}");
    assert!(
        said(&report, "residual")
            .contains("NOT CUT: sessions of alice@contoso.com were not revoked"),
        "{report}"
    );
    assert_eq!(
        user(&azir.lab.state(), "88888888-8888-4888-8888-888888888801")["accountEnabled"],
        false
    );
}

#[test]
fn methods_go_in_the_order_that_the_service_wants_whatever_is_the_default() {
    let azir = Azir::new();
    let words = [
        "revoke-user",
        "heidi@contoso.com",
        "--incident",
        "IR-1",
        "--yes",
        "--choose",
        "attackers_which=all",
    ];
    let (code, report) = azir.json(&words);
    assert_eq!(code, 0, "{report}");
    // The password stays; it cannot be deleted.
    assert_eq!(methods(&azir.lab.state(), HEIDI), 1);
    let tried = to_graph(&azir)
        .into_iter()
        .filter(|write| write.contains("microsoftAuthenticatorMethods"));
    assert_eq!(
        tried.count(),
        2,
        "the default was refused first, and went last"
    );
}
