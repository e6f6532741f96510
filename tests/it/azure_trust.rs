//! Where tokens go, how they are renewed, and what addresses are believed.

use azir::azure::{Error, OutcomeKind, Plane, ReadRequest};

use super::azure_server::{Bench, Server, answer, arm, error};

const VM: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/v";
const CLAIMS: &str = r#"Bearer realm="", error="insufficient_claims", claims="eyJhIjoxfQ""#;

#[tokio::test]
async fn a_token_is_never_sent_to_an_address_that_a_server_made_up() {
    let evil = Server::start(vec![]).await;
    let there = format!("{}/steal", evil.base);

    let redirect = answer(302, &[("location", &there)], "");
    let page = answer(
        200,
        &[],
        &format!(r#"{{"value":[1],"nextLink":"{there}"}}"#),
    );
    let server = Server::start(vec![redirect, page]).await;
    let bench = Bench::of(&server);
    let error = bench.get(VM).await.unwrap_err();
    assert!(matches!(error, Error::ForeignOrigin { .. }), "{error}");
    let request = ReadRequest::new(arm("GET", VM)).unwrap();
    let mut pages = bench.client.pages(request, "value");
    let first = pages.next_page(&bench.told).await.unwrap();
    assert_eq!(first.unwrap().len(), 1);
    let error = pages.next_page(&bench.told).await.unwrap_err();
    assert!(matches!(error, Error::ForeignOrigin { .. }), "{error}");
    assert_eq!(bench.told.foreign(), [evil.base.clone(), evil.base.clone()]);

    for header in ["location", "azure-asyncoperation"] {
        let server = Server::start(vec![answer(202, &[(header, &there)], "")]).await;
        let bench = Bench::of(&server);
        let error = bench.write("POST", VM, false).await.unwrap_err();
        // It was accepted, and nothing trustworthy tells its end.
        assert!(error.is_unknown(), "{header}: {error}");
        assert_eq!(bench.told.kinds(), [OutcomeKind::Unknown]);
        assert_eq!(
            bench.told.foreign(),
            std::slice::from_ref(&evil.base),
            "{header}"
        );

        let reading = format!("{VM}/effectiveRouteTable");
        let server = Server::start(vec![answer(202, &[(header, &there)], "")]).await;
        let bench = Bench::of(&server);
        let request = ReadRequest::new(arm("POST", &reading)).unwrap();
        let error = bench.client.read(&request, &bench.told).await.unwrap_err();
        assert!(
            matches!(error, Error::ForeignOrigin { .. }),
            "{header}: {error}"
        );
    }
    assert_eq!(evil.seen().len(), 0);
}

#[tokio::test]
async fn a_write_with_a_foreign_status_address_stops_there_and_is_unknown() {
    let evil = Server::start(vec![]).await;
    for method in ["PUT", "PATCH", "DELETE"] {
        let begun = answer(202, &[("azure-asyncoperation", &evil.base)], "");
        let server = Server::start(vec![begun]).await;
        let bench = Bench::of(&server);
        let error = bench.write(method, VM, true).await.unwrap_err();
        assert!(error.is_unknown(), "{method}: {error}");
        assert!(error.to_string().contains(&evil.base), "{method}: {error}");
        assert_eq!(bench.told.kinds(), [OutcomeKind::Unknown], "{method}");
        assert_eq!(server.seen().len(), 1, "{method}");
    }
    assert_eq!(evil.seen().len(), 0);
}

#[tokio::test]
async fn a_vault_is_believed_only_when_arm_named_it() {
    let server = Server::start(vec![]).await;
    let vault = Server::start(vec![answer(200, &[], "{}")]).await;
    let bench = Bench::of(&server);
    let request = || {
        let mut parts = arm("GET", &format!("{}/secrets", vault.base));
        parts.plane = Plane::Vault;
        ReadRequest::new(parts).unwrap()
    };
    let error = bench
        .client
        .read(&request(), &bench.told)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::ForeignOrigin { .. }), "{error}");
    bench.client.allow_from_arm(&vault.base).unwrap();
    bench.client.read(&request(), &bench.told).await.unwrap();
    assert!(
        bench
            .client
            .allow_from_arm("http://vault.example/")
            .is_err()
    );
    assert_eq!(vault.seen().len(), 1);
}

#[tokio::test]
async fn a_refused_token_is_renewed_once() {
    let expired = || error(401, "ExpiredAuthenticationToken", &[]);
    let server = Server::start(vec![expired(), answer(200, &[], "{}")]).await;
    let bench = Bench::of(&server);
    bench.write("POST", VM, false).await.unwrap();
    let sent: Vec<_> = server.seen();
    assert_eq!(sent[0].header("authorization"), Some("Bearer t1"));
    assert_eq!(sent[1].header("authorization"), Some("Bearer t2"));

    let server = Server::start(vec![expired(), expired(), expired()]).await;
    let bench = Bench::of(&server);
    let error = bench.get(VM).await.unwrap_err();
    assert!(error.is_auth());
    assert_eq!((server.seen().len(), bench.tokens.given()), (2, 2));
}

#[tokio::test]
async fn a_claims_challenge_is_answered_once_and_then_needs_a_person() {
    let challenge = || {
        let headers = [
            ("www-authenticate", "Bearer realm=\"x\""),
            ("www-authenticate", CLAIMS),
        ];
        error(401, "InvalidAuthenticationToken", &headers)
    };
    let server = Server::start(vec![challenge(), answer(200, &[], "{}")]).await;
    Bench::of(&server).get(VM).await.unwrap();

    let server = Server::start(vec![challenge(), challenge(), challenge()]).await;
    let bench = Bench::of(&server);
    let Error::NeedsSignIn { command, .. } = bench.get(VM).await.unwrap_err() else {
        panic!("a sign-in is needed");
    };
    // Padded anew, whatever the service sent.
    assert_eq!(command, "az login --claims-challenge eyJhIjoxfQ==");
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_vault_says_which_token_it_wants_and_may_still_ask_for_a_fresh_one() {
    let server = Server::start(vec![]).await;
    let named = |name: &str| server.base.replace("127.0.0.1", name);
    let wanted = format!("Bearer resource=\"{}\"", named("vault.localhost"));
    server.answer_with(vec![
        error(401, "Unauthorized", &[("www-authenticate", &wanted)]),
        error(401, "Unauthorized", &[("www-authenticate", CLAIMS)]),
        answer(200, &[], "{}"),
    ]);
    let bench = Bench::of(&server);
    let vault = named("kv.vault.localhost");
    bench.client.allow_from_arm(&vault).unwrap();
    let mut parts = arm("GET", &format!("{vault}/secrets"));
    parts.plane = Plane::Vault;
    let request = ReadRequest::new(parts).unwrap();
    let answered = bench.client.read(&request, &bench.told).await;
    assert_eq!(answered.unwrap().status, 200);
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn many_requests_share_one_token_and_one_renewal() {
    let replies = (0..6).map(|_| error(404, "x", &[])).collect();
    let server = Server::start(replies).await;
    let bench = Bench::of(&server);
    futures_util::future::join_all((0..6).map(|_| bench.get(VM))).await;
    assert_eq!((server.seen().len(), bench.tokens.given()), (6, 1));

    let mut replies: Vec<_> = (0..3).map(|_| error(401, "Expired", &[])).collect();
    replies.extend((0..3).map(|_| answer(200, &[], "{}")));
    let server = Server::start(replies).await;
    let bench = Bench::of(&server);
    futures_util::future::join_all((0..3).map(|_| bench.get(VM))).await;
    assert!(bench.tokens.given() <= 3, "{}", bench.tokens.given());
}

#[tokio::test]
async fn no_secret_is_in_what_is_told() {
    let server = Server::start(vec![error(403, "AuthorizationFailed", &[])]).await;
    let bench = Bench::of(&server);
    let error = bench.get(VM).await.unwrap_err();
    let calls = bench.told.calls.lock().unwrap();
    let told = format!("{error:?} {error} {calls:?} {:?}", bench.told.last());
    assert!(!told.contains("t1") && !told.contains("Bearer"), "{told}");
}
