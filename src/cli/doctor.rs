//! `azir init`, `azir doctor`, `azir schema`, `azir completions`: being ready.

use std::sync::Arc;

use clap::ArgMatches;
use schemars::JsonSchema;
use serde::Serialize;

use super::config::{self, Config};
use super::connect::{Connection, Place, connect};
use super::home::Home;
use super::refusal::Refusal;
use super::{Output, key, notify, out, shown};
use crate::clock::{Clock, SystemClock};
use crate::engine::notify::Channels;
use crate::engine::plan::Verdict;
use crate::engine::{outside, vault_worth};
use crate::random::{Random, SystemRandom};

/// What the doctor found.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Diagnosis {
    /// The version of this shape.
    schema_version: u32,
    /// Each thing looked at.
    findings: Vec<Finding>,
}

/// One thing looked at.
#[derive(Debug, JsonSchema, Serialize)]
struct Finding {
    /// What.
    what: String,
    /// `ok`, `warn` or `fail`.
    verdict: &'static str,
    /// What was seen.
    text: String,
    /// The next command, where something is to be done.
    next: String,
}

/// Looks at everything a run needs; 0, or 1 if something would fail.
pub(super) fn doctor(matches: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
    let mut findings = Vec::new();
    let mut add = |what: &str, verdict, text: String, next: &str| {
        findings.push(Finding {
            what: what.into(),
            verdict,
            text,
            next: next.into(),
        });
    };
    match home.prepare() {
        Ok(()) => add(
            "home",
            "ok",
            format!("{} can be written", home.root.display()),
            "",
        ),
        Err(refusal) => add("home", "fail", refusal.message, &refusal.hint),
    }
    if let Some(free) = free_bytes(home) {
        let verdict = if free < 1 << 30 { "warn" } else { "ok" };
        add(
            "disk",
            verdict,
            format!("{} MB free for the record", free >> 20),
            if verdict == "ok" {
                ""
            } else {
                "name another folder with AZIR_HOME"
            },
        );
    }
    let path = Config::path(home);
    match Config::load(home)
        .and_then(|config| config.choose(matches.get_one::<String>("profile").map(String::as_str)))
    {
        Ok((name, profile)) => {
            let text = if path.exists() {
                format!("{}, profile {name}", path.display())
            } else {
                format!("there is no {}; defaults are used", path.display())
            };
            add(
                "config",
                if path.exists() { "ok" } else { "warn" },
                text,
                if path.exists() { "" } else { "azir init" },
            );
            let (verdict, text, next) = key::diagnosis(&profile, home);
            add("key", verdict, text, &next);
            if !matches.get_flag("lab") {
                let (verdict, text, next) = break_glass(&profile.break_glass);
                add("guards", verdict, text, next);
            }
            if profile.vault.is_none() && !matches.get_flag("lab") {
                add(
                    "vault",
                    "warn",
                    "no evidence vault: evidence stays on this machine".into(),
                    "set vault in config.toml",
                );
            }
        }
        Err(refusal) => add("config", "fail", refusal.message, &refusal.hint),
    }
    let held: Vec<String> = crate::report::cases::folders(&home.cases())
        .iter()
        .filter(|run| crate::journal::reader::is_held(run))
        .map(|run| run.display().to_string())
        .collect();
    add(
        "lock",
        "ok",
        if held.is_empty() {
            "no run is being written".into()
        } else {
            format!("being written: {}", held.join(", "))
        },
        "",
    );
    // Where the configuration cannot be read, nobody knows which cloud is meant.
    let configured = findings
        .iter()
        .all(|finding| finding.what != "config" || finding.verdict != "fail");
    if configured {
        cloud(matches, home, &mut findings)?;
    }
    let failed = findings.iter().any(|finding| finding.verdict == "fail");
    let diagnosis = Diagnosis {
        schema_version: 1,
        findings,
    };
    if Output::of(matches) == Output::Human {
        let mut text = String::new();
        for finding in &diagnosis.findings {
            // What has several lines stands below its first.
            let said = shown::block(&finding.text).replace('\n', "\n               ");
            text.push_str(&format!(
                "{:<5} {:<8} {said}\n",
                finding.verdict, finding.what
            ));
            if !finding.next.is_empty() {
                text.push_str(&format!("               next: {}\n", finding.next));
            }
        }
        out::result(&text);
    } else {
        out::result(&serde_json::to_string(&diagnosis).unwrap_or_default());
    }
    Ok(u8::from(failed))
}

fn cloud(matches: &ArgMatches, home: &Home, findings: &mut Vec<Finding>) -> Result<(), Refusal> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Refusal::failed("runtime", error.to_string(), ""))?;
    // Outside the home folder: no case may be named so that this one ends with it.
    let case = tempfile::tempdir().map_err(|error| {
        Refusal::record(
            error.to_string(),
            "set TMPDIR to a folder that can be written",
        )
    })?;
    let place = Place::of(matches)?;
    runtime.block_on(async {
        let mut add = |what: &str, verdict, text: String, next: &str| {
            findings.push(Finding {
                what: what.into(),
                verdict,
                text,
                next: next.into(),
            });
        };
        let connection = match connect(&place, home, case.path()).await {
            Ok(connection) => connection,
            Err(refusal) => {
                return add(
                    "cloud",
                    "fail",
                    refusal.message,
                    match refusal.hint.as_str() {
                        "" | "azir doctor" => "check the network, and --cloud or AZIR_CLOUD",
                        hint => hint,
                    },
                );
            }
        };
        add(
            "cloud",
            "ok",
            format!(
                "{} at {}",
                connection.client.cloud_name(),
                connection.client.cloud().arm
            ),
            "",
        );
        let identity = match connection.client.identity().await {
            Ok(identity) => identity,
            Err(error) => {
                return add(
                    "token",
                    "fail",
                    error.to_string(),
                    "az login, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET",
                );
            }
        };
        let until = identity
            .expires
            .map(crate::clock::seconds)
            .unwrap_or_default();
        add(
            "token",
            "ok",
            format!(
                "{} in tenant {} by {}, until {until}",
                identity.label(),
                identity.tenant,
                connection.client.credential_name()
            ),
            "",
        );
        match crate::engine::probe(&connection.client).await {
            Ok(count) => add(
                "access",
                if count == 0 { "warn" } else { "ok" },
                if count == 1 {
                    "1 subscription is visible".to_owned()
                } else {
                    format!("{count} subscriptions are visible")
                },
                if count == 0 {
                    "ask for a role on the subscriptions to protect"
                } else {
                    ""
                },
            ),
            Err(message) => add("access", "fail", message, "az account list"),
        }
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        if let Some(vault) = &connection.profile.vault {
            let (worth, _) = vault_worth(&connection.client, &clock, vault).await;
            let good = worth.verdict == Verdict::Pass;
            add(
                "vault",
                if good { "ok" } else { "warn" },
                worth.text,
                if good {
                    ""
                } else {
                    "az storage container immutability-policy show"
                },
            );
        }
        stamps(&connection, &clock, &mut add);
        let (notify, http) = (&connection.profile.notify, connection.client.http());
        let channels = Channels::new(notify, http, &notify::environment);
        for (verdict, text, next) in notify::diagnosis(&channels) {
            add("notify", verdict, text, &next);
        }
        if let Some(offset) = connection.client.clock_offset_ms() {
            let verdict = if offset.abs() > 120_000 { "warn" } else { "ok" };
            add(
                "clock",
                verdict,
                format!("this machine differs from the cloud by {offset} ms"),
                if verdict == "ok" {
                    ""
                } else {
                    "set the clock: the record's times come from it"
                },
            );
        }
    });
    Ok(())
}

/// Says whether the guard of break-glass accounts knows any: with none named it holds for everybody.
fn break_glass(named: &[String]) -> (&'static str, String, &'static str) {
    if named.is_empty() {
        let text = "no break-glass account is named: no guard keeps one from being cut off";
        ("warn", text.to_owned(), "set break_glass in config.toml")
    } else {
        let text = format!("break-glass accounts: {}", named.join(", "));
        ("ok", text, "")
    }
}

/// Says what time stamps the end of a record gets.
fn stamps(
    connection: &Connection,
    clock: &Arc<dyn Clock>,
    add: &mut impl FnMut(&str, &'static str, String, &str),
) {
    let random: Arc<dyn Random> = Arc::new(SystemRandom);
    let profile = &connection.profile;
    if let Err(message) = outside(profile, &connection.client, clock, &random) {
        return add("stamps", "fail", message, "edit time_stamps in config.toml");
    }
    let (verdict, text) = match profile.time_stamps.len() {
        0 => (
            "warn",
            "no time-stamp authority: nothing outside says when a record was whole",
        ),
        1 => (
            "ok",
            "one authority: the record's end is stamped once, not twice",
        ),
        _ => ("ok", "two authorities stamp the record's end"),
    };
    let next = if verdict == "ok" {
        ""
    } else {
        "set time_stamps in config.toml"
    };
    add("stamps", verdict, text.to_owned(), next);
    if let Some(roots) = &profile.time_stamp_roots
        && let Err(message) = crate::journal::verify::can_read_roots(roots)
    {
        add(
            "stamps",
            "warn",
            message,
            "set time_stamp_roots in config.toml",
        );
    }
}

fn free_bytes(home: &Home) -> Option<u64> {
    let stat = rustix::fs::statvfs(home.root.as_path()).ok()?;
    Some(stat.f_bavail * stat.f_frsize)
}

/// Writes a configuration to begin with; refuses to replace one.
pub(super) fn init(home: &Home) -> Result<u8, Refusal> {
    home.prepare()?;
    let path = Config::path(home);
    let mut options = std::fs::OpenOptions::new();
    options
        .write(true)
        .create_new(true)
        .open(&path)
        .and_then(|mut file| std::io::Write::write_all(&mut file, config::TEMPLATE.as_bytes()))
        .map_err(|error| {
            let why = if error.kind() == std::io::ErrorKind::AlreadyExists {
                "is there already and is not overwritten".to_owned()
            } else {
                format!("cannot be written: {error}")
            };
            Refusal::usage(
                format!("{} {why}", path.display()),
                "azir doctor, to see what is in force",
            )
        })?;
    out::line(&format!("wrote {}", path.display()));
    out::line("next: fill in what is commented out, then azir doctor");
    Ok(0)
}

/// Prints the JSON Schema of an output.
pub(super) fn schema(own: &ArgMatches) -> Result<u8, Refusal> {
    let schema = match own.get_one::<String>("what").map(String::as_str) {
        Some("plan") => schemars::schema_for!(crate::engine::plan::Plan),
        Some("preflight") => schemars::schema_for!(super::preflight::Shape<'_>),
        Some("list") => schemars::schema_for!(Vec<crate::report::cases::RunLine>),
        Some("approval") => schemars::schema_for!(crate::engine::approval::PlanFile),
        Some("status") => schemars::schema_for!(crate::report::status::Status),
        Some("timeline") => schemars::schema_for!(super::timeline::Shape),
        Some("doctor") => schemars::schema_for!(Diagnosis),
        Some("drill") => schemars::schema_for!(crate::drill::report::DrillReport),
        Some("drill-assign") => schemars::schema_for!(super::drill_told::Assigned),
        Some("drill-due") => schemars::schema_for!(super::drill_told::DueTold),
        Some("drill-history") => schemars::schema_for!(super::drill_told::HistoryTold),
        Some("drill-start") => schemars::schema_for!(super::drill_words::Start),
        Some("drill-status") => schemars::schema_for!(super::drill_words::Status),
        Some("drill-verdict") => schemars::schema_for!(crate::drill::verdict::Verdict),
        Some("drill-list") => schemars::schema_for!(super::drill_told::Listing),
        _ => schemars::schema_for!(crate::report::model::RunReport),
    };
    out::raw(&serde_json::to_string_pretty(&schema).unwrap_or_default());
    Ok(0)
}

/// Says how a shell completes azir's commands.
pub(super) fn completions(own: &ArgMatches) -> u8 {
    let shell = own
        .get_one::<String>("shell")
        .map_or("bash", String::as_str);
    out::raw(match shell {
        "fish" => "COMPLETE=fish azir | source",
        "zsh" => "source <(COMPLETE=zsh azir)",
        _ => "source <(COMPLETE=bash azir)",
    });
    0
}
