//! What is wrong with a scenario that a reader of types cannot see: names that mean nothing, calls that are none.

use std::collections::BTreeSet;

use super::scenario::{Asked, Scenario};

impl Scenario {
    /// Refuses the first thing that is wrong.
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
            let ways = [
                moment.write_of.is_some(),
                moment.audit_of.is_some(),
                moment.read.is_some() && moment.times.is_some(),
                // Beside a log it stands in for what the log does not show yet.
                moment.call.is_some() && moment.write_of.is_none() && moment.audit_of.is_none(),
            ];
            if ways.iter().filter(|way| **way).count() != 1 {
                return Err(format!(
                    "moment {name} is known by exactly one of write_of, audit_of, read with times, and call"
                ));
            }
        }
        let mut asked = self.moments_asked();
        match asked.find(|name| !self.moments.contains_key(*name)) {
            Some(name) => Err(format!("there is no moment {name} under moments")),
            None => Ok(()),
        }
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
