//! Whether a runbook is sound: what the parser cannot see because it takes the whole file.

use std::collections::BTreeSet;

use super::catalogue::{Catalogue, RESERVED};
use super::expr::Expressions;
use super::model::{Action, Call, On, ParamKind, Phase, Plane, Purpose, Runbook, Step, Undo};
use super::place::Place;
use super::problem::{Problem, nearest};
use super::walk;

/// Names that every template sees.
const ALWAYS: &[&str] = &[
    "run", "profile", "steps", "now", "item", "true", "false", "none",
];
/// Names that the results of an action add.
const AFTER_ACTION: &[&str] = &[
    "body", "status", "items", "before", "changed", "rows", "sha256", "each", "chosen", "finding",
];
/// Names that checks and undos add.
const LATER: &[&str] = &["got", "got_status", "current", "after", "before", "written"];
/// Ends of paths whose answers hold secrets.
const SECRET_ANSWERS: &[&str] = &[
    "/listkeys",
    "/begingetaccess",
    "/regeneratekey",
    "/listsecrets",
    "/addpassword",
];

/// Returns what is wrong with a runbook, in the order of the file.
pub fn lint(file: &str, runbook: &Runbook, catalogue: &Catalogue) -> Vec<Problem> {
    let mut lint = Lint {
        file,
        runbook,
        found: Vec::new(),
        expressions: Expressions::new(),
    };
    lint.names(catalogue);
    lint.params();
    lint.steps();
    lint.phases();
    lint.templates();
    lint.permissions();
    lint.calls_others(catalogue);
    lint.found
        .sort_by_key(|problem| (problem.place.line, problem.place.column));
    lint.found
}

struct Lint<'a> {
    file: &'a str,
    runbook: &'a Runbook,
    found: Vec<Problem>,
    expressions: Expressions,
}

impl Lint<'_> {
    fn add(
        &mut self,
        code: &'static str,
        place: Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let help = help.into();
        self.found.push(Problem {
            code,
            file: self.file.to_owned(),
            place,
            message: message.into(),
            help: (!help.is_empty()).then_some(help),
        });
    }

    fn names(&mut self, catalogue: &Catalogue) {
        let name = &self.runbook.name;
        if RESERVED.contains(&name.value.as_str()) {
            self.add(
                "reserved-name",
                name.place,
                format!("{} is a command of azir", name.value),
                "choose another name",
            );
        }
        if let Some(source) = catalogue.source(&name.value)
            && source.shipped
            && source.path != self.file
        {
            self.add(
                "shadows-shipped",
                name.place,
                format!("azir ships a runbook named {}", name.value),
                "choose another name",
            );
        }
    }

    fn params(&mut self) {
        let mut taken = BTreeSet::new();
        for (name, param) in &self.runbook.params {
            if let Some(position) = param.position
                && !taken.insert(position)
            {
                self.add(
                    "same-position",
                    self.runbook.name.place,
                    format!("two parameters have position {position}; one is {name}"),
                    "",
                );
            }
            if matches!(param.kind, ParamKind::Resource(_)) && param.position.is_none() {
                self.add(
                    "resource-position",
                    self.runbook.name.place,
                    format!("the resource parameter {name} has no position"),
                    "position: 1",
                );
            }
        }
    }

    fn steps(&mut self) {
        let mut ids = BTreeSet::new();
        for step in &self.runbook.steps {
            let place = step.id.place;
            if !ids.insert(step.id.value.clone()) {
                self.add(
                    "same-id",
                    place,
                    format!("step id {} is used twice", step.id.value),
                    "give each step its own",
                );
            }
            if self
                .runbook
                .params
                .keys()
                .any(|name| name.replace('-', "_") == step.id.value)
                || ALWAYS.contains(&step.id.value.as_str())
            {
                self.add(
                    "hidden-name",
                    place,
                    format!("step {} hides another name", step.id.value),
                    "choose another id",
                );
            }
            self.writes(step);
            self.secrets(step);
        }
    }

    fn writes(&mut self, step: &Step) {
        let place = step.id.place;
        let id = &step.id.value;
        if !matches!(step.action, Action::Request(_) | Action::Edit(_)) {
            if step.undo.is_some() {
                self.add(
                    "undo-of-read",
                    place,
                    format!("step {id} writes nothing and says how to undo it"),
                    "leave out undo",
                );
            }
            return;
        }
        if self.runbook.purpose == Purpose::Read {
            self.add(
                "read-writes",
                place,
                format!("step {id} writes, and the runbook's purpose is read"),
                "",
            );
        }
        if step.checks.is_empty() {
            self.add(
                "no-check",
                place,
                format!("step {id} writes and has no check"),
                "check: {claim, get, that}; a status code proves nothing",
            );
        }
        match (&step.undo, &step.lasting) {
            (None, None) => self.add(
                "no-undo",
                place,
                format!("step {id} does not say how it is undone"),
                "undo: restore, {request: ...}, {never: why}, or lasting: why",
            ),
            (Some(_), Some(_)) => self.add(
                "no-undo",
                place,
                format!("step {id} is both undone and lasting"),
                "leave out one of them",
            ),
            (Some(Undo::Restore | Undo::Ask), None)
                if matches!(step.action, Action::Request(_)) =>
            {
                self.add(
                    "restore-request",
                    place,
                    format!("step {id} is a request, and restore only knows members of an edit"),
                    "undo: {request: ...}",
                );
            }
            _ => {}
        }
    }

    fn secrets(&mut self, step: &Step) {
        let mut ends = |call: &Call, place| {
            let line = call.line.value.to_lowercase();
            let end = SECRET_ANSWERS.iter().find(|end| line.ends_with(*end));
            if let Some(end) = end {
                self.add(
                    "secret-answer",
                    place,
                    format!("the answer of {end} holds a secret that would be stored"),
                    "secrets are rotated by the step kind made for it",
                );
            }
        };
        match &step.action {
            Action::Read(call) => ends(call, call.line.place),
            Action::Request(request) => ends(&request.call, request.call.line.place),
            Action::Collect(collect) => ends(&collect.call, collect.call.line.place),
            _ => {}
        }
    }

    fn phases(&mut self) {
        let mut latest = Phase::Inventory;
        for step in &self.runbook.steps {
            if step.phase < latest {
                let help = "a run never goes back: inventory, preserve, isolate, identity, tag, export, delete";
                self.add(
                    "phase-back",
                    step.id.place,
                    format!("step {} goes back to an earlier phase", step.id.value),
                    help,
                );
            }
            latest = latest.max(step.phase);
        }
    }

    /// Compiles every template and looks up every name that it speaks of.
    fn templates(&mut self) {
        let mut known: BTreeSet<String> = ALWAYS.iter().map(|name| (*name).to_owned()).collect();
        known.extend(
            self.runbook
                .params
                .keys()
                .map(|name| name.replace('-', "_")),
        );
        let ids: BTreeSet<String> = self
            .runbook
            .steps
            .iter()
            .map(|step| step.id.value.clone())
            .collect();
        let runbook = self.runbook;
        for step in &runbook.steps {
            let mut own: BTreeSet<String> = step.lets.keys().cloned().collect();
            own.insert(step.as_name.clone());
            own.extend(AFTER_ACTION.iter().map(|name| (*name).to_owned()));
            let earlier: BTreeSet<String> = known.union(&own).cloned().collect();
            let mut all: BTreeSet<String> = earlier.union(&ids).cloned().collect();
            all.extend(LATER.iter().map(|name| (*name).to_owned()));
            let seen = if step.on == On::Undo { &all } else { &earlier };
            walk::templates(step, &mut |text, place| self.template(text, place, seen));
            walk::later_templates(step, &mut |text, place| self.template(text, place, &all));
            for id in &step.after {
                if !known.contains(&id.value) {
                    self.add(
                        "unknown-name",
                        id.place,
                        format!("there is no earlier step {}", id.value),
                        near(&id.value, &ids),
                    );
                }
            }
            known.insert(step.id.value.clone());
        }
        known.extend(ids);
        for value in runbook.result.values() {
            walk::inside(&value.value, value.place, &mut |text, place| {
                self.template(text, place, &known);
            });
        }
        for residual in &runbook.residual {
            for template in [
                Some(&residual.what),
                residual.when.as_ref(),
                residual.until.as_ref(),
                residual.for_each.as_ref(),
            ]
            .into_iter()
            .flatten()
            {
                self.template(&template.value, template.place, &known);
            }
        }
    }

    fn template(&mut self, text: &str, place: Place, known: &BTreeSet<String>) {
        match self.expressions.names(text) {
            Err(error) => self.add(
                "bad-template",
                place,
                error.to_string(),
                "azir runbook show NAME lists the filters",
            ),
            Ok(names) => {
                for name in names.iter().filter(|name| !known.contains(*name)) {
                    self.add(
                        "unknown-name",
                        place,
                        format!("{name} is neither a parameter nor an earlier step"),
                        near(name, known),
                    );
                }
            }
        }
        if let Some(filter) = unknown_filter(text) {
            let filters: Vec<&str> = super::expr::documented()
                .into_iter()
                .map(|(name, _)| name)
                .collect();
            let help = nearest(&filter, filters.iter().copied())
                .map(|near| format!("did you mean {near}?"))
                .unwrap_or_default();
            self.add(
                "unknown-filter",
                place,
                format!("there is no filter {filter}"),
                help,
            );
        }
    }

    /// Compares the ARM actions that the steps need with those declared.
    fn permissions(&mut self) {
        let mut needed = BTreeSet::new();
        let mut may = BTreeSet::new();
        for step in &self.runbook.steps {
            each_call(step, &mut |call| needed.extend(action_of(call)));
            if let Action::Edit(edit) = &step.action {
                for method in ["GET", "PUT"] {
                    needed.extend(arm_action(method, &edit.arm.value));
                }
            }
        }
        // Linked actions are asked for by the service, not by the request line.
        may.extend(
            self.runbook
                .permissions
                .arm
                .iter()
                .filter(|action| linked(action))
                .cloned(),
        );
        for action in &needed {
            if !self
                .runbook
                .permissions
                .arm
                .iter()
                .any(|known| known.eq_ignore_ascii_case(action))
            {
                self.add(
                    "undeclared-permission",
                    self.runbook.name.place,
                    format!("{action} is used and not declared"),
                    "add it to permissions.arm",
                );
            }
        }
        // A path that is all interpolation says nothing of its type; only where every type is known is
        // a declared action known to be unused.
        let mut hidden = self
            .runbook
            .steps
            .iter()
            .any(|step| matches!(step.action, Action::Edit(_)));
        for step in &self.runbook.steps {
            each_call(step, &mut |call| {
                hidden |= call.plane == Plane::Arm && action_of(call).is_none();
            });
        }
        for declared in self.runbook.permissions.arm.clone() {
            let used = needed
                .iter()
                .any(|action| action.eq_ignore_ascii_case(&declared))
                || may.contains(&declared)
                || hidden;
            if !used {
                self.add(
                    "unused-permission",
                    self.runbook.name.place,
                    format!("{declared} is declared and not used"),
                    "leave it out of permissions.arm",
                );
            }
        }
    }

    fn calls_others(&mut self, catalogue: &Catalogue) {
        for step in &self.runbook.steps {
            let Action::Run(other) = &step.action else {
                continue;
            };
            if other.runbook.value == self.runbook.name.value {
                self.add(
                    "calls-itself",
                    other.runbook.place,
                    "a runbook cannot call itself",
                    "",
                );
                continue;
            }
            let Ok((called, _)) = catalogue.load(&other.runbook.value) else {
                let names: BTreeSet<String> = catalogue
                    .sources()
                    .map(|(name, _)| name.to_owned())
                    .collect();
                self.add(
                    "unknown-runbook",
                    other.runbook.place,
                    format!("there is no runbook {}", other.runbook.value),
                    near(&other.runbook.value, &names),
                );
                continue;
            };
            for name in other
                .with
                .keys()
                .filter(|name| !called.params.contains_key(*name))
            {
                let names: BTreeSet<String> = called.params.keys().cloned().collect();
                self.add(
                    "unknown-name",
                    other.runbook.place,
                    format!("{} has no parameter {name}", other.runbook.value),
                    near(name, &names),
                );
            }
        }
    }
}

fn near(typed: &str, known: &BTreeSet<String>) -> String {
    nearest(typed, known.iter().map(String::as_str))
        .map(|near| format!("did you mean {near}?"))
        .unwrap_or_default()
}

fn linked(action: &str) -> bool {
    let action = action.to_lowercase();
    action.ends_with("/join/action")
        || action.ends_with("/begingetaccess/action")
        || action.ends_with("/assign/action")
        || action.ends_with("joinipconfiguration/action")
}

fn each_call(step: &Step, visit: &mut dyn FnMut(&Call)) {
    match &step.action {
        Action::Read(call) => visit(call),
        Action::Request(request) => {
            visit(&request.call);
            request.before.iter().for_each(&mut *visit);
        }
        Action::Collect(collect) => visit(&collect.call),
        _ => {}
    }
    for check in &step.checks {
        check.get.iter().for_each(&mut *visit);
    }
    if let Some(Undo::Requests(requests)) = &step.undo {
        for request in requests {
            visit(&request.call);
            request.read.iter().for_each(&mut *visit);
        }
    }
}

fn action_of(call: &Call) -> Option<String> {
    if call.plane != Plane::Arm {
        return None;
    }
    let (method, path) = call.line.value.split_once(' ')?;
    arm_action(method, path)
}

/// Derives the ARM action of a request line where its type stands in the text; a path that is all interpolation has none.
fn arm_action(method: &str, path: &str) -> Option<String> {
    let plain = strip_templates(path);
    let at = plain.to_lowercase().rfind("/providers/")?;
    let segments: Vec<&str> = plain[at + "/providers/".len()..]
        .split('/')
        .filter(|segment| !segment.is_empty())
        .collect();
    let (namespace, rest) = segments.split_first()?;
    let verb = match method {
        "GET" | "HEAD" => "read",
        "PUT" | "PATCH" => "write",
        "DELETE" => "delete",
        _ => "action",
    };
    let types: Vec<&str> = rest.iter().copied().step_by(2).collect();
    // The type of an action is followed by the action's own name.
    let name = match (verb, *namespace, types.as_slice()) {
        (_, "Microsoft.Insights", ["eventtypes", ..]) => {
            return Some("Microsoft.Insights/eventtypes/values/read".to_owned());
        }
        (_, "Microsoft.ResourceGraph", _) => {
            return Some("Microsoft.ResourceGraph/resources/read".to_owned());
        }
        ("action", ..) => return None,
        _ => types.join("/"),
    };
    (!name.is_empty()).then(|| format!("{namespace}/{name}/{verb}"))
}

/// Puts one plain segment in the place of every interpolation.
fn strip_templates(path: &str) -> String {
    let mut out = String::new();
    let mut rest = path;
    while let Some(start) = rest.find("{{") {
        out.push_str(&rest[..start]);
        out.push('x');
        rest = rest[start..]
            .find("}}")
            .map_or("", |end| &rest[start + end + 2..]);
    }
    out.push_str(rest);
    out
}

/// Finds a filter that the language does not have.
fn unknown_filter(text: &str) -> Option<String> {
    const BUILT_IN: &[&str] = &[
        "default", "first", "int", "join", "last", "length", "list", "lower", "max", "min",
        "replace", "sort", "split", "unique", "upper",
    ];
    let known: BTreeSet<&str> = super::expr::documented()
        .into_iter()
        .map(|(name, _)| name)
        .chain(BUILT_IN.iter().copied())
        .collect();
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        let end = rest[start..]
            .find("}}")
            .map_or(rest.len(), |end| start + end);
        for filter in filters_in(&rest[start..end]) {
            if !known.contains(filter.as_str()) {
                return Some(filter);
            }
        }
        rest = &rest[end..];
    }
    None
}

/// Returns the names that follow a bar outside quotes.
fn filters_in(expression: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut quote = None;
    let chars = expression.char_indices();
    for (at, c) in chars {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '|') => {
                let name: String = expression[at + 1..]
                    .trim_start()
                    .chars()
                    .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                    .collect();
                found.push(name);
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::parse::parse;

    fn codes(steps: &str) -> Vec<&'static str> {
        let text = format!(
            "azir: v1\nname: x\nversion: 1.0.0\ntitle: X\npurpose: contain\nparams:\n  vm: {{type: string, position: 1}}\nsteps:\n{steps}"
        );
        let runbook = parse("x.yaml", &text).unwrap_or_else(|problems| panic!("{problems:?}"));
        let mut codes: Vec<_> = lint("x.yaml", &runbook, &Catalogue::shipped())
            .into_iter()
            .map(|problem| problem.code)
            .collect();
        codes.dedup();
        codes
    }

    const WRITE: &str = "  - {id: a, phase: isolate, title: A, request: {graph: \"PATCH /v1.0/users/{{ vm }}\", body: {}}";

    #[test]
    fn every_shipped_runbook_is_clean() {
        let catalogue = Catalogue::shipped();
        for (name, source) in catalogue.sources() {
            let (runbook, _) = catalogue
                .load(name)
                .unwrap_or_else(|error| panic!("{error}"));
            let found = lint(&source.path, &runbook, &catalogue);
            assert!(
                found.is_empty(),
                "{}",
                found
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join("\n")
            );
        }
    }

    #[test]
    fn a_write_must_be_checked_and_undone_or_lasting() {
        assert_eq!(codes(&format!("{WRITE}}}\n")), ["no-check", "no-undo"]);
        assert_eq!(
            codes(&format!(
                "{WRITE}, lasting: why, check: {{claim: c, that: \"{{{{ true }}}}\"}}}}\n"
            )),
            Vec::<&str>::new()
        );
        assert_eq!(
            codes(&format!(
                "{WRITE}, undo: restore, check: {{claim: c, that: \"{{{{ true }}}}\"}}}}\n"
            )),
            ["restore-request"]
        );
    }

    #[test]
    fn names_filters_and_phases_are_checked() {
        let read = |id: &str, phase: &str, text: &str| {
            format!(
                "  - {{id: {id}, phase: {phase}, title: T, read: {{graph: \"GET /v1.0/users/{text}\"}}}}\n"
            )
        };
        assert_eq!(codes(&read("a", "tag", "{{ vmm }}")), ["unknown-name"]);
        assert_eq!(
            codes(&read("a", "tag", "{{ vm | nofilter }}")),
            ["unknown-filter"]
        );
        assert_eq!(
            codes(&read("a", "tag", "{{ vm | }}")),
            ["bad-template", "unknown-filter"]
        );
        assert_eq!(
            codes(&(read("a", "tag", "x") + &read("b", "isolate", "x"))),
            ["phase-back"]
        );
        assert_eq!(
            codes(&(read("a", "tag", "x") + &read("a", "tag", "x"))),
            ["same-id"]
        );
        assert_eq!(
            codes("  - {id: a, phase: tag, title: T, run: {runbook: isolate-wm}}\n"),
            ["unknown-runbook"]
        );
    }

    #[test]
    fn actions_are_derived_from_the_request_line() {
        assert_eq!(arm_action("PUT", "/subscriptions/{{ s }}/resourceGroups/{{ g }}/providers/Microsoft.Compute/snapshots/{{ n }}").as_deref(), Some("Microsoft.Compute/snapshots/write"));
        assert_eq!(arm_action("GET", "{{ vm.id }}").as_deref(), None);
        assert_eq!(
            arm_action(
                "PATCH",
                "{{ id }}/providers/Microsoft.Resources/tags/default"
            )
            .as_deref(),
            Some("Microsoft.Resources/tags/write")
        );
    }
}
