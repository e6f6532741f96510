//! `azir preflight RUNBOOK ARGUMENTS`: what of a run would fail tonight, and nothing else of its plan.

use std::fmt::Write as _;
use std::sync::Arc;

use clap::{Arg, ArgMatches, Command};
use schemars::JsonSchema;
use serde::Serialize;

use super::connect::{Place, connect};
use super::execute::{self, Chosen, engine_with, settle};
use super::exit::Exit;
use super::home::Home;
use super::prose::Reader;
use super::refusal::Refusal;
use super::{Output, meaning, out, plan, retry, shown};
use crate::engine::plan::{Plan, Preflight, Verdict};
use crate::runbook::catalogue::Catalogue;

/// What `--output json` writes.
#[derive(Serialize, JsonSchema)]
pub(super) struct Shape<'p> {
    /// The version of this form.
    schema_version: u32,
    /// The runbook's name.
    runbook: &'p str,
    /// The runbook's version.
    version: &'p str,
    /// The cloud that was asked.
    cloud: &'p str,
    /// The tenant's id.
    tenant: &'p str,
    /// Who asked: whose rights were looked at.
    principal: &'p str,
    /// The targets, as they were found.
    targets: Vec<&'p str>,
    /// The worst of the answers.
    verdict: Verdict,
    /// Each answer.
    preflight: &'p [Preflight],
}

/// Returns the command line of `azir preflight`.
pub(super) fn command() -> Command {
    Command::new("preflight")
        .about(
            "Show what of a run would fail: rights, locks, policies, Graph, clock; send no write",
        )
        .arg(Arg::new("runbook").value_name("NAME|FILE").required(true))
        .arg(
            Arg::new("rest")
                .value_name("ARGUMENTS")
                .num_args(0..)
                .trailing_var_arg(true)
                .allow_hyphen_values(true)
                .help("As for azir run"),
        )
}

/// Makes a plan and shows its answers.
pub(super) fn look(
    own: &ArgMatches,
    chosen: &Chosen,
    catalogue: &Arc<Catalogue>,
    home: &Home,
) -> Result<u8, Refusal> {
    let earlier = retry::named(own, &chosen.runbook, home)?;
    let asked = meaning::run(own, &chosen.runbook, catalogue, earlier.as_ref())?;
    let place = Place::of(own)?;
    home.prepare()?;
    let case = home.cases().join(asked.incident.as_str());
    execute::runtime()?.block_on(async {
        let connection = connect(&place, home, &case).await?;
        let responder = execute::responder(own, &connection).await;
        // Looking signs nothing.
        let (engine, halt, live) = engine_with(own, &connection, catalogue, home, Vec::new());
        let request = execute::request(own, home, responder, chosen, asked);
        let found = settle(engine.plan(&request), &live, halt).await?;
        let worst = worst(&found.preflight);
        if Output::of(own) == Output::Human {
            out::result(&shown::block(&text(&found, worst, &out::reader())));
        } else {
            out::result(&serde_json::to_string(&shape(&found, worst)).unwrap_or_default());
        }
        let end = if worst == Verdict::Fail {
            Exit::Refused
        } else {
            Exit::Done
        };
        Ok(end.code())
    })
}

fn shape(plan: &Plan, verdict: Verdict) -> Shape<'_> {
    Shape {
        schema_version: 1,
        runbook: &plan.runbook,
        version: &plan.version,
        cloud: &plan.cloud,
        tenant: &plan.tenant,
        principal: &plan.principal,
        targets: plan
            .targets
            .iter()
            .map(|target| target.target.as_str())
            .collect(),
        verdict,
        preflight: &plan.preflight,
    }
}

fn text(plan: &Plan, verdict: Verdict, reader: &Reader) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "PREFLIGHT {} {}: {}",
        plan.runbook,
        plan.version,
        plan::word(verdict)
    );
    let place = format!(
        "cloud {}, tenant {}, as {}",
        plan.cloud, plan.tenant, plan.principal
    );
    text.push_str(&reader.wrapped("", &place));
    text.push('\n');
    plan::answers(&mut text, &plan.preflight, reader);
    text
}

/// Returns the worst of the answers: what nobody knows is worse than what is well.
fn worst(answers: &[Preflight]) -> Verdict {
    let any = |verdict| answers.iter().any(|answer| answer.verdict == verdict);
    if any(Verdict::Fail) {
        Verdict::Fail
    } else if any(Verdict::Unknown) {
        Verdict::Unknown
    } else {
        Verdict::Pass
    }
}
