//! Records of drills that never took place, with the times that a test wants.

use std::path::Path;

use azir::drill::record::{Begun, Record, What, folder};
use azir::drill::scenario::Scenario;
use azir::drill::verdict::{
    By, Line, Part, Place, Reached, RunRef, SCHEMA_VERSION, ScenarioRef, StepTime, Verdict,
};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

/// A scenario that is not shipped.
pub(crate) const DOOR: &str = r#"azir: drill-v1
name: door-left-open
version: 1.0.0
title: A management port stands open to the world
about: |
  For the one who leads the drill.
rehearses: [isolate-vm]
deadlines: {contain: 5m, eradicate: 30m}
finding:
  source: Microsoft Defender for Cloud
  severity: high
  title: "Brute force against {{ machine }}"
  text: "Many sign-ins over SSH failed, and then one did not."
planted: ["a rule that lets the world in to {{ machine }}", "a key of the attacker's among those that may sign in"]
lab:
  base: default
  names: {machine: vm-app-01}
auto:
  - {run: isolate-vm, target: "{{ machine }}"}
judge:
  contained:
    - {id: cut, claim: "it is cut", that: "{{ true }}", otherwise: "it is not", points: 10}
  eradicated: []
  unharmed: []
"#;

/// A drill to be.
#[derive(Clone)]
pub(crate) struct Drill {
    pub(crate) verdict: Verdict,
    pub(crate) blind: bool,
    pub(crate) left: Vec<(String, String)>,
}

pub(crate) fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn after(emitted: DateTime<Utc>, seconds: f64) -> DateTime<Utc> {
    emitted + TimeDelta::milliseconds((seconds * 1e3) as i64)
}

fn reached(emitted: DateTime<Utc>, seconds: Option<f64>, deadline_seconds: u64) -> Reached {
    Reached {
        at: seconds.map(|seconds| after(emitted, seconds)),
        seconds,
        deadline_seconds,
        kept: seconds.is_some_and(|seconds| seconds <= deadline_seconds as f64),
        at_latest: false,
    }
}

impl Drill {
    /// A drill of `scenario` that people answered in a tabletop subscription, without lines.
    pub(crate) fn of(scenario: &str, id: &str, emitted: DateTime<Utc>) -> Self {
        let digest = if scenario == "door-left-open" {
            Scenario::digest(DOOR)
        } else {
            Scenario::digest(scenario)
        };
        let verdict = Verdict {
            schema_version: SCHEMA_VERSION,
            drill: id.to_owned(),
            scenario: ScenarioRef {
                name: scenario.to_owned(),
                version: "1.0.0".to_owned(),
                digest,
                title: "A management port stands open to the world".to_owned(),
            },
            place: Place::Tabletop,
            by: By::People,
            participants: vec!["alice@contoso.com".to_owned(), "bob@contoso.com".to_owned()],
            observer: Some("olga@contoso.com".to_owned()),
            emitted_at: emitted,
            judged_at: after(emitted, 3600.0),
            contained: reached(emitted, None, 300),
            eradicated: reached(emitted, None, 1800),
            lines: Vec::new(),
            points: 0,
            of: 0,
            score: 0,
            passed: false,
            steps: Vec::new(),
            runs: Vec::new(),
        };
        Self {
            verdict,
            blind: false,
            left: Vec::new(),
        }
    }

    /// As if azir had answered alone, in the lab.
    #[must_use]
    pub(crate) fn auto(mut self) -> Self {
        self.verdict.by = By::Auto;
        self.verdict.place = Place::Lab;
        self.verdict.participants.clear();
        self.verdict.observer = None;
        self
    }

    /// In the lab.
    #[must_use]
    pub(crate) fn lab(mut self) -> Self {
        self.verdict.place = Place::Lab;
        self
    }

    /// Contained and eradicated after so many seconds.
    #[must_use]
    pub(crate) fn took(mut self, contain: Option<f64>, eradicate: Option<f64>) -> Self {
        let emitted = self.verdict.emitted_at;
        self.verdict.contained = reached(emitted, contain, 300);
        self.verdict.eradicated = reached(emitted, eradicate, 1800);
        self
    }

    /// With a line of ten points.
    #[must_use]
    pub(crate) fn line(self, id: &str, holds: Option<bool>) -> Self {
        self.told(id, Part::Contained, "the port is shut", holds, "it answers")
    }

    /// With a line of ten points in these words.
    #[must_use]
    pub(crate) fn told(
        mut self,
        id: &str,
        part: Part,
        claim: &str,
        holds: Option<bool>,
        why: &str,
    ) -> Self {
        let good = holds == Some(true);
        let at = good.then(|| after(self.verdict.emitted_at, 100.0));
        self.verdict.lines.push(Line {
            id: id.to_owned(),
            part,
            claim: claim.to_owned(),
            holds,
            points: if good { 10 } else { 0 },
            of: 10,
            why: if good { String::new() } else { why.to_owned() },
            at,
        });
        self.verdict.add_up();
        self
    }

    /// With a step of a run.
    #[must_use]
    pub(crate) fn step(
        mut self,
        run: &str,
        step: &str,
        status: &str,
        from: f64,
        took: f64,
    ) -> Self {
        self.verdict.steps.push(StepTime {
            run: run.to_owned(),
            runbook: "isolate-vm".to_owned(),
            step: step.to_owned(),
            title: step.replace('-', " "),
            status: status.to_owned(),
            began_seconds: from,
            seconds: took,
        });
        self
    }

    /// With a run.
    #[must_use]
    pub(crate) fn run(mut self, run: &str, mode: &str, verified: bool) -> Self {
        self.verdict.runs.push(RunRef {
            run: run.to_owned(),
            runbook: "isolate-vm".to_owned(),
            mode: mode.to_owned(),
            status: "contained".to_owned(),
            verified,
            head: "3c7f0b1e9a5d4c2286f1e0d9b8a7c6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f1a0b9".to_owned(),
        });
        self
    }

    /// Begins its record, and goes on with `then`.
    pub(crate) fn begun(&self, home: &Path, then: impl FnOnce(&mut Record)) {
        let verdict = &self.verdict;
        let begun = Begun {
            drill: verdict.drill.clone(),
            scenario: verdict.scenario.clone(),
            place: verdict.place,
            profile: "exercise".to_owned(),
            cloud: match verdict.place {
                Place::Lab => "lab".to_owned(),
                Place::Tabletop => "AzureCloud".to_owned(),
            },
            tenant: "11111111-1111-4111-8111-111111111111".to_owned(),
            subscriptions: Vec::new(),
            by: verdict.by,
            participants: verdict.participants.clone(),
            observer: verdict.observer.clone(),
            blind: self.blind,
            names: json!({"machine": "vm-app-01"}),
            azir: "0.1.0".to_owned(),
        };
        let at = verdict.emitted_at - TimeDelta::minutes(4);
        let mut record = Record::begin(&folder(home, &verdict.drill), DOOR, at, begun).unwrap();
        then(&mut record);
    }

    /// Writes its record: begun, told, judged, and closed.
    pub(crate) fn write(&self, home: &Path) {
        self.begun(home, |record| {
            let verdict = &self.verdict;
            record.add(verdict.emitted_at, What::Emitted).unwrap();
            let judged = What::Judged(Box::new(verdict.clone()));
            record.add(verdict.judged_at, judged).unwrap();
            for (id, why) in self.left.clone() {
                record
                    .add(verdict.judged_at, What::Left { id, why })
                    .unwrap();
            }
            record.add(verdict.judged_at, What::Closed).unwrap();
        });
    }
}
