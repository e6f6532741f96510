//! Who vouches for a record besides its session's key, as the configuration says.

use std::sync::Arc;

use clap::ArgMatches;

use super::connect::{Connection, http};
use super::home::Home;
use super::refusal::Refusal;
use super::{key, out, shown};
use crate::clock::Clock;
use crate::engine::profile::Profile;
use crate::engine::witness::{Witness, WitnessKind, absent, person};
use crate::engine::{authorities, outside};
use crate::journal::person::PersonKey;
use crate::random::Random;

/// Returns the witnesses of a session that `responder` answers for.
///
/// A key that was configured and cannot be had is said and named in the record: containment does not wait for it, nor,
/// where it was confirmed beforehand, for a passphrase.
///
/// # Errors
/// An address of an authority that is none.
pub(super) fn witnesses(
    own: &ArgMatches,
    connection: &Connection,
    home: &Home,
    responder: &str,
    (clock, random): (&Arc<dyn Clock>, &Arc<dyn Random>),
    containing: bool,
) -> Result<Vec<Arc<dyn Witness>>, Refusal> {
    let profile = &connection.profile;
    let outside = outside(profile, &connection.client, clock, random)
        .map_err(|message| Refusal::usage(message, "edit time_stamps in config.toml"))?;
    let key = if containing && own.get_flag("yes") {
        key::responder_key_at_once(profile)
    } else {
        key::responder_key(own, profile)
    };
    let person = key_as_witness(key, home, responder);
    Ok(person.into_iter().chain(outside).collect())
}

/// Returns the witnesses of a session at the desk, which needs no sign-in: the responder's key and the authorities.
///
/// The vault's container gets the incident log by `azir journal seal`, which signs in.
///
/// # Errors
/// An address of an authority that is none.
pub(super) fn at_the_desk(
    own: &ArgMatches,
    profile: &Profile,
    home: &Home,
    responder: &str,
    clock: &Arc<dyn Clock>,
    random: &Arc<dyn Random>,
) -> Result<Vec<Arc<dyn Witness>>, Refusal> {
    let person = key_of(own, profile, home, responder);
    if profile.time_stamps.is_empty() {
        return Ok(person.into_iter().collect());
    }
    let stamps = authorities(profile, &http()?, clock, random)
        .map_err(|message| Refusal::usage(message, "edit time_stamps in config.toml"))?;
    Ok(person.into_iter().chain(stamps).collect())
}

/// Returns the responder's own key as a witness; nothing where none is configured.
pub(super) fn key_of(
    own: &ArgMatches,
    profile: &Profile,
    home: &Home,
    responder: &str,
) -> Option<Arc<dyn Witness>> {
    key_as_witness(key::responder_key(own, profile), home, responder)
}

fn key_as_witness(
    key: Result<Option<PersonKey>, Refusal>,
    home: &Home,
    responder: &str,
) -> Option<Arc<dyn Witness>> {
    match key {
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
