//! A lab whose clock stands still until told otherwise, and a client that asks it what no runbook would.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use azir::clock::{ManualClock, SystemClock};
use azir::lab::scenario::Scenario;
use azir::lab::{Faults, Lab, Options};
use azir::random::SeededRandom;
use serde_json::{Value, json};

/// The usual subscription.
pub(crate) const SUB: &str = "/subscriptions/22222222-2222-4222-8222-222222222222";
/// The one in which the responder only reads.
pub(crate) const DEV: &str = "/subscriptions/33333333-3333-4333-8333-333333333333";
pub(crate) const TENANT: &str = "11111111-1111-4111-8111-111111111111";

pub(crate) const COMPUTE: &str = "api-version=2024-11-01";
pub(crate) const DISKS: &str = "api-version=2023-10-02";
pub(crate) const NETWORK: &str = "api-version=2023-11-01";
pub(crate) const RESOURCES: &str = "api-version=2021-04-01";
pub(crate) const RIGHTS: &str = "api-version=2022-04-01";

/// A lab, its clock, and a client of it.
pub(crate) struct Bench {
    pub(crate) lab: Lab,
    pub(crate) clock: ManualClock,
    pub(crate) http: reqwest::Client,
    runtime: tokio::runtime::Runtime,
    token: String,
    _folder: tempfile::TempDir,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl Answer {
    /// Returns status and error code.
    pub(crate) fn error(&self) -> (u16, &str) {
        (
            self.status,
            self.body["error"]["code"].as_str().unwrap_or(&self.text),
        )
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// Returns the items of a list by a member.
    pub(crate) fn each(&self, member: &str) -> Vec<&str> {
        let items = self.body["value"]
            .as_array()
            .unwrap_or_else(|| panic!("{self:?}"));
        items
            .iter()
            .map(|item| item[member].as_str().unwrap())
            .collect()
    }
}

impl Bench {
    /// The default tenant, where operations take as long as they do and answers take no time.
    pub(crate) fn new() -> Self {
        Self::with(Scenario::load("default").unwrap(), |_| {})
    }

    pub(crate) fn with(scenario: Scenario, change: impl FnOnce(&mut Options)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at("2026-11-24T03:00:00Z".parse().unwrap());
        let mut options = Options {
            scenario,
            clock: Arc::new(clock.clone()),
            ..options(folder.path())
        };
        change(&mut options);
        let lab = Lab::start(options).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let http = client(&lab, |builder| builder);
        let mut bench = Self {
            lab,
            clock,
            http,
            runtime,
            token: String::new(),
            _folder: folder,
        };
        let ready = bench.lab.ready().clone();
        bench.sign_in(&ready.client_id, &ready.client_secret);
        bench
    }

    pub(crate) fn sign_in(&mut self, client: &str, secret: &str) {
        let scope = format!("{}/.default", self.lab.ready().arm);
        self.token = self.token(client, secret, &scope);
    }

    /// Returns a token of the responder for another plane.
    pub(crate) fn token_for(&self, scope: &str) -> String {
        let ready = self.lab.ready();
        self.token(&ready.client_id, &ready.client_secret, scope)
    }

    /// Returns a token of an application.
    pub(crate) fn token(&self, client: &str, secret: &str, scope: &str) -> String {
        let answer = self.sign_in_as(client, secret, scope);
        answer.body["access_token"]
            .as_str()
            .unwrap_or_else(|| panic!("{answer:?}"))
            .to_owned()
    }

    /// Returns what the token endpoint answers to an application.
    pub(crate) fn sign_in_as(&self, client: &str, secret: &str, scope: &str) -> Answer {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", client),
            ("client_secret", secret),
            ("scope", scope),
        ];
        let url = format!("{}/{TENANT}/oauth2/v2.0/token", self.lab.ready().arm);
        self.send(self.http.post(url).form(&form))
    }

    pub(crate) fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    pub(crate) fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        self.run(async {
            let reply = request.send().await.unwrap();
            let (status, headers) = (reply.status().as_u16(), reply.headers().clone());
            let text = reply.text().await.unwrap();
            Answer {
                status,
                headers,
                body: serde_json::from_str(&text).unwrap_or_default(),
                text,
            }
        })
    }

    /// A request to ARM with the token, to a path or a whole address.
    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let url = if path.starts_with("https://") {
            path.to_owned()
        } else {
            format!("{}{path}", self.lab.ready().arm)
        };
        self.http
            .request(method.parse().unwrap(), url)
            .bearer_auth(&self.token)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path))
    }

    pub(crate) fn call(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.send(self.request(method, path).json(body))
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.send(self.request("DELETE", path))
    }

    /// Lets seconds pass on the lab's clock.
    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

/// The options of a lab with the default tenant, on the machine's own clock.
pub(crate) fn options(folder: &Path) -> Options {
    Options {
        scenario: Scenario::load("default").unwrap(),
        port: 0,
        state: None,
        latency: 0.0,
        lro: 1.0,
        throttle: None,
        retry_after: None,
        poll_after: None,
        bodies: false,
        page: None,
        replication: std::time::Duration::ZERO,
        faults: Faults::default(),
        folder: folder.to_owned(),
        clock: Arc::new(SystemClock),
        random: Arc::new(SeededRandom::new(7)),
    }
}

/// A client that trusts the lab and finds all its hosts.
pub(crate) fn client(
    lab: &Lab,
    change: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
) -> reqwest::Client {
    let pem = std::fs::read(&lab.ready().ca).unwrap();
    // The provider is installed by azir's own client.
    azir::azure::Http::new(Some(&pem)).unwrap();
    let roots = reqwest::Certificate::from_pem_bundle(&pem).unwrap();
    let here = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut builder = reqwest::Client::builder().tls_certs_only(roots).no_proxy();
    for host in [
        "localhost",
        "api.loganalytics.localhost",
        "graph.localhost",
        "stforensicirprodweu.blob.localhost",
        "kv-hard.vault.localhost",
        "kv-nowhere.vault.localhost",
        "kv-policy.vault.localhost",
        "kv-shop.vault.localhost",
    ] {
        builder = builder.resolve(host, here);
    }
    change(builder).build().unwrap()
}

/// The path of a resource in the usual subscription, as `rg-app/Microsoft.Compute/disks/d`.
pub(crate) fn at(group_and_rest: &str) -> String {
    let (group, rest) = group_and_rest.split_once('/').unwrap();
    format!("{SUB}/resourceGroups/{group}/providers/{rest}")
}

/// A scenario in which the responder has these roles, each with its scope, and custom roles besides.
pub(crate) fn with_roles(grants: &[(&str, &str)], custom: &str) -> Scenario {
    let mut scenario = Scenario::load(&format!(
        "tenant: {TENANT}\nsubscriptions: [{{id: s, name: s}}]\ncallers: [{{name: c, client_id: i, client_secret: x, object_id: o, roles: {}}}]\nroles: [{custom}]\n",
        json!(grants.iter().map(|(role, scope)| json!({"role": role, "scope": scope})).collect::<Vec<_>>())
    ))
    .unwrap();
    let full = Scenario::load("default").unwrap();
    let (roles, own) = (
        scenario.callers.remove(0).roles,
        std::mem::take(&mut scenario.roles),
    );
    let mut full = Scenario { roles: own, ..full };
    full.callers[0].roles = roles;
    full
}
