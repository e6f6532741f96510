//! Drills: an attack that is planted, a clock that runs, people or azir who answer it, and a judge who reads the tenant.
//!
//! A [`scenario`] says what is planted, where the clock starts, what must be true at the end and what must not have
//! happened. The drill's [`record`] is a file of lines, and how it stands is a fold over them. The `judge` reads the
//! tenant, not the journal of those who acted; what it found becomes a [`verdict`] whose score can be read line by
//! line. [`history`] puts verdicts beside each other, by scenario and quarter, [`due`] says what to exercise again, and
//! [`findings`] keeps what failed until a later drill passes it. A [`report`] puts all that beside a verdict; [`page`]
//! tells it to people, and [`plot`] draws the history on a terminal. In the lab the tenant is seeded; in a tabletop
//! subscription [`build`] makes what is needed and [`clear`] takes it away again.

pub mod assignment;
mod auto;
pub mod build;
mod claims;
pub mod clear;
pub mod due;
mod each;
pub mod findings;
mod foreseen;
pub mod history;
mod judge;
mod kept;
mod logs;
mod moments;
pub mod names;
pub mod page;
mod picture;
pub mod plot;
pub mod record;
pub mod report;
pub mod scenario;
pub mod shelf;
mod sound;
pub mod span;
mod standing;
mod stored;
pub mod trend;
mod unharmed;
pub mod verdict;

pub use auto::{Auto, NotBegun, run_under_way};
pub use claims::Proofs;
pub use judge::Judge;
