//! What a reader of types cannot see in a scenario: names that mean nothing, calls that are none, ways to know a time that
//! contradict each other.

use std::collections::BTreeSet;

use super::scenario::{Asked, Condition, Moment, Scenario};

impl Scenario {
    /// Refuses what a reader of types cannot see: names that mean nothing, calls that are none.
    pub(super) fn is_sound(&self) -> Result<(), String> {
        if self.azir != "drill-v1" {
            return Err(format!(
                "azir: {:?} is not a format that this azir reads; write azir: drill-v1",
                self.azir
            ));
        }
        if self.rehearses.is_empty() || self.auto.is_empty() {
            return Err("a scenario rehearses a runbook, and --auto does something".to_owned());
        }
        let builds = self.tabletop.iter().flat_map(|tabletop| &tabletop.build);
        let builds: Vec<&str> = builds.map(|build| build.id.as_str()).collect();
        unique(self.ids())?;
        unique(builds.iter().copied())?;
        let mut names = self.tabletop.iter().flat_map(|one| one.names.keys());
        if let Some(name) = names.find(|name| builds.contains(&name.as_str())) {
            return Err(format!("{name} is a name, and the id of a build"));
        }
        for (what, asked) in self.calls() {
            asked.call().map_err(|why| format!("{what}: {why}"))?;
        }
        for (name, moment) in &self.moments {
            known_in_one_way(moment).map_err(|why| format!("moment {name} {why}"))?;
        }
        let mut named = self.moments_asked();
        if let Some(name) = named.find(|name| !self.moments.contains_key(*name)) {
            return Err(format!("there is no moment {name} under moments"));
        }
        self.what_came_before_is_judged_before()
    }

    /// Refuses an `after` that is no condition of the tenant as it was before the undo.
    fn what_came_before_is_judged_before(&self) -> Result<(), String> {
        let undone = &self.judge.undone;
        for one in self.conditions().filter(|one| !one.after.is_empty()) {
            let of_undo = |id: &str| undone.iter().any(|other| other.id == id);
            if !of_undo(&one.id) {
                return Err(format!(
                    "{} is not put back by an undo: it has no after",
                    one.id
                ));
            }
            let before = |id: &String| self.ids().any(|known| known == id) && !of_undo(id);
            if let Some(id) = one.after.iter().find(|id| !before(id)) {
                return Err(format!(
                    "{}: nothing named {id} is judged before the undo",
                    one.id
                ));
            }
        }
        Ok(())
    }

    /// Returns whether what `--auto` does with a runbook is not undone.
    pub(super) fn is_lasting(&self, runbook: &str) -> bool {
        let of_runbook = self.auto.iter().filter(|run| run.run == runbook);
        of_runbook.into_iter().any(|run| run.lasting.is_some())
    }

    /// Returns the name of every moment that something asks for.
    pub(super) fn moments_asked(&self) -> impl Iterator<Item = &String> {
        let of_conditions = self.conditions().filter_map(|one| one.at.as_ref());
        let insteads = self.conditions().filter_map(|one| one.instead.as_ref());
        let order = self.judge.order.iter();
        of_conditions
            .chain(insteads.filter_map(|instead| instead.at.as_ref()))
            .chain(order.flat_map(|one| [&one.first, &one.then]))
    }

    /// Returns every condition.
    pub fn conditions(&self) -> impl Iterator<Item = &Condition> {
        let judge = &self.judge;
        let groups = [
            &judge.contained,
            &judge.eradicated,
            &judge.evidence,
            &judge.undone,
        ];
        groups.into_iter().flatten()
    }

    /// Returns the name of everything that the judge looks at.
    fn ids(&self) -> impl Iterator<Item = &str> {
        let of_conditions = self.conditions().map(|one| one.id.as_str());
        let of_order = self.judge.order.iter().map(|one| one.id.as_str());
        let of_same = self.judge.unharmed.iter().map(|one| one.id.as_str());
        of_conditions.chain(of_order).chain(of_same)
    }

    /// Returns every call, with what it belongs to.
    fn calls(&self) -> Vec<(String, &Asked)> {
        let mut calls: Vec<(String, &Asked)> = Vec::new();
        for one in self.conditions() {
            calls.extend(one.read.as_ref().map(|read| (one.id.clone(), read)));
            let instead = one.instead.as_ref();
            calls.extend(instead.map(|instead| (format!("{}, or", one.id), &instead.read)));
        }
        for one in &self.judge.unharmed {
            calls.push((one.id.clone(), &one.read));
        }
        for (name, moment) in &self.moments {
            let what = format!("moment {name}");
            calls.extend(moment.read.as_ref().map(|read| (what, read)));
        }
        for one in self.tabletop.iter().flat_map(|tabletop| &tabletop.build) {
            calls.push((format!("build {}", one.id), &one.request));
            let what = format!("build {}, remove", one.id);
            calls.extend(one.remove.as_ref().map(|remove| (what, remove)));
        }
        calls
    }
}

/// Refuses an id that is none, or is there twice.
fn unique<'a>(ids: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for id in ids {
        let sound = id.starts_with(|c: char| c.is_ascii_lowercase())
            && id
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !sound {
            return Err(format!("{id:?} is no name such as interfaces_cut"));
        }
        if !seen.insert(id) {
            return Err(format!("{id} is there twice"));
        }
    }
    Ok(())
}

/// Says what is wrong with the ways in which a moment is known.
fn known_in_one_way(moment: &Moment) -> Result<(), &'static str> {
    let (write, audit) = (moment.write_of.is_some(), moment.audit_of.is_some());
    let ways = [
        write,
        audit,
        moment.times.is_some(),
        // Beside a log it says what the log does not show yet.
        !moment.call.is_empty() && !write && !audit,
    ];
    if ways.iter().filter(|way| **way).count() != 1 {
        return Err("is known by exactly one of write_of, audit_of, read with times, and call");
    }
    let useless = [
        (
            moment.times.is_some() && moment.read.is_none(),
            "has times and reads nothing",
        ),
        (
            moment.operation.is_some() && !write,
            "has an operation and no write_of",
        ),
        (
            !moment.activity.is_empty() && !audit,
            "has an activity and no audit_of",
        ),
        (
            !moment.naming.is_empty() && moment.call.is_empty(),
            "has naming and no call",
        ),
        (
            moment.every && moment.for_each.is_none(),
            "has every and no for_each",
        ),
    ];
    match useless.iter().find(|(is, _)| *is) {
        Some((_, why)) => Err(why),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(moments: &str, contained: &str, undone: &str) -> Result<(), String> {
        let text = format!(
            r#"azir: drill-v1
name: x
version: 1.0.0
title: t
about: a
rehearses: [isolate-vm]
deadlines: {{contain: 5m, eradicate: 30m}}
finding: {{source: s, severity: high, title: t, text: t}}
planted: []
lab: {{base: default, names: {{}}}}
auto: [{{run: isolate-vm}}]
moments: {{{moments}}}
judge:
  contained: [{{id: cut, claim: c, that: "{{{{ true }}}}", otherwise: o, points: 1{contained}}}]
  eradicated: []
  unharmed: []
  undone: [{{id: back, claim: c, that: "{{{{ true }}}}", otherwise: o, points: 1{undone}}}]
"#
        );
        Scenario::parse(&text).map(|_| ())
    }

    #[test]
    fn a_moment_is_known_in_one_way_and_nothing_in_it_is_idle() {
        let vm = "read: {arm: GET /x, api_version: '1'}";
        for (moment, refused) in [
            ("write_of: x, which: first".to_owned(), None),
            (format!("{vm}, write_of: x, which: first"), None),
            (format!("{vm}, times: x, which: first"), None),
            (
                "audit_of: x, call: [GET /x], naming: [x], which: last".to_owned(),
                None,
            ),
            ("which: last".to_owned(), Some("exactly one")),
            (
                "write_of: x, audit_of: x, which: last".to_owned(),
                Some("exactly one"),
            ),
            (format!("{vm}, which: last"), Some("exactly one")),
            ("times: x, which: last".to_owned(), Some("reads nothing")),
            (
                "audit_of: x, operation: x, which: last".to_owned(),
                Some("no write_of"),
            ),
            (
                "write_of: x, activity: [x], which: last".to_owned(),
                Some("no audit_of"),
            ),
            (
                "write_of: x, naming: [x], which: last".to_owned(),
                Some("no call"),
            ),
            (
                "write_of: x, every: true, which: last".to_owned(),
                Some("no for_each"),
            ),
        ] {
            let found = read(&format!("m: {{{moment}}}"), "", "");
            match refused {
                None => assert_eq!(found, Ok(()), "{moment}"),
                Some(why) => assert!(found.unwrap_err().contains(why), "{moment}"),
            }
        }
    }

    #[test]
    fn what_is_named_is_there() {
        let instead = |at: &str| {
            format!(", or: {{read: {{graph: GET /x}}, that: '{{{{ true }}}}', at: {at}}}")
        };
        let moment = "m: {write_of: x, which: first}";
        assert_eq!(read(moment, &instead("m"), ", after: [cut]"), Ok(()));
        assert!(read(moment, &instead("n"), "").is_err());
        assert!(read(moment, "", ", after: [cat]").is_err());
        assert!(read(moment, "", ", after: [back]").is_err());
        assert!(read(moment, ", after: [cut]", "").is_err());
    }
}
