//! One item of a step on its way through an action, and what it leaves behind.

use serde_json::{Map, Value};

use crate::engine::calls::{CallPlace, Calls};
use crate::engine::check::Due;
use crate::engine::failure::Failure;
use crate::engine::past::Sent;
use crate::engine::target::Target;
use crate::runbook::expr::Scope;
use crate::runbook::model::Step;

/// What a node left behind.
#[derive(Default)]
pub(crate) struct StepDone {
    /// Checks that are due now.
    pub(crate) checks: Vec<Due>,
}

/// What one item left behind.
pub(crate) struct ItemDone {
    /// Its named results, and `item`.
    pub(crate) values: Map<String, Value>,
    /// The names that its checks see.
    pub(crate) scope: Scope,
    /// The item's name.
    pub(crate) key: String,
    /// Whether its checks are to be made.
    pub(crate) acted: bool,
}

/// One item on its way through an action.
#[derive(Clone)]
pub(crate) struct Item<'a> {
    pub(crate) target: &'a Target<'a>,
    pub(crate) node: usize,
    pub(crate) step: &'a Step,
    pub(crate) scope: Scope,
    pub(crate) key: String,
}

impl Item<'_> {
    /// Returns the id of the step in this program.
    pub(crate) fn id(&self) -> &str {
        &self.target.common.program.nodes[self.node].id
    }

    /// Returns an observer for the calls of this item.
    pub(crate) fn calls(&self, why: &str) -> Calls {
        Calls::new(
            self.target.common.power.recorder().cloned(),
            self.target.teller.of_step(self.id()),
            CallPlace {
                step: self.id().to_owned(),
                target_index: self.target.index,
                item: self.key.clone(),
                why: why.to_owned(),
                undo: None,
                before: None,
            },
        )
    }

    /// Returns what earlier sessions wrote for this item, in order.
    pub(crate) fn sent(&self) -> Vec<Sent<'_>> {
        self.target.sent(self.node, &self.key)
    }

    /// Wraps a failed expression.
    pub(crate) fn expression(&self, error: &crate::runbook::expr::ExprError) -> Failure {
        Failure::expression(self.id(), error)
    }
}

/// What an action hands to `let`: the names it adds, and whether it did anything.
pub(crate) struct Acted {
    pub(crate) names: Vec<(&'static str, Value)>,
    pub(crate) acted: bool,
}

impl Acted {
    pub(crate) fn with(names: Vec<(&'static str, Value)>) -> Self {
        Self { names, acted: true }
    }
}
