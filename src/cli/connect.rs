//! From flags and configuration to a client: the cloud, the credential, or the lab in this process.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ArgMatches;
use clap::parser::ValueSource;

use super::config::{self, Config, NO_PROFILE};
use super::entered::Entered;
use super::exit::Exit;
use super::home::Home;
use super::refusal::Refusal;
use super::shared_lab::SharedLab;
use crate::azure::{
    AuthEnvironment, AuthKind, Client, ClientOptions, Cloud, Fence, Http, SdkCredential,
};
use crate::clock::{Clock, SystemClock};
use crate::drill::verdict::Place as DrillPlace;
use crate::engine::production::{self, Production};
use crate::engine::profile::Profile;
use crate::lab::{Faults, Options, scenario::Scenario};
use crate::random::{Random, SystemRandom};
use crate::report::run::Started;
use crate::secret::Secret;

/// A client, and what belongs to it.
pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) profile: Profile,
    pub(super) profile_name: String,
    /// What of production exercises must not touch.
    pub(super) production: Vec<Production>,
    /// The clock that all of it goes by.
    pub(super) clock: Arc<dyn Clock>,
    /// Runs as long as this lives.
    pub(super) _lab: Option<SharedLab>,
}

/// Where to connect to.
pub(super) struct Place {
    lab: bool,
    latency: f64,
    profile: Option<String>,
    cloud: Option<String>,
    auth: Option<AuthKind>,
    /// The cloud that an earlier run acted in.
    recorded: Option<String>,
    /// Whether the profile is the one that a run was begun with: who goes on with it may have another.
    recorded_profile: bool,
}

impl Place {
    /// Returns where the flags, the environment and the configuration say.
    pub(super) fn of(own: &ArgMatches) -> Result<Self, Refusal> {
        let typed = |name: &str| own.value_source(name) == Some(ValueSource::CommandLine);
        let lab = own.get_flag("lab");
        if let Some(name) = ["cloud", "auth"]
            .into_iter()
            .find(|name| lab && typed(name))
        {
            return Err(Refusal::usage(
                format!("--lab and --{name} contradict each other"),
                "leave one of them out",
            ));
        }
        Ok(Self {
            lab,
            latency: own.get_one::<f64>("lab-latency").copied().unwrap_or(1.0),
            profile: own.get_one::<String>("profile").cloned(),
            cloud: own.get_one::<String>("cloud").cloned(),
            auth: own
                .get_one::<String>("auth")
                .map(|kind| match kind.as_str() {
                    "env" => AuthKind::Env,
                    "workload-identity" => AuthKind::WorkloadIdentity,
                    "managed-identity" => AuthKind::ManagedIdentity,
                    _ => AuthKind::Cli,
                }),
            recorded: None,
            recorded_profile: false,
        })
    }

    /// Returns where the run acted that `command` is about; flags that disagree are refused.
    pub(super) fn of_run(
        own: &ArgMatches,
        start: &Started,
        command: &str,
    ) -> Result<Self, Refusal> {
        let mut place = Self::of(own)?;
        let typed = |name: &str| own.value_source(name) == Some(ValueSource::CommandLine);
        // Only the lab inside the process bears this name; one that is served is a cloud like others.
        let was_lab = start.profile == config::LAB;
        if place.lab && !was_lab {
            return Err(Refusal::usage(
                format!("run {} acted in {}, not in the lab", start.run, start.cloud),
                format!("azir {command} {}", start.run),
            ));
        }
        if was_lab && typed("cloud") {
            return Err(Refusal::usage(
                format!("run {} acted in the lab", start.run),
                format!("azir {command} {}", start.run),
            ));
        }
        place.lab = was_lab;
        if !typed("profile") && ![NO_PROFILE, ""].contains(&start.profile.as_str()) {
            place.profile = Some(start.profile.clone());
            place.recorded_profile = true;
        }
        // A cloud that is known by its name is taken from the journal; others need their address.
        if !typed("cloud") && BUILT_IN.contains(&start.cloud.as_str()) {
            place.cloud = Some(start.cloud.clone());
        }
        place.recorded = Some(start.cloud.clone()).filter(|cloud| !cloud.is_empty());
        Ok(place)
    }

    /// Refuses another cloud than the run acted in.
    pub(super) fn agrees(&self, cloud: &str) -> Result<(), Refusal> {
        match &self.recorded {
            Some(recorded) if recorded != cloud => Err(Refusal::usage(
                format!("the run acted in cloud {recorded}, and this is {cloud}"),
                format!("--cloud {recorded}, or the address of its Resource Manager"),
            )),
            _ => Ok(()),
        }
    }
}

/// The clouds that need no address.
const BUILT_IN: &[&str] = &["AzureChinaCloud", "AzureCloud", "AzureUSGovernment"];

/// Connects. `case`: the case's folder, where a lab keeps its state.
pub(super) async fn connect(
    place: &Place,
    home: &Home,
    case: &Path,
) -> Result<Connection, Refusal> {
    connect_by(place, home, case, Arc::new(SystemClock)).await
}

/// Connects, and goes by a clock.
pub(super) async fn connect_by(
    place: &Place,
    home: &Home,
    case: &Path,
    clock: Arc<dyn Clock>,
) -> Result<Connection, Refusal> {
    if let Some(drill) = &home.drill {
        return connect_drill(place, home, drill, case, clock).await;
    }
    if place.lab {
        // The lab needs no configuration, and must work beside one that cannot be read.
        let production = Config::load(home).map(|config| config.production());
        let tenant = default_tenant()?;
        return connect_lab(place, tenant, case, production.unwrap_or_default(), clock).await;
    }
    let config = Config::load(home)?;
    let production = config.production();
    let (profile_name, profile) = match config.choose(place.profile.as_deref()) {
        Err(_) if place.recorded_profile => config.choose(None)?,
        chosen => chosen?,
    };
    if profile_name == config::LAB {
        return connect_lab(place, default_tenant()?, case, production, clock).await;
    }
    let http = Http::new(ca_bundle()?.as_deref())?;
    let cloud = cloud_of(place, &profile, &http).await?;
    let credential = SdkCredential::choose(place.auth, &environment(&profile), &cloud, &http)?;
    Ok(Connection {
        client: client(cloud, http, credential, &clock, None),
        profile,
        profile_name,
        production,
        clock,
        _lab: None,
    })
}

async fn cloud_of(place: &Place, profile: &Profile, http: &Http) -> Result<Cloud, Refusal> {
    let name = place
        .cloud
        .clone()
        .or_else(|| profile.cloud.clone())
        .unwrap_or_else(|| "AzureCloud".to_owned());
    Ok(Cloud::find(&name, http, &SystemClock).await?)
}

/// Connects to where a drill takes place, whatever else the flags and the environment say.
async fn connect_drill(
    place: &Place,
    home: &Home,
    drill: &Entered,
    case: &Path,
    clock: Arc<dyn Clock>,
) -> Result<Connection, Refusal> {
    if drill.standing.begun.place == DrillPlace::Lab {
        let production = Config::load(home).map(|config| config.production());
        let tenant = drill.scenario.tenant();
        let tenant =
            tenant.map_err(|message| Refusal::failed("lab", message, "azir drill list"))?;
        return connect_lab(place, tenant, case, production.unwrap_or_default(), clock).await;
    }
    let begun = &drill.standing.begun;
    let ground = Tabletop::of(place, home, Some(&begun.profile)).await?;
    let subscriptions = &begun.subscriptions;
    if ground.subscriptions != *subscriptions || ground.cloud.name != begun.cloud {
        return Err(changed(format!(
            "profile {} says {} in {}, and drill {} was begun in {} of {}",
            begun.profile,
            ground.subscriptions.join(", "),
            ground.cloud.name,
            begun.drill,
            subscriptions.join(", "),
            begun.cloud
        )));
    }
    let connection = ground.connect(place, clock)?;
    if let Some(fence) = connection.client.fence() {
        for made in &drill.standing.made {
            fence.allow(&made.id);
        }
    }
    let tenant = connection.client.identity().await?.tenant;
    // A drill that is yet to be planted finds out where it is.
    if !begun.tenant.is_empty() && tenant != begun.tenant {
        return Err(changed(format!(
            "azir is signed in to tenant {tenant}, and drill {} was begun in {}",
            begun.drill, begun.tenant
        )));
    }
    Ok(connection)
}

fn changed(why: String) -> Refusal {
    Refusal {
        code: "guard".to_owned(),
        message: format!("{why}; no write was sent"),
        target: None,
        hint: "give the profile in config.toml what it had, and sign in where you were".to_owned(),
        exit_code: Exit::Refused.code(),
    }
}

/// Where a drill may build: a profile that is marked for exercises, and what its client may write to.
pub(super) struct Tabletop {
    pub(super) profile_name: String,
    pub(super) profile: Profile,
    pub(super) subscriptions: Vec<String>,
    pub(super) cloud: Cloud,
    production: Vec<Production>,
    http: Http,
}

impl Tabletop {
    /// Refuses any profile that is not for exercises.
    pub(super) async fn of(
        place: &Place,
        home: &Home,
        named: Option<&str>,
    ) -> Result<Self, Refusal> {
        let config = Config::load(home)?;
        let production = config.production();
        let (profile_name, profile) = config.choose(named)?;
        let http = http()?;
        // What a profile says of itself is refused before any cloud is asked.
        if !profile.tabletop {
            let azure = Cloud::builtin("AzureCloud")
                .map(|cloud| production::exercise(&profile_name, &profile, &cloud, &production));
            if let Some(Err(refused)) = azure {
                return Err(refused.into());
            }
        }
        let cloud = cloud_of(place, &profile, &http).await?;
        let subscriptions = production::exercise(&profile_name, &profile, &cloud, &production)?;
        Ok(Self {
            profile_name,
            profile,
            subscriptions,
            cloud,
            production,
            http,
        })
    }

    /// Connects, with a client that refuses every write that is not of the exercise.
    pub(super) fn connect(
        self,
        place: &Place,
        clock: Arc<dyn Clock>,
    ) -> Result<Connection, Refusal> {
        let name = &self.profile_name;
        let fence = production::fence(name, &self.profile, &self.cloud, &self.production)?;
        let environment = environment(&self.profile);
        let credential = SdkCredential::choose(place.auth, &environment, &self.cloud, &self.http)?;
        Ok(Connection {
            client: client(self.cloud, self.http, credential, &clock, Some(fence)),
            profile: self.profile,
            profile_name: self.profile_name,
            production: self.production,
            clock,
            _lab: None,
        })
    }
}

fn default_tenant() -> Result<Scenario, Refusal> {
    Scenario::load("default").map_err(|message| Refusal::failed("lab", message, "azir lab serve"))
}

/// Starts the lab in this process and connects to it through the same door as to a cloud.
async fn connect_lab(
    place: &Place,
    scenario: Scenario,
    case: &Path,
    production: Vec<Production>,
    clock: Arc<dyn Clock>,
) -> Result<Connection, Refusal> {
    let folder = case.join("lab");
    let options = |port| Options {
        scenario: scenario.clone(),
        port,
        state: Some(folder.join("state.jsonl")),
        latency: place.latency,
        lro: place.latency,
        throttle: Some(1.0),
        retry_after: None,
        poll_after: None,
        bodies: false,
        page: None,
        replication: std::time::Duration::from_secs(2).mul_f64(place.latency),
        faults: Faults::default(),
        folder: folder.clone(),
        clock: Arc::clone(&clock),
        random: Arc::new(SystemRandom),
    };
    let lab = SharedLab::enter(&folder, options)?;
    let ready = lab.ready();
    let pem = std::fs::read(&ready.ca).map_err(|error| {
        Refusal::failed(
            "lab",
            format!("{}: {error}", ready.ca.display()),
            "azir lab serve",
        )
    })?;
    let http = Http::new(Some(&pem))?;
    let cloud = Cloud::find(&ready.arm, &http, &SystemClock).await?;
    let environment = AuthEnvironment {
        tenant: Some(ready.tenant_id.clone()),
        client_id: Some(ready.client_id.clone()),
        client_secret: Some(Secret::new(ready.client_secret.clone())),
        ..AuthEnvironment::default()
    };
    let credential = SdkCredential::choose(Some(AuthKind::Env), &environment, &cloud, &http)?;
    Ok(Connection {
        client: client(cloud, http, credential, &clock, None),
        profile: config::lab(),
        profile_name: config::LAB.to_owned(),
        production,
        clock,
        _lab: Some(lab),
    })
}

fn client(
    cloud: Cloud,
    http: Http,
    credential: SdkCredential,
    clock: &Arc<dyn Clock>,
    fence: Option<Arc<Fence>>,
) -> Client {
    let random: Arc<dyn Random> = Arc::new(SystemRandom);
    Client::new(ClientOptions {
        cloud,
        http,
        credential: Arc::new(credential),
        clock: Arc::clone(clock),
        random,
        fence,
    })
}

/// Returns what speaks HTTP to others than the cloud: no token ever goes through it.
pub(super) fn http() -> Result<Http, Refusal> {
    Ok(Http::new(ca_bundle()?.as_deref())?)
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
