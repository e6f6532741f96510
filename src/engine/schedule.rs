//! Which step may start when: a runbook and those it calls, flattened into nodes with their order.
//!
//! Reads start as soon as the steps that they name have ended. Everything else keeps the order of
//! the file, one after the other, and waits for the gates of earlier phases. So the order that a
//! reviewer approved is the order of effects, and inventory costs no more time than its longest path.

use std::collections::HashMap;
use std::sync::Arc;

use super::error::EngineError;
use crate::runbook::model::{Action, On, Phase, Runbook, Step};
use crate::runbook::walk;

/// A runbook and those it calls, ready to be executed for a target.
pub(crate) struct Program {
    /// Steps in order.
    pub(crate) nodes: Vec<Node>,
    /// The runbook itself, then those it calls.
    pub(crate) frames: Vec<Frame>,
}

/// One runbook in a program.
pub(crate) struct Frame {
    /// The runbook.
    pub(crate) runbook: Arc<Runbook>,
    /// Its YAML text.
    pub(crate) text: Arc<str>,
}

/// One step of a program.
pub(crate) struct Node {
    /// The step's id, with the ids of the `run` steps it lies in.
    pub(crate) id: String,
    /// Its frame.
    pub(crate) frame: usize,
    /// Its place in the frame's runbook.
    pub(crate) step: usize,
    /// Which part of the step it is.
    pub(crate) part: Part,
    /// Nodes that must have ended before.
    pub(crate) after: Vec<usize>,
    /// Nodes whose gates must hold before.
    pub(crate) gates: Vec<usize>,
}

/// Which part of a step a node is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Part {
    /// All of it.
    Whole,
    /// The call of another runbook: its parameters.
    Enter(usize),
    /// The return from it: its results.
    Exit(usize),
}

impl Program {
    /// Flattens `runbook` for a run.
    pub(crate) fn new(
        runbook: Arc<Runbook>,
        text: Arc<str>,
        load: &Load<'_>,
    ) -> Result<Self, EngineError> {
        Self::with(runbook, text, load, On::Run)
    }

    /// Flattens `runbook` for its undo: with the steps that belong to the undo alone.
    pub(crate) fn for_undo(
        runbook: Arc<Runbook>,
        text: Arc<str>,
        load: &Load<'_>,
    ) -> Result<Self, EngineError> {
        Self::with(runbook, text, load, On::Undo)
    }

    fn with(
        runbook: Arc<Runbook>,
        text: Arc<str>,
        load: &Load<'_>,
        on: On,
    ) -> Result<Self, EngineError> {
        let mut program = Self {
            nodes: Vec::new(),
            frames: Vec::new(),
        };
        let mut builder = Builder {
            program: &mut program,
            load,
            on,
            last_ordered: None,
        };
        builder.frame(runbook, text, "", None, 0)?;
        Ok(program)
    }

    /// Returns the step of a node.
    pub(crate) fn step(&self, node: usize) -> &Step {
        let node = &self.nodes[node];
        &self.frames[node.frame].runbook.steps[node.step]
    }
}

/// Loads a runbook by name: from the catalogue for a run, from its evidence for an undo.
pub(crate) type Load<'a> = dyn Fn(&str) -> Result<(Arc<Runbook>, Arc<str>), String> + 'a;

/// Deep enough for any guided response, shallow enough to catch runbooks that call each other.
const MAX_DEPTH: usize = 8;

struct Builder<'a> {
    program: &'a mut Program,
    load: &'a Load<'a>,
    on: On,
    last_ordered: Option<usize>,
}

impl Builder<'_> {
    /// Adds a frame and its nodes; returns its index and the node of each of its steps.
    fn frame(
        &mut self,
        runbook: Arc<Runbook>,
        text: Arc<str>,
        prefix: &str,
        enter: Option<usize>,
        depth: usize,
    ) -> Result<(usize, HashMap<String, usize>), EngineError> {
        let frame = self.program.frames.len();
        self.program.frames.push(Frame {
            runbook: Arc::clone(&runbook),
            text,
        });
        let mut ended: HashMap<String, usize> = HashMap::new();
        for (index, step) in runbook.steps.iter().enumerate() {
            if step.on == On::Undo && self.on == On::Run {
                continue;
            }
            let mut after: Vec<usize> = walk::names(step)
                .iter()
                .chain(step.after.iter().map(|id| &id.value))
                .filter_map(|name| ended.get(name).copied())
                .collect();
            after.extend(enter);
            let id = format!("{prefix}{}", step.id.value);
            let node = match &step.action {
                Action::Run(other) => self.call(frame, index, id, other, after, depth)?,
                _ => self.whole(frame, index, id, step, after),
            };
            ended.insert(step.id.value.clone(), node);
        }
        Ok((frame, ended))
    }

    fn whole(
        &mut self,
        frame: usize,
        index: usize,
        id: String,
        step: &Step,
        mut after: Vec<usize>,
    ) -> usize {
        let node = self.program.nodes.len();
        let mut gates = Vec::new();
        if !matches!(step.action, Action::Read(_)) {
            after.extend(self.last_ordered);
            gates = self.gates_before(step.phase);
            self.last_ordered = Some(node);
        }
        self.push(Node {
            id,
            frame,
            step: index,
            part: Part::Whole,
            after,
            gates,
        })
    }

    fn call(
        &mut self,
        frame: usize,
        index: usize,
        id: String,
        other: &crate::runbook::model::RunOther,
        after: Vec<usize>,
        depth: usize,
    ) -> Result<usize, EngineError> {
        let refuse = |message: String| EngineError::Runbook {
            message,
            hint: "azir runbook list".to_owned(),
        };
        if depth >= MAX_DEPTH {
            return Err(refuse(format!(
                "step {id} calls runbooks more than {MAX_DEPTH} deep; do they call each other?"
            )));
        }
        let (runbook, text) = (self.load)(&other.runbook.value).map_err(|problems| {
            refuse(format!(
                "step {id} calls runbook {}, which cannot be loaded: {problems}",
                other.runbook.value
            ))
        })?;
        let child = self.program.frames.len();
        let enter = self.push(Node {
            id: id.clone(),
            frame,
            step: index,
            part: Part::Enter(child),
            after,
            gates: Vec::new(),
        });
        let prefix = format!("{id}.");
        let (child, inner) =
            self.frame(Arc::clone(&runbook), text, &prefix, Some(enter), depth + 1)?;
        let mut after: Vec<usize> = walk::result_names(&runbook)
            .iter()
            .filter_map(|name| inner.get(name).copied())
            .collect();
        after.push(enter);
        // Whoever uses its result may rely on its effects too.
        after.extend(self.last_ordered.filter(|last| *last > enter));
        Ok(self.push(Node {
            id,
            frame,
            step: index,
            part: Part::Exit(child),
            after,
            gates: Vec::new(),
        }))
    }

    fn gates_before(&self, phase: Phase) -> Vec<usize> {
        (0..self.program.nodes.len())
            .filter(|node| {
                let step = self.program.step(*node);
                self.program.nodes[*node].part == Part::Whole
                    && step.phase < phase
                    && step.checks.iter().any(|check| check.gate)
            })
            .collect()
    }

    fn push(&mut self, mut node: Node) -> usize {
        node.after.sort_unstable();
        node.after.dedup();
        self.program.nodes.push(node);
        self.program.nodes.len() - 1
    }
}
