//! Many targets: found by a condition, held up when enough have failed, and done again for those that failed alone.

use serde_json::{Value, json};

use crate::support::{Azir, SUB};

/// One machine cannot be read the first time it is asked for.
const UNREADABLE: &str = "faults: [{method: GET, path: virtualMachines/vm-stopped-01, do: status, status: 409, code: Conflict, times: 1}]";

fn names(report: &Value) -> Vec<&str> {
    let targets = report["targets"].as_array().unwrap().iter();
    let mut names: Vec<&str> = targets
        .map(|one| one["target"].as_str().unwrap().rsplit('/').next().unwrap())
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn a_filter_finds_every_machine_that_fulfils_it_and_pages_to_the_end() {
    let azir = Azir::with("faults: []", |options| options.page = Some(2));
    let condition = "resourceGroup =~ 'rg-workload-prod' and name startswith 'vm-'";
    let (code, plan) = azir.json(&["snapshot-vm", "--filter", condition, "--plan"]);
    let found = names(&plan).into_iter().map(str::to_owned);
    let found: Vec<String> = found.collect();
    assert_eq!(code, 0, "{plan}");
    assert!(
        found.len() > 2 && found.contains(&"vm-app-01".to_owned()),
        "{found:?}"
    );
    assert!(azir.writes().is_empty());
    let asked: Vec<_> = azir
        .lab
        .requests()
        .into_iter()
        .filter(|request| request.path.ends_with("Microsoft.ResourceGraph/resources"))
        .collect();
    assert!(
        asked.len() >= found.len().div_ceil(2),
        "a page after the other"
    );
    // A machine that is named and found is one target; the record says what was asked.
    let (code, report) = azir.json(&[
        "snapshot-vm",
        "vm-app-01",
        "--filter",
        condition,
        "--incident",
        "IR-1",
        "--yes",
    ]);
    assert!(matches!(code, 0 | 3 | 4), "{report}");
    assert_eq!(names(&report), found);
    let journal = azir.run(&["journal", "show", "last", "--output", "json"]);
    let first: Value = serde_json::from_str(journal.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(first["data"]["filter"], condition);
}

#[test]
fn many_names_are_looked_up_in_one_query_and_one_that_it_does_not_know_in_each_subscription() {
    let azir = Azir::new();
    let asked = |path: &str| {
        let requests = azir.lab.requests().into_iter();
        requests.filter(|one| one.path.ends_with(path)).count()
    };
    let queries = || asked("Microsoft.ResourceGraph/resources");
    let lists = || asked("Microsoft.Compute/virtualMachines");
    let plan = |names: &[&str]| {
        let words = [&["snapshot-vm", "--plan"][..], names];
        azir.json(&words.concat())
    };
    assert_eq!(plan(&["vm-app-01"]).0, 0);
    let as_for_one = queries();
    let several = ["vm-app-01", "VM-STOPPED-01", "vm-hard-01", "vm-APP-01"];
    let (code, found) = plan(&several);
    assert_eq!(code, 0, "{found}");
    assert_eq!(names(&found), ["vm-app-01", "vm-hard-01", "vm-stopped-01"]);
    assert_eq!((queries(), lists()), (2 * as_for_one, 0));
    let (code, error) = plan(&["vm-app-01", "vm-nobody", "vm-nowhere"]);
    assert_eq!(
        (code, error["error"]["target"].as_str()),
        (5, Some("vm-nobody")),
        "{error}"
    );
    assert_eq!(lists(), 2, "one list for each subscription");
    let (code, error) = plan(&["vm-app-01", "vm-twin-01"]);
    assert_eq!(
        (code, error["error"]["code"].as_str()),
        (5, Some("ambiguous_target")),
        "{error}"
    );
}

#[test]
fn a_filter_that_finds_nothing_or_says_more_than_a_condition_sends_no_write() {
    let azir = Azir::new();
    let none = azir.run(&["isolate-vm", "--filter", "name == 'nobody'", "--yes"]);
    assert_eq!(none.code, 5, "{}", none.stderr);
    assert!(
        none.stderr.contains("name == 'nobody'") && none.stderr.contains("next: az resource list"),
        "{}",
        none.stderr
    );
    let wrong = azir.run(&["isolate-vm", "--filter", "name = 'x'", "--yes"]);
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
    assert!(
        wrong.stderr.contains("Resource Graph refuses it"),
        "{}",
        wrong.stderr
    );
    assert!(
        !wrong.stderr.contains("asking for support"),
        "{}",
        wrong.stderr
    );
    let before = azir.lab.requests().len();
    for more in ["true | take 1", "true; Resources", "true) // x", ""] {
        let done = azir.run(&["isolate-vm", "--filter", more, "--yes"]);
        assert_eq!(done.code, 2, "{more}: {}", done.stderr);
    }
    // What Resource Graph cannot find takes no condition of it.
    assert_eq!(
        azir.run(&["revoke-user", "--filter", "true", "--yes"]).code,
        2
    );
    assert_eq!(azir.lab.requests().len(), before);
    assert!(azir.writes().is_empty());
}

#[test]
fn an_approved_plan_takes_the_machines_that_the_filter_found_then() {
    let azir = Azir::new();
    let file = azir.home.path().join("plan.json");
    let path = file.to_str().unwrap();
    let by = |who: &'static str| ["--responder", who];
    let condition = "name =~ 'vm-app-01'";
    let mut words = vec!["plan", "snapshot-vm", "--filter", condition, "-o", path];
    words.extend(["--incident", "IR-1", "--max-failures", "1"]);
    words.extend(by("alice@contoso.com"));
    let planned = azir.run(&words);
    assert_eq!(planned.code, 0, "{}", planned.stderr);
    let text: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let id = format!(
        "{SUB}/resourceGroups/rg-workload-prod/providers/Microsoft.Compute/virtualMachines/vm-app-01"
    );
    assert_eq!(text["plan"]["typed"], json!([id]));
    assert_eq!(text["plan"]["max_failures"], 1);
    let mut words = vec!["approve", path, "--yes"];
    words.extend(by("bob@contoso.com"));
    assert_eq!(azir.run(&words).code, 0);
    let (code, report) = azir.json(&["run", "--approved", path]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(names(&report), ["vm-app-01"]);
}

#[test]
fn those_that_failed_are_done_again_by_one_command_with_the_same_arguments() {
    let azir = Azir::with(UNREADABLE, |_| {});
    let all = ["snapshot-vm", "vm-app-01", "vm-stopped-01", "vm-hard-01"];
    let mut words = all.to_vec();
    words.extend(["--incident", "IR-1", "--yes"]);
    words.extend(["--detected-at", "2026-05-23T10:00:00Z"]);
    let done = azir.run(&words);
    let (_, report) = azir.json(&["show", "last"]);
    let failed: Vec<&Value> = report["targets"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| matches!(one["status"].as_str(), Some("failed" | "partial")))
        .collect();
    assert_eq!(failed.len(), 1, "{report}");
    assert!(failed[0]["error"]["message"].as_str().is_some(), "{report}");
    let run = report["run"].as_str().unwrap();
    assert_eq!(report["retry"], format!("azir snapshot-vm --retry {run}"));
    let line = format!("Retry:  azir snapshot-vm --retry {}", &run[..8]);
    assert!(done.stdout.contains(&line), "{}", done.stdout);
    let (code, again) = azir.json(&["snapshot-vm", "--retry", &run[..8], "--yes"]);
    assert_eq!(code, 0, "{again}");
    assert_eq!(names(&again), ["vm-stopped-01"]);
    assert_eq!(
        again["incident"], "IR-1",
        "the same case without being named"
    );
    assert_eq!(again["detected_at"], report["detected_at"], "{again}");
    assert_eq!(again.get("retry"), None);
    // What has nothing left to do, or is another command's, is refused with the next command.
    for (command, of) in [("snapshot-vm", "last"), ("isolate-vm", run)] {
        let refused = azir.run(&[command, "--retry", of, "--yes"]);
        assert_eq!(refused.code, 2, "{}", refused.stderr);
        assert!(refused.stderr.contains("next: azir "), "{}", refused.stderr);
    }
}

#[test]
fn once_enough_have_failed_no_further_target_is_begun_and_each_is_named() {
    let of = |words: &[&str]| {
        let azir = Azir::with(UNREADABLE, |_| {});
        let mut all = vec!["snapshot-vm"];
        all.extend(words);
        all.extend(["--incident", "IR-1", "--yes", "--max-failures", "1"]);
        let (code, report) = azir.json(&all);
        (code, report, azir)
    };
    let (code, report, azir) = of(&["vm-stopped-01", "vm-app-01", "vm-hard-01"]);
    assert_eq!(code, 1, "nothing took effect: {report}");
    assert!(azir.writes().is_empty());
    for target in report["targets"].as_array().unwrap().iter().skip(1) {
        assert_eq!(target["status"], "failed");
        assert_eq!(target["error"]["code"], "max_failures", "{target}");
        let said = target["error"]["message"].as_str().unwrap();
        assert!(said.starts_with("not begun: 1 target had failed"), "{said}");
    }
    let left = report["not_done"].as_array().unwrap().iter();
    let left = left.filter(|one| one["why"].as_str().unwrap().starts_with("not begun"));
    let left = left.map(|one| one["next"].to_string()).collect::<String>();
    assert!(
        left.contains("vm-app-01") && left.contains("vm-hard-01"),
        "{left}"
    );
    let summary = azir.run(&["show", "last"]).stdout;
    assert!(
        summary.contains("vm-hard-01: NOT CONTAINED: not begun"),
        "{summary}"
    );
    // The one before it is done, and the run is done in part.
    let (code, report, azir) = of(&["vm-app-01", "vm-stopped-01", "vm-hard-01"]);
    assert_eq!(
        (code, &report["status"]),
        (3, &json!("partial")),
        "{report}"
    );
    assert_eq!(report["targets"][0]["status"], "contained");
    let run = report["run"].as_str().unwrap();
    let (code, again) = azir.json(&["snapshot-vm", "--retry", run, "--yes"]);
    assert_eq!(code, 0, "{again}");
    assert_eq!(names(&again), ["vm-hard-01", "vm-stopped-01"]);
}

#[test]
fn together_no_target_is_cut_before_every_one_was_kept() {
    let cuts_and_snapshots = |more: &[&str]| {
        // One machine's disks take longer than all that the other has done to it.
        let script = "faults: [{method: PUT, path: snapshots, do: delay, millis: 2000, times: 1}]";
        let azir = Azir::with(script, |_| {});
        let mut words = vec!["isolate-vm", "vm-app-01", "vm-north-01"];
        words.extend(["--incident", "IR-1", "--yes"]);
        words.extend(more);
        let (code, report) = azir.json(&words);
        assert_eq!(code, 0, "{report}");
        let writes = azir.writes();
        let snapshot = |write: &&String| write.starts_with("PUT") && write.contains("/snapshots/");
        let place = |write: Option<&String>| writes.iter().position(|one| Some(one) == write);
        let cuts: Vec<&String> = writes
            .iter()
            .filter(|one| one.contains("/networkInterfaces/"))
            .collect();
        if !more.is_empty() {
            // While one is uncut, nothing says what is going on.
            let tagged = writes.iter().position(|one| one.contains("/tags/default"));
            assert!(tagged > place(cuts.last().copied()), "{writes:#?}");
        }
        (
            place(cuts.first().copied()),
            place(writes.iter().rfind(snapshot)),
        )
    };
    let (cut, kept) = cuts_and_snapshots(&["--together"]);
    assert!(cut.unwrap() > kept.unwrap(), "{cut:?} {kept:?}");
    let (cut, kept) = cuts_and_snapshots(&[]);
    assert!(
        cut.unwrap() < kept.unwrap(),
        "each for itself: {cut:?} {kept:?}"
    );
}

#[test]
fn many_targets_are_put_back_side_by_side_each_in_its_own_order() {
    let azir = Azir::with("faults: []", |options| options.latency = 0.2);
    let machines = ["vm-app-01", "vm-hard-01"];
    let cut = [
        &["isolate-vm"][..],
        &machines,
        &["--incident", "IR-1", "--yes"],
    ]
    .concat();
    let run = azir.run(&cut);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let before = azir.writes().len();
    let undone = azir.run(&["undo", "last", "--yes"]);
    assert_eq!(undone.code, 0, "{}{}", undone.stdout, undone.stderr);
    let writes = azir.writes().split_off(before);
    let places = |part: &str| {
        let found = writes.iter().enumerate();
        let found: Vec<usize> = found
            .filter(|(_, write)| write.to_lowercase().contains(part))
            .map(|(place, _)| place)
            .collect();
        (found[0], found[found.len() - 1])
    };
    let (app, hard) = (places("vm-app-01"), places("hard"));
    assert!(app.0 < hard.1 && hard.0 < app.1, "{writes:#?}");
    let interfaces = places("networkinterfaces/vm-app-01");
    assert!(places("vm-app-01/providers/microsoft.resources/tags").0 < interfaces.0);
}
