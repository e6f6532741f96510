//! Drills: an attack that is planted, a clock that runs, people or azir who answer it, and a judge who reads the tenant.
//!
//! A [`scenario`] says what is planted, where the clock starts, what must be true at the end and what must not have
//! happened. The drill's [`record`] is a file of lines, and how it stands is a fold over them. The `judge` reads the
//! tenant, not the journal of those who acted; what it found becomes a [`verdict`] whose score can be read line by
//! line. [`history`] puts verdicts beside each other, by scenario and quarter, and keeps what failed as findings until
//! a later drill passes it. In the lab the tenant is seeded; in a tabletop subscription `build` makes what is needed
//! and `clear` takes it away again.

mod auto;
mod claims;
mod judge;
mod kept;
mod moments;
pub mod names;
pub mod record;
pub mod scenario;
pub mod shelf;
mod stored;
pub mod verdict;

pub use auto::{Auto, NotBegun, run_under_way};
pub use claims::Proofs;
pub use judge::Judge;
