//! How fast somebody must have travelled to have signed in at two places.

use serde_json::Value;

use super::order::at;

/// Faster than any airliner, in kilometres an hour; with a slack for where an address is thought to be.
const TOO_FAST: f64 = 900.0;
const SLACK_KM: f64 = 200.0;

/// Returns how fast somebody must have travelled from one sign-in to the next, where nobody can.
pub(super) fn too_fast(from: &Value, to: &Value) -> Option<String> {
    let place = |one: &Value| {
        let number = |path: &str| crate::json::member(one, path)?.as_f64();
        Some((
            number("location.geoCoordinates.latitude")?,
            number("location.geoCoordinates.longitude")?,
        ))
    };
    let span = (at(to, "createdDateTime")? - at(from, "createdDateTime")?).num_seconds();
    let km = distance_km(place(from)?, place(to)?);
    let hours = f64::from(i32::try_from(span.abs().max(60)).ok()?) / 3_600.0;
    let speed = (km - SLACK_KM) / hours;
    (speed > TOO_FAST).then(|| format!("{km:.0} km from the sign-in before, {hours:.1} h apart"))
}

/// The way along the surface of the earth (haversine formula).
fn distance_km((from_lat, from_lon): (f64, f64), (to_lat, to_lon): (f64, f64)) -> f64 {
    let (a, b) = (from_lat.to_radians(), to_lat.to_radians());
    let (lat, lon) = ((b - a) / 2.0, (to_lon - from_lon).to_radians() / 2.0);
    let h = (lat.sin() * lat.sin() + a.cos() * b.cos() * lon.sin() * lon.sin()).clamp(0.0, 1.0);
    2.0 * 6_371.0 * h.sqrt().asin()
}
