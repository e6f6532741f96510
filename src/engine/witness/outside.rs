//! The witnesses outside this machine that a profile names.

use std::sync::Arc;

use super::Witness;
use super::stamp::Authorities;
use super::worm::Worm;
use crate::azure::Client;
use crate::clock::Clock;
use crate::engine::profile::Profile;
use crate::random::Random;

/// Returns the time-stamp authorities and the vault's container, where they are configured; asks nobody yet.
///
/// # Errors
/// An address in the profile that is none.
pub(crate) fn outside(
    profile: &Profile,
    client: &Client,
    clock: &Arc<dyn Clock>,
    random: &Arc<dyn Random>,
) -> Result<Vec<Arc<dyn Witness>>, String> {
    let roots = profile.time_stamp_roots.as_deref();
    let authorities = Authorities::new(&profile.time_stamps, roots, client.http(), clock, random)?;
    let vault = profile.vault.as_ref();
    let worm = vault.map(|vault| Arc::new(Worm::new(client, clock, vault)) as Arc<dyn Witness>);
    let stamps = authorities.map(|authorities| Arc::new(authorities) as Arc<dyn Witness>);
    Ok(stamps.into_iter().chain(worm).collect())
}
