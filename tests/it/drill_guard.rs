//! The fence of a drill, attacked: a write that is not of the exercise never leaves, whoever asks for it.

use std::sync::Arc;

use azir::azure::{
    Client, ClientNote, ClientOptions, Effect, Error, Fence, Http, Plane, ReadRequest,
    RequestParts, WriteRequest,
};
use azir::clock::{Clock, ManualClock, SystemClock};
use azir::engine::production::{Production, fence};
use azir::engine::profile::{Profile, Vault};
use azir::engine::{Engine, RunRequest};
use azir::lab::Lab;
use azir::random::{SeededRandom, SystemRandom};
use azir::runbook::catalogue::Catalogue;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::azure_server::{Server, Tokens, Told, answer, cloud};
use crate::lab_support::{DEV, SUB, options};
use crate::staged::client;
use crate::support::{asked, bare, each};

const PROD: &str = "22222222-2222-4222-8222-222222222222";
const EXERCISE: &str = "33333333-3333-4333-8333-333333333333";

/// A lab, and a client of it that stays in the exercise's subscription.
struct Bench {
    lab: Lab,
    client: Client,
    fence: Arc<Fence>,
    told: Told,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn around(subscription: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lab = Lab::start(options(folder.path())).unwrap();
        let fence = Arc::new(Fence::new([subscription.to_owned()]));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let client = client(&lab, &clock, Some(Arc::clone(&fence))).await;
        Self {
            lab,
            client,
            fence,
            told: Told::default(),
            _folder: folder,
        }
    }

    async fn write(
        &self,
        plane: Plane,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<u16, Error> {
        let request = WriteRequest::new(parts(plane, method, path, body), Effect::Update, true)?;
        let answered = self.client.write(&request, &self.told).await?;
        Ok(answered.status)
    }

    fn writes(&self) -> Vec<String> {
        let all = self.lab.requests().into_iter();
        all.filter(|request| request.write && !request.path.ends_with("/token"))
            .map(|request| format!("{} {}", request.method, request.path))
            .collect()
    }
}

fn parts(plane: Plane, method: &str, path: &str, body: Option<Value>) -> RequestParts {
    RequestParts {
        plane,
        method: method.to_owned(),
        path_or_url: path.to_owned(),
        query: Vec::new(),
        api_version: (plane == Plane::Arm).then(|| "2021-04-01".to_owned()),
        headers: Vec::new(),
        body: body.map(|body| Bytes::from(body.to_string())),
    }
}

#[tokio::test]
async fn a_write_inside_reaches_the_tenant_and_a_read_may_go_anywhere() {
    // Where the responder may write, so that the refusals below are the fence's and nobody else's.
    let bench = Bench::around(PROD).await;
    let group = format!("{SUB}/resourceGroups/rg-drill");
    let body = Some(json!({"location": "westeurope"}));
    let made = bench.write(Plane::Arm, "PUT", &group, body).await;
    assert_eq!(made.unwrap(), 201);
    let read = ReadRequest::new(parts(
        Plane::Arm,
        "GET",
        &format!("{DEV}/resourceGroups"),
        None,
    ));
    let read = bench.client.read(&read.unwrap(), &bench.told).await;
    assert_eq!(read.unwrap().status, 200);
    assert_eq!(bench.writes(), [format!("PUT {group}")]);
}

#[tokio::test]
async fn no_write_that_is_not_of_the_exercise_reaches_the_tenant() {
    let bench = Bench::around(EXERCISE).await;
    let group = format!("{SUB}/resourceGroups/rg-workload-prod");
    let machine = format!("{group}/providers/Microsoft.Compute/virtualMachines/vm-app-01");
    let own = format!("{DEV}/resourceGroups/rg-dev");
    let disk = format!("{own}/providers/Microsoft.Compute/disks/d");
    let body = || Some(json!({"location": "westeurope"}));
    let source = json!({"location": "westeurope", "properties": {"creationData": {"createOption": "Copy", "sourceResourceId": format!("{group}/providers/Microsoft.Compute/disks/x")}}});
    let wrapped = json!({"properties": {"script": {"inner": [format!("{{\"id\": \"\\/subscriptions\\/{PROD}\"}}")]}}});
    let alice = format!("/v1.0/users/{}", user(&bench.lab, "alice@contoso.com"));
    let vault = bench.client.blob_endpoint("stforensicirprodweu").unwrap();
    for (plane, method, path, body) in [
        // Another subscription, plainly, and in another case.
        (Plane::Arm, "PUT", group.clone(), body()),
        (Plane::Arm, "DELETE", group.to_uppercase(), None),
        (Plane::Arm, "POST", format!("{machine}/deallocate"), None),
        (
            Plane::Arm,
            "PUT",
            format!("{DEV}0/resourceGroups/g"),
            body(),
        ),
        // Out of the tenant's subscriptions, and around them.
        (
            Plane::Arm,
            "POST",
            "/providers/Microsoft.Authorization/elevateAccess".to_owned(),
            None,
        ),
        (
            Plane::Arm,
            "PUT",
            format!("{own}/providers/A.B/c/d/providers/subscriptions/{PROD}"),
            body(),
        ),
        (
            Plane::Arm,
            "DELETE",
            format!("{own}%2f..%2f..%2f..%2f..{machine}"),
            None,
        ),
        (
            Plane::Arm,
            "DELETE",
            format!("{own}%252f..%252f..{machine}"),
            None,
        ),
        (
            Plane::Arm,
            "DELETE",
            format!("{own}/%2E%2E/%2e%2e/%2e%2e/..{machine}"),
            None,
        ),
        (Plane::Arm, "DELETE", format!("{own}//{machine}"), None),
        // By way of something inside that names it.
        (Plane::Arm, "PUT", disk.clone(), Some(source)),
        (Plane::Arm, "PATCH", disk, Some(wrapped)),
        (
            Plane::Arm,
            "PUT",
            format!("{own}/providers/Microsoft.Resources/deployments/d"),
            body(),
        ),
        // Who was not made by the drill.
        (
            Plane::Graph,
            "PATCH",
            alice.clone(),
            Some(json!({"accountEnabled": false})),
        ),
        (Plane::Graph, "DELETE", alice.clone(), None),
        (
            Plane::Graph,
            "POST",
            format!("{alice}/revokeSignInSessions"),
            None,
        ),
        (
            Plane::Graph,
            "POST",
            "/v1.0/$batch".to_owned(),
            Some(json!({"requests": [{"id": "1", "method": "DELETE", "url": alice}]})),
        ),
        // Where production keeps its evidence.
        (Plane::Blob, "PUT", format!("{vault}/ir-evidence/x"), None),
    ] {
        let refused = bench.write(plane, method, &path, body).await.unwrap_err();
        // What walks out of its path is refused before it is an address.
        let by = refused.code();
        assert!(
            ["guard", "request"].contains(&by),
            "{method} {path}: {refused}"
        );
        assert!(
            by == "request" || refused.to_string().contains("refused"),
            "{refused}"
        );
    }
    assert_eq!(bench.writes(), Vec::<String>::new());
    assert!(
        bench.told.calls.lock().unwrap().is_empty(),
        "nothing was announced"
    );
    let notes = bench.told.notes.lock().unwrap();
    let told = |note: &&ClientNote| matches!(note, ClientNote::Fenced { .. });
    assert!(notes.iter().filter(told).count() >= 15, "it was told");
}

#[tokio::test]
async fn whose_a_consent_is_is_learned_from_what_is_read() {
    let bench = Bench::around(EXERCISE).await;
    let id = user(&bench.lab, "heidi@contoso.com");
    let path = format!("/v1.0/users/{id}/oauth2PermissionGrants");
    let grants = ReadRequest::new(parts(Plane::Graph, "GET", &path, None)).unwrap();
    let read = bench.client.read(&grants, &bench.told).await.unwrap();
    let read = read.json().unwrap();
    let grant = read["value"][0]["id"].as_str().unwrap();
    let grant = format!("/v1.0/oauth2PermissionGrants/{grant}");
    let refused = bench.write(Plane::Graph, "DELETE", &grant, None).await;
    assert_eq!(refused.unwrap_err().code(), "guard");
    // Were she one that the drill made, her consents would be too: once they are read.
    bench.fence.allow(&id);
    let refused = bench.write(Plane::Graph, "DELETE", &grant, None).await;
    assert_eq!(refused.unwrap_err().code(), "guard");
    bench.client.read(&grants, &bench.told).await.unwrap();
    assert_eq!(
        bench
            .write(Plane::Graph, "DELETE", &grant, None)
            .await
            .unwrap(),
        204
    );
    assert_eq!(bench.writes(), [format!("DELETE {grant}")]);
}

#[tokio::test]
async fn a_server_cannot_send_a_write_elsewhere() {
    let own = format!("{DEV}/resourceGroups/rg-dev");
    let other = format!("{SUB}/resourceGroups/rg-workload-prod");
    let there = format!("{{base}}{other}");
    for status in [301, 302, 303, 307, 308] {
        for location in [
            there.as_str(),
            "https://elsewhere.example/x",
            other.as_str(),
        ] {
            let server = Server::start(vec![answer(status, &[("Location", location)], "")]).await;
            let refused = write_at(&server, &own).await.unwrap_err();
            assert!(
                ["malformed", "foreign_origin"].contains(&refused.code()),
                "{refused}"
            );
            assert_eq!(
                server.lines(),
                [format!("PUT {own}")],
                "{status} {location}"
            );
        }
    }
    // What it says of its operation is asked, and nothing but asked.
    let server = Server::start(vec![
        answer(202, &[("Azure-AsyncOperation", &there)], "{}"),
        answer(200, &[], r#"{"status": "Succeeded"}"#),
        answer(
            200,
            &[],
            r#"{"properties": {"provisioningState": "Succeeded"}}"#,
        ),
    ])
    .await;
    write_at(&server, &own).await.unwrap();
    let expected = [
        format!("PUT {own}"),
        format!("GET {other}"),
        format!("GET {own}"),
    ];
    assert_eq!(server.lines(), expected);
}

async fn write_at(server: &Server, path: &str) -> Result<u16, Error> {
    let clock = ManualClock::at(chrono::DateTime::from_timestamp(1_790_000_000, 0).unwrap());
    let client = Client::new(ClientOptions {
        cloud: cloud(&server.base),
        http: Http::new(None).unwrap(),
        credential: Arc::new(Tokens::default()),
        clock: Arc::new(clock),
        random: Arc::new(SeededRandom::new(1)),
        fence: Some(Arc::new(Fence::new([EXERCISE.to_owned()]))),
    });
    let body = Some(json!({"location": "westeurope"}));
    let request = WriteRequest::new(parts(Plane::Arm, "PUT", path, body), Effect::Create, true);
    let written = client.write(&request.unwrap(), &Told::default()).await?;
    Ok(written.status)
}

#[test]
fn a_profile_that_is_not_for_exercises_gets_no_fence_at_all() {
    let azure = cloud("https://management.azure.com");
    let production = [Production {
        profile: "prod".to_owned(),
        cloud: None,
        vault: Some(Vault {
            account: Some("stprod".to_owned()),
            id: None,
            container: "ir-evidence".to_owned(),
        }),
        subscriptions: vec![PROD.to_owned()],
    }];
    let profile = |tabletop, subscription: &str, account: &str| Profile {
        tabletop,
        subscriptions: Some(vec![subscription.to_owned()]),
        vault: Some(Vault {
            account: Some(account.to_owned()),
            id: None,
            container: "ir-evidence".to_owned(),
        }),
        ..Profile::default()
    };
    for (name, bad) in [
        ("prod", profile(false, PROD, "stprod")),
        ("prod", profile(false, EXERCISE, "sttabletop")),
        ("tabletop", profile(true, PROD, "sttabletop")),
        ("tabletop", profile(true, EXERCISE, "stprod")),
    ] {
        let refused = fence(name, &bad, &azure, &production).unwrap_err();
        assert_eq!(
            (refused.code(), refused.exit_code()),
            ("guard", 5),
            "{refused}"
        );
    }
    let fence = fence(
        "tabletop",
        &profile(true, EXERCISE, "sttabletop"),
        &azure,
        &production,
    );
    assert!(fence.unwrap().has_subscription(EXERCISE));
}

const NEIGHBOUR: &str = "azir: v1
name: tag-neighbour
version: 1.0.0
title: Tag the machine, and something of somebody else
purpose: prepare
deadline: 5m
params:
  vm: {type: resource, of: Microsoft.Compute/virtualMachines, position: 1, many: true, required: true, help: The machine}
permissions:
  arm: [Microsoft.Resources/tags/write]
steps:
  - id: neighbour
    phase: tag
    title: Tag somebody else's machine
    request:
      arm: \"PATCH /subscriptions/22222222-2222-4222-8222-222222222222/resourceGroups/rg-workload-prod/providers/Microsoft.Compute/virtualMachines/vm-app-01/providers/Microsoft.Resources/tags/default\"
      api_version: \"2021-04-01\"
      body: {operation: Merge, properties: {tags: {drill: \"yes\"}}}
    otherwise: continue
    undo: {never: a tag}
";

#[tokio::test]
async fn a_runbook_that_writes_elsewhere_is_refused_and_the_record_says_so() {
    let mut catalogue = Catalogue::shipped();
    catalogue
        .add("tag-neighbour", "tag-neighbour.yaml", NEIGHBOUR)
        .unwrap();
    let neighbour = RunRequest {
        // The one in the exercise; there is one of the same name outside.
        targets: vec![format!(
            "{DEV}/resourceGroups/rg-dev/providers/Microsoft.Compute/virtualMachines/vm-twin-01"
        )],
        yes: true,
        ..RunRequest::of(
            catalogue.load("tag-neighbour").unwrap(),
            "IR-1".parse().unwrap(),
            asked("isolate-vm").responder,
        )
    };
    let elsewhere = |runbook: &str, target: &str| RunRequest {
        targets: vec![target.to_owned()],
        yes: true,
        ..asked(runbook)
    };
    for request in [
        neighbour,
        elsewhere("isolate-vm", "vm-app-01"),
        elsewhere("revoke-user", "alice@contoso.com"),
    ] {
        let bench = Bench::around(EXERCISE).await;
        let home = tempfile::tempdir().unwrap();
        let runbook = request.runbook.name.value.clone();
        let (engine, _stop) = Engine::alone(
            bench.client.clone(),
            Profile::default(),
            home.path().join("cases"),
            Arc::new(SystemClock),
            Arc::new(SystemRandom),
        );
        let ended = engine.run(request).await.unwrap();
        assert_eq!(ended.exit_code, 5, "{runbook}");
        assert_eq!(bench.writes(), Vec::<String>::new(), "{runbook}");
        let shown = bare(home.path(), &["show", "last", "--output", "json"]).stdout;
        let report: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(report["status"], "refused", "{runbook}");
        let error = &report["targets"][0]["error"];
        assert_eq!(error["code"], "guard", "{error}");
        let hint = error["hint"].as_str().unwrap();
        assert!(hint.starts_with("azir drill"), "{error}");
        let journal = bare(home.path(), &["journal", "export", "last"]).stdout;
        assert!(
            journal.contains("is not of the exercise: "),
            "{runbook}: it is on record"
        );
    }
}

/// Returns the object id of a user of the lab.
fn user(lab: &Lab, name: &str) -> String {
    let state = lab.state();
    let users = each(&state, "users");
    let user = users
        .iter()
        .find(|user| user["userPrincipalName"] == name)
        .unwrap();
    user["id"].as_str().unwrap().to_owned()
}
