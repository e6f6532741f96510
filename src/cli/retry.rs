//! `--retry RUN`: the same again for those targets of an earlier run that did not come to a good end.

use clap::ArgMatches;

use super::acted::keep_apart;
use super::connect::Place;
use super::home::Home;
use super::refusal::Refusal;
use crate::journal::verify::{Outside, verify};
use crate::report::again::{Again, again};
use crate::report::run::started;
use crate::runbook::model::Runbook;

/// Reads what `--retry` names, where it was given.
pub(super) fn named(
    own: &ArgMatches,
    runbook: &Runbook,
    home: &Home,
) -> Result<Option<Again>, Refusal> {
    let Some(name) = own.try_get_one::<String>("retry").ok().flatten() else {
        return Ok(None);
    };
    let run_dir = home.run(name)?;
    let verified = verify(&run_dir, &Outside::default());
    if matches!(verified.exit_code, 1 | 4) {
        let first = verified.findings.first();
        let why = first.map_or("it cannot be read", |finding| finding.text.as_str());
        return Err(Refusal {
            hint: format!("azir journal verify {}", run_dir.display()),
            ..Refusal::integrity(&format!("the record of run {name} does not verify: {why}"))
        });
    }
    let start = started(&run_dir).map_err(|error| Refusal::integrity(&error))?;
    keep_apart(&start, home, &format!("{} --retry", runbook.name.value))?;
    let again = again(&run_dir).map_err(|error| Refusal::integrity(&error))?;
    sound(again, &runbook.name.value).map(Some)
}

/// Returns where the earlier run acted; flags that disagree are refused.
pub(super) fn place(own: &ArgMatches, earlier: &Again, home: &Home) -> Result<Place, Refusal> {
    let start = started(&home.run(&earlier.run)?).map_err(|error| Refusal::integrity(&error))?;
    Place::of_run(own, &start, &format!("{} --retry", earlier.runbook))
}

/// Refuses a run that is no earlier run of this command, or that has nothing left to do.
fn sound(again: Again, command: &str) -> Result<Again, Refusal> {
    let run = &again.run;
    // Whether a drill's is done again in that drill was looked at before.
    let acted = matches!(again.mode.as_str(), "execute" | "drill");
    if !acted || again.runbook != command {
        let what = match again.mode.as_str() {
            "undo" => format!("an undo of {}", again.runbook),
            _ => format!("one of {}", again.runbook),
        };
        return Err(Refusal::usage(
            format!("--retry {run}: that run is {what}, and this is {command}"),
            "azir list, then the id of the run",
        ));
    }
    if let Some(holder) = &again.held_by {
        return Err(Refusal::usage(
            format!("--retry {run}: the run is still being written by {holder}"),
            format!("azir wait {run}"),
        ));
    }
    if again.targets.is_empty() {
        return Err(Refusal::usage(
            format!("--retry {run}: every target of that run came to a good end"),
            format!("azir show {run}"),
        ));
    }
    Ok(again)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_ended_run_of_the_same_command_with_something_left_is_taken() {
        let good = Again {
            run: "r".to_owned(),
            runbook: "isolate-vm".to_owned(),
            mode: "execute".to_owned(),
            targets: vec!["vm-a".to_owned()],
            ..Again::default()
        };
        assert!(sound(good.clone(), "isolate-vm").is_ok());
        assert!(sound(good.clone(), "revoke-user").is_err());
        let bad = [
            Again {
                mode: "undo".to_owned(),
                ..good.clone()
            },
            Again {
                held_by: Some("process 7".to_owned()),
                ..good.clone()
            },
            Again {
                targets: Vec::new(),
                ..good
            },
        ];
        for bad in bad {
            let refusal = sound(bad, "isolate-vm").unwrap_err();
            assert!(refusal.exit_code == 2 && refusal.hint.starts_with("azir "));
        }
    }
}
