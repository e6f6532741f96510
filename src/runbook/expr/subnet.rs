//! What is in force at an interface whose machine does not run: its own NSG and those of its subnets.
//!
//! The platform answers for running machines only (arm.md section 2.5), so both are read and put together
//! here. Traffic passes where both let it: the quarantine's denial is enough for the cut, and the subnet's
//! rules say whether the responders' bastion can still get in.

use serde_json::{Value, json};

use super::filters::{arg, list};
use super::language::Row;
use super::network::nsg_verdict;
use super::rules::{self, Reach};
use crate::ids::ArmId;

pub(super) const ROWS: &[Row] = &[(
    "computed_verdict",
    computed_verdict,
    "nsg | computed_verdict(subnet ids, list of {id, nsg}, nsgs, bastion, cut_dns, cut_imds): {passes, reason}",
)];

fn computed_verdict(value: &Value, args: &[Value]) -> Result<Value, String> {
    let own = nsg_verdict(value, args.get(3..).unwrap_or_default())?;
    let mut reason = own["reason"].as_str().unwrap_or_default().to_owned();
    for subnet in list(arg(args, 0)?)? {
        let told = of_subnet(
            text(subnet),
            list(arg(args, 1)?)?,
            list(arg(args, 2)?)?,
            arg(args, 3)?,
        )?;
        reason.push_str("; ");
        reason.push_str(&told);
    }
    Ok(json!({"passes": own["passes"], "reason": reason}))
}

fn of_subnet(
    id: &str,
    subnets: &[Value],
    nsgs: &[Value],
    bastion: &Value,
) -> Result<String, String> {
    let named = |of: &[Value], id: &str| {
        of.iter()
            .find(|one| text(&one["id"]).eq_ignore_ascii_case(id))
            .cloned()
    };
    let name = ArmId::name_of(id);
    let Some(subnet) = named(subnets, id) else {
        return Ok(format!("subnet {name} could not be read"));
    };
    let nsg = text(&subnet["nsg"]);
    if nsg.is_empty() {
        return Ok(format!("subnet {name} has no NSG"));
    }
    let group = ArmId::name_of(nsg);
    let Some(nsg) = named(nsgs, nsg) else {
        return Ok(format!("{group} of subnet {name} could not be read"));
    };
    let rules = match rules::of_nsg(&nsg) {
        Ok(rules) => rules,
        Err(why) => return Ok(format!("{group} of subnet {name} cannot be judged: {why}")),
    };
    let ranges: Vec<&str> = match bastion {
        Value::Null => Vec::new(),
        other => list(other)?.iter().map(text).collect(),
    };
    let told = ranges
        .iter()
        .map(|range| match rules::reach(&rules, range) {
            Reach::In => format!("lets {range} in"),
            Reach::Out(rule) => format!("keeps {range} out by its rule {rule}"),
            Reach::Undecided(rule) => {
                format!("may keep {range} out, depending on what its rule {rule} stands for")
            }
        });
    let told: Vec<String> = told.collect();
    if told.is_empty() {
        return Ok(format!("{group} of subnet {name} can open nothing more"));
    }
    Ok(format!("{group} of subnet {name} {}", told.join(", ")))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str, priority: i64, access: &str, source: &str, port: &str) -> Value {
        json!({"name": name, "properties": {"priority": priority, "direction": "Inbound", "access": access, "protocol": "Tcp",
            "sourceAddressPrefix": source, "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": port}})
    }

    fn deny_all() -> Value {
        let deny = |name: &str, direction: &str| {
            json!({"name": name, "properties": {"priority": 4096, "direction": direction, "access": "Deny", "protocol": "*",
            "sourceAddressPrefix": "*", "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": "*"}})
        };
        json!({"name": "q", "properties": {"securityRules": [deny("DenyIn", "Inbound"), deny("DenyOut", "Outbound")]}})
    }

    fn judged(rules: &[Value]) -> String {
        let verdict = computed_verdict(
            &deny_all(),
            &[
                json!(["/s/app"]),
                json!([{"id": "/S/APP", "nsg": "/n/nsg-app"}]),
                json!([{"id": "/N/nsg-app", "properties": {"securityRules": rules}}]),
                json!(["10.99.0.0/24"]),
            ],
        )
        .unwrap();
        assert_eq!(verdict["passes"], json!(true));
        verdict["reason"].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_subnets_rules_say_whether_the_bastion_still_gets_in() {
        let let_in = judged(&[rule("Ssh", 100, "Allow", "10.0.0.0/8", "20-30")]);
        assert!(
            let_in.ends_with("nsg-app of subnet app lets 10.99.0.0/24 in"),
            "{let_in}"
        );
        let kept_out = judged(&[
            rule("Web", 100, "Allow", "*", "443"),
            rule("NoSsh", 200, "Deny", "*", "*"),
            rule("Ssh", 300, "Allow", "10.99.0.0/24", "22"),
        ]);
        assert!(
            kept_out.ends_with("keeps 10.99.0.0/24 out by its rule NoSsh"),
            "{kept_out}"
        );
        let open = judged(&[rule("Vnet", 100, "Allow", "VirtualNetwork", "22")]);
        assert!(
            open.contains("depending on what its rule Vnet stands for"),
            "{open}"
        );
        assert!(judged(&[json!({"name": "odd"})]).contains("cannot be judged"));
    }

    #[test]
    fn what_was_not_read_is_said_and_nothing_it_holds_is_believed() {
        let verdict = |subnets: Value| {
            let args = [json!(["/s/app"]), subnets, json!([]), json!([])];
            computed_verdict(&deny_all(), &args).unwrap()["reason"].to_string()
        };
        assert!(verdict(json!([])).contains("subnet app could not be read"));
        assert!(verdict(json!([{"id": "/s/app", "nsg": ""}])).contains("has no NSG"));
        assert!(
            verdict(json!([{"id": "/s/app", "nsg": "/n/x"}]))
                .contains("x of subnet app could not be read")
        );
    }

    #[test]
    fn a_subnet_cannot_mend_an_interface_that_is_open() {
        let args = [
            json!(["/s/app"]),
            json!([{"id": "/s/app", "nsg": "/n/x"}]),
            json!([{"id": "/n/x", "properties": deny_all()["properties"]}]),
            json!([]),
        ];
        let open = json!({"properties": {"securityRules": [rule("All", 100, "Allow", "*", "*")]}});
        assert_eq!(
            computed_verdict(&open, &args).unwrap()["passes"],
            json!(false)
        );
    }
}
