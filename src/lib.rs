//! azir contains an attack on an Azure tenant, proves that it did, and can put back what it changed.
//!
//! The parts, in reading order:
//! - the basics: [`clock`], [`digest`], [`ids`], [`json`], [`random`], [`secret`]: small, imported by anyone;
//! - [`runbook`]: YAML text in, typed runbook out;
//! - [`azure`]: the cloud in general: discovery, credentials, one client;
//! - [`journal`]: the chain-of-custody record, its writer and its independent verifier;
//! - [`evidence`]: artefacts by digest, locally and in the vault;
//! - [`engine`]: where those four meet: plan, run, check, undo;
//! - [`report`]: what a case folder says, without the cloud;
//! - [`lab`]: a simulated tenant on loopback TLS;
//! - [`drill`]: attacks that are planted to be answered, and a judge who reads the tenant;
//! - [`cli`]: what the responder types; the only part that prints.

pub mod azure;
pub mod cli;
pub mod clock;
pub mod digest;
pub mod drill;
pub mod engine;
pub mod evidence;
pub mod ids;
pub mod journal;
pub mod json;
pub mod lab;
pub mod random;
pub mod report;
pub mod runbook;
pub mod secret;
