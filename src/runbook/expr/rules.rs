//! Security rules, whatever form they come in: of an NSG, or of the platform's effective rules.
//!
//! What cannot be read is not left out: an unreadable rule may be the one that lets the attacker through.

use std::net::IpAddr;

use serde_json::Value;

use crate::runbook::params::cidr;

/// The port that is asked about when a bastion must get in.
const SSH: u16 = 22;

/// One rule.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) priority: i64,
    pub(super) inbound: bool,
    pub(super) allow: bool,
    /// In lower case.
    protocol: String,
    /// Whether it speaks of application security groups, whose members are not known here.
    groups: bool,
    pub(super) sources: Vec<String>,
    source_ports: Vec<String>,
    pub(super) destinations: Vec<String>,
    pub(super) ports: Vec<String>,
}

/// Returns the rules of an NSG, its own and the platform's default ones, the first to be judged first.
pub(super) fn of_nsg(nsg: &Value) -> Result<Vec<Rule>, String> {
    let own = list(nsg, "properties.securityRules")?;
    let default = list(nsg, "properties.defaultSecurityRules")?;
    let rules = own
        .iter()
        .chain(default)
        .map(|rule| read(rule, rule.get("properties").unwrap_or(&Value::Null)));
    Ok(sorted(rules.collect::<Result<_, _>>()?))
}

/// Returns the rules of one element of the effective rules.
pub(super) fn effective(group: &Value) -> Result<Vec<Rule>, String> {
    let rules = list(group, "effectiveSecurityRules")?;
    Ok(sorted(
        rules
            .iter()
            .map(|rule| read(rule, rule).map(Rule::unfolded))
            .collect::<Result<_, _>>()?,
    ))
}

/// Whether a range gets in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Reach {
    /// It does.
    In,
    /// A rule keeps it out; `none` where no rule speaks of it.
    Out(String),
    /// A rule in front speaks of addresses that are not known here, such as a service tag.
    Undecided(String),
}

/// Returns whether `range` gets in to port 22 by TCP, as far as the rules alone say.
pub(super) fn reach(rules: &[Rule], range: &str) -> Reach {
    for rule in rules.iter().filter(|rule| rule.speaks_of_ssh()) {
        if any_address(&rule.sources) || rule.sources.iter().any(|source| within(range, source)) {
            return match (rule.groups, rule.allow) {
                (true, _) => Reach::Undecided(rule.name.clone()),
                (false, true) => Reach::In,
                (false, false) => Reach::Out(rule.name.clone()),
            };
        }
        if rule.sources.iter().any(|source| may_hold(source, range)) {
            return Reach::Undecided(rule.name.clone());
        }
    }
    Reach::Out("none".to_owned())
}

/// Whether `source` may hold addresses of `range`: a part of it, or a name whose addresses are not known.
fn may_hold(source: &str, range: &str) -> bool {
    parts(source).is_none() || within(source, range)
}

fn list<'v>(value: &'v Value, path: &str) -> Result<&'v [Value], String> {
    match crate::json::member(value, path) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(_) => Err(format!("{path} is no list")),
    }
}

fn sorted(mut rules: Vec<Rule>) -> Vec<Rule> {
    rules.sort_by_key(|rule| rule.priority);
    rules
}

fn read(named: &Value, rule: &Value) -> Result<Rule, String> {
    let name = crate::ids::ArmId::name_of(
        named
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or("without a name"),
    )
    .to_owned();
    let word = |member: &str| {
        rule.get(member)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_lowercase()
    };
    let priority = rule
        .get("priority")
        .and_then(Value::as_i64)
        .ok_or_else(|| format!("rule {name} has no priority"))?;
    let inbound = match word("direction").as_str() {
        "inbound" => true,
        "outbound" => false,
        other => return Err(format!("rule {name} has the direction {other:?}")),
    };
    let filled = |member: &str| {
        rule.get(member)
            .and_then(Value::as_array)
            .is_some_and(|items| !items.is_empty())
    };
    Ok(Rule {
        priority,
        inbound,
        // Anything that is not plainly a denial is feared to allow.
        allow: word("access") != "deny",
        protocol: word("protocol"),
        groups: filled("sourceApplicationSecurityGroups")
            || filled("destinationApplicationSecurityGroups"),
        sources: texts(
            rule,
            &[
                "sourceAddressPrefix",
                "sourceAddressPrefixes",
                "expandedSourceAddressPrefix",
            ],
        ),
        source_ports: texts(rule, &["sourcePortRange", "sourcePortRanges"]),
        destinations: texts(
            rule,
            &[
                "destinationAddressPrefix",
                "destinationAddressPrefixes",
                "expandedDestinationAddressPrefix",
            ],
        ),
        ports: texts(rule, &["destinationPortRange", "destinationPortRanges"]),
        name,
    })
}

/// Returns the texts of members that the service gives in the singular or the plural.
fn texts(rule: &Value, names: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for name in names {
        match rule.get(*name) {
            Some(Value::String(text)) if !text.is_empty() => found.push(text.clone()),
            Some(Value::Array(items)) => {
                found.extend(items.iter().filter_map(Value::as_str).map(str::to_owned));
            }
            _ => {}
        }
    }
    found
}

fn any_address(prefixes: &[String]) -> bool {
    let has = |wanted: &str| prefixes.iter().any(|prefix| prefix == wanted);
    prefixes
        .iter()
        .any(|prefix| prefix == "*" || prefix.eq_ignore_ascii_case("any"))
        || (has("0.0.0.0/0") && has("::/0"))
}

fn any_port(ranges: &[String]) -> bool {
    ranges
        .iter()
        .any(|range| matches!(range.as_str(), "*" | "0-65535"))
}

impl Rule {
    fn any_protocol(&self) -> bool {
        matches!(self.protocol.as_str(), "*" | "all")
    }

    /// Takes a rule of the effective list back to what was written: there, any address stands as 0.0.0.0/0.
    ///
    /// Whether a rule is for IPv4 alone is judged where it is written, at the NSG itself ("Diagnose a virtual
    /// machine network traffic filter problem" shows the list's form).
    fn unfolded(mut self) -> Self {
        for prefixes in [&mut self.sources, &mut self.destinations] {
            if prefixes.iter().any(|prefix| prefix == "0.0.0.0/0") {
                prefixes.push("*".to_owned());
            }
        }
        self
    }

    /// Whether it is asked about SSH that comes in.
    fn speaks_of_ssh(&self) -> bool {
        let port = |range: &String| match range.split_once('-') {
            Some((first, last)) => {
                first.parse().is_ok_and(|first: u16| first <= SSH)
                    && last.parse().is_ok_and(|last: u16| last >= SSH)
            }
            None => range == "*" || range.parse() == Ok(SSH),
        };
        self.inbound
            && (self.any_protocol() || self.protocol == "tcp")
            && self.ports.iter().any(port)
    }

    /// Whether nothing of its direction gets past it.
    pub(super) fn denies_all(&self) -> bool {
        !self.allow
            && !self.groups
            && self.any_protocol()
            && any_address(&self.sources)
            && any_address(&self.destinations)
            && any_port(&self.ports)
            && any_port(&self.source_ports)
    }

    /// Whether it denies all that goes to a service tag.
    pub(super) fn denies_tag(&self, tag: &str) -> bool {
        !self.allow
            && !self.inbound
            && !self.groups
            && self.any_protocol()
            && any_address(&self.sources)
            && any_port(&self.ports)
            && any_port(&self.source_ports)
            && self
                .destinations
                .iter()
                .any(|prefix| prefix.eq_ignore_ascii_case(tag))
    }

    /// Whether it lets in nobody but these ranges.
    pub(super) fn is_only_from(&self, ranges: &[String]) -> bool {
        let known = |prefix: &String| ranges.iter().any(|range| within(prefix, range));
        self.inbound && !self.groups && !self.sources.is_empty() && self.sources.iter().all(known)
    }
}

/// Returns whether every address of `inner` is one of `outer`; a service tag is in no range.
pub(super) fn within(inner: &str, outer: &str) -> bool {
    let (Some((inner, inner_length)), Some((outer, outer_length))) = (parts(inner), parts(outer))
    else {
        return false;
    };
    let same_start = match (inner, outer) {
        (IpAddr::V4(inner), IpAddr::V4(outer)) => {
            let mask = u32::MAX.checked_shl(32 - outer_length).unwrap_or(0);
            inner.to_bits() & mask == outer.to_bits() & mask
        }
        (IpAddr::V6(inner), IpAddr::V6(outer)) => {
            let mask = u128::MAX.checked_shl(128 - outer_length).unwrap_or(0);
            inner.to_bits() & mask == outer.to_bits() & mask
        }
        _ => false,
    };
    same_start && inner_length >= outer_length
}

/// Returns the parts of a range in canonical form, whose length never exceeds that of its kind of address.
fn parts(range: &str) -> Option<(IpAddr, u32)> {
    let canonical = cidr(range).ok()?;
    let (address, length) = canonical.split_once('/')?;
    Some((address.parse().ok()?, length.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ranges_lie_within_ranges() {
        for (inner, outer, expected) in [
            ("10.99.0.5", "10.99.0.0/24", true),
            ("10.99.0.0/24", "10.99.0.0/24", true),
            ("10.99.0.0/23", "10.99.0.0/24", false),
            ("10.98.0.5", "10.99.0.0/24", false),
            ("fd00::1", "fd00::/64", true),
            ("::/0", "0.0.0.0/0", false),
            ("VirtualNetwork", "0.0.0.0/0", false),
            ("10.0.0.1", "0.0.0.0/0", true),
        ] {
            assert_eq!(within(inner, outer), expected, "{inner} in {outer}");
        }
    }

    #[test]
    fn a_rule_that_cannot_be_read_is_an_error() {
        for bad in [
            json!({"name": "x"}),
            json!({"name": "x", "properties": {"priority": 1}}),
            json!(3),
        ] {
            assert!(
                of_nsg(&json!({"properties": {"securityRules": [bad]}})).is_err(),
                "{bad}"
            );
        }
        assert!(of_nsg(&json!({"properties": {"securityRules": "all"}})).is_err());
        assert!(of_nsg(&json!({})).unwrap().is_empty());
    }
}
