//! A drill in a tabletop subscription: what it builds there before the clock starts, and clears away at the end.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::connect::Connection;
use super::entered::{Entered, unreadable};
use super::refusal::Refusal;
use super::{out, shown};
use crate::drill::build::{BuildError, Builder, Plot};
use crate::drill::clear::{Clearing, inventory};
use crate::drill::record::{Record, RecordError, What};
use crate::engine::errand;
use crate::random::{Random, SystemRandom};
use crate::runbook::expr::RenderedCall;
use crate::runbook::model::Plane;

/// The region where the profile names none.
const REGION: &str = "westeurope";

/// Builds what the scenario needs; the record says what, and what it is called.
pub(super) async fn build(
    drill: &Entered,
    record: &mut Record,
    connection: &Connection,
) -> Result<(), Refusal> {
    let plot = plot(drill, connection);
    let subscriptions = &drill.standing.begun.subscriptions;
    let before = inventory(&connection.client, subscriptions).await;
    let before = before.map_err(|why| Refusal::failed("drill", why, "azir doctor"))?;
    let path = drill.folder.join("inventory.json");
    std::fs::write(&path, json!(before).to_string())
        .map_err(|source| unreadable(RecordError::File { path, source }))?;
    let now = crate::clock::seconds(connection.clock.now());
    let mut known = drill.scope(connection, &now);
    known.set("domain", &json!(domain(connection).await?));
    let caller = connection.client.identity().await?;
    known.set("caller", &json!(caller.oid));
    known.set("tenant", &json!(caller.tenant));
    let mut builder = Builder {
        client: &connection.client,
        record,
        clock: &connection.clock,
        plot: &plot,
        tell: &|what| out::line(&format!("azir: {}", shown::line(what))),
    };
    let names = builder.build(&drill.scenario, &known, &secrets()).await;
    let names = names.map_err(|error| match error {
        BuildError::Record(error) => unreadable(error),
        BuildError::Scenario(why) => Refusal::usage(why, "azir drill list"),
        BuildError::Tenant { source, .. } if source.code == "guard" => Refusal {
            exit_code: super::exit::Exit::Refused.code(),
            ..Refusal::failed("guard", source.message, "azir drill list")
        },
        error @ BuildError::Tenant { .. } => {
            let text = match &error {
                BuildError::Tenant { what, source } => format!("{what}: {source}"),
                other => other.to_string(),
            };
            Refusal::failed("drill", text, "azir doctor")
        }
    })?;
    let tenant = caller.tenant;
    let named = What::Named { tenant, names };
    record
        .add(connection.clock.now(), named)
        .map_err(unreadable)
}

/// Clears away what the drill and its runs made; returns what is left, and why.
pub(super) async fn clear(
    drill: &Entered,
    record: &mut Record,
    connection: &Connection,
    case: &Path,
) -> Result<Vec<String>, Refusal> {
    let before = std::fs::read(drill.folder.join("inventory.json")).ok();
    let before: Option<BTreeSet<String>> =
        before.and_then(|text| serde_json::from_slice(&text).ok());
    let plot = plot(drill, connection);
    // What was made since it was entered is on record by now.
    let standing = crate::drill::record::read(&drill.folder).map_err(unreadable)?;
    let mut clearing = Clearing {
        client: &connection.client,
        record,
        standing: &standing,
        clock: &connection.clock,
        plot: &plot,
        case,
        before: before.as_ref(),
        tell: &|what| out::line(&format!("azir: {}", shown::line(what))),
    };
    clearing.clear().await.map_err(unreadable)
}

fn plot(drill: &Entered, connection: &Connection) -> Plot {
    let begun = &drill.standing.begun;
    let region = connection.profile.regions.first();
    let subscription = begun.subscriptions.first().map_or("", String::as_str);
    Plot::of(
        &begun.drill,
        subscription,
        region.map_or(REGION, String::as_str),
    )
}

/// Returns the tenant's default domain, in which users can be made (graph-and-data-planes.md, "Domains"); empty where
/// azir may not read it, which a scenario that makes no user does not need.
async fn domain(connection: &Connection) -> Result<String, Refusal> {
    let call = RenderedCall {
        plane: Plane::Graph,
        method: "GET".to_owned(),
        path_or_url: "/v1.0/domains".to_owned(),
        query: Vec::new(),
        api_version: None,
        headers: Vec::new(),
        body: None,
        pages: Some("value".to_owned()),
        missing_ok: false,
    };
    let Ok((found, _)) = errand::read(&connection.client, &call).await else {
        return Ok(String::new());
    };
    let mut domains = found.as_array().into_iter().flatten();
    let default = domains.find(|domain| domain["isDefault"] == true);
    let id = default.and_then(|domain| domain["id"].as_str());
    Ok(id.unwrap_or_default().to_owned())
}

/// Returns what builds see and nobody else: a password, and a public key whose other half nobody has.
fn secrets() -> Map<String, Value> {
    let mut bytes = [0; 32];
    SystemRandom.fill(&mut bytes);
    // Upper, lower, digit and sign, whatever the bytes are.
    let password = format!("Aa1!{}", hex::encode(&bytes[..16]));
    SystemRandom.fill(&mut bytes);
    let point = ed25519_dalek::SigningKey::from_bytes(&bytes).verifying_key();
    let key = ssh_key::public::Ed25519PublicKey(point.to_bytes());
    let key = ssh_key::PublicKey::from(key)
        .to_openssh()
        .unwrap_or_default();
    Map::from_iter([
        ("secret".to_owned(), json!(password)),
        ("ssh_key".to_owned(), json!(key)),
    ])
}
