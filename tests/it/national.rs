//! National clouds: what Graph does not have there is refused in the plan, or left out and named, and never asked for.

use serde_json::Value;

use crate::support::Azir;

/// A tenant in a cloud of this name.
fn of(cloud: &str) -> Azir {
    Azir::with("faults: []", |options| {
        options.scenario.cloud = cloud.to_owned();
    })
}

/// What was asked of Identity Protection.
fn asked(azir: &Azir) -> usize {
    let requests = azir.lab.requests().into_iter();
    requests
        .filter(|request| {
            request
                .path
                .to_ascii_lowercase()
                .contains("identityprotection")
        })
        .count()
}

fn verdicts(plan: &Value) -> Vec<(String, String)> {
    let answers = plan["preflight"].as_array().unwrap().iter();
    answers
        .filter(|answer| answer["what"] == "cloud")
        .map(|answer| {
            let word = |name: &str| answer[name].as_str().unwrap().to_owned();
            (word("verdict").to_lowercase(), word("text"))
        })
        .collect()
}

#[test]
fn what_cannot_be_done_in_a_cloud_is_refused_in_the_plan_and_before_the_run() {
    let azir = of("AzureChinaCloud");
    let confirm = ["confirm-compromised", "alice@contoso.com"];
    let (code, plan) = azir.json(&[&confirm[..], &["--plan"]].concat());
    assert_eq!(code, 5, "{plan}");
    let told = verdicts(&plan);
    assert!(
        !told.is_empty() && told.iter().all(|(verdict, _)| verdict == "fail"),
        "{told:?}"
    );
    assert!(
        told[0]
            .1
            .contains("AzureChinaCloud has no Entra ID Protection"),
        "{told:?}"
    );
    for name in ["confirm-compromised", "audit-risk"] {
        let target: &[&str] = if name == "audit-risk" {
            &[]
        } else {
            &confirm[1..]
        };
        let words = [&[name][..], target, &["--incident", "IR-1", "--yes"]].concat();
        let (code, refused) = azir.json(&words);
        assert_eq!(code, 5, "{name}: {refused}");
        assert_eq!(refused["error"]["code"], "not_in_this_cloud", "{refused}");
        let hint = refused["error"]["hint"].as_str().unwrap();
        assert!(
            hint.starts_with(&format!("azir runbook show {name}")),
            "{hint}"
        );
    }
    assert_eq!((asked(&azir), azir.all_writes().len()), (0, 0));
}

#[test]
fn what_a_run_can_do_without_is_left_out_and_named() {
    let azir = of("AzureChinaCloud");
    let words = ["assess-signin", "heidi@contoso.com", "--incident", "IR-1"];
    let (code, plan) = azir.json(&[&words[..], &["--plan"]].concat());
    assert_eq!(code, 0, "{plan}");
    let told = verdicts(&plan);
    assert!(
        told.iter()
            .any(|(verdict, text)| verdict == "unknown" && text.contains("left out")),
        "{told:?}"
    );
    let (code, report) = azir.json(&[&words[..], &["--yes"]].concat());
    assert_eq!(code, 0, "{report}");
    let open = report["residual"].to_string();
    let why = "AzureChinaCloud has no Entra ID Protection";
    assert!(open.contains(why), "{open}");
    assert_eq!(asked(&azir), 0);
}

#[test]
fn where_it_exists_it_is_asked_for() {
    let azir = of("AzureUSGovernment");
    let (code, report) = azir.json(&[
        "confirm-compromised",
        "alice@contoso.com",
        "--incident",
        "IR-1",
        "--yes",
    ]);
    assert_eq!(code, 0, "{report}");
    assert!(asked(&azir) > 0);
}
