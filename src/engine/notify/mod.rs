//! Telling people how a run ended: Teams, `PagerDuty`, mail.
//!
//! It knows what a run came to and nothing of how; it must not know the journal, and nothing here may delay or stop
//! containment: who is told is told when every target has ended, within ten seconds, and whom it does not reach is a
//! named gap. Secrets come in as values of the environment and are never shown: the address of a Teams workflow is one
//! itself. Who wants to be told that what stayed open has ended leaves `azir wait --residual` running. Start reading at
//! [`Channels`].

mod channels;
mod message;
mod pagerduty;
mod smtp;
mod teams;

pub use channels::Channels;
pub use message::{Message, News};
pub(crate) use smtp::unsound as unsound_mail;
