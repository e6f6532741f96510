//! Every template of a step, and the names that they speak of.

use std::collections::BTreeSet;

use serde_json::Value;

use super::expr::Expressions;
use super::model::{Action, Call, Runbook, Step, Undo, UndoRequest};
use super::place::Place;

/// Calls `visit` with every template that a run of the step evaluates, and where it stands.
pub fn templates(step: &Step, visit: &mut dyn FnMut(&str, Place)) {
    for template in [
        &step.when,
        &step.skip_reason,
        &step.for_each,
        &step.say,
        &step.shared,
    ]
    .into_iter()
    .flatten()
    {
        visit(&template.value, template.place);
    }
    visit(&step.title.value, step.title.place);
    action(&step.action, visit);
    for value in step.lets.values() {
        inside(&value.value, value.place, visit);
    }
}

/// Calls `visit` with the templates of a step's checks and undo.
pub fn later_templates(step: &Step, visit: &mut dyn FnMut(&str, Place)) {
    for check in &step.checks {
        for template in [&check.when, &check.observed].into_iter().flatten() {
            visit(&template.value, template.place);
        }
        visit(&check.claim.value, check.claim.place);
        visit(&check.that.value, check.that.place);
        if let Some(get) = &check.get {
            call(get, visit);
        }
    }
    if let Some(Undo::Requests(requests)) = &step.undo {
        for request in requests {
            undo_request(request, visit);
        }
    }
}

fn undo_request(request: &UndoRequest, visit: &mut dyn FnMut(&str, Place)) {
    for template in [&request.unless, &request.drift, &request.that]
        .into_iter()
        .flatten()
    {
        visit(&template.value, template.place);
    }
    call(&request.call, visit);
    if let Some(read) = &request.read {
        call(read, visit);
    }
}

fn action(action: &Action, visit: &mut dyn FnMut(&str, Place)) {
    let mut texts = |templates: &[&super::model::Template]| {
        for template in templates {
            visit(&template.value, template.place);
        }
    };
    match action {
        Action::Read(read) => call(read, visit),
        Action::Request(request) => {
            texts(&request.unless.iter().collect::<Vec<_>>());
            call(&request.call, visit);
            if let Some(before) = &request.before {
                call(before, visit);
            }
        }
        Action::Edit(edit) => {
            texts(&[&edit.arm]);
            for value in edit.set.values() {
                inside(&value.value, value.place, visit);
            }
        }
        Action::Collect(collect) => {
            texts(&[&collect.name, &collect.description]);
            texts(&collect.follow_up.iter().collect::<Vec<_>>());
            if let Some((from, to)) = &collect.window {
                texts(&[from, to]);
            }
            call(&collect.call, visit);
        }
        Action::Assert(assert) => texts(&[&assert.that, &assert.message]),
        Action::Decide(decide) => texts(&[&decide.question, &decide.options]),
        Action::Manual(manual) => texts(&[&manual.instruction, &manual.finding]),
        Action::Run(other) => {
            for value in other.with.values() {
                inside(&value.value, value.place, visit);
            }
        }
        Action::Wait(wait) => texts(&[&wait.how_long]),
    }
}

/// Calls `visit` with the templates of a call.
pub fn call(call: &Call, visit: &mut dyn FnMut(&str, Place)) {
    visit(&call.line.value, call.line.place);
    for template in call.query.values().chain(call.headers.values()) {
        visit(&template.value, template.place);
    }
    if let Some(body) = &call.body {
        inside(&body.value, body.place, visit);
    }
}

/// Calls `visit` with every text inside a JSON value.
pub fn inside(value: &Value, place: Place, visit: &mut dyn FnMut(&str, Place)) {
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
    templates(step, &mut |text, _| {
        names.extend(expressions.names(text).unwrap_or_default());
    });
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
