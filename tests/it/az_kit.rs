//! The Azure CLI, registered with a lab as with any cloud and signed in as its responder.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use azir::lab::Options;
use azir::lab::scenario::Scenario;

use crate::support::{Azir, Done, done};

/// What the commands of the reference documents need beside the default tenant.
const MORE: &str = include_str!("az/scenario.yaml");

/// Names under `localhost`, for a client that does not find them by itself.
pub(crate) const RESOLVER: &str = include_str!("az/sitecustomize.py");

/// Returns the default tenant, and what is needed beside.
pub(crate) fn scenario() -> Scenario {
    with(Scenario::load("default").unwrap(), MORE)
}

/// Returns a tenant and what is more in another text; of that one's first caller only the rights are read.
pub(crate) fn with(mut whole: Scenario, more: &str) -> Scenario {
    let mut more = Scenario::load(more).unwrap();
    let caller = more.callers.remove(0);
    whole.callers[0].graph.extend(caller.graph);
    whole.callers[0].roles.extend(caller.roles);
    whole.callers.extend(more.callers);
    let known: Vec<String> = whole
        .subscriptions
        .iter()
        .map(|one| one.id.clone())
        .collect();
    more.subscriptions.retain(|one| !known.contains(&one.id));
    whole.subscriptions.extend(more.subscriptions);
    whole.groups.extend(more.groups);
    whole.machines.extend(more.machines);
    whole.resources.extend(more.resources);
    whole.events.extend(more.events);
    whole.vault_events.extend(more.vault_events);
    whole.directory.users.extend(more.directory.users);
    whole
        .directory
        .applications
        .extend(more.directory.applications);
    whole.directory.grants.extend(more.directory.grants);
    whole
}

/// A lab, and the command line that is signed in to it.
pub(crate) struct Judge {
    pub(crate) azir: Azir,
    az: PathBuf,
}

impl Judge {
    /// Starts a lab with the tenant of [`scenario`] and signs in.
    pub(crate) fn new() -> Self {
        Self::with(|options| options.scenario = scenario())
    }

    /// Starts a lab with what is changed of the usual one, and signs in.
    pub(crate) fn with(change: impl FnOnce(&mut Options)) -> Self {
        let az = std::env::var("AZIR_TEST_AZ")
            .expect("AZIR_TEST_AZ names the az of a virtual environment with .ci/python/az-requirements.txt");
        let azir = Azir::with("faults: []", change);
        let judge = Self {
            azir,
            az: az.into(),
        };
        std::fs::create_dir_all(judge.work()).unwrap();
        // In a folder of its own: Python leaves there what it made of it.
        std::fs::create_dir_all(judge.resolver()).unwrap();
        std::fs::write(judge.resolver().join("sitecustomize.py"), RESOLVER).unwrap();
        let signed_in = judge.bash(
            "az cloud register --name azir-lab --endpoint-resource-manager \"$ARM\"
            az cloud set --name azir-lab
            az login --service-principal --tenant \"$TENANT_ID\" --username \"$CLIENT_ID\" --password \"$CLIENT_SECRET\" --output none",
        );
        assert_eq!(signed_in.code, 0, "{}", signed_in.stderr);
        judge
    }

    /// A folder for files that commands write.
    fn work(&self) -> PathBuf {
        self.azir.home.path().join("work")
    }

    /// The folder of the resolver of names under `localhost`.
    fn resolver(&self) -> PathBuf {
        self.azir.home.path().join("resolver")
    }

    /// Runs lines of bash in which `az` is the one that is signed in.
    pub(crate) fn bash(&self, lines: &str) -> Done {
        let script = format!("set -euo pipefail\n{lines}");
        done(self.command().args(["-c", &script]).output().unwrap())
    }

    /// Runs a script that lies beside the tests.
    pub(crate) fn script(&self, name: &str) -> Done {
        let file = folder().join(name);
        done(self.command().arg(file).output().unwrap())
    }

    /// Runs azir as who is signed in to the Azure CLI, and as nobody else.
    pub(crate) fn azir(&self, args: &[&str]) -> Done {
        let mut command = self.azir.command(&[args, &["--auth", "cli"]].concat());
        for name in ["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"] {
            command.env_remove(name);
        }
        let own = self.command();
        let theirs = own
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?)));
        let needed = theirs.filter(|(name, _)| {
            let name = name.to_string_lossy();
            name.starts_with("AZURE_")
                || ["PATH", "HOME", "PYTHONPATH", "REQUESTS_CA_BUNDLE"].contains(&&*name)
        });
        command.envs(needed);
        done(command.output().unwrap())
    }

    fn command(&self) -> Command {
        let ready = self.azir.lab.ready();
        let port = ready.arm.rsplit(':').next().unwrap();
        let mut paths = vec![self.az.parent().unwrap_or(Path::new("")).to_owned()];
        paths.extend(std::env::split_paths(
            &std::env::var_os("PATH").unwrap_or_default(),
        ));
        let home = self.azir.home.path();
        // A client that waits for ever is to fail, not to hold up everything.
        let mut command = Command::new("timeout");
        command
            .args(["300", "bash"])
            .current_dir(self.work())
            .env_clear()
            .env("PATH", std::env::join_paths(paths).unwrap())
            .env("HOME", home)
            .env("PYTHONPATH", self.resolver())
            .env("REQUESTS_CA_BUNDLE", &ready.ca)
            .env("AZURE_CONFIG_DIR", home.join("az"))
            .env("AZURE_CORE_COLLECT_TELEMETRY", "false")
            .env("AZURE_CORE_INSTANCE_DISCOVERY", "false")
            .env("AZURE_CORE_NO_COLOR", "true")
            .env("AZURE_CORE_ONLY_SHOW_ERRORS", "true")
            .env("AZURE_EXTENSION_USE_DYNAMIC_INSTALL", "no")
            .env("ARM", &ready.arm)
            .env("GRAPH", format!("https://graph.localhost:{port}"))
            .env("LOGS", format!("https://api.loganalytics.localhost:{port}"))
            .env("LAW_ID", "abababab-abab-4bab-8bab-abababababab")
            .env("TENANT_ID", &ready.tenant_id)
            .env("CLIENT_ID", &ready.client_id)
            .env("CLIENT_SECRET", &ready.client_secret)
            .env("SUB_ID", &ready.subscription_id)
            .env("FORENSIC_SUB_ID", "22222222-2222-4222-8222-222222222230")
            .env("TABLETOP_SUB_ID", "22222222-2222-4222-8222-222222222240")
            .env("FOLDER", folder())
            .env("WORK", self.work())
            .stdin(Stdio::null());
        command
    }
}

/// The folder of the commands, the scripts and the tenant.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/az")
}
