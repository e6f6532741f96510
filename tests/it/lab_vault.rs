//! The lab's key vaults: who they ask for a token, what they keep and forget, and how much they take.

use serde_json::{Value, json};

use crate::lab_support::{Answer, Bench};

const V: &str = "api-version=7.4";

/// A vault of the lab, asked with a token for vaults.
pub(crate) struct Vault {
    bench: Bench,
    token: String,
    host: String,
}

impl Vault {
    pub(crate) fn new(name: &str, throttle: Option<f64>) -> Self {
        let scenario = azir::lab::scenario::Scenario::load("default").unwrap();
        Self::at(
            Bench::with(scenario, |options| options.throttle = throttle),
            name,
        )
    }

    pub(crate) fn of(scenario: azir::lab::scenario::Scenario, name: &str) -> Self {
        Self::at(Bench::with(scenario, |_| {}), name)
    }

    fn at(bench: Bench, name: &str) -> Self {
        let arm = bench.lab.ready().arm.clone();
        let port = arm.rsplit(':').next().unwrap();
        let token = bench.token_for(&format!("https://vault.localhost:{port}/.default"));
        Self {
            token,
            host: format!("https://{name}.vault.localhost:{port}"),
            bench,
        }
    }

    fn send(&self, method: &str, path: &str, body: Option<&Value>, token: Option<&str>) -> Answer {
        let url = format!("{}{path}", self.host);
        let request = self.bench.http.request(method.parse().unwrap(), url);
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        self.bench.send(match body {
            Some(body) => request.json(body),
            None => request,
        })
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", &format!("{path}?{V}"), None, Some(&self.token))
    }

    pub(crate) fn call(&self, method: &str, path: &str, body: &Value) -> Answer {
        let path = format!("{path}?{V}");
        self.send(method, &path, Some(body), Some(&self.token))
    }
}

pub(crate) fn inner(answer: &Answer) -> (u16, &str) {
    let inner = &answer.body["error"]["innererror"]["code"];
    (answer.status, inner.as_str().unwrap_or_default())
}

#[test]
fn a_vault_says_which_token_it_wants_and_takes_no_other() {
    let vault = Vault::new("kv-shop", None);
    let path = format!("/secrets?{V}");
    let arm = vault.bench.lab.ready().arm.clone();
    let other = vault.bench.token_for(&format!("{arm}/.default"));
    for token in [None, Some("none.at.all"), Some(other.as_str())] {
        let answer = vault.send("GET", &path, None, token);
        assert_eq!(answer.error(), (401, "Unauthorized"));
        let challenge = answer.header("www-authenticate");
        let host = vault.host.replace("kv-shop.", "");
        assert!(
            challenge.contains(&format!("resource=\"{host}\"")),
            "{challenge}"
        );
        assert!(
            challenge.contains("authorization=\"https://"),
            "{challenge}"
        );
    }
    assert_eq!(vault.get("/secrets").status, 200);
    let old = vault.send(
        "GET",
        "/secrets?api-version=2015-06-01",
        None,
        Some(&vault.token),
    );
    assert_eq!(old.status, 400);
}

#[test]
fn a_new_version_leaves_the_old_one_enabled_and_a_disabled_one_is_not_told() {
    let vault = Vault::new("kv-shop", None);
    let made = vault.call(
        "PUT",
        "/secrets/shop-db",
        &json!({"value": "new", "tags": {"a": "b"}}),
    );
    assert_eq!(made.status, 200);
    let versions = vault.get("/secrets/shop-db/versions");
    let all = versions.body["value"].as_array().unwrap();
    assert_eq!(all.len(), 3);
    assert!(all.iter().all(|one| one["attributes"]["enabled"] == true));
    assert!(all.iter().all(|one| one.get("value").is_none()));
    let newest = made.body["id"].as_str().unwrap();
    let at = newest.strip_prefix(&vault.host).unwrap();
    let off = vault.call("PATCH", at, &json!({"attributes": {"enabled": false}}));
    assert_eq!(off.status, 200);
    assert_eq!(
        inner(&vault.get("/secrets/shop-db")),
        (403, "SecretDisabled")
    );
    for (body, why) in [
        (json!({"value": "x", "colour": "red"}), "colour"),
        (json!({"tags": {}}), "value"),
    ] {
        let refused = vault.call("PUT", "/secrets/shop-db", &body);
        assert_eq!(refused.status, 400);
        assert!(refused.text.contains(why), "{}", refused.text);
    }
    let managed = vault.call("PUT", "/secrets/shop-tls", &json!({"value": "x"}));
    assert_eq!(managed.status, 403);
    let name = vault.call("PUT", "/secrets/not_a_name", &json!({"value": "x"}));
    assert_eq!(name.status, 400);
}

#[test]
fn what_is_deleted_can_be_recovered_and_its_name_is_taken_until_then() {
    let vault = Vault::new("kv-shop", None);
    let gone = vault.call("DELETE", "/secrets/shop-db", &json!({}));
    assert_eq!(gone.status, 200, "{gone:?}");
    assert_eq!(
        vault.get("/secrets/shop-db").error(),
        (404, "SecretNotFound")
    );
    let names = |answer: &Answer| answer.body["value"].to_string();
    assert!(!names(&vault.get("/secrets")).contains("shop-db"));
    assert!(names(&vault.get("/deletedsecrets")).contains("shop-db"));
    let again = vault.call("PUT", "/secrets/shop-db", &json!({"value": "x"}));
    assert_eq!(inner(&again), (409, "ObjectIsDeletedButRecoverable"));
    let back = vault.call("POST", "/deletedsecrets/shop-db/recover", &json!({}));
    assert_eq!(back.status, 200);
    assert!(names(&vault.get("/secrets")).contains("shop-db"));
    assert_eq!(
        vault.get("/secrets/shop-db/versions").body["value"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn a_vault_is_opened_by_roles_or_by_its_own_policies_and_says_which() {
    let policy = Vault::new("kv-policy", None);
    assert_eq!(policy.get("/secrets").status, 200);
    let gone = policy.call("DELETE", "/secrets/legacy-api", &json!({}));
    assert_eq!(inner(&gone), (403, "AccessDenied"));
    let hard = Vault::new("kv-hard", None);
    assert_eq!(inner(&hard.get("/secrets")), (403, "AccessDenied"));
    let none = Vault::new("kv-nowhere", None);
    assert_eq!(none.get("/secrets").status, 404);
}

#[test]
fn a_vault_takes_so_many_new_versions_in_ten_seconds_and_no_refusal_counts() {
    let vault = Vault::new("kv-shop", Some(0.01));
    let set = || vault.call("PUT", "/secrets/many", &json!({"value": "x"}));
    for _ in 0..3 {
        assert_eq!(set().status, 200);
    }
    for _ in 0..3 {
        let refused = set();
        assert_eq!(refused.error(), (429, "Throttled"));
        assert_eq!(refused.header("retry-after"), "10");
    }
    assert_eq!(vault.get("/secrets").status, 200);
    vault.bench.pass(10);
    assert_eq!(set().status, 200);
}

#[test]
fn a_vault_tells_twenty_five_names_and_where_the_others_are() {
    let vault = Vault::new("kv-shop", None);
    let before = vault.get("/secrets").body["value"]
        .as_array()
        .unwrap()
        .len();
    for number in 0..26 {
        let path = format!("/secrets/more-{number:02}");
        let set = vault.call("PUT", &path, &json!({"value": "x"}));
        assert_eq!(set.status, 200, "{set:?}");
    }
    let mut page = vault.get("/secrets");
    assert_eq!(page.body["value"].as_array().unwrap().len(), 25);
    let mut names: Vec<String> = Vec::new();
    loop {
        names.extend(page.each("id").into_iter().map(str::to_owned));
        let Some(next) = page.body["nextLink"].as_str() else {
            break;
        };
        let path = next.strip_prefix(&vault.host).unwrap().to_owned();
        page = vault.send("GET", &path, None, Some(&vault.token));
    }
    assert!(page.body.get("nextLink").is_some_and(Value::is_null));
    names.sort();
    names.dedup();
    assert_eq!(names.len(), before + 26);
    let beyond = format!("/secrets?{V}&$skiptoken={}", u64::MAX);
    let last = vault.send("GET", &beyond, None, Some(&vault.token));
    assert!(last.status == 200 && last.body["nextLink"].is_null());
    let many = format!("/secrets?{V}&maxresults=26");
    assert_eq!(
        vault.send("GET", &many, None, Some(&vault.token)).status,
        400
    );
}
