//! Every template of a step, and the names that they speak of.

use std::collections::BTreeSet;

use serde_json::Value;

use super::expr::Expressions;
use super::model::{Action, Call, Check, Runbook, Step, Template, Undo, UndoRequest};
use super::place::Place;

/// The part of a step that a template belongs to, which decides what names it sees.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// Evaluated once, before there are items: `when`, `for_each`, the title.
    Head,
    /// Evaluated before the pre-image of a request is there: the call that reads it.
    Before,
    /// The action itself.
    Action,
    /// The result at this place among the step's results.
    Let(usize),
    /// What is told when the step has ended.
    Say,
    /// A check, made when the step has ended and perhaps long after.
    Check,
    /// The undo, made in another run.
    Undo,
}

impl Part {
    /// Whether it is evaluated after the step, so that it may speak of the step itself and of later ones.
    pub fn is_late(self) -> bool {
        matches!(self, Self::Check | Self::Undo)
    }
}

/// Calls `visit` with every template of a step, the part it belongs to and where it stands.
pub fn parts(step: &Step, visit: &mut dyn FnMut(Part, &str, Place)) {
    each(
        [&step.when, &step.skip_reason, &step.for_each]
            .into_iter()
            .flatten(),
        Part::Head,
        visit,
    );
    visit(Part::Head, &step.title.value, step.title.place);
    let price = step.fallback.as_ref().and_then(|of| of.price.as_ref());
    each(price, Part::Head, visit);
    each(step.say.iter(), Part::Say, visit);
    each(step.shared.iter(), Part::Action, visit);
    action(&step.action, visit);
    for (index, value) in step.lets.values().enumerate() {
        inside(&value.value, value.place, &mut |text, place| {
            visit(Part::Let(index), text, place);
        });
    }
    for check in &step.checks {
        check_templates(check, visit);
    }
    if let Some(Undo::Requests(requests)) = &step.undo {
        for request in requests {
            undo_request(request, visit);
        }
    }
}

/// Calls `visit` with every template outside the steps, where it stands, and whether it sees an `item`.
pub fn after_steps(runbook: &Runbook, visit: &mut dyn FnMut(&str, Place, bool)) {
    for value in runbook.result.values() {
        inside(&value.value, value.place, &mut |text, place| {
            visit(text, place, false);
        });
    }
    for residual in &runbook.residual {
        let loops = residual.for_each.is_some();
        if let Some(list) = &residual.for_each {
            visit(&list.value, list.place, false);
        }
        for template in [
            residual.when.as_ref(),
            Some(&residual.what),
            residual.until.as_ref(),
        ]
        .into_iter()
        .flatten()
        {
            visit(&template.value, template.place, loops);
        }
    }
    for finding in &runbook.findings {
        let loops = finding.for_each.is_some();
        if let Some(list) = &finding.for_each {
            visit(&list.value, list.place, false);
        }
        for template in [
            finding.when.as_ref(),
            Some(&finding.what),
            Some(&finding.severity),
            finding.item.as_ref(),
        ]
        .into_iter()
        .flatten()
        {
            visit(&template.value, template.place, loops);
        }
    }
    if let Some(template) = &runbook.collateral {
        visit(&template.value, template.place, false);
    }
}

/// Calls `visit` with every call of a step, and whether it stands where a write is expected.
pub fn calls(step: &Step, visit: &mut dyn FnMut(&Call, bool)) {
    match &step.action {
        Action::Read(call) => visit(call, false),
        Action::Request(request) => {
            visit(&request.call, true);
            request.before.iter().for_each(|call| visit(call, false));
        }
        Action::Collect(collect) => visit(&collect.call, false),
        Action::Rotate(rotate) => {
            visit(&rotate.upstream, true);
            let others = rotate.vault.iter().chain(&rotate.discard);
            others.for_each(|call| visit(call, true));
        }
        _ => {}
    }
    for check in &step.checks {
        check.get.iter().for_each(|call| visit(call, false));
    }
    if let Some(Undo::Requests(requests)) = &step.undo {
        for request in requests {
            visit(&request.call, true);
            request.read.iter().for_each(|call| visit(call, false));
        }
    }
}

fn each<'t>(
    templates: impl IntoIterator<Item = &'t Template>,
    part: Part,
    visit: &mut dyn FnMut(Part, &str, Place),
) {
    for template in templates {
        visit(part, &template.value, template.place);
    }
}

fn check_templates(check: &Check, visit: &mut dyn FnMut(Part, &str, Place)) {
    each(
        [&check.when, &check.observed].into_iter().flatten(),
        Part::Check,
        visit,
    );
    each([&check.claim, &check.that], Part::Check, visit);
    if let Some(get) = &check.get {
        call(get, Part::Check, visit);
    }
}

fn undo_request(request: &UndoRequest, visit: &mut dyn FnMut(Part, &str, Place)) {
    each(
        [&request.unless, &request.drift, &request.that]
            .into_iter()
            .flatten(),
        Part::Undo,
        visit,
    );
    call(&request.call, Part::Undo, visit);
    if let Some(read) = &request.read {
        call(read, Part::Undo, visit);
    }
}

fn action(action: &Action, visit: &mut dyn FnMut(Part, &str, Place)) {
    let part = Part::Action;
    match action {
        Action::Read(read) => call(read, part, visit),
        Action::Request(request) => {
            each(request.unless.iter(), part, visit);
            call(&request.call, part, visit);
            if let Some(before) = &request.before {
                call(before, Part::Before, visit);
            }
        }
        Action::Edit(edit) => {
            each([&edit.arm], part, visit);
            for value in edit.set.values() {
                inside(&value.value, value.place, &mut |text, place| {
                    visit(part, text, place);
                });
            }
        }
        Action::Collect(collect) => {
            each([&collect.name, &collect.description], part, visit);
            each(collect.follow_up.iter(), part, visit);
            if let Some((from, to)) = &collect.window {
                each([from, to], part, visit);
            }
            call(&collect.call, part, visit);
        }
        Action::Assert(assert) => each([&assert.that, &assert.message], part, visit),
        Action::Decide(decide) => each([&decide.question, &decide.options], part, visit),
        Action::Manual(manual) => each([&manual.instruction, &manual.finding], part, visit),
        Action::Rotate(rotate) => {
            call(&rotate.upstream, part, visit);
            let after = rotate.vault.iter().chain(&rotate.discard);
            after.for_each(|one| call(one, part, visit));
        }
        Action::Run(other) => {
            for value in other.with.values() {
                inside(&value.value, value.place, &mut |text, place| {
                    visit(part, text, place);
                });
            }
        }
        Action::Wait(wait) => each([&wait.how_long], part, visit),
    }
}

fn call(call: &Call, part: Part, visit: &mut dyn FnMut(Part, &str, Place)) {
    visit(part, &call.line.value, call.line.place);
    each(
        call.query.values().chain(call.headers.values()),
        part,
        visit,
    );
    if let Some(body) = &call.body {
        inside(&body.value, body.place, &mut |text, place| {
            visit(part, text, place);
        });
    }
}

/// Calls `visit` with every text inside a JSON value.
fn inside(value: &Value, place: Place, visit: &mut dyn FnMut(&str, Place)) {
    match value {
        Value::String(text) => visit(text, place),
        Value::Array(items) => items.iter().for_each(|item| inside(item, place, visit)),
        Value::Object(members) => members
            .values()
            .for_each(|member| inside(member, place, visit)),
        _ => {}
    }
}

/// Returns the names that a step must know before it starts.
pub fn names(step: &Step) -> BTreeSet<String> {
    let expressions = Expressions::new();
    let mut names = BTreeSet::new();
    parts(step, &mut |part, text, _| {
        if !part.is_late() {
            names.extend(expressions.names(text).unwrap_or_default());
        }
    });
    // What it is a fallback for decides whether it is taken.
    names.extend(step.fallback.iter().map(|of| of.of.value.clone()));
    names
}

/// Returns the names that a runbook's results speak of.
pub fn result_names(runbook: &Runbook) -> BTreeSet<String> {
    let expressions = Expressions::new();
    let mut names = BTreeSet::new();
    for value in runbook.result.values() {
        inside(&value.value, value.place, &mut |text, _| {
            names.extend(expressions.names(text).unwrap_or_default());
        });
    }
    names
}
