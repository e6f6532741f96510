//! Exercises stay out of production: a guard that looks at names, before anything is sent.
//!
//! A drill, the lab, and whatever a tabletop profile does must not write where a profile of production keeps its
//! evidence. The account may be named by its name or its id, in any case; a cloud that may be the same counts as the
//! same. What runs on this machine is in no cloud: its client sends nothing to other machines' accounts.
//!
//! A drill that builds something does so in the subscriptions of a profile that is marked `tabletop = true`, and in
//! none that a profile of production lists too. What it is given then is a [`Fence`], by which the client itself
//! refuses every write outside of them.

use std::sync::Arc;

use super::error::EngineError;
use super::profile::{Profile, Vault};
use super::run::Engine;
use crate::azure::{Cloud, Fence};
use crate::ids::ArmId;

/// The name of the lab's own profile.
pub const LAB: &str = "lab";

/// What a profile of production names, and exercises must not touch.
#[derive(Clone, Debug, PartialEq)]
pub struct Production {
    /// The profile.
    pub profile: String,
    /// Its cloud, where it names one.
    pub cloud: Option<String>,
    /// Its vault, where it has one.
    pub vault: Option<Vault>,
    /// Its subscriptions, where it lists them.
    pub subscriptions: Vec<String>,
}

/// Returns the subscriptions in which a drill may build, tear down and act, in lower case and each once.
///
/// # Errors
/// The guard's refusal: a profile that is not for exercises, or lists no subscriptions; a subscription or a vault that a
/// profile of production names too.
pub fn exercise(
    name: &str,
    profile: &Profile,
    cloud: &Cloud,
    production: &[Production],
) -> Result<Vec<String>, EngineError> {
    if !profile.tabletop {
        return Err(no_place(format!(
            "profile {name} is not marked tabletop = true in config.toml, so a drill must not write to its subscriptions"
        )));
    }
    let mut own: Vec<String> = profile
        .subscriptions
        .iter()
        .flatten()
        .map(|id| id.trim().to_ascii_lowercase())
        .filter(|id| !id.is_empty())
        .collect();
    own.sort();
    own.dedup();
    if own.is_empty() {
        return Err(no_place(format!(
            "profile {name} lists no subscriptions in config.toml, and a drill writes to none that it does not list"
        )));
    }
    let real = |id: &str| {
        production.iter().find(|real| {
            let mut listed = real.subscriptions.iter();
            listed.any(|listed| listed.trim().eq_ignore_ascii_case(id))
        })
    };
    if let Some((id, real)) = own.iter().find_map(|id| Some((id, real(id)?))) {
        return Err(no_place(format!(
            "subscription {id} of profile {name} is one of profile {} too, which is not for exercises",
            real.profile
        )));
    }
    let vault = profile.vault.as_ref().and_then(|vault| vault.id.as_deref());
    let lies_in = vault.and_then(|id| id.parse::<ArmId>().ok());
    let lies_in = lies_in.as_ref().and_then(ArmId::subscription);
    if let Some((id, real)) = lies_in.and_then(|id| Some((id, real(id)?))) {
        return Err(no_place(format!(
            "the vault of profile {name} lies in subscription {id} of profile {}, which is not for exercises",
            real.profile
        )));
    }
    keep_out(true, (name, profile), cloud, production)?;
    Ok(own)
}

/// Returns the fence of a drill: its subscriptions, the profile's own vault, and none of production's.
///
/// # Errors
/// As [`exercise`].
pub fn fence(
    name: &str,
    profile: &Profile,
    cloud: &Cloud,
    production: &[Production],
) -> Result<Arc<Fence>, EngineError> {
    let mut fence = Fence::new(exercise(name, profile, cloud, production)?);
    for real in production {
        let same = may_be_same(cloud, real.cloud.as_deref());
        let vault = real.vault.as_ref().filter(|_| same);
        let account = vault.and_then(|vault| Some((account_of(vault)?, vault)));
        if let Some((account, vault)) = account {
            fence = fence.keeping_out_of(&account, &vault.container);
        }
    }
    match &profile.vault {
        Some(Vault { id: Some(id), .. }) => fence.allow_account(id),
        Some(Vault {
            account: Some(account),
            container,
            ..
        }) => {
            let endpoint = cloud.blob_endpoint(account);
            endpoint
                .and_then(|endpoint| fence.allow_host(&format!("{endpoint}/{container}")))
                .map_err(|error| EngineError::cloud(&error))?;
        }
        _ => {}
    }
    Ok(Arc::new(fence))
}

fn no_place(why: String) -> EngineError {
    EngineError::Refused {
        code: "guard",
        message: format!("{why}; no write was sent"),
        target: None,
        hint: "azir drill start SCENARIO --lab, or name a profile with tabletop = true and subscriptions of its own with --profile".to_owned(),
    }
}

impl Engine {
    /// Refuses an exercise whose vault is one of production.
    pub(crate) fn keep_out_of_production(&self, drill: bool) -> Result<(), EngineError> {
        let own = (self.profile_name.as_str(), &self.profile);
        keep_out(drill, own, self.client.cloud(), &self.production)
    }
}

/// Refuses what is no real incident the container of a profile that keeps real evidence.
///
/// # Errors
/// The guard's refusal, with the profile whose container it is.
pub(crate) fn keep_out(
    drill: bool,
    (name, profile): (&str, &Profile),
    cloud: &Cloud,
    production: &[Production],
) -> Result<(), EngineError> {
    let spared = profile.tabletop || name == LAB;
    let (true, Some(vault)) = (drill || spared, &profile.vault) else {
        return Ok(());
    };
    let real = production.iter().find(|real| {
        let same = |real: &Vault| same_container(real, vault);
        real.vault.as_ref().is_some_and(same) && may_be_same(cloud, real.cloud.as_deref())
    });
    // A drill with a profile of production needs no second one to be wrong.
    let of = (!spared).then_some(name);
    let Some(of) = of.or(real.map(|real| real.profile.as_str())) else {
        return Ok(());
    };
    let what = if drill { "a drill" } else { "an exercise" };
    Err(EngineError::Refused {
        code: "guard",
        message: format!(
            "{what} must not write to {}, where profile {of} keeps its evidence; no write was sent",
            vault.shown()
        ),
        target: None,
        hint: "give a profile with tabletop = true a vault of its own in config.toml, and name it with --profile".to_owned(),
    })
}

/// Returns the name of a vault's account, in lower case.
fn account_of(vault: &Vault) -> Option<String> {
    let id = vault
        .id
        .as_deref()
        .map(|id| ArmId::name_of(id.trim_end_matches('/')));
    id.or(vault.account.as_deref())
        .map(|name| name.trim().to_ascii_lowercase())
}

fn same_container(one: &Vault, other: &Vault) -> bool {
    let container = |vault: &Vault| {
        vault
            .container
            .trim()
            .trim_matches('/')
            .to_ascii_lowercase()
    };
    account_of(one).is_some()
        && account_of(one) == account_of(other)
        && container(one) == container(other)
}

/// Whether a profile's cloud may be the one that is connected. One that is reached by another address may be.
fn may_be_same(connected: &Cloud, named: Option<&str>) -> bool {
    let Some(named) = named else {
        return !connected.is_on_this_machine();
    };
    if let Some(known) = Cloud::builtin(named) {
        let both = Cloud::builtin(&connected.name).is_some();
        return !connected.is_on_this_machine() && (!both || known.name == connected.name);
    }
    Cloud::names_this_machine(named) == connected.is_on_this_machine()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(account: Option<&str>, id: Option<&str>, container: &str) -> Vault {
        Vault {
            account: account.map(str::to_owned),
            id: id.map(str::to_owned),
            container: container.to_owned(),
        }
    }

    #[test]
    fn a_container_is_known_by_name_and_id_in_any_case() {
        let real = vault(Some("stforensicprod"), None, "ir-evidence");
        let id = "/subscriptions/S/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/STForensicProd/";
        for same in [
            vault(Some("StForensicProd"), None, "IR-evidence"),
            vault(None, Some(id), "ir-evidence"),
            vault(Some("other"), Some(id), "ir-evidence"),
        ] {
            assert!(
                same_container(&real, &same) && same_container(&same, &real),
                "{same:?}"
            );
        }
        for other in [
            vault(Some("stforensicprod"), None, "drills"),
            vault(Some("sttabletop"), None, "ir-evidence"),
            vault(None, None, "ir-evidence"),
        ] {
            assert!(!same_container(&real, &other), "{other:?}");
        }
    }

    #[test]
    fn drills_and_the_lab_are_kept_out_and_production_is_not() {
        let azure = Cloud::builtin("AzureCloud").unwrap();
        let real = vault(Some("stprod"), None, "ir-evidence");
        let production = [Production {
            profile: "prod".to_owned(),
            cloud: Some("AzureCloud".to_owned()),
            vault: Some(real.clone()),
            subscriptions: Vec::new(),
        }];
        let of = |name: &str, tabletop: bool, vault: &Vault, drill: bool| {
            let profile = Profile {
                vault: Some(vault.clone()),
                tabletop,
                ..Profile::default()
            };
            keep_out(drill, (name, &profile), &azure, &production)
        };
        let own = vault(Some("sttabletop"), None, "ir-evidence");
        let dressed_up = vault(
            None,
            Some(
                "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/STPROD",
            ),
            "IR-EVIDENCE",
        );
        for (name, tabletop, vault, drill) in [
            (LAB, false, &real, false),
            (LAB, false, &dressed_up, false),
            ("tabletop", true, &real, true),
            ("tabletop", true, &dressed_up, true),
            ("tabletop", true, &dressed_up, false),
            ("prod", false, &real, true),
            ("prod", false, &own, true),
        ] {
            let refused = of(name, tabletop, vault, drill).unwrap_err();
            assert_eq!(
                (refused.code(), refused.exit_code()),
                ("guard", 5),
                "{name}"
            );
        }
        for (name, tabletop, vault, drill) in [
            ("prod", false, &real, false),
            ("tabletop", true, &own, true),
            (LAB, false, &own, false),
        ] {
            assert!(of(name, tabletop, vault, drill).is_ok(), "{name}");
        }
        // A run without a vault writes to none.
        assert!(keep_out(true, ("x", &Profile::default()), &azure, &production).is_ok());
    }

    #[test]
    fn a_drill_builds_in_subscriptions_that_only_a_profile_for_exercises_lists() {
        let azure = Cloud::builtin("AzureCloud").unwrap();
        let production = [Production {
            profile: "prod".to_owned(),
            cloud: Some("AzureUSGovernment".to_owned()),
            vault: None,
            subscriptions: vec!["AAAA".to_owned()],
        }];
        let of = |profile: &Profile| exercise("drills", profile, &azure, &production);
        let good = Profile {
            tabletop: true,
            subscriptions: Some(vec![
                "BBBB".to_owned(),
                " bbbb ".to_owned(),
                "cccc".to_owned(),
            ]),
            ..Profile::default()
        };
        assert_eq!(of(&good).unwrap(), ["bbbb", "cccc"]);
        let in_production =
            "/subscriptions/aaaa/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/st";
        let changed = |change: &dyn Fn(&mut Profile)| {
            let mut profile = good.clone();
            change(&mut profile);
            profile
        };
        for (bad, why) in [
            (
                changed(&|profile| profile.tabletop = false),
                "not marked tabletop",
            ),
            (
                changed(&|profile| profile.subscriptions = None),
                "lists no subscriptions",
            ),
            (
                changed(&|profile| profile.subscriptions = Some(vec![" ".to_owned()])),
                "lists no subscriptions",
            ),
            (
                changed(&|profile| {
                    profile.subscriptions = Some(vec!["cccc".to_owned(), "aAaA".to_owned()]);
                }),
                "one of profile prod",
            ),
            (
                changed(&|profile| profile.vault = Some(vault(None, Some(in_production), "x"))),
                "lies in subscription aaaa",
            ),
        ] {
            let refused = of(&bad).unwrap_err();
            assert_eq!((refused.code(), refused.exit_code()), ("guard", 5), "{why}");
            assert!(refused.message().contains(why), "{}", refused.message());
            assert!(
                refused.hint().starts_with("azir drill start"),
                "{}",
                refused.hint()
            );
        }
    }

    #[test]
    fn only_a_cloud_that_is_surely_another_is_another() {
        let azure = Cloud::builtin("AzureCloud").unwrap();
        let mut local = azure.clone();
        "lab".clone_into(&mut local.name);
        local.arm = "https://127.0.0.1:8443".parse().unwrap();
        for (named, in_azure, on_this_machine) in [
            (None, true, false),
            (Some("AzureCloud"), true, false),
            (Some("AzureUSGovernment"), false, false),
            (Some("https://westeurope.management.azure.com"), true, false),
            (Some("https://localhost:8443"), false, true),
        ] {
            assert_eq!(may_be_same(&azure, named), in_azure, "{named:?}");
            assert_eq!(may_be_same(&local, named), on_this_machine, "{named:?}");
        }
    }
}
