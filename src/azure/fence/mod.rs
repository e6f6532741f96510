//! The fence: in an exercise the client itself refuses every write that is not of the exercise.
//!
//! Whoever drills builds and deletes things, with runbooks that are written for real incidents, in a tenant where real
//! things lie beside. So the last door asks once more, whatever the layers above were told: with a [`Fence`], a write
//! is looked at before it is announced, and again before each attempt, and refused unless all that it names lies inside.
//! Redirects are not followed at all, and what is polled is only read. Reads are free; what they tell of the drill's
//! own things is learned, never from a write's wish. Start at `guard`; `arm`, `graph` and `data` are the rules of the
//! planes, `text` finds what a request names in passing, `learn` is what answers tell.
//!
//! Rules here are lists of what is known to stay inside. What is not on them is refused: a drill that needs more says
//! so on the day when it is written.

mod address;
mod arm;
mod data;
mod graph;
mod guard;
mod learn;
mod text;

pub use guard::Fence;
