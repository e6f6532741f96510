//! Where runbook, cloud, journal and evidence meet: plan, run, check, undo.
//!
//! Prints nothing and prompts nobody: it speaks in events and asks through a trait.
