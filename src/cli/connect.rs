//! From flags and configuration to a client: the cloud, the credential, or the lab in this process.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ArgMatches;

use super::config::{self, Config};
use super::home::Home;
use super::refusal::Refusal;
use crate::azure::{AuthEnvironment, AuthKind, Client, ClientOptions, Cloud, Http, SdkCredential};
use crate::clock::{Clock, SystemClock};
use crate::engine::profile::Profile;
use crate::lab::{Faults, Lab, Options, scenario::Scenario};
use crate::random::{Random, SystemRandom};
use crate::secret::Secret;

/// A client, and what belongs to it.
pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) profile: Profile,
    pub(super) profile_name: String,
    /// Runs as long as this lives.
    pub(super) _lab: Option<Lab>,
}

/// Connects. `case`: the case's folder, where a lab keeps its state.
pub(super) async fn connect(
    matches: &ArgMatches,
    home: &Home,
    case: &Path,
) -> Result<Connection, Refusal> {
    if matches.get_flag("lab") {
        return connect_lab(matches, case).await;
    }
    let named = matches.get_one::<String>("profile").map(String::as_str);
    let (profile_name, profile) = Config::load(home)?.choose(named)?;
    if profile_name == config::LAB {
        return connect_lab(matches, case).await;
    }
    let http = Http::new(ca_bundle()?.as_deref())?;
    let cloud_name = matches
        .get_one::<String>("cloud")
        .cloned()
        .or_else(|| profile.cloud.clone())
        .unwrap_or_else(|| "AzureCloud".to_owned());
    let cloud = Cloud::find(&cloud_name, &http).await?;
    let kind = match matches.get_one::<String>("auth").map(String::as_str) {
        Some("env") => Some(AuthKind::Env),
        Some("workload-identity") => Some(AuthKind::WorkloadIdentity),
        Some("managed-identity") => Some(AuthKind::ManagedIdentity),
        Some(_) => Some(AuthKind::Cli),
        None => None,
    };
    let credential = SdkCredential::choose(kind, &environment(&profile), &cloud, &http)?;
    Ok(Connection {
        client: client(cloud, http, credential),
        profile,
        profile_name,
        _lab: None,
    })
}

/// Starts the lab in this process and connects to it through the same door as to a cloud.
async fn connect_lab(matches: &ArgMatches, case: &Path) -> Result<Connection, Refusal> {
    let factor = matches
        .get_one::<f64>("lab-latency")
        .copied()
        .unwrap_or(1.0);
    let folder = case.join("lab");
    let options = Options {
        scenario: Scenario::load("default")
            .map_err(|message| Refusal::failed("lab", message, "azir lab serve"))?,
        port: 0,
        state: Some(folder.join("state.jsonl")),
        latency: factor,
        lro: factor,
        throttle: Some(1.0),
        retry_after: None,
        page: None,
        faults: Faults::default(),
        folder,
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
    };
    let lab = Lab::start(options).map_err(|error| {
        Refusal::record(
            error.to_string(),
            "export AZIR_HOME=/path/to/a/writable/folder",
        )
    })?;
    let ready = lab.ready();
    let pem = std::fs::read(&ready.ca).map_err(|error| {
        Refusal::failed(
            "lab",
            format!("{}: {error}", ready.ca.display()),
            "azir lab serve",
        )
    })?;
    let http = Http::new(Some(&pem))?;
    let cloud = Cloud::find(&ready.arm, &http).await?;
    let environment = AuthEnvironment {
        tenant: Some(ready.tenant_id.clone()),
        client_id: Some(ready.client_id.clone()),
        client_secret: Some(Secret::new(ready.client_secret.clone())),
        ..AuthEnvironment::default()
    };
    let credential = SdkCredential::choose(Some(AuthKind::Env), &environment, &cloud, &http)?;
    Ok(Connection {
        client: client(cloud, http, credential),
        profile: config::lab(),
        profile_name: config::LAB.to_owned(),
        _lab: Some(lab),
    })
}

fn client(cloud: Cloud, http: Http, credential: SdkCredential) -> Client {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let random: Arc<dyn Random> = Arc::new(SystemRandom);
    Client::new(ClientOptions {
        cloud,
        http,
        credential: Arc::new(credential),
        clock,
        random,
    })
}

fn ca_bundle() -> Result<Option<Vec<u8>>, Refusal> {
    let Some(path) = std::env::var_os("AZIR_CA_BUNDLE")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
    else {
        return Ok(None);
    };
    std::fs::read(&path).map(Some).map_err(|error| {
        Refusal::usage(
            format!(
                "AZIR_CA_BUNDLE names {}, which cannot be read: {error}",
                path.display()
            ),
            "export AZIR_CA_BUNDLE=/path/to/ca.pem",
        )
    })
}

fn environment(profile: &Profile) -> AuthEnvironment {
    let var = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    AuthEnvironment {
        tenant: profile.tenant.clone().or_else(|| var("AZURE_TENANT_ID")),
        client_id: var("AZURE_CLIENT_ID"),
        client_secret: var("AZURE_CLIENT_SECRET").map(Secret::new),
        federated_token_file: var("AZURE_FEDERATED_TOKEN_FILE").map(PathBuf::from),
        identity_endpoint: var("IDENTITY_ENDPOINT").is_some() || var("MSI_ENDPOINT").is_some(),
    }
}
