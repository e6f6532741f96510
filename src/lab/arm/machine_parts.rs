//! The parts of a new machine that stand by themselves: its size, its image, and the profile of its operating system
//! (arm.md section 2.1; "Virtual Machines - Create Or Update"; "Sizes"; "Password requirements").

use serde_json::{Map, Value, json};

use super::only_members;
use crate::lab::reply::{Reply, arm_error, not_modelled};

const OS_PROFILE: &[&str] = &[
    "adminPassword",
    "adminUsername",
    "allowExtensionOperations",
    "computerName",
    "customData",
    "linuxConfiguration",
    "requireGuestProvisionSignal",
    "secrets",
];
/// Sizes with the most interfaces and data disks that each has ("Sizes for virtual machines in Azure").
const SIZES: &[(&str, usize, usize)] = &[
    ("Standard_B1ls", 2, 2),
    ("Standard_B1s", 2, 2),
    ("Standard_B2ms", 3, 4),
    ("Standard_B2s", 3, 4),
    ("Standard_B2ts_v2", 2, 4),
    ("Standard_D2s_v5", 2, 4),
];
/// Images with what they are named by and the size of their disk in GB.
const IMAGES: &[([&str; 3], u64)] = &[
    (
        [
            "Canonical",
            "0001-com-ubuntu-server-jammy",
            "22_04-lts-gen2",
        ],
        30,
    ),
    (["Canonical", "ubuntu-24_04-lts", "server"], 30),
    (["Debian", "debian-12", "12-gen2"], 30),
];

pub(super) fn size(profile: &Value) -> Result<(&'static str, usize, usize), Reply> {
    only_members(profile, &["vmSize"], "HardwareProfile")?;
    let Some(wanted) = profile["vmSize"].as_str() else {
        return Err(missing("hardwareProfile.vmSize"));
    };
    let known = SIZES
        .iter()
        .find(|(name, ..)| name.eq_ignore_ascii_case(wanted));
    known
        .copied()
        .ok_or_else(|| not_modelled(&format!("machines of size {wanted}")))
}

/// Returns an image reference as it is shown, and the size of its disk in GB.
pub(super) fn image(given: &Value) -> Result<(Value, u64), Reply> {
    only_members(
        given,
        &["offer", "publisher", "sku", "version"],
        "ImageReference",
    )?;
    let named = ["publisher", "offer", "sku"].map(|name| given[name].as_str().unwrap_or_default());
    let Some((_, size)) = IMAGES.iter().find(|(known, _)| {
        std::iter::zip(known, named).all(|(known, given)| known.eq_ignore_ascii_case(given))
    }) else {
        return Err(not_modelled(&format!("the image {}", named.join(":"))));
    };
    let version = given["version"].as_str().unwrap_or_default();
    if version != "latest" {
        let message = format!(
            "The platform image '{}:{version}' is not available. Verify that all fields in the storage profile are correct.",
            named.join(":")
        );
        return Err(arm_error(404, "PlatformImageNotFound", &message));
    }
    let mut shown = given.clone();
    shown["exactVersion"] = json!("1.0.20260101");
    Ok((shown, *size))
}

/// Returns the profile of the operating system without its secrets, which no answer ever shows.
pub(super) fn os_profile(given: &Value) -> Result<Value, Reply> {
    only_members(given, OS_PROFILE, "OSProfile")?;
    let linux = &given["linuxConfiguration"];
    only_members(
        linux,
        &[
            "disablePasswordAuthentication",
            "patchSettings",
            "provisionVMAgent",
            "ssh",
        ],
        "LinuxConfiguration",
    )?;
    for name in ["computerName", "adminUsername"] {
        if given[name].as_str().is_none_or(str::is_empty) {
            return Err(missing(&format!("osProfile.{name}")));
        }
    }
    let keys = linux["ssh"]["publicKeys"].as_array();
    let keys = keys.map(Vec::as_slice).unwrap_or_default();
    let is_key = |key: &Value| {
        let text = key["keyData"].as_str().unwrap_or_default();
        let mut words = text.split(' ');
        matches!(words.next(), Some("ssh-rsa" | "ssh-ed25519"))
            && words.next().is_some_and(|word| word.len() > 40)
    };
    if !keys.iter().all(is_key) {
        return Err(invalid(
            "The value of parameter linuxConfiguration.ssh.publicKeys.keyData is invalid.",
        ));
    }
    if linux["disablePasswordAuthentication"] == true {
        if keys.is_empty() {
            return Err(invalid(
                "Authentication using either SSH or by user name and password must be enabled in Linux profile.",
            ));
        }
    } else if given["adminPassword"].as_str().is_none_or(weak) {
        let message = "The supplied password must be between 6-72 characters long and must satisfy at least 3 of password complexity requirements.";
        return Err(invalid(message));
    }
    let mut shown: Map<String, Value> = given.as_object().cloned().unwrap_or_default();
    for secret in ["adminPassword", "customData"] {
        shown.shift_remove(secret);
    }
    shown.insert("secrets".to_owned(), json!([]));
    Ok(Value::Object(shown))
}

fn weak(password: &str) -> bool {
    let kinds: [fn(char) -> bool; 4] = [
        |c| c.is_ascii_lowercase(),
        |c| c.is_ascii_uppercase(),
        |c| c.is_ascii_digit(),
        |c| !c.is_ascii_alphanumeric(),
    ];
    let used = kinds.iter().filter(|kind| password.chars().any(**kind));
    !(6..=72).contains(&password.chars().count()) || used.count() < 3
}

pub(super) fn missing(parameter: &str) -> Reply {
    invalid(&format!(
        "Required parameter '{parameter}' is missing (null)."
    ))
}

pub(super) fn invalid(message: &str) -> Reply {
    arm_error(400, "InvalidParameter", message)
}
