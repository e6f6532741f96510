//! An engine of its own: nobody to ask, nobody who listens, and no witness but the session's key.
//!
//! For programs that drive azir as a library, and for its measurements. What a person would have to say is left
//! undone, as it is without a terminal.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

use super::ask::{Ask, Choice, Chosen, Finding};
use super::event::{Event, Listener};
use super::plan::Plan;
use super::profile::Profile;
use super::run::{Engine, Tool};
use crate::azure::Client;
use crate::clock::Clock;
use crate::random::Random;
use crate::runbook::catalogue::Catalogue;

/// Nobody is there to answer: decisions take their default, and what needs consent is not done.
struct Nobody;

#[async_trait::async_trait]
impl Ask for Nobody {
    async fn confirm(&self, _: &Plan) -> Option<bool> {
        None
    }

    async fn decide(&self, _: &str, _: &str, _: &[Choice], default: &[String]) -> Chosen {
        Chosen {
            ids: default.to_vec(),
            by: "default".to_owned(),
            words: None,
        }
    }

    async fn consent(&self, _: &str, _: &str, _: &str) -> Option<Chosen> {
        None
    }

    async fn manual(&self, _: &str, _: &str, _: &str) -> Finding {
        Finding::Left("nobody is there to do it".to_owned())
    }
}

/// Nobody listens.
struct Silence;

impl Listener for Silence {
    fn hear(&self, _: &Event) {}
}

impl Engine {
    /// Returns this engine with nobody to ask.
    #[must_use]
    pub fn unattended(self) -> Self {
        Self {
            ask: Arc::new(Nobody),
            ..self
        }
    }

    /// Returns an engine that keeps its cases in `cases`, with the shipped runbooks; send `true` through the sender to
    /// ask it to stop.
    pub fn alone(
        client: Client,
        profile: Profile,
        cases: PathBuf,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> (Self, watch::Sender<bool>) {
        let (stop, halt) = watch::channel(false);
        let engine = Self {
            client,
            clock,
            random,
            catalogue: Arc::new(Catalogue::shipped()),
            profile,
            profile_name: String::new(),
            production: Vec::new(),
            cases,
            listener: Arc::new(Silence),
            ask: Arc::new(Nobody),
            halt,
            channels: super::notify::Channels::default(),
            tool: Tool {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                ..Tool::default()
            },
            witnesses: Vec::new(),
        };
        (engine, stop)
    }
}
