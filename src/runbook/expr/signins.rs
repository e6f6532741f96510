//! Filters that know sign-ins: is one the user's own doing or an attacker's (Graph sheet section 2.1).
//!
//! Each sign-in is weighed by reasons for and against, all of which are told: the words of a verdict are no use to
//! whoever has to answer for a cut. What the log does not say counts for neither side, and is told too.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::address::{in_any, is_address};
use super::filters::{arg, list};
use super::language::Row;
use super::order::at;
use super::rating::text;
use super::scales::{ATTACK, Scales, UNCLEAR};
use super::travel::too_fast;

pub(super) const ROWS: &[Row] = &[(
    "judged_sign_ins",
    judged_sign_ins,
    "sign-ins | judged_sign_ins({history, known, locations, devices, detections, travel}): each with verdict, severity and the reasons for and against",
)];

/// User agents of scripts and of the tools that replay tokens, as parts of the text.
const SCRIPTS: [&str; 12] = [
    "axios",
    "aiohttp",
    "bav2ropc",
    "curl",
    "fasthttp",
    "go-http-client",
    "node-fetch",
    "okhttp",
    "powershell",
    "python",
    "roadtools",
    "undici",
];

fn judged_sign_ins(value: &Value, args: &[Value]) -> Result<Value, String> {
    let knowledge = Knowledge::of(arg(args, 0)?);
    let mut sign_ins: Vec<&Value> = list(value)?.iter().collect();
    sign_ins.sort_by_key(|one| at(one, "createdDateTime"));
    let mut before: Option<&Value> = knowledge.last();
    let mut judged = Vec::new();
    for sign_in in sign_ins {
        judged.push(knowledge.judge(sign_in, before));
        if succeeded(sign_in) {
            before = Some(sign_in);
        }
    }
    Ok(Value::Array(judged))
}

/// What is known of the user apart from the sign-ins in question.
struct Knowledge<'a> {
    /// Successful sign-ins of before that nothing speaks against: an attacker's teach nothing about the user.
    history: Vec<&'a Value>,
    /// Address ranges that the responder vouches for.
    known: Vec<&'a str>,
    /// Ranges of named locations that the tenant trusts.
    trusted: Vec<&'a str>,
    /// Device ids that are registered to the user.
    devices: Vec<&'a str>,
    detections: &'a [Value],
    /// Countries in which the user is known to be.
    travel: Vec<&'a str>,
}

impl<'a> Knowledge<'a> {
    fn of(value: &'a Value) -> Self {
        let items = |name: &str| -> &'a [Value] {
            let found = value.get(name).and_then(Value::as_array);
            found.map_or(&[], Vec::as_slice)
        };
        let texts = |name: &str| {
            items(name)
                .iter()
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
        };
        let trusted = items("locations")
            .iter()
            .filter(|location| location.get("isTrusted") == Some(&Value::Bool(true)))
            .filter_map(|location| location.get("ipRanges")?.as_array())
            .flatten()
            .map(|range| text(range, "cidrAddress"));
        Self {
            history: items("history")
                .iter()
                .filter(|one| succeeded(one) && !risky(one))
                .collect(),
            known: texts("known"),
            trusted: trusted.collect(),
            devices: texts("devices"),
            detections: items("detections"),
            travel: texts("travel"),
        }
    }

    fn last(&self) -> Option<&'a Value> {
        let history = self.history.iter().copied();
        history.max_by_key(|one| at(one, "createdDateTime"))
    }

    fn judge(&self, sign_in: &Value, before: Option<&Value>) -> Value {
        let mut scales = Scales::default();
        self.weigh_address(sign_in, &mut scales);
        self.weigh_device(sign_in, &mut scales);
        self.weigh_agent(sign_in, &mut scales);
        self.weigh_risk(sign_in, &mut scales);
        // Without a habit nothing is out of it.
        if self.history.is_empty() {
            scales.unknown.push("what is usual for the user");
        }
        weigh_protocol(sign_in, &mut scales);
        if let Some(why) = before.and_then(|before| too_fast(before, sign_in)) {
            scales.against.push((3, why));
        }
        let verdict = scales.verdict();
        let went_in = succeeded(sign_in);
        let severity = match (verdict, went_in) {
            (ATTACK, true) => "high",
            (ATTACK, false) | (UNCLEAR, true) => "medium",
            (UNCLEAR, false) => "low",
            _ => "info",
        };
        let (against, for_user) = (words(&scales.against), words(&scales.for_user));
        let what = format!(
            "{} from {} to {}{}: {verdict}. Against: {}. For: {}{}",
            text(sign_in, "createdDateTime"),
            or(text(sign_in, "ipAddress"), "no address"),
            or(
                text(sign_in, "resourceDisplayName"),
                or(text(sign_in, "appDisplayName"), "an unnamed application")
            ),
            if went_in {
                String::new()
            } else {
                format!(", refused ({})", error_code(sign_in))
            },
            or(&against, "nothing"),
            or(&for_user, "nothing"),
            scales.what_is_unknown(),
        );
        let mut judged = sign_in.as_object().cloned().unwrap_or_else(Map::new);
        for (name, value) in [
            ("verdict", json!(verdict)),
            ("severity", json!(severity)),
            ("against", json!(against)),
            ("for_user", json!(for_user)),
            ("what", json!(what)),
        ] {
            judged.insert(name.to_owned(), value);
        }
        Value::Object(judged)
    }

    fn weigh_address(&self, sign_in: &Value, scales: &mut Scales) {
        let address = text(sign_in, "ipAddress");
        if !is_address(address) {
            return scales.unknown.push("its address");
        }
        let seen = self.count("ipAddress", address);
        if in_any(address, &self.known) {
            scales
                .for_user
                .push((3, "a network that the responder named as known".to_owned()));
        } else if in_any(address, &self.trusted) {
            scales
                .for_user
                .push((2, "a named location that the tenant trusts".to_owned()));
        } else if seen > 0 {
            scales
                .for_user
                .push((1, format!("the address was used {seen} times before")));
        } else {
            self.unlike(1, "the address", scales);
        }
        let country = text(sign_in, "location.countryOrRegion");
        if country.is_empty() {
            scales.unknown.push("its country");
        } else if self
            .travel
            .iter()
            .any(|known| known.eq_ignore_ascii_case(country))
        {
            scales
                .for_user
                .push((2, format!("the user is known to be in {country}")));
        } else if self.count("location.countryOrRegion", country) == 0 {
            self.unlike(2, &format!("the country {country}"), scales);
        }
    }

    fn weigh_device(&self, sign_in: &Value, scales: &mut Scales) {
        let device = text(sign_in, "deviceDetail.deviceId");
        let is = |name: &str| crate::json::member(sign_in, name) == Some(&Value::Bool(true));
        if sign_in.get("deviceDetail").is_none_or(Value::is_null) {
            return scales.unknown.push("its device");
        }
        let own = !device.is_empty()
            && self
                .devices
                .iter()
                .any(|known| known.eq_ignore_ascii_case(device));
        match (own, is("deviceDetail.isCompliant")) {
            (true, true) => scales
                .for_user
                .push((3, "the user's own device, which is compliant".to_owned())),
            (true, false) => scales.for_user.push((
                1,
                "the user's own device, not known to be compliant".to_owned(),
            )),
            (false, _) if device.is_empty() => {
                scales
                    .against
                    .push((1, "no device that the directory knows".to_owned()));
            }
            (false, _) => scales
                .against
                .push((2, format!("device {device} is not one of the user's"))),
        }
    }

    fn weigh_agent(&self, sign_in: &Value, scales: &mut Scales) {
        let agent = text(sign_in, "userAgent");
        let lower = agent.to_lowercase();
        let script = SCRIPTS.iter().find(|script| lower.contains(**script));
        if agent.is_empty() {
            scales.unknown.push("its user agent");
        } else if let Some(script) = script {
            scales
                .against
                .push((2, format!("the user agent of a script ({script})")));
        } else if self.count("userAgent", agent) > 0 {
            scales
                .for_user
                .push((1, "the user agent was seen before".to_owned()));
        } else {
            self.unlike(1, "the user agent", scales);
        }
    }

    fn weigh_risk(&self, sign_in: &Value, scales: &mut Scales) {
        match text(sign_in, "riskState") {
            "confirmedCompromised" => {
                scales.settled = true;
                scales
                    .against
                    .push((5, "somebody confirmed it as an attack".to_owned()));
            }
            "confirmedSafe" => scales
                .for_user
                .push((3, "somebody confirmed it as safe".to_owned())),
            "dismissed" => scales
                .for_user
                .push((1, "somebody dismissed its risk".to_owned())),
            _ => {}
        }
        let level = or(
            text(sign_in, "riskLevelDuringSignIn"),
            text(sign_in, "riskLevelAggregated"),
        );
        match level {
            "high" => scales
                .against
                .push((3, "high risk at the sign-in".to_owned())),
            "medium" => scales
                .against
                .push((2, "medium risk at the sign-in".to_owned())),
            // Without a licence for it the service hides the level.
            "hidden" | "" => scales.unknown.push("its risk"),
            _ => {}
        }
        let id = text(sign_in, "id");
        let of_it = self.detections.iter().filter(|detection| {
            !id.is_empty() && text(detection, "requestId").eq_ignore_ascii_case(id)
        });
        let kinds: BTreeSet<&str> = of_it
            .map(|detection| text(detection, "riskEventType"))
            .collect();
        if !kinds.is_empty() {
            let kinds: Vec<&str> = kinds.into_iter().collect();
            scales
                .against
                .push((2, format!("detected: {}", kinds.join(", "))));
        }
    }

    /// Weighs what was never seen of this user, where there is anything to compare with.
    fn unlike(&self, weight: u32, what: &str, scales: &mut Scales) {
        let number = self.history.len();
        if number > 0 {
            let why = format!("{what} is new to this user ({number} sign-ins before)");
            scales.against.push((weight, why));
        }
    }

    fn count(&self, path: &str, wanted: &str) -> usize {
        let history = self.history.iter();
        history
            .filter(|one| text(one, path).eq_ignore_ascii_case(wanted))
            .count()
    }
}

fn weigh_protocol(sign_in: &Value, scales: &mut Scales) {
    let client = text(sign_in, "clientAppUsed");
    let modern = ["", "Browser", "Mobile Apps and Desktop clients"];
    if !modern
        .iter()
        .any(|known| known.eq_ignore_ascii_case(client))
    {
        scales
            .against
            .push((2, format!("a legacy protocol ({client})")));
    }
    if text(sign_in, "authenticationProtocol").eq_ignore_ascii_case("deviceCode") {
        scales.against.push((2, "a device code".to_owned()));
    }
    if text(sign_in, "conditionalAccessStatus") == "notApplied" {
        scales
            .against
            .push((1, "no Conditional Access policy applied".to_owned()));
    }
}

fn error_code(sign_in: &Value) -> i64 {
    let code = crate::json::member(sign_in, "status.errorCode");
    code.and_then(Value::as_i64).unwrap_or_default()
}

fn succeeded(sign_in: &Value) -> bool {
    error_code(sign_in) == 0
}

/// Whether the service or somebody holds it for an attacker's.
fn risky(sign_in: &Value) -> bool {
    matches!(
        text(sign_in, "riskState"),
        "atRisk" | "confirmedCompromised"
    ) || matches!(text(sign_in, "riskLevelDuringSignIn"), "medium" | "high")
}

fn words(side: &[(u32, String)]) -> String {
    let mut sorted: Vec<&(u32, String)> = side.iter().collect();
    sorted.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    let words: Vec<&str> = sorted.iter().map(|(_, why)| why.as_str()).collect();
    words.join("; ")
}

fn or<'a>(text: &'a str, other: &'a str) -> &'a str {
    if text.is_empty() { other } else { text }
}

#[cfg(test)]
mod tests {
    use super::super::scales::EXPLAINED;
    use super::*;

    fn sign_in(time: &str, address: &str, country: &str, agent: &str, device: &str) -> Value {
        json!({"id": time, "createdDateTime": time, "ipAddress": address, "userAgent": agent, "status": {"errorCode": 0},
            "clientAppUsed": "Browser", "conditionalAccessStatus": "success", "riskState": "none", "riskLevelDuringSignIn": "none",
            "location": {"countryOrRegion": country}, "deviceDetail": {"deviceId": device, "isCompliant": !device.is_empty()}, "resourceDisplayName": "Office"})
    }

    fn knowledge() -> Value {
        json!({"history": [sign_in("2026-04-01T00:00:00Z", "192.0.2.1", "DE", "Edge", "D")],
            "known": ["198.51.100.0/24"], "locations": [{"isTrusted": true, "ipRanges": [{"cidrAddress": "203.0.113.0/28"}]}],
            "devices": ["d"], "detections": [{"requestId": "2026-05-01T02:00:00Z", "riskEventType": "anomalousToken"}], "travel": ["FR"]})
    }

    fn judged(one: &Value) -> (String, String, String) {
        let judged = judged_sign_ins(&json!([one]), &[knowledge()]).unwrap();
        let of = |name: &str| text(&judged[0], name).to_owned();
        (of("verdict"), of("severity"), of("what"))
    }

    #[test]
    fn a_sign_in_like_all_before_is_explained_with_its_reasons() {
        let (verdict, severity, what) = judged(&sign_in(
            "2026-05-01T00:00:00Z",
            "192.0.2.1",
            "DE",
            "Edge",
            "D",
        ));
        assert_eq!(
            (verdict.as_str(), severity.as_str()),
            (EXPLAINED, "info"),
            "{what}"
        );
        assert!(what.contains("Against: nothing. For: the user's own device, which is compliant; the address was used 1 times before"), "{what}");
    }

    #[test]
    fn a_script_from_a_new_country_is_probably_not_the_user() {
        let one = sign_in(
            "2026-05-01T02:00:00Z",
            "192.0.2.99",
            "XX",
            "python-requests/2.31",
            "",
        );
        let (verdict, severity, what) = judged(&one);
        assert_eq!(
            (verdict.as_str(), severity.as_str()),
            (ATTACK, "high"),
            "{what}"
        );
        for reason in [
            "script (python)",
            "country XX is new to this user (1 sign-ins before)",
            "address is new",
            "anomalousToken",
            "no device",
        ] {
            assert!(what.contains(reason), "{reason}: {what}");
        }
        let mut refused = one;
        refused["status"]["errorCode"] = json!(50_126);
        assert_eq!(judged(&refused).1, "medium");
    }

    #[test]
    fn what_explains_one_thing_does_not_explain_the_rest() {
        // A known network, and a device that is not the user's.
        let (verdict, _, what) = judged(&sign_in(
            "2026-05-01T00:00:00Z",
            "198.51.100.7",
            "DE",
            "Edge",
            "E",
        ));
        assert_eq!(verdict, UNCLEAR, "{what}");
        let (verdict, ..) = judged(&sign_in(
            "2026-05-01T00:00:00Z",
            "203.0.113.3",
            "FR",
            "Edge",
            "D",
        ));
        assert_eq!(verdict, EXPLAINED);
        let mut confirmed = sign_in("2026-05-01T00:00:00Z", "192.0.2.1", "DE", "Edge", "D");
        confirmed["riskState"] = json!("confirmedCompromised");
        assert_eq!(judged(&confirmed).0, ATTACK);
    }

    #[test]
    fn nobody_is_in_two_cities_at_once() {
        let at = |time: &str, latitude: f64, longitude: f64| {
            let mut one = sign_in(time, "192.0.2.1", "DE", "Edge", "D");
            one["location"]["geoCoordinates"] =
                json!({"latitude": latitude, "longitude": longitude});
            one
        };
        let berlin = at("2026-05-01T00:00:00Z", 52.5, 13.4);
        let sydney = at("2026-05-01T02:00:00Z", -33.9, 151.2);
        let judged = judged_sign_ins(&json!([sydney, berlin]), &[knowledge()]).unwrap();
        assert!(text(&judged[1], "what").contains("16"), "{judged}");
        assert_ne!(text(&judged[1], "verdict"), EXPLAINED);
        assert_eq!(text(&judged[0], "verdict"), EXPLAINED);
    }

    #[test]
    fn nothing_is_new_to_one_of_whom_nothing_is_known_or_only_an_attackers_doing() {
        let one = sign_in("2026-05-01T00:00:00Z", "192.0.2.99", "XX", "Edge", "D");
        let mut risky = sign_in("2026-04-01T00:00:00Z", "192.0.2.99", "XX", "Edge", "D");
        risky["riskState"] = json!("atRisk");
        for history in [json!([]), json!([risky])] {
            let judged = judged_sign_ins(&json!([one]), &[json!({"history": history})]).unwrap();
            let what = text(&judged[0], "what");
            assert!(
                !what.contains("is new to") && !what.contains("before"),
                "{what}"
            );
            assert!(
                what.contains("Not known: what is usual for the user"),
                "{what}"
            );
            assert_ne!(text(&judged[0], "verdict"), ATTACK);
        }
    }

    #[test]
    fn what_the_log_does_not_say_is_told() {
        let (verdict, _, what) = judged(&json!({"createdDateTime": "2026-05-01T00:00:00Z"}));
        assert_eq!(verdict, UNCLEAR);
        assert!(
            what.contains("Not known: its address, its device, its user agent, its risk"),
            "{what}"
        );
    }
}
