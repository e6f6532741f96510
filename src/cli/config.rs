//! `config.toml`: profiles by name; unknown keys are errors with their line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::home::Home;
use super::refusal::Refusal;
use crate::engine::notify::unsound_mail;
use crate::engine::production::Production;
use crate::engine::profile::{Notify, Profile, Quarantine, Snapshots, Vault};
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
        home.root.join("config.toml")
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
        config.folder.clone_from(&home.root);
        Ok(config)
    }

    /// Returns what exercises must not touch: vaults and subscriptions of every profile that is not for exercises.
    pub(super) fn production(&self) -> Vec<Production> {
        let real = self
            .profiles
            .iter()
            .filter(|(_, profile)| !profile.tabletop);
        real.map(|(name, profile)| Production {
            profile: name.clone(),
            cloud: profile.cloud.clone(),
            vault: profile.vault.clone(),
            subscriptions: profile.subscriptions.clone().unwrap_or_default(),
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

/// Sets members of a profile and leaves everything else in the file as it is, comments included; without a file,
/// begins one as `azir init` does. Returns where it is.
pub(super) fn set(
    home: &Home,
    named: Option<&str>,
    members: &[(&str, &str)],
) -> Result<PathBuf, Refusal> {
    let path = Config::path(home);
    let edit = format!("edit {}", path.display());
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => TEMPLATE.to_owned(),
        other => other.map_err(|error| {
            Refusal::usage(format!("cannot read {}: {error}", path.display()), &edit)
        })?,
    };
    let name = match named {
        Some(name) => name.to_owned(),
        None => toml::from_str::<Config>(&text)
            .ok()
            .and_then(|config| config.profile)
            .ok_or_else(|| {
                Refusal::usage(
                    format!("{} names no profile to use", path.display()),
                    "azir key set KEY --profile NAME",
                )
            })?,
    };
    if name == LAB {
        return Err(Refusal::usage(
            "the profile lab is built in and cannot be changed",
            "export AZIR_KEY=FILE, which holds for the lab too",
        ));
    }
    let changed = with(&text, &name, members)
        .map_err(|why| Refusal::usage(format!("{}: {why}", path.display()), &edit))?;
    // Where the name is a link, what it leads to is changed.
    let path = std::fs::canonicalize(&path).unwrap_or(path);
    let unnamed = path.with_extension(format!("toml.{}", std::process::id()));
    std::fs::write(&unnamed, changed)
        .and_then(|()| std::fs::rename(&unnamed, &path))
        .map_err(|error| {
            Refusal::record(
                format!("cannot write {}: {error}", path.display()),
                "export AZIR_HOME=/path/to/a/writable/folder",
            )
        })?;
    Ok(path)
}

fn with(text: &str, profile: &str, members: &[(&str, &str)]) -> Result<String, String> {
    let mut document: toml_edit::DocumentMut = text.parse().map_err(|error| format!("{error}"))?;
    let table = document
        .get_mut("profiles")
        .and_then(|profiles| profiles.get_mut(profile))
        .and_then(toml_edit::Item::as_table_like_mut)
        .ok_or_else(|| format!("it has no profile {profile}"))?;
    for (name, value) in members {
        match table.get_mut(name).and_then(toml_edit::Item::as_value_mut) {
            // The comment beside a value stays.
            Some(old) => {
                let decor = old.decor().clone();
                *old = (*value).into();
                *old.decor_mut() = decor;
            }
            None => {
                table.insert(name, toml_edit::value(*value));
            }
        }
    }
    Ok(document.to_string())
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
    if let Some(why) = profile.notify.iter().find_map(unsound_channel) {
        return Some(why);
    }
    let vault = profile.vault.as_ref()?;
    (vault.account.is_none() && vault.id.is_none())
        .then(|| "vault names neither an account nor an id".to_owned())
}

/// Returns what in a channel cannot be meant. What stands where a variable's name should is not repeated: it may be the
/// secret itself.
fn unsound_channel(channel: &Notify) -> Option<String> {
    let is_name = |text: &str| {
        let letters = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        letters && text.len() <= 64 && text.chars().next().is_some_and(|c| !c.is_ascii_digit())
    };
    if channel.variables().into_iter().any(|name| !is_name(name)) {
        return Some(
            "notify: a member that ends in _env is the name of an environment variable, as AZIR_TEAMS_URL, never its worth"
                .to_owned(),
        );
    }
    match channel {
        Notify::Smtp(mail) => {
            unsound_mail(mail).map(|why| format!("notify smtp {}: {why}", mail.host))
        }
        _ => None,
    }
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
# break_glass = ["bg01@contoso.onmicrosoft.com"]             # by principal name or object id: refused as targets
# responder = "alice@contoso.com"                            # who answers for runs; default: the token's name
# notify = [{ kind = "teams", url_env = "AZIR_TEAMS_URL" }]   # also pagerduty, smtp; secrets stand in the environment
# key = "~/.ssh/id_ed25519"                                  # signs the record; or "agent", "agent:SHA256:..." (azir key set)
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_a_member_leaves_the_rest_of_the_file_alone() {
        let text = "# ours\nprofile = \"a\"\n\n[profiles.a]\nkey = \"old\"   # why\nvault = { account = \"x\" }\n[profiles.b]\n";
        let changed = with(text, "a", &[("key", "~/new"), ("responder", "a@b")]).unwrap();
        assert_eq!(
            changed,
            "# ours\nprofile = \"a\"\n\n[profiles.a]\nkey = \"~/new\"   # why\nvault = { account = \"x\" }\nresponder = \"a@b\"\n[profiles.b]\n"
        );
        assert!(with(text, "c", &[]).is_err());
        assert!(with("profile =", "a", &[]).is_err());
        let begun = with(TEMPLATE, "prod", &[("key", "agent")]).unwrap();
        assert!(
            toml::from_str::<Config>(&begun).unwrap().profiles["prod"]
                .key
                .as_deref()
                == Some("agent")
        );
    }
}
