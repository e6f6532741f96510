//! Many machines isolated at once, under the documented throttles: `cargo bench --bench figures -- --vms 1000 2`.
//!
//! The lab runs in this process, azir in one of its own, both on clocks that run as many times faster as the second number
//! says. What is run is the shipped `isolate-vm`. The lab counts every request, polls too, so the bound is computed from
//! what was really sent.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use azir::clock::SystemClock;
use azir::lab::scenario::Scenario;
use azir::lab::{Faults, Lab, Logged, Options, ScaledClock};
use azir::random::SystemRandom;
use chrono::{DateTime, FixedOffset, TimeDelta};
use serde_json::{Map, Value, json};

use super::alone::{self, Job};
use super::record::Row;

/// Resource Manager counts by subscription, so many machines are looked for in several.
const SUBSCRIPTIONS: usize = 4;
/// A quarantine NSG serves one subscription in one region.
const REGIONS: [&str; 2] = ["westeurope", "northeurope"];
/// Machines in a resource group, each of which has an activity log of its own.
const IN_A_GROUP: usize = 25;

/// Isolates so many machines and prints one line; `poll_after`: what operations ask for between polls, in seconds.
pub(crate) fn vms(count: usize, factor: f64, poll_after: Option<u64>) -> Row {
    let home = tempfile::tempdir().expect("a temporary folder");
    let lab = lab(count, factor, poll_after, home.path());
    let job = Job {
        runbook: "isolate-vm".to_owned(),
        arguments: Map::new(),
        targets: (0..count).map(name).collect(),
        profile: json!({
            "bastion": ["10.99.0.0/24"],
            "snapshots": {"resource_group": "rg-forensic-prod"},
            "quarantine": {"resource_group": "rg-security-prod", "name": "nsg-ir-quarantine"},
        }),
        factor,
        ready: serde_json::to_value(lab.ready()).expect("JSON"),
    };
    let told = alone::run(&job, home.path());
    let counted = Counted::of(&lab.requests());
    assert_cut(&lab.state(), count);
    lab.stop();
    let (bound, of) = counted.bound(path(poll_after));
    let row = Row {
        tool: "azir".to_owned(),
        machines: count,
        poll_after: poll_after.unwrap_or(0),
        seconds: told.seconds("begun_at", "ended_at"),
        contained: told.seconds("begun_at", "contained_at"),
        bound,
        megabytes: told.number("kilobytes") / 1024.0,
        ..counted.row()
    };
    let asked = poll_after.map_or(String::new(), |seconds| {
        format!(", operations ask for {seconds} s between polls")
    });
    println!(
        "isolate-vm, {count} machines, clock x{factor}{asked}: contained after {:.1} s, ended after {:.1} s, bound {bound:.1} s ({of}), ratio {:.3}; {} requests, {} of them polls, {} refused by throttles, {} after the first Retry-After was known; {} failed; peak memory {:.0} MB; {} journal entries, verified",
        row.contained,
        row.seconds,
        row.seconds / bound,
        row.requests,
        row.polls,
        row.refused,
        row.refused_later,
        told.number("failed"),
        row.megabytes,
        told.number("entries"),
    );
    row
}

/// Starts a lab of so many machines, with the documented throttles and the latencies seen in practice.
pub(crate) fn lab(count: usize, factor: f64, poll_after: Option<u64>, home: &Path) -> Lab {
    let options = Options {
        scenario: Scenario::load(&tenant(count)).expect("a scenario"),
        port: 0,
        state: None,
        latency: 1.0,
        lro: 1.0,
        throttle: Some(1.0),
        retry_after: None,
        poll_after,
        bodies: false,
        page: None,
        replication: std::time::Duration::from_secs(2),
        faults: Faults::default(),
        folder: home.join("lab"),
        clock: Arc::new(ScaledClock::new(Arc::new(SystemClock), factor)),
        random: Arc::new(SystemRandom),
    };
    Lab::start(options).expect("a lab")
}

fn name(number: usize) -> String {
    format!("vm-{number:04}")
}

fn subscription(number: usize) -> String {
    format!("22222222-2222-4222-8222-{number:012}")
}

/// Returns the subscription, the resource group and the name of a machine.
pub(crate) fn place(number: usize) -> (String, String, String) {
    let group = format!("rg-app-{}", number / SUBSCRIPTIONS / IN_A_GROUP);
    (subscription(number % SUBSCRIPTIONS), group, name(number))
}

/// Sees in the tenant that every interface of so many machines is behind a quarantine NSG, and no machine has an
/// identity.
pub(crate) fn assert_cut(state: &Value, count: usize) {
    let resources = state["resources"].as_object().expect("resources");
    let of = |kind: &'static str| {
        resources
            .iter()
            .filter(move |(id, _)| id.split('/').nth_back(1) == Some(kind))
            .map(|(_, resource)| resource)
    };
    let behind = |nic: &Value| {
        let nsg = nic["properties"]["networkSecurityGroup"]["id"].as_str();
        nsg.is_some_and(|id| id.contains("nsg-ir-quarantine-"))
    };
    assert_eq!(of("networkinterfaces").count(), count + count / 2);
    assert!(of("networkinterfaces").all(behind));
    assert_eq!(of("virtualmachines").count(), count);
    assert!(of("virtualmachines").all(|machine| machine.get("identity").is_none()));
}

/// A tenant of machines with three disks, one or two interfaces and an identity, in several subscriptions and regions,
/// with a clean quarantine NSG in each.
fn tenant(count: usize) -> String {
    let numbers = 0..SUBSCRIPTIONS.min(count);
    let subscriptions: Vec<Value> = numbers
        .clone()
        .map(|number| json!({"id": subscription(number), "name": format!("prod-{number}")}))
        .collect();
    let roles: Vec<Value> = numbers
        .clone()
        .flat_map(|number| {
            let scope = format!("/subscriptions/{}", subscription(number));
            ["Contributor", "User Access Administrator"]
                .map(|role| json!({"role": role, "scope": scope}))
        })
        .collect();
    let (mut groups, mut resources) = (Vec::new(), Vec::new());
    for id in numbers.map(subscription) {
        for group in ["rg-security-prod", "rg-forensic-prod"] {
            groups.push(json!({"name": group, "location": REGIONS[0], "subscription": id}));
        }
        resources.extend(REGIONS.map(|region| quarantine(&id, region)));
    }
    let mut machines = Vec::new();
    for number in 0..count {
        let (own, group, name) = place(number);
        let region = REGIONS[number / SUBSCRIPTIONS % REGIONS.len()];
        if (number / SUBSCRIPTIONS).is_multiple_of(IN_A_GROUP) {
            groups.push(json!({"name": group, "location": region, "subscription": own}));
        }
        let disks = ["os", "data", "logs"].map(|end| json!({"name": format!("{name}-{end}")}));
        let nics: Vec<Value> = (0..=number % 2)
            .map(|index| json!({"name": format!("{name}-nic-{index}")}))
            .collect();
        machines.push(json!({
            "name": name, "group": group, "location": region, "subscription": own, "disks": disks, "nics": nics,
            "system_identity": format!("66666666-6666-4666-8666-{number:012}"),
        }));
    }
    let caller = json!({
        "name": "responder", "client_id": "44444444-4444-4444-8444-444444444444", "client_secret": "lab-secret-of-the-responder",
        "object_id": "55555555-5555-4555-8555-555555555555", "graph": ["Application.Read.All", "GroupMember.Read.All"], "roles": roles,
    });
    let scenario = json!({
        "tenant": "11111111-1111-4111-8111-111111111111", "subscriptions": subscriptions, "callers": [caller],
        "groups": groups, "machines": machines, "resources": resources,
    });
    // JSON is YAML; the line break says that it is no name.
    format!("{scenario}\n")
}

fn quarantine(subscription: &str, region: &str) -> Value {
    let rule = |name: &str,
                priority: u32,
                direction: &str,
                access: &str,
                from: &str,
                port: &str| {
        json!({"name": name, "properties": {
            "priority": priority, "direction": direction, "access": access, "protocol": if port == "*" { "*" } else { "Tcp" },
            "sourceAddressPrefix": from, "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": port,
        }})
    };
    json!({
        "id": format!("/subscriptions/{subscription}/resourceGroups/rg-security-prod/providers/Microsoft.Network/networkSecurityGroups/nsg-ir-quarantine-{region}"),
        "location": region,
        "properties": {"flushConnection": true, "securityRules": [
            rule("AllowIRBastionInbound", 100, "Inbound", "Allow", "10.99.0.0/24", "22"),
            rule("DenyAllInbound", 4096, "Inbound", "Deny", "*", "*"),
            rule("DenyAllOutbound", 4096, "Outbound", "Deny", "*", "*"),
        ]},
    })
}

/// What the lab was asked.
#[derive(Default)]
pub(crate) struct Counted {
    pub(crate) requests: usize,
    pub(crate) polls: usize,
    pub(crate) refused: usize,
    /// Refused though a Retry-After of that bucket had been heard: it counts after a second, for what was under way then
    /// could not know.
    refused_later: usize,
    /// How many requests each bucket let through, by subscription (or none) and kind.
    buckets: BTreeMap<(String, &'static str), usize>,
}

impl Counted {
    pub(crate) fn of(log: &[Logged]) -> Self {
        let mut counted = Self::default();
        let mut known: BTreeMap<(String, &str), DateTime<FixedOffset>> = BTreeMap::new();
        for one in log {
            counted.requests += 1;
            counted.polls += usize::from(one.path.to_ascii_lowercase().contains("operations/"));
            let Some(bucket) = bucket(one) else {
                continue;
            };
            if one.status != 429 {
                *counted.buckets.entry(bucket).or_default() += 1;
                continue;
            }
            counted.refused += 1;
            let now = DateTime::parse_from_rfc3339(&one.time).expect("a time");
            let first = *known.entry(bucket).or_insert(now);
            counted.refused_later += usize::from(now - first > TimeDelta::seconds(1));
        }
        counted
    }

    /// Returns its own part of a measurement.
    pub(crate) fn row(&self) -> Row {
        Row {
            requests: self.requests,
            polls: self.polls,
            refused: self.refused,
            refused_later: self.refused_later,
            ..Row::default()
        }
    }

    /// Returns the least time that what was sent can take, and what it is that takes so long.
    ///
    /// A bucket begins full and is refilled at a steady rate, so the last of `n` requests cannot be let through before
    /// `(n - size) / refill` seconds; the buckets fill side by side, so the one that takes longest counts. One machine
    /// alone takes the critical path of its own requests, however much the buckets hold.
    fn bound(&self, path: f64) -> (f64, String) {
        let mut bound = (path, "critical path of one machine".to_owned());
        for ((scope, kind), count) in &self.buckets {
            let (size, refill) = shape(kind);
            let seconds = (*count as f64 - size) / refill;
            if seconds > bound.0 {
                let scope = if scope.is_empty() { "tenant" } else { scope };
                bound = (seconds, format!("{count} {kind} of {scope}"));
            }
        }
        bound
    }
}

/// Returns the seconds that the requests of one machine take which wait for each other: a token, the look-up and all that
/// contains it, then its tags, those of its snapshots, and the activity log.
fn path(poll_after: Option<u64>) -> f64 {
    let (token, look_up, get, write) = (0.08, 0.2, 0.06, 0.15);
    token + look_up + super::critical_path(1.0, poll_after) + get + write + write + get
}

/// Returns the bucket of Resource Manager that a request draws on; sign-in, metadata and Graph have none.
fn bucket(one: &Logged) -> Option<(String, &'static str)> {
    let lower = one.path.to_ascii_lowercase();
    let arm = one.host == "127.0.0.1"
        && (lower.starts_with("/subscriptions") || lower.starts_with("/providers"));
    let kind = match one.method.as_str() {
        "GET" | "HEAD" => "reads",
        "DELETE" => "deletes",
        _ => "writes",
    };
    let scope = lower
        .strip_prefix("/subscriptions/")
        .and_then(|rest| rest.split('/').next());
    arm.then(|| (scope.unwrap_or_default().to_owned(), kind))
}

/// Returns how many tokens a bucket holds and how many come back a second (arm.md section 1.5).
fn shape(kind: &str) -> (f64, f64) {
    match kind {
        "reads" => (250.0, 25.0),
        _ => (200.0, 10.0),
    }
}
