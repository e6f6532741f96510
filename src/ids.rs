//! Names that come from outside, parsed once at the edge: ARM resource ids, incident ids.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// An Azure Resource Manager id, as `/subscriptions/S/resourceGroups/G/providers/NS/TYPE/NAME[/TYPE/NAME...]`.
///
/// Keeps the casing it was given, compares and hashes without regard to it (arm.md section 1.3:
/// the service returns ids with arbitrary casing). Holds no `?`, `#`, `..` or empty segment.
#[derive(Clone)]
pub struct ArmId {
    text: String,
}

/// The text is not an ARM resource id.
#[derive(Debug, thiserror::Error)]
#[error("not an ARM resource id: {text:?}: {reason}")]
pub struct NotAnArmId {
    /// The text refused, cut to 200 characters.
    pub text: String,
    /// Which rule it breaks.
    pub reason: &'static str,
}

impl ArmId {
    /// Returns the id as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the id in lower case, for use as a key.
    pub fn key(&self) -> String {
        self.text.to_ascii_lowercase()
    }

    /// Returns the subscription's id, where the resource lies in one.
    pub fn subscription(&self) -> Option<&str> {
        self.after("subscriptions")
    }

    /// Returns the resource group's name, where the resource lies in one.
    pub fn resource_group(&self) -> Option<&str> {
        self.after("resourceGroups")
    }

    /// Returns the full type, as `Microsoft.Compute/virtualMachines` or `Microsoft.Network/virtualNetworks/subnets`.
    pub fn resource_type(&self) -> String {
        let segments: Vec<&str> = self.segments().collect();
        // Every other segment is a name, and a thing may be named "providers".
        let Some(at) = (0..segments.len())
            .step_by(2)
            .rfind(|at| segments[*at].eq_ignore_ascii_case("providers"))
        else {
            return match segments.len() {
                2 => "Microsoft.Resources/subscriptions".into(),
                _ => "Microsoft.Resources/subscriptions/resourceGroups".into(),
            };
        };
        let tail = &segments[at + 1..];
        let types = tail.iter().skip(1).step_by(2);
        tail.iter()
            .take(1)
            .chain(types)
            .copied()
            .collect::<Vec<_>>()
            .join("/")
    }

    /// Returns the last segment.
    pub fn name(&self) -> &str {
        self.text.rsplit('/').next().unwrap_or_default()
    }

    /// Returns the last segment of a text that may be an id: what a person calls the thing.
    pub fn name_of(text: &str) -> &str {
        text.rsplit('/').next().unwrap_or(text)
    }

    /// Returns the id less its last type and name: of a subnet its network; `None` at the top.
    pub fn parent(&self) -> Option<Self> {
        let mut cut = self.text.rsplitn(3, '/');
        let text = cut.nth(2)?;
        text.parse().ok()
    }

    fn segments(&self) -> impl Iterator<Item = &str> {
        self.text.split('/').skip(1)
    }

    fn after(&self, keyword: &str) -> Option<&str> {
        let mut segments = self.segments();
        while let Some(kind) = segments.next() {
            let name = segments.next();
            if kind.eq_ignore_ascii_case(keyword) {
                return name;
            }
        }
        None
    }
}

impl FromStr for ArmId {
    type Err = NotAnArmId;

    fn from_str(text: &str) -> Result<Self, NotAnArmId> {
        let refuse = |reason| {
            Err(NotAnArmId {
                text: text.chars().take(200).collect(),
                reason,
            })
        };
        let trimmed = text.strip_suffix('/').unwrap_or(text);
        let Some(path) = trimmed.strip_prefix('/') else {
            return refuse("it does not begin with /");
        };
        if trimmed.len() > 2048 {
            return refuse("it is longer than 2048 bytes");
        }
        let segments: Vec<&str> = path.split('/').collect();
        if segments
            .iter()
            .any(|segment| matches!(*segment, "" | "." | ".."))
        {
            return refuse("it has an empty or relative segment");
        }
        if path
            .chars()
            .any(|c| c.is_control() || matches!(c, '?' | '#' | '%' | '\\' | '<' | '>' | '"' | '&'))
        {
            return refuse("it has a character that no id has");
        }
        if !segments.len().is_multiple_of(2) {
            return refuse("its segments do not pair up as type and name");
        }
        let first = segments[0].to_ascii_lowercase();
        if first != "subscriptions" && first != "providers" {
            return refuse("it begins with neither /subscriptions/ nor /providers/");
        }
        Ok(Self {
            text: trimmed.to_owned(),
        })
    }
}

impl fmt::Display for ArmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for ArmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for ArmId {
    fn eq(&self, other: &Self) -> bool {
        self.text.eq_ignore_ascii_case(&other.text)
    }
}

impl Eq for ArmId {}

impl Hash for ArmId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

/// The name of a case: `[A-Za-z0-9][A-Za-z0-9._-]{0,63}` (JOURNAL.md, "On disk").
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct IncidentId(String);

/// The text cannot name an incident.
#[derive(Debug, thiserror::Error)]
#[error(
    "not an incident id: {0:?}: it must begin with a letter or digit and hold at most 64 letters, digits, '.', '_' or '-'"
)]
pub struct NotAnIncidentId(pub String);

impl IncidentId {
    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IncidentId {
    type Err = NotAnIncidentId;

    fn from_str(text: &str) -> Result<Self, NotAnIncidentId> {
        let good = (1..=64).contains(&text.len())
            && text.as_bytes()[0].is_ascii_alphanumeric()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAnIncidentId(text.chars().take(80).collect()))
        }
    }
}

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VM: &str =
        "/subscriptions/S1/resourceGroups/rg-app/providers/Microsoft.Compute/virtualMachines/vm-1";

    #[test]
    fn a_name_may_be_any_word() {
        let group: ArmId = "/subscriptions/s/resourceGroups/providers".parse().unwrap();
        assert_eq!(
            group.resource_type(),
            "Microsoft.Resources/subscriptions/resourceGroups"
        );
        let odd: ArmId = "/subscriptions/resourceGroups/resourceGroups/g/providers/A.B/c/providers"
            .parse()
            .unwrap();
        assert_eq!(odd.resource_type(), "A.B/c");
        assert_eq!(odd.resource_group(), Some("g"));
    }

    #[test]
    fn arm_id_gives_its_parts_and_ignores_case() {
        let id: ArmId = VM.parse().unwrap();
        assert_eq!(id.subscription(), Some("S1"));
        assert_eq!(id.resource_group(), Some("rg-app"));
        assert_eq!(id.resource_type(), "Microsoft.Compute/virtualMachines");
        assert_eq!(id.name(), "vm-1");
        assert_eq!(id, VM.to_uppercase().parse().unwrap());
        let subnet: ArmId =
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/v/subnets/a"
                .parse()
                .unwrap();
        assert_eq!(
            subnet.resource_type(),
            "Microsoft.Network/virtualNetworks/subnets"
        );
        assert_eq!(subnet.parent().unwrap().name(), "v");
    }

    #[test]
    fn arm_id_refuses_what_could_become_another_request() {
        for bad in [
            "",
            "vm-1",
            "/subscriptions/s/../x",
            "/subscriptions/s?x=1/y/z",
            "/subscriptions//a",
            "/subscriptions/s/resourceGroups",
            "/etc/passwd",
            "/subscriptions/s%2f/resourceGroups/g",
        ] {
            assert!(bad.parse::<ArmId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn incident_id_is_a_safe_folder_name() {
        assert!("IR-2026-0042".parse::<IncidentId>().is_ok());
        for bad in ["", ".x", "-x", "a/b", "a b", "ä", &"a".repeat(65)] {
            assert!(bad.parse::<IncidentId>().is_err(), "{bad}");
        }
    }
}
