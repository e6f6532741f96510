//! What network security groups let through, computed from their rules.
//!
//! Pure: a quarantine passes if, in each direction, no rule lets anything through before the rule that
//! denies everything, save inbound from the responders' bastion. Rules are judged by priority, the lowest
//! number first, user rules before the platform's default rules (arm.md section 2.5).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::filters::{arg, list, text_arg};
use super::language::Row;
use super::rules::{self, Rule};
use crate::runbook::params::cidr;

pub(super) const ROWS: &[Row] = &[
    (
        "effective_verdict",
        effective_verdict,
        "answer of effectiveNetworkSecurityGroups | effective_verdict(bastion, nic id, cut_dns, cut_imds): {passes, reason, deny_rules}",
    ),
    (
        "effective_verdict_of_any",
        effective_verdict_of_any,
        "answer of effectiveNetworkSecurityGroups | effective_verdict_of_any(bastion, cut_dns, cut_imds): the same where one NSG, the interface's or its subnet's, is enough",
    ),
    (
        "flush_rule",
        flush_rule,
        "flush_rule(nsg): the body of a redundant deny rule that differs from the one there now",
    ),
    (
        "nsg_verdict",
        nsg_verdict,
        "nsg | nsg_verdict(bastion, cut_dns, cut_imds): {passes, reason, flush, deny_rules}",
    ),
    (
        "nsg_verdicts",
        nsg_verdicts,
        "list of nsgs | nsg_verdicts(bastion, cut_dns, cut_imds): of each {nsg, passes, why, flush}",
    ),
    (
        "quarantine_rules",
        quarantine_rules,
        "quarantine_rules(bastion, cut_dns, cut_imds): the rules of a new quarantine NSG",
    ),
    (
        "where_group",
        where_group,
        "list | where_group('name'): resources of this resource group",
    ),
    (
        "without_paths",
        without_paths,
        "IP configurations | without_paths: without public addresses, load-balancer and gateway paths",
    ),
];

/// Ports that the bastion needs: SSH and RDP.
const BASTION_PORTS: [&str; 2] = ["22", "3389"];
const DNS_TAG: &str = "AzurePlatformDNS";
const IMDS_TAG: &str = "AzurePlatformIMDS";

/// What to expect of the rules.
struct Expect {
    bastion: Vec<String>,
    cut_dns: bool,
    cut_imds: bool,
}

impl Expect {
    fn new(
        bastion: &Value,
        cut_dns: Option<&Value>,
        cut_imds: Option<&Value>,
    ) -> Result<Self, String> {
        let flag = |value: Option<&Value>| value.and_then(Value::as_bool).unwrap_or(false);
        let ranges = match bastion {
            Value::Null => Vec::new(),
            other => list(other)?
                .iter()
                .map(|range| cidr(range.as_str().unwrap_or_default()))
                .collect::<Result<Vec<_>, _>>()?,
        };
        Ok(Self {
            bastion: ranges,
            cut_dns: flag(cut_dns),
            cut_imds: flag(cut_imds),
        })
    }

    /// Returns the service tags that must be denied by name.
    fn tags(&self) -> impl Iterator<Item = &'static str> {
        let dns = self.cut_dns.then_some(DNS_TAG);
        dns.into_iter().chain(self.cut_imds.then_some(IMDS_TAG))
    }

    fn words(&self) -> String {
        match self.bastion.as_slice() {
            [] => "all traffic is denied both ways".to_owned(),
            ranges => format!(
                "all traffic is denied both ways but inbound from {}",
                ranges.join(", ")
            ),
        }
    }
}

pub(super) fn nsg_verdict(value: &Value, args: &[Value]) -> Result<Value, String> {
    let expect = Expect::new(arg(args, 0)?, args.get(1), args.get(2))?;
    let verdict = Verdict::of(rules::of_nsg(value), &expect);
    let flush = crate::json::member(value, "properties.flushConnection")
        .and_then(Value::as_bool)
        .unwrap_or(false);
    Ok(
        json!({"passes": verdict.passes, "reason": verdict.reason, "flush": flush, "deny_rules": verdict.closing}),
    )
}

fn nsg_verdicts(value: &Value, args: &[Value]) -> Result<Value, String> {
    list(value)?
        .iter()
        .map(|nsg| {
            let verdict = nsg_verdict(nsg, args)?;
            let name = nsg.get("name").and_then(Value::as_str).unwrap_or_default();
            let why = format!("{name} is not used: {}", verdict["reason"].as_str().unwrap_or_default());
            Ok(json!({"nsg": nsg, "passes": verdict["passes"], "why": why, "flush": verdict["flush"]}))
        })
        .collect()
}

/// Judges what the platform says is in force: the NSG of the interface must be among the answers and pass.
fn effective_verdict(value: &Value, args: &[Value]) -> Result<Value, String> {
    let expect = Expect::new(arg(args, 0)?, args.get(2), args.get(3))?;
    let nic = text_arg(args, 1)?;
    let groups = list(value.get("value").unwrap_or(value))?;
    let verdict = effective_of(groups, nic, &expect);
    Ok(json!({"passes": verdict.passes, "reason": verdict.reason, "deny_rules": verdict.closing}))
}

/// Judges what is in force where one NSG is enough: traffic passes only where the interface's and its subnet's both let
/// it.
fn effective_verdict_of_any(value: &Value, args: &[Value]) -> Result<Value, String> {
    let expect = Expect::new(arg(args, 0)?, args.get(1), args.get(2))?;
    let groups = list(value.get("value").unwrap_or(value))?;
    let any = || {
        let all = groups.iter().map(|group| of_group(group, &expect));
        let mut all: Vec<Verdict> = all.collect();
        let passing = all.iter().position(|verdict| verdict.passes);
        match (passing, all.is_empty()) {
            (_, true) => Verdict::failed("no NSG is in force at the interface".to_owned()),
            (passing, false) => all.swap_remove(passing.unwrap_or(0)),
        }
    };
    let always = groups.iter().find_map(always_allowed);
    let verdict = always.map_or_else(any, overruled);
    Ok(json!({"passes": verdict.passes, "reason": verdict.reason, "deny_rules": verdict.closing}))
}

fn overruled(rule: String) -> Verdict {
    Verdict::failed(format!(
        "the network manager's admin rule {rule} always allows, whatever an NSG says"
    ))
}

fn of_group(group: &Value, expect: &Expect) -> Verdict {
    let id = crate::json::member(group, "networkSecurityGroup.id").and_then(Value::as_str);
    let verdict = Verdict::of(rules::effective(group), expect);
    Verdict {
        reason: format!(
            "{}: {}",
            id.map_or("its NSG", crate::ids::ArmId::name_of),
            verdict.reason
        ),
        ..verdict
    }
}

fn effective_of(groups: &[Value], nic: &str, expect: &Expect) -> Verdict {
    let associated = |group: &Value| {
        crate::json::member(group, "association.networkInterface.id")
            .and_then(Value::as_str)
            .is_some_and(|id| id.eq_ignore_ascii_case(nic))
    };
    if let Some(rule) = groups.iter().find_map(always_allowed) {
        return overruled(rule);
    }
    let Some(own) = groups.iter().find(|group| associated(group)) else {
        return Verdict::failed("no NSG is in force at the interface".to_owned());
    };
    of_group(own, expect)
}

/// Returns the admin rule of a network manager that no NSG can overrule (DESIGN section 9).
fn always_allowed(group: &Value) -> Option<String> {
    let rules = group
        .get("effectiveSecurityRules")
        .and_then(Value::as_array)?;
    let access = |rule: &&Value| {
        rule.get("access")
            .and_then(Value::as_str)
            .is_some_and(|access| access.eq_ignore_ascii_case("AlwaysAllow"))
    };
    let rule = rules.iter().find(access)?;
    Some(
        rule.get("name")
            .and_then(Value::as_str)
            .unwrap_or("without a name")
            .to_owned(),
    )
}

fn quarantine_rules(value: &Value, args: &[Value]) -> Result<Value, String> {
    let expect = Expect::new(value, args.first(), args.get(1))?;
    let rule = |name: &str, priority: i64, direction: &str, access: &str, protocol: &str| {
        json!({"name": name, "properties": {
            "priority": priority, "direction": direction, "access": access, "protocol": protocol,
            "sourceAddressPrefix": "*", "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": "*",
        }})
    };
    let mut rules = Vec::new();
    if !expect.bastion.is_empty() {
        let mut allow = rule("AllowBastionInbound", 100, "Inbound", "Allow", "Tcp");
        // Singular and plural members must not be mixed (arm.md section 2.5).
        allow["properties"]["sourceAddressPrefix"] = Value::Null;
        allow["properties"]["destinationPortRange"] = Value::Null;
        allow["properties"]["sourceAddressPrefixes"] = json!(expect.bastion);
        allow["properties"]["destinationPortRanges"] = json!(BASTION_PORTS);
        if let Some(properties) = allow["properties"].as_object_mut() {
            properties.retain(|_, value| !value.is_null());
        }
        rules.push(allow);
    }
    for (cut, name, priority, tag) in [
        (expect.cut_dns, "DenyPlatformDns", 200, DNS_TAG),
        (expect.cut_imds, "DenyPlatformImds", 201, IMDS_TAG),
    ] {
        if cut {
            let mut deny = rule(name, priority, "Outbound", "Deny", "*");
            deny["properties"]["destinationAddressPrefix"] = json!(tag);
            rules.push(deny);
        }
    }
    rules.push(rule("DenyAllInbound", 4096, "Inbound", "Deny", "*"));
    rules.push(rule("DenyAllOutbound", 4096, "Outbound", "Deny", "*"));
    Ok(Value::Array(rules))
}

/// The name of the rule that is changed so that established flows are judged again.
const FLUSH_RULE: &str = "azir-flush";

/// Returns a rule that denies what is denied anyway, and differs from the one that is there now.
///
/// A guess in one place: that a change of a rule's port range is a rule change in the sense of
/// `flushConnection` (arm.md section 2.0 marks the effect on established flows unconfirmed).
fn flush_rule(value: &Value, _: &[Value]) -> Result<Value, String> {
    let rules = crate::json::member(value, "properties.securityRules")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let of = |rule: &Value, path: &str| {
        crate::json::member(rule, path)
            .cloned()
            .unwrap_or(Value::Null)
    };
    let existing = rules
        .iter()
        .find(|rule| of(rule, "name") == json!(FLUSH_RULE));
    let ports = match existing.map(|rule| of(rule, "properties.destinationPortRange")) {
        Some(Value::String(ports)) if ports == "*" => "0-65535",
        _ => "*",
    };
    let taken: Vec<i64> = rules
        .iter()
        .filter(|rule| {
            of(rule, "properties.direction") == json!("Inbound")
                && of(rule, "name") != json!(FLUSH_RULE)
        })
        .filter_map(|rule| of(rule, "properties.priority").as_i64())
        .collect();
    let priority = existing
        .and_then(|rule| of(rule, "properties.priority").as_i64())
        .or_else(|| {
            (100..=4095)
                .rev()
                .find(|priority| !taken.contains(priority))
        })
        .ok_or("no priority is free for the rule that flushes")?;
    Ok(json!({"properties": {
        "priority": priority, "direction": "Inbound", "access": "Deny", "protocol": "*",
        "sourceAddressPrefix": "*", "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": ports,
    }}))
}

/// What makes a machine reachable from outside, or through somebody else's address (arm.md section 2.5).
const PATHS: [&str; 4] = [
    "applicationGatewayBackendAddressPools",
    "loadBalancerBackendAddressPools",
    "loadBalancerInboundNatRules",
    "publicIPAddress",
];

fn without_paths(value: &Value, _: &[Value]) -> Result<Value, String> {
    let mut configurations = list(value)?.clone();
    for configuration in &mut configurations {
        if let Some(properties) = configuration
            .get_mut("properties")
            .and_then(Value::as_object_mut)
        {
            properties.retain(|name, _| !PATHS.contains(&name.as_str()));
        }
    }
    Ok(Value::Array(configurations))
}

fn where_group(value: &Value, args: &[Value]) -> Result<Value, String> {
    let wanted = text_arg(args, 0)?;
    Ok(list(value)?
        .iter()
        .filter(|resource| {
            let id = resource
                .get("id")
                .and_then(Value::as_str)
                .and_then(|id| id.parse::<crate::ids::ArmId>().ok());
            id.as_ref()
                .and_then(crate::ids::ArmId::resource_group)
                .is_some_and(|group| group.eq_ignore_ascii_case(wanted))
        })
        .cloned()
        .collect())
}

/// What the rules come to.
struct Verdict {
    passes: bool,
    reason: String,
    /// The rules that close the two directions.
    closing: Vec<String>,
}

impl Verdict {
    fn failed(reason: String) -> Self {
        Self {
            passes: false,
            reason,
            closing: Vec::new(),
        }
    }

    fn of(rules: Result<Vec<Rule>, String>, expect: &Expect) -> Self {
        match rules.and_then(|rules| judge(&rules, expect)) {
            Ok(closing) => Self {
                passes: true,
                reason: expect.words(),
                closing,
            },
            Err(reason) => Self::failed(reason),
        }
    }
}

/// Returns the names of the rules that close each direction, or which rule lets something through.
fn judge(rules: &[Rule], expect: &Expect) -> Result<Vec<String>, String> {
    // A bastion of everybody would make any rule pass.
    if let Some(range) = expect.bastion.iter().find(|range| range.ends_with("/0")) {
        return Err(format!("the bastion range {range} is everybody"));
    }
    let mut closing = Vec::new();
    for inbound in [true, false] {
        let direction = if inbound { "inbound" } else { "outbound" };
        let mut cut: BTreeSet<&str> = BTreeSet::new();
        let mut closed = None;
        for rule in rules.iter().filter(|rule| rule.inbound == inbound) {
            if rule.denies_all() {
                closed = Some(rule);
                break;
            }
            if rule.allow && !rule.is_only_from(&expect.bastion) {
                return Err(lets_through(rule, direction));
            }
            cut.extend(expect.tags().filter(|tag| rule.denies_tag(tag)));
        }
        let Some(closed) = closed else {
            return Err(format!("no rule denies all {direction} traffic"));
        };
        closing.push(closed.name.clone());
        if let Some(tag) = expect.tags().find(|tag| !inbound && !cut.contains(tag)) {
            return Err(format!(
                "no rule in front denies the service tag {tag}, which a rule for all addresses does not reach"
            ));
        }
    }
    Ok(closing)
}

fn lets_through(rule: &Rule, direction: &str) -> String {
    let what = format!(
        "from {} to {} port {}",
        join(&rule.sources),
        join(&rule.destinations),
        join(&rule.ports)
    );
    format!(
        "rule {} (priority {}) lets {direction} traffic through before any rule denies it all: {what}",
        rule.name, rule.priority
    )
}

fn join(texts: &[String]) -> String {
    if texts.is_empty() {
        "anything".to_owned()
    } else {
        texts.iter().take(4).cloned().collect::<Vec<_>>().join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nsg(extra: &[Value]) -> Value {
        let mut rules = quarantine_rules(&json!(["10.99.0.0/24"]), &[])
            .unwrap()
            .as_array()
            .unwrap()
            .clone();
        rules.extend(extra.iter().cloned());
        json!({"name": "n", "properties": {"securityRules": rules, "flushConnection": true}})
    }

    fn rule(name: &str, priority: i64, direction: &str, access: &str, source: &str) -> Value {
        json!({"name": name, "properties": {"priority": priority, "direction": direction, "access": access, "protocol": "*",
            "sourceAddressPrefix": source, "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": "*"}})
    }

    fn passes(value: &Value) -> bool {
        nsg_verdict(value, &[json!(["10.99.0.0/24"])]).unwrap()["passes"] == json!(true)
    }

    #[test]
    fn the_quarantine_that_azir_makes_passes_its_own_judgement() {
        assert!(passes(&nsg(&[])));
        let closed = json!({"properties": {"securityRules": quarantine_rules(&json!([]), &[json!(true), json!(true)]).unwrap()}});
        assert_eq!(
            nsg_verdict(&closed, &[json!([]), json!(true), json!(true)]).unwrap()["passes"],
            json!(true)
        );
        // Without the service tags the resolver stays reachable, whatever is denied.
        assert_eq!(
            nsg_verdict(&nsg(&[]), &[json!(["10.99.0.0/24"]), json!(true)]).unwrap()["passes"],
            json!(false)
        );
    }

    #[test]
    fn a_rule_in_front_of_the_deny_is_found() {
        for extra in [
            rule("evil", 4095, "Inbound", "Allow", "*"),
            rule("evil", 100, "Outbound", "Allow", "*"),
            rule("evil", 200, "Inbound", "Allow", "VirtualNetwork"),
            rule("evil", 200, "Inbound", "Allow", "10.99.0.0/16"),
            rule("odd", 200, "Inbound", "allowed?", "*"),
        ] {
            assert!(!passes(&nsg(std::slice::from_ref(&extra))), "{extra}");
        }
        // A part of the bastion's range is the bastion.
        assert!(passes(&nsg(&[rule(
            "part",
            200,
            "Inbound",
            "Allow",
            "10.99.0.7/32"
        )])));
        assert!(passes(&nsg(&[rule("late", 4097, "Inbound", "Allow", "*")])));
        assert!(passes(&nsg(&[rule(
            "deny", 150, "Inbound", "Deny", "Internet"
        )])));
    }

    #[test]
    fn a_deny_that_is_not_for_everything_closes_nothing() {
        let mut half = rule("DenyTcp", 4096, "Inbound", "Deny", "*");
        half["properties"]["protocol"] = json!("Tcp");
        let rules = json!([half, rule("DenyAllOutbound", 4096, "Outbound", "Deny", "*")]);
        let default_allow = json!([rule(
            "AllowVnetInBound",
            65000,
            "Inbound",
            "Allow",
            "VirtualNetwork"
        )]);
        let value =
            json!({"properties": {"securityRules": rules, "defaultSecurityRules": default_allow}});
        assert!(!passes(&value));
        assert!(!passes(&json!({"properties": {}})));
    }

    #[test]
    fn what_cannot_be_judged_does_not_pass() {
        let mut grouped = rule("asg", 200, "Inbound", "Allow", "10.99.0.7/32");
        grouped["properties"]["sourceApplicationSecurityGroups"] = json!([{"id": "/x"}]);
        assert!(!passes(&nsg(&[grouped])));
        assert!(!passes(&nsg(&[
            json!({"name": "odd", "properties": {"access": "Allow"}})
        ])));
        let all = json!({"properties": {"securityRules": quarantine_rules(&json!(["0.0.0.0/0"]), &[]).unwrap()}});
        assert_eq!(
            nsg_verdict(&all, &[json!(["0.0.0.0/0"])]).unwrap()["passes"],
            json!(false)
        );
        // A service tag that is denied only behind the rule for everything is not reached by it.
        let mut rules = quarantine_rules(&json!([]), &[json!(true)]).unwrap();
        rules[0]["properties"]["priority"] = json!(4097);
        let late = json!({"properties": {"securityRules": rules}});
        assert_eq!(
            nsg_verdict(&late, &[json!([]), json!(true)]).unwrap()["passes"],
            json!(false)
        );
    }

    #[test]
    fn the_verdict_names_the_rules_that_close() {
        let verdict = nsg_verdict(&nsg(&[]), &[json!(["10.99.0.0/24"])]).unwrap();
        assert_eq!(
            verdict["deny_rules"],
            json!(["DenyAllInbound", "DenyAllOutbound"])
        );
        assert_eq!(verdict["flush"], json!(true));
    }

    #[test]
    fn the_flush_rule_differs_each_time_and_never_opens_anything() {
        let first = flush_rule(&nsg(&[]), &[]).unwrap();
        let mut named = first.clone();
        named["name"] = json!("azir-flush");
        let with = nsg(&[named]);
        assert!(passes(&with));
        let second = flush_rule(&with, &[]).unwrap();
        assert_ne!(first, second);
        assert_eq!(
            first["properties"]["priority"],
            second["properties"]["priority"]
        );
        assert_eq!(
            flush_rule(&nsg(&[rule("x", 4095, "Inbound", "Deny", "*")]), &[]).unwrap()["properties"]
                ["priority"],
            json!(4094)
        );
    }

    #[test]
    fn effective_rules_are_judged_at_the_interface_asked_for() {
        let deny = |direction: &str| {
            json!({"name": format!("securityRules/Deny{direction}"), "priority": 4096, "direction": direction, "access": "Deny", "protocol": "All",
            "sourceAddressPrefix": "*", "sourcePortRange": "0-65535", "destinationAddressPrefix": "*", "destinationPortRange": "0-65535"})
        };
        let answer = json!({"value": [
            {"association": {"subnet": {"id": "/s"}}, "effectiveSecurityRules": []},
            {"association": {"networkInterface": {"id": "/NIC"}}, "networkSecurityGroup": {"id": "/x/q"}, "effectiveSecurityRules": [deny("Inbound"), deny("Outbound")]},
        ]});
        assert_eq!(
            effective_verdict(&answer, &[json!([]), json!("/nic")]).unwrap()["passes"],
            json!(true)
        );
        assert_eq!(
            effective_verdict(&answer, &[json!([]), json!("/other")]).unwrap()["passes"],
            json!(false)
        );
        // The platform writes any address as 0.0.0.0/0 in this list, and only there.
        let mut listed = answer.clone();
        for rule in listed["value"][1]["effectiveSecurityRules"]
            .as_array_mut()
            .unwrap()
        {
            rule["sourceAddressPrefix"] = json!("0.0.0.0/0");
            rule["destinationAddressPrefix"] = json!("0.0.0.0/0");
        }
        let listed_verdict = effective_verdict(&listed, &[json!([]), json!("/nic")]).unwrap();
        assert_eq!(listed_verdict["passes"], json!(true), "{listed_verdict}");
        let mut managed = answer.clone();
        managed["value"][0]["effectiveSecurityRules"] =
            json!([{"name": "admin", "access": "AlwaysAllow"}]);
        let verdict = effective_verdict(&managed, &[json!([]), json!("/nic")]).unwrap();
        assert!(
            verdict["reason"].as_str().unwrap().contains("admin"),
            "{verdict}"
        );
    }
}
