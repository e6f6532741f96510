//! A step in single words, for plans and events.

use crate::runbook::model::{Action, Step, Undo};

/// Returns whether a step writes.
pub(crate) fn writes(step: &Step) -> bool {
    matches!(
        step.action,
        Action::Request(_) | Action::Edit(_) | Action::Rotate(_)
    )
}

/// Returns whether a step may be taken a second time although it was done: a secret would be made anew, and what must
/// not be sent twice would be.
pub(crate) fn repeats(step: &Step) -> bool {
    match &step.action {
        Action::Rotate(_) => false,
        Action::Request(request) => request.is_idempotent(),
        _ => true,
    }
}

/// Returns the step's kind as one word.
pub(crate) fn kind_word(step: &Step) -> &'static str {
    match step.action {
        Action::Read(_) => "read",
        Action::Request(_) => "request",
        Action::Edit(_) => "edit",
        Action::Collect(_) => "collect",
        Action::Assert(_) => "assert",
        Action::Decide(_) => "decide",
        Action::Manual(_) => "manual",
        Action::Rotate(_) => "rotate",
        Action::Run(_) => "run",
        Action::Wait(_) => "wait",
    }
}

/// Returns how a step is undone, in words.
pub(crate) fn undo_words(step: &Step) -> String {
    match (&step.undo, &step.lasting) {
        (Some(Undo::Restore), _) => "restore".to_owned(),
        (Some(Undo::Ask), _) => "ask".to_owned(),
        (Some(Undo::Never(why)), _) => format!("never: {why}"),
        (Some(Undo::Requests(_)), _) => "requests".to_owned(),
        (None, Some(why)) => format!("lasting: {why}"),
        (None, None) => String::new(),
    }
}
