//! `confirm-compromised` in hard cases: what is so already, its undo, a tenant without a licence, a caller who may not.

use serde_json::Value;

use crate::support::Azir;

const ALICE: &str = "88888888-8888-4888-8888-888888888801";
const HEIDI: &str = "88888888-8888-4888-8888-888888888802";
const CONFIRM: &str = "POST /v1.0/identityProtection/riskyUsers/confirmCompromised";
const DISMISS: &str = "POST /v1.0/identityProtection/riskyUsers/dismiss";

fn state(azir: &Azir, user: &str) -> Value {
    azir.lab.state()["directory"]["riskyUsers"][user]["riskState"].clone()
}

fn verdicts(azir: &Azir) -> Vec<String> {
    let writes = azir.writes().into_iter();
    writes
        .filter(|write| write.contains("/riskyUsers/"))
        .collect()
}

#[test]
fn a_confirmation_is_taken_back_after_a_clearance_and_only_what_was_confirmed() {
    let azir = Azir::new();
    let words = [
        "confirm-compromised",
        "alice@contoso.com",
        "heidi@contoso.com",
        "--incident",
        "IR-1",
        "--yes",
    ];
    let (code, report) = azir.json(&words);
    assert_eq!(code, 0, "{report}");
    let told = report["findings"].to_string();
    for before in [
        "alice@contoso.com was before: none",
        "heidi@contoso.com was before: atRisk, level high",
    ] {
        assert!(told.contains(before), "{before}: {told}");
    }
    assert_eq!(
        (state(&azir, ALICE), state(&azir, HEIDI)),
        ("confirmedCompromised".into(), "confirmedCompromised".into())
    );
    // A second run finds it so and says nothing again.
    let (code, again) = azir.json(&[
        "confirm-compromised",
        "heidi@contoso.com",
        "--incident",
        "IR-2",
        "--yes",
    ]);
    assert_eq!(code, 0, "{again}");
    assert_eq!(verdicts(&azir), [CONFIRM, CONFIRM]);
    let run = report["run"].as_str().unwrap();
    let (code, refused) = azir.json(&["undo", run, "--yes"]);
    assert_eq!(
        (code, refused["error"]["code"].as_str()),
        (5, Some("clearance")),
        "{refused}"
    );
    let (code, undone) = azir.json(&["undo", run, "--yes", "--clearance", "it was a test of ours"]);
    assert_eq!(code, 0, "{undone}");
    assert_eq!(
        (state(&azir, ALICE), state(&azir, HEIDI)),
        ("dismissed".into(), "dismissed".into())
    );
    assert_eq!(verdicts(&azir), [CONFIRM, CONFIRM, DISMISS, DISMISS]);
}

#[test]
fn nothing_at_risk_is_not_dismissed() {
    let azir = Azir::new();
    let words = [
        "confirm-compromised",
        "alice@contoso.com",
        "--dismiss",
        "--incident",
        "IR-1",
        "--yes",
    ];
    let (code, report) = azir.json(&words);
    assert_eq!(code, 0, "{report}");
    assert_eq!(verdicts(&azir), Vec::<String>::new());
}

#[test]
fn without_the_licence_or_the_permission_it_fails_and_says_so() {
    let faults = r"
faults:
  - {path: /identityProtection/, times: 100, do: status, status: 403, code: Authentication_RequestFromNonPremiumTenantOrB2CTenant}
";
    let words = [
        "confirm-compromised",
        "alice@contoso.com",
        "--incident",
        "IR-1",
        "--yes",
    ];
    let azir = Azir::with(faults, |_| {});
    let done = azir.run(&words);
    assert_ne!(done.code, 0, "{}{}", done.stdout, done.stderr);
    assert!(
        done.stderr
            .contains("Authentication_RequestFromNonPremiumTenantOrB2CTenant"),
        "{}",
        done.stderr
    );
    let azir = Azir::new();
    let output = azir
        .command(&words)
        .env("AZURE_CLIENT_ID", "44444444-4444-4444-8444-444444444445")
        .env("AZURE_CLIENT_SECRET", "lab-secret-of-the-junior")
        .output()
        .unwrap();
    let done = crate::support::done(output);
    assert_ne!(done.code, 0, "{}{}", done.stdout, done.stderr);
    assert!(
        done.stderr.contains("Authorization_RequestDenied"),
        "{}",
        done.stderr
    );
    assert_eq!(state(&azir, ALICE), Value::Null);
}
