//! A home folder, the binary under test, and a lab in this process that both sides can see into.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use azir::clock::SystemClock;
use azir::engine::{Responder, RunRequest};
use azir::lab::scenario::Scenario;
use azir::lab::{Faults, Lab, Options};
use azir::random::SeededRandom;
use azir::runbook::catalogue::Catalogue;
use serde_json::Value;

/// The usual subscription of the lab.
pub(crate) const SUB: &str = "/subscriptions/22222222-2222-4222-8222-222222222222";

/// A home folder with a configuration, and a lab that answers at once.
pub(crate) struct Azir {
    pub(crate) home: tempfile::TempDir,
    pub(crate) lab: Lab,
}

/// Returns properties without what the service makes anew at every change, of each part as of the whole.
pub(crate) fn without_etags(properties: &Value) -> Value {
    let mut properties = properties.clone();
    let parts = properties["ipConfigurations"].as_array_mut();
    for part in parts.into_iter().flatten() {
        part.as_object_mut().unwrap().remove("etag");
    }
    properties
}

/// Returns the lab's objects of a kind.
pub(crate) fn each<'a>(state: &'a Value, kind: &str) -> Vec<&'a Value> {
    state["directory"][kind]
        .as_object()
        .into_iter()
        .flat_map(serde_json::Map::values)
        .collect()
}

/// What a command left behind.
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Azir {
    /// A lab without faults.
    pub(crate) fn new() -> Self {
        Self::with("faults: []", |_| {})
    }

    /// A lab with a script of faults, and whatever else `change` says.
    pub(crate) fn with(faults: &str, change: impl FnOnce(&mut Options)) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut options = Options {
            scenario: Scenario::load("default").unwrap(),
            port: 0,
            state: None,
            latency: 0.0,
            lro: 0.0,
            throttle: None,
            retry_after: None,
            poll_after: None,
            bodies: false,
            page: Some(50),
            replication: std::time::Duration::ZERO,
            faults: Faults::parse(faults).unwrap(),
            folder: home.path().join("lab"),
            clock: Arc::new(SystemClock),
            random: Arc::new(SeededRandom::new(1)),
        };
        change(&mut options);
        let lab = Lab::start(options).unwrap();
        std::fs::write(home.path().join("config.toml"), CONFIG).unwrap();
        Self { home, lab }
    }

    /// Adds lines to the profile.
    pub(crate) fn configure(&self, lines: &str) {
        let text = format!("{CONFIG}{lines}\n");
        std::fs::write(self.home.path().join("config.toml"), text).unwrap();
    }

    /// Returns the command, ready to be run against the lab as against a cloud.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let ready = self.lab.ready();
        let mut command = Command::new(env!("CARGO_BIN_EXE_azir"));
        command
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("AZIR_HOME", self.home.path())
            .env("AZIR_CLOUD", &ready.arm)
            .env("AZIR_CA_BUNDLE", &ready.ca)
            .env("AZURE_TENANT_ID", &ready.tenant_id)
            .env("AZURE_CLIENT_ID", &ready.client_id)
            .env("AZURE_CLIENT_SECRET", &ready.client_secret)
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Done {
        done(self.command(args).output().unwrap())
    }

    /// Runs with `--output json` and returns the code and what stdout says.
    pub(crate) fn json(&self, args: &[&str]) -> (i32, Value) {
        let mut all = args.to_vec();
        all.extend(["--output", "json"]);
        let done = self.run(&all);
        let value = serde_json::from_str(&done.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}{}", done.stdout, done.stderr));
        (done.code, value)
    }

    /// Returns the only run folder of a case.
    pub(crate) fn run_dir(&self, incident: &str) -> PathBuf {
        let case = self.home.path().join("cases").join(incident);
        std::fs::read_dir(case)
            .unwrap()
            .flatten()
            .map(|entry| entry.path())
            .find(|path| {
                path.file_name()
                    .unwrap()
                    .to_string_lossy()
                    .starts_with("run-")
            })
            .unwrap()
    }

    /// Returns the writes that reached the lab, as `METHOD path`; less those that anchor the record of it all.
    pub(crate) fn writes(&self) -> Vec<String> {
        let all = self.all_writes().into_iter();
        all.filter(|write| !write.contains("/anchor/")).collect()
    }

    /// Returns every write that reached the lab, as `METHOD path`.
    pub(crate) fn all_writes(&self) -> Vec<String> {
        self.lab
            .requests()
            .into_iter()
            .filter(|request| request.write)
            .map(|request| format!("{} {}", request.method, request.path))
            .collect()
    }
}

/// Asks for a shipped runbook, for a responder without a key.
pub(crate) fn asked(runbook: &str) -> RunRequest {
    let rita = Responder {
        upn: "rita@contoso.com".to_owned(),
        name: None,
        oid: None,
    };
    let loaded = Catalogue::shipped().load(runbook).unwrap();
    RunRequest::of(loaded, "IR-1".parse().unwrap(), rita)
}

/// Starts a command and kills it once `reached` says so, however far it is.
pub(crate) fn killed_when(azir: &Azir, args: &[&str], reached: impl Fn() -> bool) {
    let mut child = azir
        .command(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !reached() && child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "{args:?} never came so far");
        std::thread::sleep(Duration::from_millis(2));
    }
    // One that has ended meanwhile needs no killing.
    let _ = child.kill();
    child.wait().unwrap();
}

/// Runs the binary with nothing but a home folder.
pub(crate) fn bare(home: &Path, args: &[&str]) -> Done {
    let mut command = Command::new(env!("CARGO_BIN_EXE_azir"));
    command
        .args(args)
        .env_clear()
        .env("AZIR_HOME", home)
        .stdin(Stdio::null());
    done(command.output().unwrap())
}

pub(crate) fn done(output: Output) -> Done {
    Done {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

pub(crate) const CONFIG: &str = r#"
profile = "test"
[profiles.test]
bastion = ["10.99.0.0/24"]
snapshots = { resource_group = "rg-forensic-prod" }
quarantine = { resource_group = "rg-security-prod", name = "nsg-ir-quarantine" }
vault = { account = "stforensicirprodweu", container = "ir-evidence" }
"#;
