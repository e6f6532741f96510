//! The cloud in general: discovery, credentials, one client.
//!
//! Knows hosts, tokens, retries, throttles, long-running operations and paging of Azure Resource
//! Manager, Microsoft Graph, Key Vault, Log Analytics and Blob storage. Knows no runbook, no journal
//! and no particular resource. Start reading at `client`; each policy it follows is a file: `reads`,
//! `origins`, `throttle` (with `limits`, `units`, `bucket`, `window`), `retry`, `patience`, `lro`, `pages`, `batch`.
//! In an exercise the `fence` stands before all of them.
//!
#![doc = include_str!("FAULTS.md")]

mod absent;
mod batch;
mod bucket;
pub mod challenge;
mod client;
pub mod cloud;
pub mod credentials;
pub mod download;
pub mod error;
mod exchange;
mod fence;
pub mod http;
mod limits;
mod lro;
mod named;
pub mod observe;
mod operation;
mod origins;
pub mod pages;
mod patience;
mod plain;
mod reads;
pub mod request;
mod retry;
mod send;
mod throttle;
mod units;
mod window;

pub use client::{Client, ClientOptions, Reader};
pub use cloud::Cloud;
pub use credentials::{AuthEnvironment, AuthKind, Identity, SdkCredential, Token, TokenSource};
pub use download::Download;
pub use error::Error;
pub use fence::Fence;
pub use http::Http;
pub use observe::{Call, ClientNote, Observer, Operation, Outcome, OutcomeKind, Refused};
pub(crate) use origins::is_loopback;
pub use pages::{Pages, in_part};
pub use patience::Patience;
pub(crate) use plain::Post;
pub use request::{Effect, Plane, ReadRequest, RequestParts, Response, WriteRequest};
pub use throttle::Priority;
