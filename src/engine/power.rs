//! What an execution is able to do: only read, or also write and record.
//!
//! A plan holds a [`Reader`], which has no way to write; that it sends none is a matter of type.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::sync::watch;
use uuid::Uuid;

use super::event::{Event, Listener, What};
use super::recorder::Recorder;
use crate::azure::{Client, Reader};
use crate::clock::Clock;

/// What an execution is able to do.
#[derive(Clone)]
pub(crate) enum Power {
    /// Read, and say what would be written.
    Plan(Reader),
    /// Read, write and record.
    Act {
        /// The client.
        client: Client,
        /// The journal and evidence.
        recorder: Arc<Recorder>,
    },
}

impl Power {
    /// Returns the part of the client that reads.
    pub(crate) fn reader(&self) -> &Reader {
        match self {
            Self::Plan(reader) => reader,
            Self::Act { client, .. } => client,
        }
    }

    /// Returns the recorder, if anything is recorded.
    pub(crate) fn recorder(&self) -> Option<&Arc<Recorder>> {
        match self {
            Self::Plan(_) => None,
            Self::Act { recorder, .. } => Some(recorder),
        }
    }
}

/// Tells listeners what happens, and knows whether the responder asked to stop.
#[derive(Clone)]
pub(crate) struct Teller {
    listener: Option<Arc<dyn Listener>>,
    clock: Arc<dyn Clock>,
    run: Uuid,
    target: Option<String>,
    step: Option<String>,
    halt: watch::Receiver<bool>,
}

impl Teller {
    /// Tells of `run` to `listener`; without one, to nobody.
    pub(crate) fn new(
        listener: Option<Arc<dyn Listener>>,
        clock: Arc<dyn Clock>,
        run: Uuid,
        halt: watch::Receiver<bool>,
    ) -> Self {
        Self {
            listener,
            clock,
            run,
            target: None,
            step: None,
            halt,
        }
    }

    /// Returns a teller of this target.
    pub(crate) fn of_target(&self, target: &str) -> Self {
        Self {
            target: Some(target.to_owned()),
            ..self.clone()
        }
    }

    /// Returns a teller of this step.
    pub(crate) fn of_step(&self, step: &str) -> Self {
        Self {
            step: Some(step.to_owned()),
            ..self.clone()
        }
    }

    /// Tells that `what` happened now.
    pub(crate) fn tell(&self, what: What) {
        if let Some(listener) = &self.listener {
            listener.hear(&Event {
                time: self.clock.now(),
                run: self.run,
                target: self.target.clone(),
                step: self.step.clone(),
                what,
            });
        }
    }

    /// Returns whether the responder asked to stop: no new write then.
    pub(crate) fn halted(&self) -> bool {
        *self.halt.borrow()
    }

    /// Returns the time.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Returns the clock.
    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }
}
