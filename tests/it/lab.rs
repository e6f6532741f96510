//! The lab's own manners: it refuses as the services do, and what it does not model it says.

use serde_json::{Value, json};

use crate::support::{Azir, SUB};

struct Client {
    http: reqwest::Client,
    arm: String,
    token: String,
}

async fn client(azir: &Azir) -> Client {
    let ready = azir.lab.ready();
    let pem = std::fs::read(&ready.ca).unwrap();
    // The provider is installed by azir's own client.
    azir::azure::Http::new(Some(&pem)).unwrap();
    let roots = reqwest::Certificate::from_pem_bundle(&pem).unwrap();
    let http = reqwest::Client::builder()
        .tls_certs_only(roots)
        .no_proxy()
        .build()
        .unwrap();
    let scope = format!("{}/.default", ready.arm);
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &ready.client_id),
        ("client_secret", &ready.client_secret),
        ("scope", &scope),
    ];
    let reply: Value = http
        .post(format!(
            "{}/{}/oauth2/v2.0/token",
            ready.arm, ready.tenant_id
        ))
        .form(&form)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    Client {
        http,
        arm: ready.arm.clone(),
        token: reply["access_token"].as_str().unwrap().to_owned(),
    }
}

impl Client {
    async fn send(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = self
            .http
            .request(method.parse().unwrap(), format!("{}{path}", self.arm))
            .bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let reply = request.send().await.unwrap();
        (
            reply.status().as_u16(),
            reply.json().await.unwrap_or(Value::Null),
        )
    }
}

fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

#[test]
fn the_front_door_refuses_in_the_services_words() {
    let azir = Azir::new();
    block(async {
        let client = client(&azir).await;
        let vm = format!(
            "{SUB}/resourceGroups/rg-workload-prod/providers/Microsoft.Compute/virtualMachines/vm-app-01"
        );
        let code = |answer: (u16, Value)| {
            (
                answer.0,
                answer.1["error"]["code"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
            )
        };
        assert_eq!(
            code(client.send("GET", &vm, None).await),
            (400, "MissingApiVersionParameter".into())
        );
        assert_eq!(
            code(
                client
                    .send("GET", &format!("{vm}?api-version=1999-01-01"), None)
                    .await
            ),
            (400, "NoRegisteredProviderFound".into())
        );
        assert_eq!(
            code(
                client
                    .send("GET", &format!("{vm}x?api-version=2024-11-01"), None)
                    .await
            ),
            (404, "ResourceNotFound".into())
        );
        assert_eq!(
            code(
                client
                    .send(
                        "GET",
                        &format!("{SUB}/providers/Microsoft.Web/sites?api-version=2023-12-01"),
                        None
                    )
                    .await
            )
            .0,
            501
        );
        let patch =
            json!({"identity": {"type": "None", "userAssignedIdentities": null}, "nonsense": 1});
        assert_eq!(
            code(
                client
                    .send(
                        "PATCH",
                        &format!("{vm}?api-version=2024-11-01"),
                        Some(patch)
                    )
                    .await
            ),
            (400, "InvalidRequestContent".into())
        );
        let locked = format!(
            "{SUB}/resourceGroups/rg-locked/providers/Microsoft.Compute/virtualMachines/vm-locked-01?api-version=2024-11-01"
        );
        assert_eq!(
            code(
                client
                    .send("PATCH", &locked, Some(json!({"tags": {}})))
                    .await
            ),
            (409, "ScopeLocked".into())
        );
        let mut stranger = client
            .http
            .get(format!("{}{vm}?api-version=2024-11-01", client.arm));
        stranger = stranger.bearer_auth("eyJ.not.good");
        assert_eq!(stranger.send().await.unwrap().status(), 401);
    });
}

#[test]
fn network_rules_are_those_of_the_service() {
    let azir = Azir::new();
    block(async {
        let client = client(&azir).await;
        let nic = format!(
            "{SUB}/resourceGroups/rg-north/providers/Microsoft.Network/networkInterfaces/vm-north-01-nic?api-version=2023-11-01"
        );
        let (_, mut body) = client.send("GET", &nic, None).await;
        body["properties"]["networkSecurityGroup"] = json!({"id": format!("{SUB}/resourceGroups/rg-security-prod/providers/Microsoft.Network/networkSecurityGroups/nsg-ir-quarantine")});
        let (status, error) = client.send("PUT", &nic, Some(body)).await;
        assert_eq!(
            (status, error["error"]["code"].as_str()),
            (400, Some("InvalidResourceReference")),
            "an NSG of another region"
        );
        let stopped = format!(
            "{SUB}/resourceGroups/rg-workload-prod/providers/Microsoft.Network/networkInterfaces/vm-stopped-01-nic/effectiveNetworkSecurityGroups?api-version=2023-11-01"
        );
        let (status, error) = client.send("POST", &stopped, None).await;
        assert_eq!(
            (status, error["error"]["code"].as_str()),
            (
                400,
                Some("NicMustBeAttachedToRunningVmToGetEffectiveSecurityGroups")
            )
        );
    });
}

#[test]
fn a_snapshot_elsewhere_than_its_disk_is_not_made_and_the_same_one_twice_is_one() {
    let azir = Azir::new();
    block(async {
        let client = client(&azir).await;
        let disk = format!(
            "{SUB}/resourceGroups/rg-workload-prod/providers/Microsoft.Compute/disks/vm-app-01_data1"
        );
        let path = format!(
            "{SUB}/resourceGroups/rg-forensic-prod/providers/Microsoft.Compute/snapshots/s1?api-version=2023-10-02"
        );
        let body = |location: &str| json!({"location": location, "properties": {"creationData": {"createOption": "Copy", "sourceResourceId": disk}, "incremental": true}});
        assert_eq!(
            client.send("PUT", &path, Some(body("northeurope"))).await.0,
            404
        );
        assert_eq!(
            client.send("PUT", &path, Some(body("westeurope"))).await.0,
            202
        );
        let (status, again) = client.send("PUT", &path, Some(body("westeurope"))).await;
        assert_eq!(status, 200);
        let (_, first) = client.send("GET", &path, None).await;
        assert_eq!(
            again["properties"]["timeCreated"], first["properties"]["timeCreated"],
            "it was not captured again"
        );
    });
}

#[test]
fn lists_come_in_pages_and_throttling_in_429s() {
    let azir = Azir::with("faults: []", |options| {
        options.page = Some(3);
        options.throttle = Some(0.05);
    });
    block(async {
        let client = client(&azir).await;
        let (_, page) = client
            .send(
                "GET",
                &format!(
                    "{SUB}/providers/Microsoft.Compute/virtualMachines?api-version=2024-11-01"
                ),
                None,
            )
            .await;
        assert_eq!(page["value"].as_array().unwrap().len(), 3);
        assert!(page["nextLink"].as_str().unwrap().starts_with(&client.arm));
        let mut refused = 0;
        for _ in 0..30 {
            refused += u32::from(client.send("GET", "/subscriptions/22222222-2222-4222-8222-222222222222?api-version=2022-12-01", None).await.0 == 429);
        }
        assert!(refused > 0);
    });
}

#[test]
fn what_was_changed_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.jsonl");
    let tagged = |azir: &Azir| {
        azir.lab.state()["resources"][format!("{SUB}/resourceGroups/rg-workload-prod/providers/Microsoft.Compute/virtualMachines/vm-app-01").to_lowercase()]["tags"]["ir-status"].clone()
    };
    let first = Azir::with("faults: []", |options| options.state = Some(state.clone()));
    assert_eq!(
        first
            .run(&["isolate-vm", "vm-app-01", "--incident", "IR-1", "--yes"])
            .code,
        0
    );
    assert_eq!(tagged(&first), json!("isolated"));
    drop(first);
    let second = Azir::with("faults: []", |options| options.state = Some(state.clone()));
    assert_eq!(tagged(&second), json!("isolated"));
}

#[test]
fn a_thousand_machines_are_seeded() {
    let yaml = format!(
        "{}many: {{vms: 1000, group: rg-workload-prod, location: westeurope}}\n",
        include_str!("../../src/lab/scenarios/default.yaml")
    );
    let azir = Azir::with("faults: []", |options| {
        options.scenario = azir::lab::scenario::Scenario::load(&yaml).unwrap();
    });
    let state = azir.lab.state();
    let count = state["resources"]
        .as_object()
        .unwrap()
        .values()
        .filter(|value| value["type"] == json!("Microsoft.Compute/virtualMachines"))
        .count();
    assert!(count > 1000, "{count}");
    assert!(azir::lab::scenario::Scenario::load("tenant: x\nnonsense: 1\n").is_err());
}
