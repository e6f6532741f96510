//! What drills leave behind: a history in which nothing is mixed, what is due, and findings that stay until passed.

use std::path::Path;

use azir::drill::assignment::{self, Assignment};
use azir::drill::due::due;
use azir::drill::findings::{Change, Finding, findings};
use azir::drill::history::{Series, Tendency, counted, history};
use azir::drill::record::{self, What, folder};
use azir::drill::verdict::{By, Place, Verdict};
use azir::drill::{plot, shelf};
use chrono::{NaiveDate, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::drill_kit::{Drill, time};
use crate::support::{Done, bare};

const DOOR: &str = "door-left-open";

fn told(home: &Path) -> Vec<Series> {
    let (drills, bad) = record::all(home);
    assert_eq!(bad, []);
    history(&counted(&drills))
}

fn found(drills: &[&Drill], assignments: &[Assignment], today: &str) -> Vec<Finding> {
    let verdicts: Vec<&Verdict> = drills.iter().map(|drill| &drill.verdict).collect();
    findings(&verdicts, assignments, "rita@contoso.com", day(today))
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn changes(finding: &Finding) -> Vec<Change> {
    finding.turns.iter().map(|turn| turn.what).collect()
}

/// Every line for people says what it is of.
fn each_says_drill(done: &Done) {
    for line in done.stdout.lines() {
        assert!(line.starts_with("DRILL"), "{line:?}");
    }
    assert!(!done.stdout.is_empty());
}

/// Runs with `--output json`, and has the answer judged by its schema.
fn judged(home: &Path, args: &[&str], schema: &str) -> (i32, Value) {
    let done = bare(home, &[args, &["--output", "json"]].concat());
    let value: Value = serde_json::from_str(&done.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", done.stdout, done.stderr));
    let schema = bare(home, &["schema", schema]).stdout;
    let schema = serde_json::from_str(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(&value)
        .map(|error| error.to_string())
        .collect();
    assert_eq!(errors, Vec::<String>::new(), "{value:#}");
    assert!(value["mark"].as_str().unwrap().starts_with("DRILL"));
    (done.code, value)
}

#[test]
fn people_and_azir_alone_and_lab_and_tabletop_are_never_mixed() {
    let home = tempfile::tempdir().unwrap();
    let at = time("2026-11-02T09:00:00Z");
    let each = [
        Drill::of(DOOR, "D-1", at).took(Some(100.0), Some(500.0)),
        Drill::of(DOOR, "D-2", at).took(Some(400.0), None),
        Drill::of(DOOR, "D-3", at).auto().took(Some(4.0), Some(9.0)),
        Drill::of(DOOR, "D-4", at)
            .lab()
            .took(Some(60.0), Some(90.0)),
        Drill::of("other", "D-5", at).took(Some(7.0), Some(8.0)),
    ];
    for drill in &each {
        drill.write(home.path());
    }
    let told = told(home.path());
    let keys: Vec<_> = told
        .iter()
        .map(|series| (&*series.scenario, series.by, series.place))
        .collect();
    assert_eq!(
        keys,
        [
            (DOOR, By::People, Place::Lab),
            (DOOR, By::People, Place::Tabletop),
            (DOOR, By::Auto, Place::Lab),
            ("other", By::People, Place::Tabletop),
        ]
    );
    let quarter = &told[1].quarters[0];
    assert_eq!(quarter.quarter.to_string(), "2026Q4");
    let contained = &quarter.contained;
    assert_eq!(
        (contained.of, contained.reached, contained.kept),
        (2, 2, 1),
        "one of them took longer than five minutes"
    );
    assert_eq!(contained.mean_seconds, Some(250.0));
    assert_eq!(contained.median_seconds, Some(250.0));
    let eradicated = &quarter.eradicated;
    assert_eq!(
        (eradicated.of, eradicated.reached, eradicated.mean_seconds),
        (2, 1, Some(500.0)),
        "what was never reached has no time, and is counted"
    );
    assert_eq!(told[2].quarters[0].contained.mean_seconds, Some(4.0));
}

#[test]
fn a_drill_counts_in_the_quarter_of_its_finding_and_quarters_are_compared() {
    let home = tempfile::tempdir().unwrap();
    // Judged in the next quarter, it is still of the one in which it took place.
    let late = time("2026-06-30T23:30:00Z");
    for (id, at, contain) in [
        ("D-1", late, 200.0),
        ("D-2", time("2026-12-31T23:59:59Z"), 100.0),
        ("D-3", time("2027-01-01T00:00:00Z"), 102.0),
    ] {
        let drill = Drill::of(DOOR, id, at)
            .took(Some(contain), Some(900.0))
            .line("port", Some(id != "D-1"));
        drill.write(home.path());
    }
    let quarters = &told(home.path())[0].quarters;
    let names: Vec<String> = quarters
        .iter()
        .map(|quarter| quarter.quarter.to_string())
        .collect();
    assert_eq!(names, ["2026Q2", "2026Q4", "2027Q1"]);
    assert_eq!(quarters[0].trend, None);
    let trend = quarters[1].trend.as_ref().unwrap();
    assert_eq!(trend.since.to_string(), "2026Q2");
    assert_eq!(trend.contained, Tendency::Better);
    assert_eq!(trend.contained_seconds, Some(-100.0));
    assert_eq!(trend.eradicated, Tendency::Same);
    assert!((trend.score - 100.0).abs() < f64::EPSILON);
    let trend = quarters[2].trend.as_ref().unwrap();
    assert_eq!(
        trend.contained,
        Tendency::Same,
        "two seconds of a hundred are no trend"
    );
}

#[test]
fn only_the_latest_judgement_of_a_drill_counts_and_an_aborted_one_never() {
    let home = tempfile::tempdir().unwrap();
    let at = time("2026-11-02T09:00:00Z");
    let first = Drill::of(DOOR, "D-1", at).took(Some(280.0), Some(600.0));
    let again = first.clone().took(Some(200.0), Some(600.0));
    first.begun(home.path(), |record| {
        record.add(at, What::Emitted).unwrap();
        for drill in [&first, &again] {
            let judged = What::Judged(Box::new(drill.verdict.clone()));
            record.add(drill.verdict.judged_at, judged).unwrap();
        }
    });
    let given_up = Drill::of(DOOR, "D-2", at);
    given_up.begun(home.path(), |record| {
        record.add(at, What::Emitted).unwrap();
        let why = "a real incident".to_owned();
        record.add(at, What::Aborted { why }).unwrap();
        record.add(at, What::Closed).unwrap();
    });
    let told = told(home.path());
    assert_eq!(told[0].quarters[0].drills.len(), 1);
    assert_eq!(told[0].quarters[0].contained.mean_seconds, Some(200.0));
    // What was copied to be kept is no second drill.
    let copy = home.path().join("drills/D-1-copy");
    std::fs::create_dir(&copy).unwrap();
    let from = folder(home.path(), "D-1").join("drill.jsonl");
    std::fs::copy(from, copy.join("drill.jsonl")).unwrap();
    let (drills, _) = record::all(home.path());
    assert_eq!(drills.len(), 3);
    assert_eq!(counted(&drills).len(), 1);
}

#[test]
fn a_step_is_measured_where_it_was_done_and_its_undo_apart() {
    let home = tempfile::tempdir().unwrap();
    let at = time("2026-11-02T09:00:00Z");
    let (run, undo) = ("00000001-aaaa", "00000002-bbbb");
    Drill::of(DOOR, "D-1", at)
        .run(run, "drill", true)
        .run(undo, "undo", true)
        .step(run, "cut", "undone", 10.0, 4.0)
        .step(run, "tag", "skipped", 14.0, 0.0)
        .step(run, "note", "failed", 14.0, 1.0)
        .step(undo, "cut", "done", 60.0, 30.0)
        .write(home.path());
    Drill::of(DOOR, "D-2", at)
        .run(run, "drill", true)
        .step(run, "cut", "done", 10.0, 6.0)
        .write(home.path());
    let told = told(home.path());
    let steps: Vec<_> = told[0].quarters[0]
        .steps
        .iter()
        .map(|step| {
            (
                &*step.step,
                &*step.mode,
                step.done,
                step.failed,
                step.mean_seconds,
            )
        })
        .collect();
    assert_eq!(
        steps,
        [
            ("cut", "drill", 2, 0, Some(5.0)),
            ("note", "drill", 0, 1, None),
            ("cut", "undo", 1, 0, Some(30.0)),
        ]
    );
}

#[test]
fn ninety_days_to_the_second_are_in_time_and_people_are_told_apart() {
    let at = time("2026-09-02T09:00:00Z");
    let by_people = Drill::of(DOOR, "D-1", at);
    let by_auto = Drill::of(DOOR, "D-2", at + TimeDelta::days(10)).auto();
    let shipped = [("never-tried", "Nobody did"), (DOOR, "As it is shipped")];
    let stands = |drills: &[&Drill], now| {
        let verdicts: Vec<&Verdict> = drills.iter().map(|drill| &drill.verdict).collect();
        due(shipped, &verdicts, now)
    };
    let edge = at + TimeDelta::days(90);
    let lines = stands(&[&by_people, &by_auto], edge);
    assert_eq!(lines.len(), 2);
    let door = &lines[0];
    assert_eq!(
        (&*door.title, door.overdue, door.people_overdue),
        ("As it is shipped", false, false)
    );
    assert_eq!(door.last_by_people.as_ref().unwrap().days, 90);
    assert_eq!(door.last_by_auto.as_ref().unwrap().days, 80);
    assert!(lines[1].overdue && lines[1].people_overdue);
    assert_eq!(lines[1].last_by_people, None);
    let past = edge + TimeDelta::seconds(1);
    let door = &stands(&[&by_people, &by_auto], past)[0];
    assert!(!door.overdue, "azir alone did exercise it");
    assert!(door.people_overdue, "and people did not");
    assert!(stands(&[&by_people], past)[0].overdue);
    assert!(stands(&[&by_auto], edge)[0].people_overdue);
    // One that is not shipped is known by its drills.
    let own = Drill::of("ours", "D-3", at);
    let names: Vec<String> = stands(&[&own], edge)
        .into_iter()
        .map(|line| line.scenario)
        .collect();
    assert_eq!(names, [DOOR, "never-tried", "ours"]);
}

#[test]
fn due_ends_with_1_as_long_as_anything_is_overdue() {
    let home = tempfile::tempdir().unwrap();
    let now = Utc::now();
    let fresh = now - TimeDelta::days(89);
    for (at, name) in shelf::names().chain([DOOR]).enumerate() {
        Drill::of(name, &format!("D-{at}"), fresh)
            .auto()
            .write(home.path());
    }
    let (code, told) = judged(home.path(), &["drill", "due"], "drill-due");
    assert_eq!(code, 0, "{told:#}");
    let done = bare(home.path(), &["drill", "due"]);
    each_says_drill(&done);
    assert!(
        done.stdout.contains("PEOPLE OVERDUE") && done.stdout.contains("by azir alone 89 days ago"),
        "{}",
        done.stdout
    );
    assert!(
        done.stdout.contains("next: azir drill start "),
        "{}",
        done.stdout
    );
    Drill::of("forgotten", "D-99", now - TimeDelta::days(91)).write(home.path());
    let (code, told) = judged(home.path(), &["drill", "due"], "drill-due");
    assert_eq!(code, 1);
    let lines = told["scenarios"].as_array().unwrap();
    let overdue: Vec<&Value> = lines
        .iter()
        .filter(|line| line["overdue"] == true)
        .collect();
    assert_eq!(overdue.len(), 1);
    assert_eq!(overdue[0]["scenario"], "forgotten");
    assert_eq!(overdue[0]["last_by_people"]["days"], 91);
}

#[test]
fn a_finding_stays_until_a_later_drill_passes_it_and_comes_back_as_itself() {
    let at = |text: &str| time(&format!("{text}T09:00:00Z"));
    let first = Drill::of(DOOR, "D-1", at("2026-03-01"))
        .line("port", Some(false))
        .line("kept", Some(true))
        .line("told", None);
    let again = Drill::of(DOOR, "D-2", at("2026-04-01"))
        .auto()
        .line("port", Some(false));
    let good = Drill::of(DOOR, "D-3", at("2026-05-01")).line("port", Some(true));
    let bad = Drill::of(DOOR, "D-4", at("2026-06-01")).line("port", Some(false));
    let other = Drill::of("other", "D-5", at("2026-06-02")).line("port", Some(true));

    let after = found(&[&first, &again], &[], "2026-04-02");
    let ids: Vec<&str> = after.iter().map(|finding| &*finding.id).collect();
    assert_eq!(
        ids,
        ["F-door-left-open-port", "F-door-left-open-told"],
        "what the judge could not tell is a finding, too"
    );
    assert_eq!(changes(&after[0]), [Change::Opened, Change::StillOpen]);
    assert_eq!(after[0].owner, "alice@contoso.com");
    assert_eq!(after[0].due, day("2026-03-31"));
    assert!(after[0].overdue && after[0].open);
    assert!(!found(&[&first], &[], "2026-03-31")[0].overdue);

    let after = found(&[&first, &again, &good], &[], "2026-05-02");
    let port = &after[1];
    assert!(!port.open && !port.overdue);
    assert_eq!(port.turns.last().unwrap().drill, "D-3");
    assert_eq!(after[0].line, "told", "open ones come first");
    assert!(after[0].open, "a drill without the line does not pass it");

    let after = found(&[&first, &again, &good, &bad, &other], &[], "2026-06-02");
    let port = after.iter().find(|one| one.line == "port").unwrap();
    assert_eq!(
        changes(port),
        [
            Change::Opened,
            Change::StillOpen,
            Change::Closed,
            Change::Reopened
        ]
    );
    assert!(port.open && !port.overdue);
    assert_eq!(port.due, day("2026-07-01"));
}

#[test]
fn a_finding_is_whose_it_was_given_to_last() {
    let opened = time("2026-03-01T09:00:00Z");
    let mut nobody = Drill::of(DOOR, "D-1", opened).line("port", Some(false));
    nobody.verdict.participants.clear();
    let owner = |drill: &Drill| found(&[drill], &[], "2026-03-02")[0].owner.clone();
    assert_eq!(owner(&nobody), "olga@contoso.com");
    nobody.verdict.observer = None;
    assert_eq!(owner(&nobody), "rita@contoso.com");

    let assigned = |text: &str, owner: &str, due: &str| Assignment {
        time: time(text),
        finding: "F-door-left-open-port".to_owned(),
        owner: owner.to_owned(),
        due: day(due),
    };
    let mut all = vec![
        assigned("2026-03-02T00:00:00Z", "carol@contoso.com", "2026-03-10"),
        assigned("2026-03-03T00:00:00Z", "dave@contoso.com", "2026-03-20"),
    ];
    all[0].finding.push('x');
    all.push(all[1].clone());
    all[1].owner = "carol@contoso.com".to_owned();
    let port = &found(&[&nobody], &all, "2026-03-21")[0];
    assert_eq!(
        (&*port.owner, port.due, port.assigned, port.overdue),
        ("dave@contoso.com", day("2026-03-20"), true, true)
    );
    // Whoever saw to it once sees to it again; the day of then is over and done with.
    let good = Drill::of(DOOR, "D-2", time("2026-03-10T09:00:00Z")).line("port", Some(true));
    let bad = Drill::of(DOOR, "D-3", time("2026-06-01T09:00:00Z")).line("port", Some(false));
    let port = &found(&[&nobody, &good, &bad], &all, "2026-06-02")[0];
    assert_eq!(
        (&*port.owner, port.due, port.overdue),
        ("dave@contoso.com", day("2026-07-01"), false)
    );
}

#[test]
fn assign_writes_a_line_and_refuses_what_makes_no_sense() {
    let home = tempfile::tempdir().unwrap();
    let now = Utc::now();
    Drill::of(DOOR, "D-1", now - TimeDelta::days(2))
        .line("port", Some(false))
        .line("rule", Some(false))
        .write(home.path());
    Drill::of(DOOR, "D-2", now - TimeDelta::days(1))
        .line("port", Some(true))
        .write(home.path());
    let id = "F-door-left-open-rule";
    let due = (now + TimeDelta::days(9)).date_naive().to_string();
    let words = ["drill", "assign", id, "--owner", "dave@contoso.com"];
    let (code, told) = judged(
        home.path(),
        &[&words[..], &["--due", &due]].concat(),
        "drill-assign",
    );
    assert_eq!(code, 0);
    assert_eq!(told["assignment"]["due"], json!(due));
    let done = bare(home.path(), &["drill", "list"]);
    each_says_drill(&done);
    assert!(
        done.stdout
            .contains(&format!("dave@contoso.com, until {due}")),
        "{}",
        done.stdout
    );
    // Without a day the day stays.
    let done = bare(
        home.path(),
        &["drill", "assign", id, "--owner", "erin@contoso.com"],
    );
    assert_eq!(
        done.stdout,
        format!("DRILL finding {id} is erin@contoso.com's until {due}\n")
    );
    assert_eq!(assignment::read(home.path()).0.len(), 2);
    let refused: &[(&[&str], &str, &str)] = &[
        (
            &["F-door-left-open-port", "--owner", "a@b"],
            "is closed: D-2 passed it",
            "next: azir drill list",
        ),
        (
            &["F-door-left-open-rul", "--owner", "a@b"],
            "there is no finding",
            "next: azir drill assign F-door-left-open-rule --owner UPN",
        ),
        (
            &[id, "--owner", "a@b", "--due", "2026-01-01"],
            "--due 2026-01-01 is over",
            "next: azir drill assign",
        ),
        (&[id, "--owner", "a b"], "a person's name is as", ""),
        (
            &[id, "--owner", "a@b", "--due", "soon"],
            "a day is as 2026-12-01",
            "",
        ),
        (&[id], "--owner", ""),
    ];
    for (args, why, next) in refused {
        let done = bare(home.path(), &[&["drill", "assign"], *args].concat());
        assert_eq!(done.code, 2, "{args:?}: {}", done.stderr);
        assert!(
            done.stderr.contains(why) && done.stderr.contains(next),
            "{args:?}: {}",
            done.stderr
        );
    }
    assert_eq!(assignment::read(home.path()).0.len(), 2);
}

#[test]
fn a_damaged_record_is_named_and_hides_no_other() {
    let home = tempfile::tempdir().unwrap();
    let at = Utc::now() - TimeDelta::days(3);
    let good = Drill::of(DOOR, "D-1", at)
        .took(Some(60.0), Some(70.0))
        .line("port", Some(false));
    good.write(home.path());
    Drill::of(DOOR, "D-2", at).write(home.path());
    let damaged = folder(home.path(), "D-2").join("drill.jsonl");
    std::fs::write(&damaged, "{\"time\":\"2026-11-02T09:00:00Z\"}\n").unwrap();
    let findings = assignment::file(home.path());
    std::fs::write(&findings, "no line\n").unwrap();
    for (args, schema) in [
        (&["drill", "list"][..], "drill-list"),
        (&["drill", "due"], "drill-due"),
        (&["drill", "history"], "drill-history"),
    ] {
        let (code, told) = judged(home.path(), args, schema);
        assert_eq!(code, 6, "{args:?}");
        let unreadable = told["unreadable"].as_array().unwrap();
        assert_eq!(unreadable.len(), 2, "{unreadable:?}");
        let done = bare(home.path(), args);
        each_says_drill(&done);
        assert!(done.stdout.contains(DOOR), "{}", done.stdout);
        for said in [
            "D-2/drill.jsonl, line 1",
            "findings.jsonl, line 1",
            "next: put ",
        ] {
            assert!(done.stderr.contains(said), "{}", done.stderr);
        }
    }
    let done = bare(home.path(), &["drill", "report", "D-1"]);
    assert_eq!(done.code, 6);
    assert!(done.stdout.contains("F-door-left-open-port"));
    let done = bare(home.path(), &["drill", "report", "D-2"]);
    assert_eq!((done.code, &*done.stdout), (6, ""));
    assert!(done.stderr.contains("next: put "), "{}", done.stderr);
}

#[test]
fn list_tells_what_is_open_and_how_to_go_on() {
    let home = tempfile::tempdir().unwrap();
    let done = bare(home.path(), &["drill", "list"]);
    assert_eq!(done.code, 0);
    each_says_drill(&done);
    let at = Utc::now() - TimeDelta::hours(2);
    let state = |id: &str, whats: &[What]| {
        Drill::of(DOOR, id, at).begun(home.path(), |record| {
            for what in whats {
                record.add(at, what.clone()).unwrap();
            }
        });
    };
    let why = || "a real incident".to_owned();
    let judged_as = What::Judged(Box::new(Drill::of(DOOR, "D-3", at).verdict));
    state("D-1", &[]);
    state("D-2", &[What::Emitted]);
    state("D-3", &[What::Emitted, judged_as]);
    state("D-4", &[What::Aborted { why: why() }]);
    state("D-5", &[What::Aborted { why: why() }, What::Closed]);
    let (code, told) = judged(home.path(), &["drill", "list"], "drill-list");
    assert_eq!(code, 0);
    let open: Vec<_> = told["drills"]
        .as_array()
        .unwrap()
        .iter()
        .map(|drill| (drill["state"].as_str().unwrap(), &drill["next"]))
        .collect();
    assert_eq!(
        open,
        [
            ("planting", &json!("azir drill abort D-1")),
            ("running", &json!("azir drill status D-2")),
            ("judged", &json!("azir drill finish D-3")),
            ("aborting", &json!("azir drill abort D-4")),
        ]
    );
    let done = bare(home.path(), &["drill", "list"]);
    each_says_drill(&done);
    for said in [
        "open: D-2, door-left-open in the tabletop subscription, running",
        "next: azir drill finish D-3",
    ] {
        assert!(done.stdout.contains(said), "{}", done.stdout);
    }
}

#[test]
fn history_is_drawn_for_none_one_and_many() {
    let home = tempfile::tempdir().unwrap();
    let done = bare(home.path(), &["drill", "history"]);
    assert_eq!(
        (done.code, &*done.stdout),
        (
            0,
            "DRILL no drill was judged yet\nDRILL next: azir drill list\n"
        )
    );
    let at = time("2026-02-01T09:00:00Z");
    Drill::of(DOOR, "D-1", at)
        .took(Some(150.0), None)
        .write(home.path());
    let done = bare(home.path(), &["drill", "history", DOOR]);
    each_says_drill(&done);
    assert_eq!(
        done.stdout,
        "\
DRILL door-left-open: A management port stands open to the world; people, tabletop
DRILL   time to contain, mean; ┃ deadline 5m
DRILL     2026Q1 █████████████████                ┃  2m 30s  1 of 1 in time
DRILL   time to eradicate, mean; ┃ deadline 30m
DRILL     2026Q1                                  ┃   never  0 of 1 in time
DRILL   2026Q1: 1 drill, 0 passed, mean score 0
"
    );
    for (number, days) in (1..14_i64).map(|number| number * 80).enumerate() {
        Drill::of(DOOR, &format!("E-{number:02}"), at + TimeDelta::days(days))
            .took(Some(90.0 + days as f64), Some(700.0))
            .write(home.path());
    }
    let series = &told(home.path())[0];
    assert!(series.quarters.len() > plot::DRAWN);
    assert_eq!(
        plot::rows(series, plot::Measure::Contain, 30).len(),
        plot::DRAWN
    );
    let done = bare(home.path(), &["drill", "history", DOOR]);
    for line in done.stdout.lines().filter(|line| line.contains(" in time")) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    assert!(
        done.stdout
            .contains("earlier quarters: azir drill history --output json")
    );
    let (_, told) = judged(home.path(), &["drill", "history", DOOR], "drill-history");
    assert_eq!(
        told["series"][0]["quarters"].as_array().unwrap().len(),
        series.quarters.len()
    );
    let done = bare(home.path(), &["drill", "history", "door-left-opn"]);
    assert_eq!(done.code, 2);
    assert!(
        done.stderr
            .contains("next: azir drill history door-left-open"),
        "{}",
        done.stderr
    );
}

#[test]
fn nothing_from_a_record_is_obeyed_by_a_terminal() {
    let home = tempfile::tempdir().unwrap();
    let hostile = "a\u{1b}[2J\nDRILL all is well\u{202e}";
    let mut drill = Drill::of(DOOR, "D-1", Utc::now()).told(
        "port",
        azir::drill::verdict::Part::Contained,
        hostile,
        Some(false),
        hostile,
    );
    drill.verdict.scenario.title = hostile.to_owned();
    drill.verdict.participants = vec![hostile.to_owned()];
    drill.write(home.path());
    for args in [
        &["drill", "list"][..],
        &["drill", "history"],
        &["drill", "due"],
    ] {
        let done = bare(home.path(), args);
        each_says_drill(&done);
        assert!(!done.stdout.contains('\u{1b}') && !done.stdout.contains('\u{202e}'));
        assert!(
            !done.stdout.contains("\nDRILL all is well"),
            "{}",
            done.stdout
        );
    }
}
