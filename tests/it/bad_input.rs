//! What goes wrong, and what azir says, does and exits with.

use serde_json::json;

use crate::support::{Azir, bare};

#[test]
fn an_unknown_machine_is_refused_with_the_nearest_names() {
    let azir = Azir::new();
    let (code, error) = azir.json(&["isolate-vm", "vm-ap-01", "--yes"]);
    assert_eq!(
        (code, &error["error"]["code"]),
        (5, &json!("unknown_target"))
    );
    assert!(
        error["error"]["message"]
            .as_str()
            .unwrap()
            .contains("vm-app-01")
    );
    assert_eq!(error["error"]["hint"], json!("azir isolate-vm vm-app-01"));
    let id = format!(
        "{}/resourceGroups/rg-workload-prod/providers/Microsoft.Compute/virtualMachines/nope",
        crate::support::SUB
    );
    assert_eq!(azir.json(&["isolate-vm", &id, "--yes"]).0, 5);
    assert!(azir.writes().is_empty());
}

#[test]
fn an_unknown_name_says_where_azir_could_not_look() {
    let azir = Azir::with(
        "faults: [{path: '/subscriptions/33333333*/virtualMachines', do: status, status: 403, times: 9}]",
        |_| {},
    );
    let (code, error) = azir.json(&["isolate-vm", "vm-nowhere", "--yes"]);
    assert_eq!(code, 5, "{error}");
    let message = error["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("not looked in: 33333333-3333-4333-8333-333333333333 ("),
        "{message}"
    );
}

#[test]
fn an_ambiguous_name_is_refused_with_both_ids() {
    let azir = Azir::new();
    let (code, error) = azir.json(&["isolate-vm", "vm-twin-01", "--yes"]);
    assert_eq!(
        (code, &error["error"]["code"]),
        (5, &json!("ambiguous_target"))
    );
    let message = error["error"]["message"].as_str().unwrap();
    assert!(message.contains("rg-dev") && message.contains("rg-workload-prod"));
    assert!(azir.writes().is_empty());
}

#[test]
fn without_rights_nothing_is_begun_and_where_they_cannot_be_read_the_action_is_named_afterwards() {
    let words = [
        "isolate-vm",
        "vm-forbidden-01",
        "--incident",
        "IR-1",
        "--yes",
    ];
    let azir = Azir::new();
    let (code, refused) = azir.json(&words);
    assert_eq!((code, &refused["error"]["code"]), (5, &json!("preflight")));
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("Microsoft.Compute/snapshots/write"),
        "{message}"
    );
    assert!(azir.all_writes().is_empty());

    let unreadable =
        "faults: [{path: /permissions, do: status, status: 403, code: Refused, times: 99}]";
    let azir = Azir::with(unreadable, |_| {});
    let (code, report) = azir.json(&words);
    assert_eq!((code, &report["status"]), (1, &json!("failed")), "{report}");
    assert!(
        report["targets"][0]["error"]["message"]
            .as_str()
            .unwrap()
            .contains("does not have authorization to perform action")
    );
    assert_eq!(azir.run(&["journal", "verify", "last"]).code, 2);
}

#[test]
fn nobody_to_confirm_is_exit_2_before_any_write() {
    let azir = Azir::new();
    let done = azir.run(&["isolate-vm", "vm-app-01"]);
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert!(done.stderr.contains("--yes"));
    assert!(azir.writes().is_empty());
}

#[test]
fn a_subscription_outside_the_profile_is_never_written_to() {
    let azir = Azir::new();
    let config = azir.home.path().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(
        &config,
        format!("{text}\nsubscriptions = [\"33333333-3333-4333-8333-333333333333\"]\n"),
    )
    .unwrap();
    let id = format!(
        "{}/resourceGroups/rg-workload-prod/providers/Microsoft.Compute/virtualMachines/vm-app-01",
        crate::support::SUB
    );
    let (code, report) = azir.json(&["isolate-vm", &id, "--incident", "IR-1", "--yes"]);
    assert!(matches!(code, 1 | 5), "{report}");
    assert!(azir.writes().is_empty(), "{:?}", azir.writes());
}

#[test]
fn a_tenant_of_another_national_cloud_is_said_with_the_way_there() {
    let tenant = "77777777-7777-4777-8777-777777777799";
    let azir = Azir::with("faults: []", |options| {
        options.scenario.elsewhere.push(tenant.to_owned());
    });
    let mut command = azir.command(&["isolate-vm", "vm-app-01", "--yes"]);
    let done = crate::support::done(command.env("AZURE_TENANT_ID", tenant).output().unwrap());
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(done.stderr.contains("AADSTS90038"), "{}", done.stderr);
    assert!(
        done.stderr.contains("next: export AZIR_CLOUD="),
        "{}",
        done.stderr
    );
}

#[test]
fn a_secret_that_has_expired_is_said_by_its_number() {
    let azir = Azir::new();
    let responder = "55555555-5555-4555-8555-555555555555";
    let ended = |object: &mut serde_json::Value| {
        object["passwordCredentials"][0]["endDateTime"] = json!("2020-01-01T00:00:00Z");
    };
    let state = azir.lab.state();
    let client = &state["directory"]["servicePrincipals"][responder]["appId"];
    let applications = state["directory"]["applications"].as_object().unwrap();
    let own = applications.iter().find(|(_, one)| one["appId"] == *client);
    azir.lab
        .tamper_directory("applications", own.unwrap().0, ended);
    let done = azir.run(&["isolate-vm", "vm-app-01", "--yes"]);
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(done.stderr.contains("7000222"), "{}", done.stderr);
    assert!(azir.writes().is_empty());
}

#[test]
fn an_unreachable_cloud_and_a_wrong_secret_are_said_plainly() {
    let azir = Azir::new();
    let mut command = azir.command(&["isolate-vm", "vm-app-01", "--yes"]);
    let done = crate::support::done(
        command
            .env("AZURE_CLIENT_SECRET", "wrong-CANARY")
            .output()
            .unwrap(),
    );
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(
        done.stderr.contains("7000215") && !done.stderr.contains("CANARY"),
        "{}",
        done.stderr
    );
    let mut command = azir.command(&["isolate-vm", "vm-app-01", "--yes"]);
    let done = crate::support::done(
        command
            .env("AZIR_CLOUD", "https://127.0.0.1:1")
            .output()
            .unwrap(),
    );
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(done.stderr.contains("cannot reach 127.0.0.1"));
}

#[test]
fn an_expired_token_and_a_claims_challenge_are_answered_once() {
    let azir = Azir::with(
        "faults: [{path: /virtualMachines/vm-app-01, method: GET, do: expired-token}, {path: /networkInterfaces/, do: claims-challenge}]",
        |_| {},
    );
    let done = azir.run(&["isolate-vm", "vm-app-01", "--incident", "IR-1", "--yes"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let azir = Azir::with(
        "faults: [{path: /virtualMachines/vm-app-01, do: claims-challenge, times: 9}]",
        |_| {},
    );
    let done = azir.run(&["isolate-vm", "vm-app-01", "--incident", "IR-1", "--yes"]);
    assert_eq!(done.code, 1, "{}{}", done.stdout, done.stderr);
    assert!(
        done.stdout.contains("az login --claims-challenge") || done.stderr.contains("renewed"),
        "{}",
        done.stdout
    );
}

#[test]
fn a_foreign_next_link_gets_no_token_and_stops_the_list() {
    let azir = Azir::with(
        "faults: [{path: eventtypes, do: foreign-next-link}]",
        |_| {},
    );
    let (code, report) = azir.json(&["isolate-vm", "vm-app-01", "--incident", "IR-1", "--yes"]);
    assert_eq!(code, 4, "{report}");
    assert!(report["gaps"].to_string().contains("evil.example"));
}

#[test]
fn a_log_that_breaks_off_is_kept_as_far_as_it_was_read_and_never_called_complete() {
    let azir = Azir::with(
        "faults: [{path: eventtypes, nth: 3, do: status, status: 403, code: AuthorizationFailed, times: 99}]",
        |_| {},
    );
    let group = format!("{}/resourceGroups/rg-workload-prod", crate::support::SUB);
    let (code, report) = azir.json(&[
        "collect-activity-log",
        &group,
        "--incident",
        "IR-1",
        "--yes",
    ]);
    assert_eq!(code, 4, "{report}");
    let exhibit = &report["evidence"][0];
    assert!(exhibit["size"].as_u64().unwrap() > 0, "{report}");
    let gaps = report["gaps"].to_string();
    assert!(gaps.contains("100 rows and is not complete"), "{gaps}");
}

#[test]
fn a_log_without_a_row_is_not_called_clean() {
    let azir = Azir::new();
    let group = format!("{}/resourceGroups/rg-north", crate::support::SUB);
    let (code, report) = azir.json(&[
        "collect-activity-log",
        &group,
        "--incident",
        "IR-1",
        "--yes",
    ]);
    assert_eq!(code, 0, "{report}");
    assert!(
        report["residual"]
            .to_string()
            .contains("which proves nothing"),
        "{report}"
    );
}

#[test]
fn a_foreign_operation_address_is_not_polled_and_the_resource_itself_is_asked() {
    const SCRIPT: &str = "faults: [{method: PUT, path: /networkInterfaces/, do: foreign-location}]";
    let azir = Azir::with(SCRIPT, |_| {});
    let (code, report) = azir.json(&["isolate-vm", "vm-app-01", "--incident", "IR-1", "--yes"]);
    assert_eq!(code, 0, "{report}");
    let journal = azir.run(&["journal", "export", "last"]).stdout;
    assert!(
        journal.contains("evil.example"),
        "what was refused is on record"
    );
    let reconciled = journal
        .lines()
        .filter(|line| {
            line.contains("\"type\":\"action.reconcile\"") && line.contains("\"found\":\"yes\"")
        })
        .count();
    assert_eq!(reconciled, 1);

    // An operation that has not ended shows nothing: then nothing is claimed.
    let azir = Azir::with(SCRIPT, |options| options.lro = 1.0);
    let (code, report) = azir.json(&["isolate-vm", "vm-app-01", "--incident", "IR-1", "--yes"]);
    assert_eq!(code, 3, "{report}");
    let error = report["targets"][0]["error"]["message"].to_string();
    assert!(error.contains("evil.example"), "{error}");
}

#[test]
fn throttling_and_trouble_on_the_way_are_waited_out() {
    let script = "faults: [{method: PUT, path: /snapshots/, do: status, status: 429, retry_after: 1}, {method: PATCH, do: status, status: 503}, {path: /disks/, do: reset-before}, {method: PUT, path: /networkInterfaces/, do: reset-after}]";
    let azir = Azir::with(script, |_| {});
    let (code, report) = azir.json(&["isolate-vm", "vm-app-01", "--incident", "IR-1", "--yes"]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(azir.run(&["journal", "verify", "last"]).code, 2);
}

#[test]
fn a_write_whose_answer_cannot_be_read_is_not_called_failed() {
    for fault in ["truncate", "html", "malformed"] {
        let azir = Azir::with(
            &format!(
                "faults: [{{method: PUT, path: /networkInterfaces/, do: {fault}}}, {{method: PUT, path: /securityRules/, do: {fault}}}, {{method: PATCH, path: /virtualMachines/, times: 2, do: {fault}}}, {{method: PUT, path: /snapshots/, do: {fault}}}]"
            ),
            |_| {},
        );
        let (code, report) = azir.json(&["isolate-vm", "vm-app-01", "--incident", "IR-1", "--yes"]);
        assert_eq!(
            (code, &report["gaps"]),
            (0, &json!([])),
            "{fault}: {report}"
        );
        assert_eq!(azir.run(&["undo", "last", "--yes"]).code, 0, "{fault}");
    }
}

#[test]
fn an_answer_that_cannot_be_read_is_asked_for_again() {
    for fault in ["truncate", "html", "malformed"] {
        let azir = Azir::with(
            &format!(
                "faults: [{{path: /oauth2/, do: {fault}}}, {{method: GET, path: /virtualMachines/, do: {fault}}}, {{method: GET, path: /networkInterfaces/, do: {fault}}}, {{path: eventtypes, do: {fault}}}, {{path: /effectiveNetworkSecurityGroups, do: {fault}}}]"
            ),
            |_| {},
        );
        let (code, report) = azir.json(&["isolate-vm", "vm-app-01", "--incident", "IR-1", "--yes"]);
        assert_eq!(
            (code, &report["gaps"]),
            (0, &json!([])),
            "{fault}: {report}"
        );
    }
}

#[test]
fn an_upload_whose_answer_is_lost_is_settled_by_reading_the_blob_back() {
    let azir = Azir::with(
        "faults: [{path: /metadata/endpoints, do: reset-before}, {method: PUT, path: /ir-evidence/, do: reset-after}]",
        |_| {},
    );
    let (code, report) = azir.json(&["isolate-vm", "vm-app-01", "--incident", "IR-1", "--yes"]);
    assert_eq!((code, &report["gaps"]), (0, &json!([])), "{report}");
    assert!(report["evidence"][0]["stored"].is_string(), "{report}");
    let (_, verified) = azir.json(&["journal", "verify", "last"]);
    assert_eq!(verified["open_intents"], json!(0), "{verified}");
    // Sent again, it is there already, and nothing is put over it; what came of it is read.
    let requests = azir.lab.requests();
    let broken = requests
        .iter()
        .position(|sent| sent.method == "PUT" && sent.path.starts_with("/ir-evidence/"))
        .unwrap();
    let path = &requests[broken].path;
    let puts = requests
        .iter()
        .filter(|sent| sent.method == "PUT" && sent.path == *path);
    let answers: Vec<u16> = puts.map(|sent| sent.status).collect();
    assert_eq!(answers, [201, 409], "{path}");
    let read = requests[broken..]
        .iter()
        .any(|sent| ["GET", "HEAD"].contains(&sent.method.as_str()) && sent.path == *path);
    assert!(read, "{path}");
}

#[test]
fn an_unwritable_home_is_exit_75() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let done = bare(&file, &["isolate-vm", "vm-app-01", "--lab", "--yes"]);
    assert_eq!(done.code, 75, "{}", done.stderr);
    assert!(done.stderr.contains("AZIR_HOME"));
}

#[test]
fn a_second_process_on_the_same_run_is_told_who_holds_it() {
    let azir = Azir::new();
    assert_eq!(
        azir.run(&["isolate-vm", "vm-app-01", "--incident", "IR-1", "--yes"])
            .code,
        0
    );
    let run = azir.run_dir("IR-1");
    let lock = std::fs::OpenOptions::new()
        .write(true)
        .open(run.join("lock"))
        .unwrap();
    lock.try_lock().unwrap();
    let done = azir.run(&["undo", "last", "--yes"]);
    assert_eq!(done.code, 75, "{}", done.stderr);
    assert!(done.stderr.contains("process"), "{}", done.stderr);
}

#[test]
fn a_journal_that_was_changed_cannot_be_undone() {
    let azir = Azir::new();
    assert_eq!(
        azir.run(&["isolate-vm", "vm-app-01", "--incident", "IR-1", "--yes"])
            .code,
        0
    );
    let segment = azir.run_dir("IR-1").join("seg-000001.jsonl");
    let text = std::fs::read_to_string(&segment)
        .unwrap()
        .replacen("vm-app-01", "vm-app-02", 1);
    std::fs::write(&segment, text).unwrap();
    let writes = azir.writes().len();
    let (code, error) = azir.json(&["undo", "last", "--yes"]);
    assert_eq!(
        (code, &error["error"]["code"]),
        (6, &json!("integrity")),
        "{error}"
    );
    assert_eq!(azir.writes().len(), writes);
}

#[test]
fn bad_yaml_of_every_kind_is_shown_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.yaml");
    let head = "azir: v1\nname: x\nversion: 1.0.0\ntitle: X\npurpose: read\n";
    let bomb = format!("a: &a [x]\nb: &b [*a,*a]\n{head}steps: []\n");
    for (text, said) in [
        (format!("{head}steps: []\nsteps: []\n"), "duplicate"),
        (format!("{head}stepz: []\n"), "did you mean steps?"),
        (
            format!("{head}steps: [{{id: a, phase: tag, title: T, reed: {{}}}}]\n"),
            "did you mean read?",
        ),
        (
            format!("{head}steps: [{{id: a, phase: tagg, title: T, wait: {{for: 1s, why: w}}}}]\n"),
            "did you mean tag?",
        ),
        (format!("{head}steps: 7\n"), "must be a list"),
        (bomb, "x.yaml:"),
        ("[".repeat(100_000), "x.yaml:"),
        (
            format!("{head}# {}\n", "x".repeat(10 << 20)),
            "a runbook has at most",
        ),
        (format!("{head}\0"), "NUL"),
        (String::new(), "x.yaml:"),
    ] {
        std::fs::write(&path, text).unwrap();
        let done = bare(folder.path(), &["runbook", "lint", path.to_str().unwrap()]);
        assert_eq!(done.code, 1, "{said}: {}{}", done.stdout, done.stderr);
        assert!(
            done.stdout.contains(said),
            "{said}: {}",
            &done.stdout[..done.stdout.len().min(600)]
        );
    }
    std::fs::write(&path, b"azir: \xff\xfe").unwrap();
    assert_eq!(
        bare(folder.path(), &["runbook", "lint", path.to_str().unwrap()]).code,
        1
    );
}

#[test]
fn odd_flags_and_names_are_usage_errors() {
    let folder = tempfile::tempdir().unwrap();
    for args in [
        &["isolate-wm", "x"][..],
        &["isolate-vm", "vm", "--nope"],
        &["isolate-vm", "--yes", "--lab", "--lab-latency", "0"],
        &["isolate-vm", "vm", "--incident", "../x", "--yes"],
        &[
            "isolate-vm",
            "vm",
            "--detected-at",
            "yesterday",
            "--yes",
            "--lab",
            "--lab-latency",
            "0",
        ],
        &[
            "isolate-vm",
            "vm",
            "--choose",
            "x",
            "--yes",
            "--lab",
            "--lab-latency",
            "0",
        ],
        &["isolate-vm", "vm", "--lookback", "soon"],
        &["show", "nothing"],
        &["undo", "last", "--yes"],
        &["runbook", "show", "nothing"],
        &["runbook", "new", "Undo!"],
        &["lab", "serve", "--scenario", "nothing"],
    ] {
        let done = bare(folder.path(), args);
        assert_eq!(done.code, 2, "{args:?}: {}{}", done.stdout, done.stderr);
        assert!(!done.stderr.contains("panicked"), "{args:?}");
    }
}

#[test]
fn an_unknown_key_in_the_configuration_is_an_error_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("config.toml"),
        "profile = \"p\"\n[profiles.p]\nbastions = []\n",
    )
    .unwrap();
    let done = bare(folder.path(), &["isolate-vm", "x", "--yes"]);
    assert_eq!(done.code, 2);
    assert!(
        done.stderr.contains("line 3") && done.stderr.contains("bastions"),
        "{}",
        done.stderr
    );
}

#[test]
fn an_interface_that_cannot_be_cut_does_not_hold_up_the_rest_of_the_cut() {
    let azir = Azir::with(
        "faults: [{method: PUT, path: hard-nic-3, do: status, status: 409, code: ScopeLocked, times: 99}]",
        |_| {},
    );
    let (code, report) = azir.json(&["isolate-vm", "vm-hard-01", "--incident", "IR-1", "--yes"]);
    assert_eq!(
        (code, &report["status"]),
        (3, &json!("partial")),
        "{report}"
    );
    let writes = azir.writes();
    let sent = |part: &str| writes.iter().filter(|write| write.contains(part)).count();
    assert_eq!(
        sent("PUT /subscriptions") - sent("hard-nic-3"),
        4 + 2 + 1,
        "{writes:#?}"
    );
    let patched =
        |write: &&String| write.starts_with("PATCH") && write.contains("/virtualMachines/");
    assert_eq!(
        writes.iter().filter(patched).count(),
        2,
        "identities and tags all the same: {writes:#?}"
    );
    let state = azir.lab.state().to_string();
    assert!(
        state.contains("isolation-incomplete"),
        "a machine that can be reached is not called isolated"
    );
    let residual = report["residual"].to_string();
    assert!(
        residual.contains("NOT CUT: interface hard-nic-3"),
        "{residual}"
    );
}

#[test]
fn a_place_where_nothing_can_be_prepared_does_not_hold_up_the_others() {
    let azir = Azir::new();
    let (code, report) = azir.json(&["prepare-quarantine", "--incident", "IR-1", "--yes"]);
    assert_eq!(
        (code, &report["status"]),
        (3, &json!("partial")),
        "{report}"
    );
    let made: Vec<String> = azir
        .writes()
        .into_iter()
        .filter(|write| {
            write.contains("22222222") && write.contains("nsg-ir-quarantine-northeurope")
        })
        .collect();
    assert_eq!(made.len(), 1, "{:?}", azir.writes());
    let failed = report["targets"][0]["error"]["message"].to_string();
    assert!(failed.contains("resourceGroups/write"), "{failed}");
}

#[test]
fn where_no_quarantine_can_be_had_the_identities_go_all_the_same() {
    let azir = Azir::with(
        "faults: [{path: /networkSecurityGroups, do: status, status: 403, code: AuthorizationFailed, times: 999}]",
        |_| {},
    );
    let (code, report) = azir.json(&["isolate-vm", "vm-hard-01", "--incident", "IR-1", "--yes"]);
    assert_eq!(code, 3, "{report}");
    let writes = azir.writes();
    // The one with a public address loses that, which needs no quarantine.
    let interfaces = writes
        .iter()
        .filter(|write| write.contains("/networkInterfaces/"));
    let interfaces: Vec<&String> = interfaces.collect();
    assert!(
        interfaces.len() == 1 && interfaces[0].ends_with("hard-nic-1"),
        "{writes:#?}"
    );
    assert_eq!(
        writes
            .iter()
            .filter(|write| write.starts_with("PATCH") && write.contains("/virtualMachines/"))
            .count(),
        2,
        "identities and tags: {writes:#?}"
    );
    let text = report.to_string();
    for nic in ["hard-nic-1", "hard-nic-2", "hard-nic-3"] {
        assert!(text.contains(&format!("NOT CUT: interface {nic}")), "{nic}");
    }
    let done = azir.run(&["show", "last"]);
    assert!(
        done.stdout.contains("AuthorizationFailed"),
        "{}",
        done.stdout
    );
}

#[test]
fn a_quarantine_without_a_group_says_what_to_type() {
    let azir = Azir::new();
    std::fs::write(azir.home.path().join("config.toml"), "").unwrap();
    let (code, report) = azir.json(&["prepare-quarantine", "--yes"]);
    assert_eq!(code, 5, "{report}");
    assert_eq!(
        report["targets"][0]["error"]["hint"],
        "azir prepare-quarantine --plan"
    );
}

#[test]
fn azirs_own_machine_is_refused_before_any_write() {
    let azir = Azir::new();
    let id = format!(
        "{}/resourceGroups/rg-workload-prod/providers/Microsoft.Compute/virtualMachines/vm-app-01",
        crate::support::SUB
    );
    // The lab's responder signs in as this object.
    azir.lab.tamper(&id, |machine| {
        machine["identity"]["principalId"] = json!("55555555-5555-4555-8555-555555555555");
    });
    let (code, report) = azir.json(&["isolate-vm", "vm-app-01", "--incident", "IR-1", "--yes"]);
    assert_eq!(
        (code, &report["status"]),
        (5, &json!("refused")),
        "{report}"
    );
    assert!(
        report
            .to_string()
            .contains("azir signs in with an identity of this very machine")
    );
    assert!(azir.writes().is_empty(), "{:?}", azir.writes());
}

#[test]
fn a_choice_that_is_not_there_leaves_the_roles_and_does_the_rest() {
    let azir = Azir::new();
    let choose = ["--choose", "cut_roles_which=nope"];
    let plan = ["isolate-vm", "vm-app-01", "--incident", "IR-1", "--plan"];
    let (code, plan) = azir.json(&[&plan[..], &choose].concat());
    assert_eq!(code, 5, "a plan says it today: {plan}");
    let said = plan["preflight"].to_string();
    assert!(
        said.contains("cut_roles_which=nope names none of the"),
        "{said}"
    );
    let run = ["isolate-vm", "vm-app-01", "--incident", "IR-1", "--yes"];
    let (code, report) = azir.json(&[&run[..], &choose].concat());
    assert_eq!(code, 3, "{report}");
    let writes = azir.writes();
    assert!(
        !writes.iter().any(|write| write.starts_with("DELETE")),
        "{writes:#?}"
    );
    assert_eq!(
        writes
            .iter()
            .filter(|write| write.starts_with("PATCH") && write.contains("/virtualMachines/"))
            .count(),
        2,
        "identity and tags: {writes:#?}"
    );
}

#[test]
fn a_missing_target_is_said_before_anybody_is_asked_for_a_token() {
    let home = tempfile::tempdir().unwrap();
    for (name, target) in [("revoke-user", "USER"), ("isolate-vm", "VM")] {
        let done = bare(home.path(), &[name, "--yes"]);
        let said = format!("azir: {name} needs at least one {target}\nnext: azir {name} --help\n");
        assert_eq!((done.code, done.stderr), (2, said));
    }
}

#[test]
fn a_wrong_name_on_the_shelf_proposes_the_command_that_was_typed() {
    let home = tempfile::tempdir().unwrap();
    for command in ["show", "role"] {
        let done = bare(home.path(), &["runbook", command, "isolate-vn"]);
        let next = format!("next: azir runbook {command} isolate-vm\n");
        assert_eq!(done.code, 2);
        assert!(done.stderr.ends_with(&next), "{}", done.stderr);
    }
}
