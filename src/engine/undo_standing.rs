//! How one write of an old run stands now: as it was left, back already, or changed by somebody since.

use serde_json::Value;

use super::calls::Calls;
use super::failure::Failure;
use super::past::{PastWrite, item_names};
use super::preflight::Meant;
use super::step::{self, Item, wire};
use super::target::{Target, phase_word};
use crate::json::member;
use crate::runbook::expr::{RenderedCall, Scope};
use crate::runbook::model::{Plane, Undo, UndoRequest};

/// What an undo would do about one write.
pub(crate) struct Change {
    pub(crate) step: String,
    pub(crate) title: String,
    pub(crate) phase: String,
    /// The request, as `PUT <resource id>`.
    pub(crate) line: String,
    pub(crate) standing: Standing,
    /// Whether it may give the attacker back what was taken, and so waits for a recorded clearance.
    pub(crate) ask: bool,
    /// Who last changed it before the run, and since where it drifted, in words.
    pub(crate) last: Option<String>,
    /// The request, for the preflight, where one would be sent.
    pub(crate) meant: Option<Meant>,
}

impl Change {
    /// Returns what a plan says of it.
    pub(crate) fn note(&self) -> Option<String> {
        let said: Vec<String> = [
            self.standing.note(),
            (self.ask && self.standing.writes())
                .then(|| "gives back what was taken: needs a recorded clearance".to_owned()),
            self.last.clone(),
        ]
        .into_iter()
        .flatten()
        .collect();
        (!said.is_empty()).then(|| said.join("; "))
    }
}

/// How one write stands now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Standing {
    /// As the run left it: it can be put back.
    AsLeft,
    /// As it was before the run, or gone.
    AlreadyBack,
    /// Somebody changed it since.
    Drifted(String),
    /// It cannot be undone.
    Never(String),
    /// It stays on purpose.
    Lasting(String),
    /// It could not be read.
    Unreadable(Failure),
}

impl Standing {
    /// Returns whether putting it back takes a write.
    pub(crate) fn writes(&self) -> bool {
        matches!(self, Self::AsLeft | Self::Drifted(_))
    }

    /// Returns what a plan says of it.
    pub(crate) fn note(&self) -> Option<String> {
        match self {
            Self::AsLeft => None,
            Self::AlreadyBack => Some("already as it was before the run".to_owned()),
            Self::Drifted(what) => Some(format!("drift: {what}")),
            Self::Never(why) => Some(format!("cannot be undone: {why}")),
            Self::Lasting(why) => Some(format!("stays: {why}")),
            Self::Unreadable(failure) => Some(format!("cannot be read: {}", failure.message)),
        }
    }
}

/// One request that puts something back.
pub(crate) enum Part<'a> {
    /// Members of an edit.
    Members { write: &'a PastWrite },
    /// A request that the runbook gives.
    Request {
        write: &'a PastWrite,
        request: &'a UndoRequest,
        scope: Scope,
    },
    /// Nothing can or should be put back.
    Nothing(Standing),
}

pub(crate) fn parts<'a>(
    target: &'a Target<'_>,
    node: usize,
    write: &'a PastWrite,
) -> Vec<Part<'a>> {
    let step = target.common.program.step(node);
    match (&step.undo, &step.lasting) {
        (Some(Undo::Restore | Undo::Ask), _) => vec![Part::Members { write }],
        (Some(Undo::Never(why)), _) => vec![Part::Nothing(Standing::Never(why.clone()))],
        (Some(Undo::Requests(requests)), _) => requests
            .iter()
            .map(|request| Part::Request {
                write,
                request,
                scope: item_names(target, node, &write.record["item"], Some(write)),
            })
            .collect(),
        (None, Some(why)) => vec![Part::Nothing(Standing::Lasting(why.clone()))],
        (None, None) => vec![Part::Nothing(Standing::Lasting(
            "the runbook does not say how to undo it".to_owned(),
        ))],
    }
}

impl Part<'_> {
    fn line(&self, target: &Target<'_>) -> String {
        match self {
            Self::Members { write } => format!(
                "PUT {} (members as before)",
                write.record["target"].as_str().unwrap_or_default()
            ),
            Self::Request { request, scope, .. } => target
                .common
                .expressions
                .call_line(&request.call, scope)
                .unwrap_or_else(|_| request.call.line.value.clone()),
            Self::Nothing(_) => String::new(),
        }
    }

    fn meant(&self, target: &Target<'_>, node: usize) -> Option<Meant> {
        let (call, there) = match self {
            Self::Members { write } => {
                let changes = write.record["changes"].as_array().into_iter().flatten();
                let members = changes.filter_map(|change| {
                    let path = change["path"].as_str()?;
                    Some((path.to_owned(), change["before"].clone()))
                });
                let body = Value::Object(members.collect());
                (resource("PUT", write, Some(body)), true)
            }
            Self::Request { request, scope, .. } => {
                let expressions = &target.common.expressions;
                (expressions.call(&request.call, scope).ok()?, false)
            }
            Self::Nothing(_) => return None,
        };
        Some(Meant::back(target, node, call, there))
    }

    /// Whether the runbook says that it waits for a clearance.
    fn ask(&self, target: &Target<'_>, node: usize) -> bool {
        match self {
            Self::Members { .. } => {
                matches!(target.common.program.step(node).undo, Some(Undo::Ask))
            }
            Self::Request { request, .. } => request.ask,
            Self::Nothing(_) => false,
        }
    }

    pub(crate) fn change(&self, target: &Target<'_>, node: usize, standing: Standing) -> Change {
        let step = target.common.program.step(node);
        Change {
            step: target.common.program.nodes[node].id.clone(),
            title: step.title.value.clone(),
            phase: phase_word(step),
            line: self.line(target),
            meant: standing
                .writes()
                .then(|| self.meant(target, node))
                .flatten(),
            standing,
            ask: self.ask(target, node),
            last: None,
        }
    }

    /// Reads how it stands; what was read has a name for the request from then on.
    pub(crate) async fn standing(&mut self, target: &Target<'_>, node: usize) -> Standing {
        let calls = calls(target, node, self.item(), "how it stands now");
        let looked = match self {
            Self::Nothing(standing) => return standing.clone(),
            Self::Members { write } => members_now(target, write, &calls)
                .await
                .map(|(_, standing)| standing),
            Self::Request { request, scope, .. } => {
                request_now(target, node, request, scope, &calls).await
            }
        };
        looked.unwrap_or_else(Standing::Unreadable)
    }

    fn item(&self) -> &str {
        match self {
            Self::Members { write } | Self::Request { write, .. } => &write.item,
            Self::Nothing(_) => "",
        }
    }
}

pub(crate) fn calls(target: &Target<'_>, node: usize, item: &str, why: &str) -> Calls {
    let step = target.common.program.step(node);
    let item = Item {
        target,
        node,
        step,
        scope: target.scope(node),
        key: item.to_owned(),
    };
    item.calls(why)
}

/// Reads a resource and compares the members that the run changed.
pub(crate) async fn members_now(
    target: &Target<'_>,
    write: &PastWrite,
    calls: &Calls,
) -> Result<(Value, Standing), Failure> {
    let mut call = resource("GET", write, None);
    call.missing_ok = true;
    let answer = wire::read(target.common.power.reader(), &call, calls).await?;
    if answer.status == 404 {
        return Ok((Value::Null, Standing::AlreadyBack));
    }
    let mut back = true;
    let mut drifted = Vec::new();
    for change in write.record["changes"].as_array().into_iter().flatten() {
        let path = change["path"].as_str().unwrap_or_default();
        let now = member(&answer.body, path).cloned().unwrap_or(Value::Null);
        if step::same(&now, &change["before"]) {
            continue;
        }
        back = false;
        if !step::same(&now, &change["after"]) {
            let short = |value: &Value| super::calls::cut(&value.to_string(), 200);
            drifted.push(format!(
                "{path} of {} was {} before, azir made it {}, and it is now {}",
                write.item,
                short(&change["before"]),
                short(&change["after"]),
                short(&now)
            ));
        }
    }
    let standing = match (back, drifted.is_empty()) {
        (true, _) => Standing::AlreadyBack,
        (false, true) => Standing::AsLeft,
        (false, false) => Standing::Drifted(drifted.join(", ")),
    };
    Ok((answer.body, standing))
}

/// Reads what a request of the runbook would put back, and judges how it stands.
pub(crate) async fn request_now(
    target: &Target<'_>,
    node: usize,
    request: &UndoRequest,
    scope: &mut Scope,
    calls: &Calls,
) -> Result<Standing, Failure> {
    let expressions = &target.common.expressions;
    let id = &target.common.program.nodes[node].id;
    let failed = |error| Failure::expression(id, &error);
    read_current(target, node, request, scope, calls).await?;
    if let Some(unless) = &request.unless
        && expressions.truth(unless, scope).map_err(failed)?
    {
        return Ok(Standing::AlreadyBack);
    }
    if let Some(drift) = &request.drift
        && expressions.truth(drift, scope).map_err(failed)?
    {
        let title = target.common.program.step(node).title.value.to_lowercase();
        return Ok(Standing::Drifted(format!(
            "what \"{title}\" left on {} was changed",
            target.name
        )));
    }
    Ok(Standing::AsLeft)
}

pub(crate) async fn read_current(
    target: &Target<'_>,
    node: usize,
    request: &UndoRequest,
    scope: &mut Scope,
    calls: &Calls,
) -> Result<(), Failure> {
    let Some(read) = &request.read else {
        return Ok(());
    };
    let id = &target.common.program.nodes[node].id;
    let rendered = target
        .common
        .expressions
        .call(read, scope)
        .map_err(|error| Failure::expression(id, &error))?;
    let reader = target.common.power.reader();
    let current = if rendered.pages.is_some() {
        Value::Array(wire::read_list(reader, &rendered, calls).await?)
    } else {
        wire::read(reader, &rendered, calls).await?.body
    };
    scope.set("current", &current);
    Ok(())
}

pub(crate) fn resource(method: &str, write: &PastWrite, body: Option<Value>) -> RenderedCall {
    RenderedCall {
        plane: Plane::Arm,
        method: method.to_owned(),
        path_or_url: write.record["target"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        query: Vec::new(),
        api_version: write.record["api_version"].as_str().map(str::to_owned),
        headers: Vec::new(),
        body,
        pages: None,
        missing_ok: false,
    }
}
