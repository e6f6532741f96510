//! What one person plans and another approves is carried out as it stands, once, or not at all.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use ssh_key::private::{Ed25519Keypair, KeypairData};

use crate::journal_kit::{person, signers_line};
use crate::support::{Azir, Done, SUB, done};

const ALICE: &str = "alice@contoso.com";
const BOB: &str = "bob@contoso.com";

/// A tenant, and a plan in a file.
struct Two {
    azir: Azir,
    file: PathBuf,
}

fn key(folder: &Path, name: &str, seed: u8) -> PathBuf {
    let pair = Ed25519Keypair::from_seed(&[seed; 32]);
    let key = ssh_key::PrivateKey::new(KeypairData::Ed25519(pair), name).unwrap();
    let path = folder.join(format!("key-{name}"));
    key.write_openssh_file(&path, ssh_key::LineEnding::LF)
        .unwrap();
    path
}

impl Two {
    fn new() -> Self {
        let azir = Azir::new();
        let file = azir.home.path().join("plan.json");
        Self { azir, file }
    }

    fn path(&self) -> &str {
        self.file.to_str().unwrap()
    }

    fn by(&self, who: &str, key: Option<&Path>, args: &[&str]) -> Done {
        let mut command = self.azir.command(args);
        command.args(["--responder", who]);
        if let Some(key) = key {
            command.env("AZIR_KEY", key);
        }
        done(command.output().unwrap())
    }

    fn plan(&self, key: Option<&Path>, more: &[&str]) -> Done {
        let mut args = vec![
            "plan",
            "isolate-vm",
            "vm-app-01",
            "--incident",
            "IR-1",
            "-o",
            self.path(),
        ];
        args.extend(more);
        self.by(ALICE, key, &args)
    }

    fn approve(&self, who: &str, key: Option<&Path>) -> Done {
        self.by(who, key, &["approve", self.path(), "--yes"])
    }

    fn run(&self, key: Option<&Path>) -> Done {
        self.by(ALICE, key, &["run", "--approved", self.path()])
    }

    fn value(&self) -> Value {
        serde_json::from_str(&std::fs::read_to_string(&self.file).unwrap()).unwrap()
    }

    fn edit(&self, change: impl FnOnce(&mut Value)) {
        let mut value = self.value();
        change(&mut value);
        std::fs::write(&self.file, value.to_string()).unwrap();
    }

    fn refused(&self, done: &Done, said: &str) {
        assert_eq!(done.code, 5, "{said}: {}{}", done.stdout, done.stderr);
        assert!(done.stderr.contains(said), "{said}: {}", done.stderr);
        assert!(done.stderr.contains("next: "), "{}", done.stderr);
        assert_eq!(self.azir.writes(), Vec::<String>::new());
    }
}

#[test]
fn a_plan_that_another_person_approved_is_carried_out_once_and_recorded_with_both() {
    let two = Two::new();
    let planned = two.plan(None, &[]);
    assert_eq!(planned.code, 0, "{}", planned.stderr);
    assert!(
        planned.stderr.contains("another person types azir approve"),
        "{}",
        planned.stderr
    );
    assert_eq!(two.azir.writes(), Vec::<String>::new());
    let value = two.value();
    assert_eq!(value["plan"]["typed"], json!(["vm-app-01"]));
    assert!(
        value["plan"]["targets"][0]["target"]
            .as_str()
            .unwrap()
            .starts_with(SUB)
    );
    let schema: Value =
        serde_json::from_str(&two.azir.run(&["schema", "approval"]).stdout).unwrap();
    assert!(jsonschema::validator_for(&schema).unwrap().is_valid(&value));

    let approved = two.approve(BOB, None);
    assert_eq!(approved.code, 0, "{}", approved.stderr);
    assert!(
        approved.stdout.contains("by name alone"),
        "{}",
        approved.stdout
    );
    let done = two.run(None);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    assert!(
        done.stderr.contains("approved by name alone"),
        "{}",
        done.stderr
    );
    let run = value["plan"]["run"].as_str().unwrap();
    let run_dir = two.azir.home.path().join(format!("cases/IR-1/run-{run}"));
    let lines: Vec<Value> = std::fs::read_to_string(run_dir.join("seg-000001.jsonl"))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["data"]["authority"]["granted_by"], json!([BOB]));
    let decision = &lines[1];
    assert_eq!(decision["type"], "decision");
    assert_eq!(decision["data"]["plan_digest"], value["digest"]);
    assert_eq!(decision["data"]["planned_by"], ALICE);
    assert_eq!(decision["data"]["approved_by"], json!([BOB]));
    assert_eq!(decision["data"]["signed"], false);
    // The file itself is evidence.
    let cited = lines[0]["data"]["approved_plan"]["sha256"]
        .as_str()
        .unwrap();
    assert!(run_dir.join("evidence").join(cited).exists());
    assert_eq!(two.azir.run(&["journal", "verify", run]).code, 2);

    let before = two.azir.writes().len();
    let again = two.run(None);
    assert_eq!(again.code, 5);
    assert!(
        again.stderr.contains("carried out already"),
        "{}",
        again.stderr
    );
    assert_eq!(two.azir.writes().len(), before);
}

#[test]
fn nobody_approves_alone() {
    let two = Two::new();
    two.plan(None, &[]);
    two.refused(&two.run(None), "nobody but alice@contoso.com");
    two.refused(&two.approve(ALICE, None), "cannot approve it");
    two.refused(&two.approve("Alice@Contoso.com", None), "cannot approve it");
    // Not by writing the name into the file, either.
    two.edit(|file| {
        let own = file["signatures"][0].clone();
        file["signatures"].as_array_mut().unwrap().push(own);
        file["signatures"][1]["role"] = json!("approved");
    });
    two.refused(&two.run(None), "cannot approve it");
    assert_eq!(two.by(ALICE, None, &["approve", two.path()]).code, 5);
    // Without a terminal and without --yes nothing is approved.
    let unattended = two.by(BOB, None, &["approve", two.path(), "--no-input"]);
    assert_eq!(unattended.code, 2, "{}", unattended.stderr);
}

#[test]
fn a_plan_that_was_changed_is_refused() {
    let two = Two::new();
    two.plan(None, &[]);
    two.approve(BOB, None);
    let good = std::fs::read_to_string(&two.file).unwrap();
    let changes: [&dyn Fn(&mut Value); 4] = [
        &|file| file["plan"]["typed"] = json!(["vm-hard-01"]),
        &|file| file["plan"]["targets"][0]["steps"] = json!([]),
        &|file| file["plan"]["accept"] = json!(["cut_roles"]),
        &|file| file["digest"] = json!("0".repeat(64)),
    ];
    for change in changes {
        two.edit(change);
        two.refused(&two.run(None), "was changed since it was planned");
        two.refused(
            &two.approve("carol@contoso.com", None),
            "was changed since it was planned",
        );
        std::fs::write(&two.file, &good).unwrap();
    }
    for (text, said) in [
        ("", "no plan of azir"),
        ("{}", "no plan of azir"),
        (&good.replace("azir-plan-v1", "azir-plan-v9"), "format"),
        (&good.replacen("\"plan\"", "\"plam\"", 1), "no plan of azir"),
    ] {
        std::fs::write(&two.file, text).unwrap();
        let done = two.run(None);
        assert_eq!(done.code, 2, "{}", done.stderr);
        assert!(done.stderr.contains(said), "{}", done.stderr);
    }
    let missing = two.by(ALICE, None, &["run", "--approved", "/nowhere/plan.json"]);
    assert_eq!(missing.code, 2);
}

#[test]
fn what_drifted_since_is_refused() {
    let two = Two::new();
    two.plan(None, &[]);
    two.approve(BOB, None);
    // Somebody detached an identity meanwhile: what the plan would send is no longer what it says.
    let machine = format!(
        "{SUB}/resourceGroups/rg-workload-prod/providers/Microsoft.Compute/virtualMachines/vm-app-01"
    );
    let done = two.by(
        "mallory@contoso.com",
        None,
        &["isolate-vm", "vm-app-01", "--incident", "IR-2", "--yes"],
    );
    assert_eq!(done.code, 0, "{}", done.stderr);
    let before = two.azir.writes().len();
    let refused = two.run(None);
    assert_eq!(refused.code, 5, "{}{}", refused.stdout, refused.stderr);
    assert!(
        refused.stderr.contains("it would now do something else"),
        "{}",
        refused.stderr
    );
    assert_eq!(two.azir.writes().len(), before, "{machine}");

    // A runbook that is another by now.
    let two = Two::new();
    let runbook = two.azir.home.path().join("look.yaml");
    let text = |version: &str| {
        format!(
            "azir: v1\nname: look\nversion: {version}\ntitle: Look at a machine\npurpose: read\nparams:\n  vm: {{type: resource, of: Microsoft.Compute/virtualMachines, position: 1, many: true, help: Which}}\npermissions:\n  arm: [Microsoft.Compute/virtualMachines/read]\nsteps:\n  - id: machine\n    phase: inventory\n    title: Read it\n    read: {{arm: \"GET {{{{ vm.id }}}}\", api_version: \"2024-11-01\"}}\n"
        )
    };
    std::fs::write(&runbook, text("1.0.0")).unwrap();
    let name = runbook.to_str().unwrap();
    let planned = two.by(
        ALICE,
        None,
        &[
            "plan",
            name,
            "vm-app-01",
            "--incident",
            "IR-1",
            "-o",
            two.path(),
        ],
    );
    assert_eq!(planned.code, 0, "{}", planned.stderr);
    two.approve(BOB, None);
    std::fs::write(&runbook, text("1.0.1")).unwrap();
    two.refused(&two.run(None), "the runbook look was changed since");
    std::fs::write(&runbook, text("1.0.0")).unwrap();
    assert_eq!(two.run(None).code, 0);
}

#[test]
fn where_keys_are_in_use_both_must_sign_with_their_own() {
    let two = Two::new();
    let folder = two.azir.home.path().to_path_buf();
    let (alice, bob, eve) = (
        key(&folder, "a", 1),
        key(&folder, "b", 2),
        key(&folder, "e", 3),
    );
    two.plan(Some(&alice), &[]);
    // A key that nobody knew before says nothing of whose it is.
    let unknown = two.approve(BOB, Some(&bob));
    assert_eq!(unknown.code, 2, "{}", unknown.stderr);
    assert!(
        unknown
            .stderr
            .contains("does not know this key as bob@contoso.com's"),
        "{}",
        unknown.stderr
    );
    let file = folder.join("signers");
    let known = std::fs::read_to_string(&file).unwrap()
        + &signers_line(BOB, "", &person(2))
        + &signers_line("eve@contoso.com", "", &person(3));
    std::fs::write(&file, known).unwrap();
    let good = two.approve(BOB, Some(&bob));
    assert_eq!(good.code, 0, "{}", good.stderr);
    assert!(
        good.stdout.contains("approved by bob@contoso.com: plan"),
        "{}",
        good.stdout
    );
    let whole = std::fs::read_to_string(&two.file).unwrap();
    let signers = std::fs::read_to_string(folder.join("signers")).unwrap();

    // A signature that was taken from elsewhere, or over something else.
    two.edit(|file| file["signatures"][1]["at"] = json!("2026-01-01T00:00:00Z"));
    two.refused(&two.run(Some(&alice)), "does not count");
    std::fs::write(&two.file, &whole).unwrap();
    // By name alone.
    two.edit(|file| {
        file["signatures"][1]
            .as_object_mut()
            .unwrap()
            .remove("signature");
    });
    two.refused(
        &two.run(None),
        "without a signature, and keys are in use here",
    );
    std::fs::write(&two.file, &whole).unwrap();
    // By a key that nobody vouches for.
    let only_alice: String = signers
        .split_inclusive('\n')
        .filter(|line| line.starts_with(ALICE))
        .collect();
    std::fs::write(folder.join("signers"), &only_alice).unwrap();
    two.refused(&two.run(Some(&alice)), "is not known here");
    // By another person's key.
    std::fs::write(
        folder.join("signers"),
        signers.replace(BOB, "eve@contoso.com"),
    )
    .unwrap();
    two.refused(&two.run(Some(&alice)), "is eve@contoso.com's");
    std::fs::write(folder.join("signers"), &signers).unwrap();
    // With the planner's own key under another name.
    let planner_again = two.approve("eve@contoso.com", Some(&alice));
    assert_ne!(planner_again.code, 0);
    assert_eq!(two.approve("eve@contoso.com", Some(&eve)).code, 0);
    std::fs::write(&two.file, &whole).unwrap();

    let done = two.run(Some(&alice));
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let shown = two
        .azir
        .run(&["journal", "show", "last", "--output", "json"])
        .stdout;
    let decision: Value = shown
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .find(|line: &Value| line["type"] == "decision")
        .unwrap();
    assert_eq!(decision["data"]["signed"], true);
}

#[test]
fn a_guard_yields_to_two_persons_who_named_it_and_to_nobody_else() {
    let two = Two::new();
    let runbook = two.azir.home.path().join("guarded.yaml");
    let text = "azir: v1\nname: guarded\nversion: 1.0.0\ntitle: Look at a machine that is guarded\npurpose: read\nparams:\n  vm: {type: resource, of: Microsoft.Compute/virtualMachines, position: 1, many: true, help: Which}\npermissions:\n  arm: [Microsoft.Compute/virtualMachines/read]\nsteps:\n  - id: machine\n    phase: inventory\n    title: Read it\n    read: {arm: \"GET {{ vm.id }}\", api_version: \"2024-11-01\"}\n  - id: not_ours\n    phase: inventory\n    title: See that it is not ours\n    assert:\n      that: \"{{ vm.name != 'vm-app-01' }}\"\n      message: \"{{ vm.name }} is ours\"\n";
    std::fs::write(&runbook, text).unwrap();
    let name = runbook.to_str().unwrap();
    let plain = two.by(
        ALICE,
        None,
        &["run", name, "vm-app-01", "--incident", "IR-1", "--yes"],
    );
    assert_eq!(plain.code, 5, "{}{}", plain.stdout, plain.stderr);
    let plan = |more: &[&str]| {
        let mut args = vec!["plan", name, "vm-app-01", "--incident", "IR-1"];
        args.extend(more);
        two.by(ALICE, None, &args)
    };
    assert_eq!(plan(&[]).code, 5);
    for (args, said) in [
        (vec!["--over-guard", "not_ours"], "second person"),
        (
            vec!["--over-guard", "not_our", "-o", two.path()],
            "did you mean not_ours?",
        ),
        (
            vec!["--over-guard", "machine", "-o", two.path()],
            "no such guard",
        ),
    ] {
        let done = plan(&args);
        assert_eq!(done.code, 2, "{args:?} {}", done.stderr);
        assert!(done.stderr.contains(said), "{}", done.stderr);
    }
    assert!(!two.file.exists());
    // The runner cannot set it aside without a plan.
    let typed = two.by(
        ALICE,
        None,
        &[
            "run",
            name,
            "vm-app-01",
            "--over-guard",
            "not_ours",
            "--yes",
        ],
    );
    assert_eq!(typed.code, 2);

    let planned = plan(&["--over-guard", "not_ours", "-o", two.path()]);
    assert_eq!(planned.code, 0, "{}{}", planned.stdout, planned.stderr);
    assert!(
        planned
            .stdout
            .contains("vm-app-01 is ours; this plan sets not_ours aside"),
        "{}",
        planned.stdout
    );
    assert_eq!(
        plan(&["-o", two.path()]).code,
        2,
        "a plan is not overwritten"
    );
    two.refused(&two.run(None), "nobody but");
    two.approve(BOB, None);
    let done = two.run(None);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let shown = two
        .azir
        .run(&["journal", "show", "last", "--output", "json"])
        .stdout;
    assert!(shown.contains("\"choice\":\"set aside\""), "{shown}");
}

#[test]
fn nothing_is_added_to_a_plan_after_it_was_approved() {
    let two = Two::new();
    two.plan(None, &[]);
    two.approve(BOB, None);
    for more in [
        vec!["--accept", "cut_roles"],
        vec!["--choose", "cut_roles_which=all"],
        vec!["--plan"],
        vec!["--incident", "IR-2"],
        vec!["isolate-vm"],
    ] {
        let mut args = vec!["run", "--approved", two.path()];
        args.extend(&more);
        let done = two.by(ALICE, None, &args);
        assert_eq!(done.code, 2, "{more:?}: {}{}", done.stdout, done.stderr);
    }
    assert_eq!(two.azir.writes(), Vec::<String>::new());
}
