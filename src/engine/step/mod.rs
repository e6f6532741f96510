//! What a step does when its turn has come: a kind a file, and beside them what all kinds share.
//!
//! Knows the step and its target; knows neither the order of steps nor other targets. Start at [`execute`].

mod again;
mod assert;
mod call;
mod collect;
mod consent;
mod decide;
mod difference;
mod edit;
mod execute;
mod fallback;
mod in_plan;
mod item;
mod items;
mod lines;
mod manual;
mod overtaken;
mod read;
mod request;
mod rotate;
mod rotated;
mod wait;
pub(crate) mod wire;
mod words;

pub(crate) use call::{enter_as, entered, exit, skipped};
pub(crate) use difference::same_values as same;
pub(crate) use execute::execute;
pub(crate) use fallback::{cover, left, waits_for};
pub(crate) use in_plan::note_plan;
pub(crate) use item::{Acted, Item, ItemDone, StepDone};
pub(crate) use items::key_of;
pub(crate) use lines::nothing_of;
pub(crate) use overtaken::overtaken;
pub(crate) use request::plan_cannot;
pub(crate) use words::{kind_word, repeats, undo_words, writes};
