//! What takes an identity's means away one by one, and what looks at identities without changing anything.

use serde_json::{Value, json};

use crate::support::{Azir, each};

const HEIDI: &str = "88888888-8888-4888-8888-888888888802";

fn run(azir: &Azir, words: &[&str]) -> Value {
    let mut all = words.to_vec();
    all.extend(["--incident", "IR-1", "--yes"]);
    let (code, report) = azir.json(&all);
    assert_eq!(code, 0, "{words:?}: {report}");
    report
}

fn told(report: &Value) -> String {
    let items = report["findings"].as_array().unwrap().iter();
    let all: Vec<String> = items
        .map(|item| {
            format!(
                "{}: {}",
                item["severity"].as_str().unwrap(),
                item["what"].as_str().unwrap()
            )
        })
        .collect();
    all.join("\n")
}

fn open(report: &Value) -> String {
    let items = report["residual"].as_array().unwrap().iter();
    let all: Vec<&str> = items.map(|item| item["what"].as_str().unwrap()).collect();
    all.join("\n")
}

fn contains(text: &str, all: &[&str]) {
    for what in all {
        assert!(text.contains(what), "{what}: {text}");
    }
}

#[test]
fn a_principals_roles_go_in_the_directory_and_in_azure_and_come_back_after_a_clearance() {
    let azir = Azir::new();
    let held = |state: &Value| {
        let directory = each(state, "roleAssignments")
            .into_iter()
            .chain(each(state, "eligibilities"));
        let azure = state["resources"].as_object().unwrap().values();
        let azure = azure.filter(|value| value["properties"]["principalId"] == HEIDI);
        directory
            .filter(|value| value["principalId"] == HEIDI)
            .count()
            + azure.count()
    };
    assert_eq!(held(&azir.lab.state()), 4);
    let report = run(&azir, &["strip-roles", "heidi@contoso.com"]);
    assert_eq!(held(&azir.lab.state()), 0);
    contains(
        &open(&report),
        &[
            "Storage Blob Data Reader on",
            "through that group, and stays",
        ],
    );
    let (code, refused) = azir.json(&["undo", "last", "--yes"]);
    assert_eq!((code, &refused["error"]["code"]), (5, &json!("clearance")));
    let (code, undone) = azir.json(&["undo", "last", "--yes", "--clearance", "cleared by pia"]);
    assert_eq!(code, 0, "{undone}");
    assert_eq!(held(&azir.lab.state()), 4);
}

#[test]
fn the_last_administrators_role_stays() {
    let azir = Azir::new();
    let words = [
        "strip-roles",
        "pia@contoso.com",
        "grace@contoso.com",
        "bg01@contoso.onmicrosoft.com",
        "--incident",
        "IR-1",
        "--yes",
    ];
    let done = azir.run(&words);
    assert_eq!(done.code, 5, "{}{}", done.stdout, done.stderr);
    assert!(
        done.stderr.contains("nobody could undo anything"),
        "{}",
        done.stderr
    );
    assert!(azir.writes().iter().all(|write| !write.contains("/v1.0/")));
    run(&azir, &["strip-roles", "pia@contoso.com"]);
}

#[test]
fn a_consent_goes_and_its_application_stays_as_a_tombstone() {
    let azir = Azir::new();
    let report = run(&azir, &["revoke-consent", "PDF Converter"]);
    let state = azir.lab.state();
    let pdf = "dddddddd-dddd-4ddd-8ddd-dddddddddd01";
    assert_eq!(
        state["directory"]["servicePrincipals"][pdf]["accountEnabled"],
        false
    );
    assert!(
        each(&state, "oauth2PermissionGrants")
            .iter()
            .all(|grant| grant["clientId"] != pdf)
    );
    let writes = azir.writes();
    let writes: Vec<&String> = writes
        .iter()
        .filter(|write| write.contains("/v1.0/"))
        .collect();
    assert!(
        writes[0].starts_with("PATCH /v1.0/servicePrincipals/"),
        "{writes:?}"
    );
    assert!(
        writes[1].starts_with("DELETE /v1.0/oauth2PermissionGrants/"),
        "{writes:?}"
    );
    contains(&open(&report), &["60 to 90 minutes"]);
    let (code, undone) = azir.json(&["undo", "last", "--yes", "--clearance", "it was ours"]);
    assert_eq!(code, 0, "{undone}");
    let state = azir.lab.state();
    assert_eq!(
        state["directory"]["servicePrincipals"][pdf]["accountEnabled"],
        true
    );
    let grants = each(&state, "oauth2PermissionGrants");
    assert!(
        grants.iter().any(|grant| grant["clientId"] == pdf
            && grant["scope"] == " Mail.Read Mail.Send offline_access"),
        "{grants:?}"
    );
}

#[test]
fn one_users_consent_goes_and_an_application_that_is_ours_is_left_able_to_sign_in() {
    let azir = Azir::new();
    run(
        &azir,
        &[
            "revoke-consent",
            "shop-backend",
            "--user",
            "heidi@contoso.com",
            "--keep-enabled",
        ],
    );
    let state = azir.lab.state();
    let shop = each(&state, "servicePrincipals")
        .into_iter()
        .find(|one| one["displayName"] == "shop-backend")
        .unwrap();
    assert_eq!(shop["accountEnabled"], true);
    let left: Vec<&Value> = each(&state, "oauth2PermissionGrants")
        .into_iter()
        .filter(|grant| grant["clientId"] == shop["id"])
        .collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0]["consentType"], "AllPrincipals");
    assert_eq!(
        each(&state, "appRoleAssignments")
            .iter()
            .filter(|role| role["principalId"] == shop["id"])
            .count(),
        2
    );
}

#[test]
fn an_application_is_disabled_in_both_places_and_what_it_holds_goes_when_chosen() {
    let azir = Azir::new();
    let shop = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaa01";
    let own = |state: &Value| state["directory"]["applications"][shop].clone();
    let secrets = own(&azir.lab.state())["passwordCredentials"].clone();
    let certificate = "cccccccc-cccc-4ccc-8ccc-cccccccccc01";
    let chosen = format!(
        "secrets_which={},{certificate}",
        secrets[0]["keyId"].as_str().unwrap()
    );
    let words = [
        "revoke-app",
        "shop-backend",
        "--choose",
        &chosen,
        "--choose",
        "federated_which=all",
        "--choose",
        "owners_which=all",
    ];
    let report = run(&azir, &words);
    let writes: Vec<String> = azir
        .writes()
        .into_iter()
        .filter(|write| write.contains("/v1.0/"))
        .collect();
    assert!(
        writes[0].starts_with("PATCH /v1.0/servicePrincipals/"),
        "{writes:?}"
    );
    assert!(
        writes[1].starts_with("PATCH /v1.0/applications/"),
        "{writes:?}"
    );
    let asked = azir.lab.requests();
    let place = |part: &str| {
        asked
            .iter()
            .position(|request| request.path.contains(part))
            .unwrap()
    };
    assert!(
        place("/auditLogs/signIns") < place("/removePassword"),
        "first the inventory, then the removal"
    );
    let state = azir.lab.state();
    let app = own(&state);
    assert_eq!(app["isDisabled"], true);
    assert_eq!(app["passwordCredentials"].as_array().unwrap().len(), 1);
    assert_eq!(app["keyCredentials"], json!([]));
    assert!(each(&state, "federatedIdentityCredentials").is_empty());
    assert!(
        each(&state, "owners")
            .iter()
            .all(|link| link["object"] != shop)
    );
    contains(
        &told(&report),
        &["signed in from 198.51.100.80 to Microsoft Graph"],
    );
    contains(
        &open(&report),
        &[
            "opens nothing while both objects are disabled",
            "60 to 90 minutes",
        ],
    );
    let (code, undone) = azir.json(&["undo", "last", "--yes", "--clearance", "its code was clean"]);
    assert_eq!(code, 0, "{undone}");
    let state = azir.lab.state();
    let app = own(&state);
    assert_ne!(app["isDisabled"], true);
    assert_eq!(app["keyCredentials"][0]["keyId"], certificate);
    assert_eq!(
        app["passwordCredentials"].as_array().unwrap().len(),
        1,
        "a secret cannot come back"
    );
    assert_eq!(each(&state, "federatedIdentityCredentials").len(), 1);
    assert!(
        each(&state, "owners")
            .iter()
            .any(|link| link["object"] == shop)
    );
}

#[test]
fn a_foreign_application_is_ended_here_and_its_home_is_named() {
    let azir = Azir::new();
    let report = run(&azir, &["revoke-app", "PDF Converter"]);
    contains(
        &open(&report),
        &[
            "is of tenant eeeeeeee-eeee-4eee-8eee-eeeeeeeeee01: only that tenant can end it everywhere",
        ],
    );
    assert!(
        azir.writes()
            .iter()
            .all(|write| !write.contains("/v1.0/applications/"))
    );
}

#[test]
fn azirs_own_application_and_microsofts_are_not_disabled() {
    let azir = Azir::new();
    for (application, why) in [
        ("responder", "azir signs in as responder"),
        ("Microsoft Graph", "an application of Microsoft's"),
    ] {
        let done = azir.run(&["revoke-consent", application, "--incident", "IR-1", "--yes"]);
        assert_eq!(done.code, 5, "{application}: {}", done.stderr);
        assert!(done.stderr.contains(why), "{application}: {}", done.stderr);
    }
    assert!(azir.writes().iter().all(|write| !write.contains("/v1.0/")));
}

#[test]
fn authentication_methods_are_told_with_exceptions_and_go_when_chosen() {
    let azir = Azir::new();
    let report = run(&azir, &["reset-mfa", "heidi@contoso.com"]);
    contains(
        &told(&report),
        &[
            "phone +44 7700900199 (alternateMobile), added",
            "by heidi@contoso.com from 203.0.113.77",
            "high: heidi@contoso.com: Conditional Access policy Multifactor for everybody makes an exception for it",
        ],
    );
    assert!(
        azir.writes().iter().all(|write| !write.contains("/v1.0/")),
        "nothing goes unchosen"
    );
    run(
        &azir,
        &["reset-mfa", "heidi@contoso.com", "--choose", "gone=all"],
    );
    let methods = azir.lab.state()["directory"]["methods"].clone();
    let left = methods
        .as_object()
        .unwrap()
        .keys()
        .filter(|key| key.starts_with(HEIDI))
        .count();
    assert_eq!(left, 1);
    let guest = azir.run(&[
        "reset-mfa",
        "gary_partner.example#EXT#@contoso.onmicrosoft.com",
        "--incident",
        "IR-1",
        "--yes",
    ]);
    assert_eq!(guest.code, 5, "{}", guest.stderr);
}

#[test]
fn devices_rules_and_blocks_are_made_and_given_back() {
    let azir = Azir::new();
    run(&azir, &["disable-device", "DESKTOP-7QK2X", "LAPTOP-ALICE"]);
    let device = |state: &Value| {
        state["directory"]["devices"]["ffffffff-ffff-4fff-8fff-ffffffffff03"]["accountEnabled"]
            .clone()
    };
    assert_eq!(device(&azir.lab.state()), false);
    assert_eq!(azir.run(&["undo", "last", "--yes"]).code, 5);

    let rules = run(&azir, &["remove-inbox-rule", "heidi@contoso.com"]);
    contains(
        &told(&rules),
        &["sends mail outside: drop@attacker.example"],
    );
    let state = azir.lab.state();
    let bad = each(&state, "inboxRules")
        .into_iter()
        .find(|rule| rule["displayName"] == "..")
        .unwrap()["id"]
        .clone();
    let choose = format!("which={}", bad.as_str().unwrap());
    run(
        &azir,
        &[
            "remove-inbox-rule",
            "heidi@contoso.com",
            "--choose",
            &choose,
        ],
    );
    assert_eq!(each(&azir.lab.state(), "inboxRules").len(), 1);
    let (code, undone) = azir.json(&["undo", "last", "--yes", "--clearance", "a mistake"]);
    assert_eq!(code, 0, "{undone}");
    let state = azir.lab.state();
    let back = each(&state, "inboxRules")
        .into_iter()
        .find(|rule| rule["displayName"] == "..")
        .unwrap();
    assert_eq!(
        back["actions"]["forwardTo"][0]["emailAddress"]["address"],
        "drop@attacker.example"
    );

    let report = run(&azir, &["restrict-user", "heidi@contoso.com"]);
    contains(&open(&report), &["takes up to a day"]);
    let blocks = |state: &Value| {
        each(state, "accessPolicies")
            .iter()
            .filter(|policy| policy["conditions"]["users"]["includeUsers"] == json!([HEIDI]))
            .count()
    };
    assert_eq!(blocks(&azir.lab.state()), 1);
    // A second one for the same incident is not made.
    run(&azir, &["restrict-user", "heidi@contoso.com"]);
    assert_eq!(blocks(&azir.lab.state()), 1);
}

#[test]
fn a_users_risk_is_confirmed_and_dismissed() {
    let azir = Azir::new();
    let risk = |azir: &Azir| {
        azir.lab.state()["directory"]["riskyUsers"]["88888888-8888-4888-8888-888888888801"]["riskState"].clone()
    };
    run(&azir, &["confirm-compromised", "alice@contoso.com"]);
    assert_eq!(risk(&azir), "confirmedCompromised");
    run(
        &azir,
        &["confirm-compromised", "alice@contoso.com", "--dismiss"],
    );
    assert_eq!(risk(&azir), "dismissed");
}

#[test]
fn audits_find_what_is_wrong_and_change_nothing() {
    let azir = Azir::new();
    contains(
        &told(&run(&azir, &["audit-consents"])),
        &[
            "high: PDF Converter may act for one user",
            "Mail.Read, Mail.Send",
            "consented by heidi@contoso.com from 203.0.113.77",
            "users may consent to applications by themselves",
        ],
    );
    contains(
        &told(&run(
            &azir,
            &["audit-consents", "--user", "heidi@contoso.com"],
        )),
        &["heidi-tool-1 may act for one user"],
    );
    contains(&told(&run(&azir, &["audit-apps"])), &["shop-backend"]);
    contains(
        &told(&run(&azir, &["audit-risk"])),
        &[
            "high: user heidi@contoso.com: atRisk, risk high",
            "anonymizedIPAddress",
        ],
    );
    contains(
        &told(&run(&azir, &["audit-mailbox", "heidi@contoso.com"])),
        &[
            "high: heidi@contoso.com: ",
            "drop@attacker.example",
            "inbox rules of the server: SEEN, 2 of them",
            "MANUAL: Get-Mailbox",
            "NOT VISIBLE by Graph",
        ],
    );
    contains(
        &told(&run(&azir, &["audit-roles"])),
        &[
            "high: ",
            "Global Administrator",
            "pia@contoso.com",
            "Contributor",
            "responder",
        ],
    );
    contains(
        &told(&run(&azir, &["trace-identity", "heidi@contoso.com"])),
        &[
            "heidi@contoso.com from 203.0.113.77 Consent to application of PDF Converter",
            "sign-in to ",
        ],
    );
    contains(
        &told(&run(&azir, &["trace-identity", "shop-backend"])),
        &["shop-backend from 198.51.100.80 sign-in to Microsoft Graph, let in"],
    );
    let weighed = told(&run(&azir, &["assess-signin", "heidi@contoso.com"]));
    contains(&weighed, &["203.0.113.77"]);
    let known = told(&run(
        &azir,
        &[
            "assess-signin",
            "heidi@contoso.com",
            "--known",
            "203.0.113.0/24",
            "--travel",
            "DE",
        ],
    ));
    assert_ne!(weighed, known, "what is known to be right weighs");
    assert!(azir.writes().iter().all(|write| !write.contains("/v1.0/")));
}
