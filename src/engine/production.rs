//! Exercises stay out of the real evidence: a guard that looks at names, before anything is sent.
//!
//! A drill, the lab, and whatever a tabletop profile does must not write where a profile of production keeps its
//! evidence. The account may be named by its name or its id, in any case; a cloud that may be the same counts as the
//! same. What runs on this machine is in no cloud: its client sends nothing to other machines' accounts.

use super::error::EngineError;
use super::profile::{Profile, Vault};
use super::run::Engine;
use crate::azure::Cloud;
use crate::ids::ArmId;

/// The name of the lab's own profile.
pub const LAB: &str = "lab";

/// A vault that a profile of production names.
#[derive(Clone, Debug, PartialEq)]
pub struct Production {
    /// The profile.
    pub profile: String,
    /// Its cloud, where it names one.
    pub cloud: Option<String>,
    /// Its vault.
    pub vault: Vault,
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
        same_container(&real.vault, vault) && may_be_same(cloud, real.cloud.as_deref())
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

fn same_container(one: &Vault, other: &Vault) -> bool {
    let account = |vault: &Vault| {
        let id = vault
            .id
            .as_deref()
            .map(|id| ArmId::name_of(id.trim_end_matches('/')));
        id.or(vault.account.as_deref())
            .map(|name| name.trim().to_ascii_lowercase())
    };
    let container = |vault: &Vault| {
        vault
            .container
            .trim()
            .trim_matches('/')
            .to_ascii_lowercase()
    };
    account(one).is_some() && account(one) == account(other) && container(one) == container(other)
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
            vault: real.clone(),
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
