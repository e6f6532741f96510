//! Who vouches for a record besides its session's key, as the configuration says.

use std::sync::Arc;

use clap::ArgMatches;

use super::home::Home;
use super::{key, out, shown};
use crate::engine::profile::Profile;
use crate::engine::witness::{Witness, WitnessKind, absent, person};

/// Returns the witnesses of a session that `responder` answers for.
///
/// One that was configured and cannot be had is said and named in the record: containment does not wait for it.
pub(super) fn witnesses(
    own: &ArgMatches,
    profile: &Profile,
    home: &Home,
    responder: &str,
) -> Vec<Arc<dyn Witness>> {
    key_of(own, profile, home, responder).into_iter().collect()
}

/// Returns the responder's own key as a witness; nothing where none is configured.
pub(super) fn key_of(
    own: &ArgMatches,
    profile: &Profile,
    home: &Home,
    responder: &str,
) -> Option<Arc<dyn Witness>> {
    match key::responder_key(own, profile) {
        Ok(Some(key)) => Some(person(key, responder, Some(home.signers()))),
        Ok(None) => None,
        Err(refusal) => {
            let why = &refusal.message;
            out::line(&format!(
                "azir: the record goes on unsigned by a person: {}",
                shown::line(why)
            ));
            out::line(&format!("next: {}", shown::line(&refusal.hint)));
            Some(absent(
                WitnessKind::Person,
                format!("{why} (next: {})", refusal.hint),
            ))
        }
    }
}
