//! `config.toml`: profiles by name; unknown keys are errors with their line.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::home::Home;
use super::refusal::Refusal;
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
}

/// What a run without any profile has in the place of its name.
pub(super) const NO_PROFILE: &str = "(none)";

/// The name of the profile of `--lab`, which is built in.
pub(super) const LAB: &str = "lab";

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
        let config: Self = toml::from_str(&text).map_err(|error| {
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
        Ok(config)
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
            Ok((name.to_owned(), profile.clone()))
        } else {
            let names: Vec<&str> = self
                .profiles
                .keys()
                .map(String::as_str)
                .chain([LAB])
                .collect();
            Err(Refusal::usage(
                format!("there is no profile {name}; there are {}", names.join(", ")),
                "azir doctor",
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
# responder = "alice@contoso.com"                            # who answers for runs; default: the token's name
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
