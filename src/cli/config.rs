//! `config.toml`: profiles by name; unknown keys are errors with their line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::home::Home;
use super::refusal::Refusal;
use crate::engine::production::Production;
use crate::engine::profile::{Profile, Quarantine, Snapshots, Vault};
use crate::runbook::problem::nearest;

/// The file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// The profile to use when none is named.
    profile: Option<String>,
    /// Profiles by name.
    #[serde(default)]
    profiles: BTreeMap<String, Profile>,
    /// The folder of the file.
    #[serde(skip)]
    folder: PathBuf,
}

/// What a run without any profile has in the place of its name.
pub(super) const NO_PROFILE: &str = "(none)";

/// The name of the profile of `--lab`, which is built in.
pub(super) use crate::engine::production::LAB;

impl Config {
    /// Returns where the file is.
    pub(super) fn path(home: &Home) -> PathBuf {
        home.0.join("config.toml")
    }

    /// Reads the file; a missing one is an empty one.
    pub(super) fn load(home: &Home) -> Result<Self, Refusal> {
        let path = Self::path(home);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => {
                return Err(Refusal::usage(
                    format!("cannot read {}: {error}", path.display()),
                    "azir doctor",
                ));
            }
        };
        let mut config: Self = toml::from_str(&text).map_err(|error| {
            let hint = meant(error.message()).map_or_else(
                || format!("edit {}", path.display()),
                |(typed, near)| format!("in {}, write {near} for {typed}", path.display()),
            );
            Refusal::usage(
                format!("{}: {}", path.display(), error.to_string().trim_end()),
                hint,
            )
        })?;
        if config.profiles.contains_key(LAB) {
            return Err(Refusal::usage(
                format!(
                    "{}: the profile lab is built in and cannot be changed",
                    path.display()
                ),
                "choose another name for it",
            ));
        }
        config.folder.clone_from(&home.0);
        Ok(config)
    }

    /// Returns the vaults that exercises must not write to: those of every profile that is not for exercises.
    pub(super) fn production(&self) -> Vec<Production> {
        let real = self
            .profiles
            .iter()
            .filter(|(_, profile)| !profile.tabletop);
        real.filter_map(|(name, profile)| {
            Some(Production {
                profile: name.clone(),
                cloud: profile.cloud.clone(),
                vault: profile.vault.clone()?,
            })
        })
        .collect()
    }

    /// Returns a path as the file means it: from the home of the responder, or beside the file itself.
    fn beside(&self, path: &Path) -> PathBuf {
        match (path.strip_prefix("~"), std::env::home_dir()) {
            (Ok(rest), Some(own)) => own.join(rest),
            _ => self.folder.join(path),
        }
    }

    /// Returns the profile to use, with its name; without any, an empty one.
    pub(super) fn choose(&self, named: Option<&str>) -> Result<(String, Profile), Refusal> {
        let Some(name) = named.or(self.profile.as_deref()) else {
            return Ok((NO_PROFILE.to_owned(), Profile::default()));
        };
        if name == LAB {
            return Ok((LAB.to_owned(), lab()));
        }
        if let Some(profile) = self.profiles.get(name) {
            if let Some(unsound) = unsound(profile) {
                return Err(Refusal::usage(
                    format!("profile {name} of config.toml: {unsound}"),
                    "edit config.toml, then azir doctor",
                ));
            }
            let mut profile = profile.clone();
            profile.time_stamp_roots = profile.time_stamp_roots.map(|path| self.beside(&path));
            Ok((name.to_owned(), profile))
        } else {
            let mut names = self.profiles.keys().map(String::as_str);
            let near = nearest(name, names.clone().chain([LAB]));
            let there = match names.next() {
                None => "config.toml has none, and lab is built in".to_owned(),
                Some(first) => {
                    let others: Vec<&str> = std::iter::once(first).chain(names).collect();
                    format!("config.toml has {}, and lab is built in", others.join(", "))
                }
            };
            let hint = near.map_or_else(
                || "azir init, which writes a config.toml to begin with".to_owned(),
                |near| format!("--profile {near}"),
            );
            Err(Refusal::usage(
                format!("there is no profile {name}: {there}"),
                hint,
            ))
        }
    }
}

/// Returns what in a profile cannot be meant: found tonight it would stop a run half way.
fn unsound(profile: &Profile) -> Option<String> {
    let no_uuid = |text: &&String| uuid::Uuid::parse_str(text).is_err();
    if let Some(tenant) = profile.tenant.as_ref().filter(no_uuid) {
        return Some(format!(
            "tenant {tenant:?} is no id such as 00000000-0000-0000-0000-000000000000"
        ));
    }
    if let Some(id) = profile.subscriptions.iter().flatten().find(no_uuid) {
        return Some(format!(
            "subscription {id:?} is no id such as 00000000-0000-0000-0000-000000000000"
        ));
    }
    if let Some(range) = profile.bastion.iter().find(|range| !is_range(range)) {
        return Some(format!(
            "bastion {range:?} is no range such as 10.99.0.0/24"
        ));
    }
    let vault = profile.vault.as_ref()?;
    (vault.account.is_none() && vault.id.is_none())
        .then(|| "vault names neither an account nor an id".to_owned())
}

fn is_range(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else {
        return false;
    };
    let most = match address.parse() {
        Ok(std::net::IpAddr::V4(_)) => 32,
        Ok(std::net::IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    bits.parse::<u8>().is_ok_and(|bits| bits <= most)
}

/// Returns an unknown key and the known one that was probably meant, from the parser's
/// "unknown field `x`, expected one of `a`, `b`".
fn meant(message: &str) -> Option<(&str, &str)> {
    let mut words = message
        .strip_prefix("unknown field ")?
        .split('`')
        .skip(1)
        .step_by(2);
    let typed = words.next()?;
    Some((typed, nearest(typed, words)?))
}

/// Returns the profile of the built-in lab.
pub(super) fn lab() -> Profile {
    Profile {
        subscriptions: Some(
            [
                "22222222-2222-4222-8222-222222222222",
                "33333333-3333-4333-8333-333333333333",
            ]
            .map(str::to_owned)
            .to_vec(),
        ),
        bastion: vec!["10.99.0.0/24".to_owned()],
        regions: vec!["westeurope".to_owned()],
        snapshots: Some(Snapshots {
            resource_group: "rg-forensic-prod".to_owned(),
        }),
        quarantine: Some(Quarantine {
            resource_group: "rg-security-prod".to_owned(),
            name: "nsg-ir-quarantine".to_owned(),
        }),
        vault: Some(Vault {
            account: Some("stforensicirprodweu".to_owned()),
            id: None,
            container: "ir-evidence".to_owned(),
        }),
        ..Profile::default()
    }
}

/// What `azir init` writes.
pub(super) const TEMPLATE: &str = r#"# azir's configuration. Unknown keys are errors. `azir doctor` says what is in force.
profile = "prod"

[profiles.prod]
cloud = "AzureCloud"                 # or AzureUSGovernment, AzureChinaCloud, or the URL of a Resource Manager
# tenant = "00000000-0000-0000-0000-000000000000"
# subscriptions = ["00000000-0000-0000-0000-000000000000"]   # nothing outside is ever written to
# regions = ["westeurope"]
# snapshots = { resource_group = "rg-forensic-prod" }        # used where it exists in the disk's subscription
# quarantine = { resource_group = "rg-security-prod", name = "nsg-ir-quarantine" }   # further ones: <name>-<region>
# bastion = ["10.99.0.0/24"]                                 # absent: no allow rule
# vault = { account = "stforensicirprodweu", container = "ir-evidence" }
# time_stamps = ["http://timestamp.digicert.com"]            # RFC 3161, one or two; each stamps a session's last checkpoint
# time_stamp_roots = "tsa-roots.pem"                         # replies that do not verify under these are not kept
# responder = "alice@contoso.com"                            # who answers for runs; default: the token's name
"#;
