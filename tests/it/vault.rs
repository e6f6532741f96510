//! The evidence vault and its anchors against the vendor's own emulator.

use std::process::{Command, Stdio};
use std::sync::Arc;

use azir::azure::{
    AuthEnvironment, AuthKind, Client, ClientOptions, Cloud, Effect, Error, Http, Plane,
    ReadRequest, RequestParts, SdkCredential, Token, TokenSource, WriteRequest,
};
use azir::clock::{Clock, SystemClock};
use azir::random::SystemRandom;
use azir::secret::Secret;
use base64::Engine as _;
use serde_json::json;

/// A token as the emulator wants it: it looks at audience, issuer and times, and not at the signature.
struct Forged;

#[async_trait::async_trait]
impl TokenSource for Forged {
    async fn fetch(&self, _: &str) -> Result<Token, Error> {
        let now = SystemClock.now();
        let encode = |value: serde_json::Value| {
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string())
        };
        let claims = json!({"aud": "https://storage.azure.com", "iss": "https://sts.windows.net/11111111-1111-4111-8111-111111111111/", "iat": now.timestamp() - 60, "nbf": now.timestamp() - 60, "exp": now.timestamp() + 3600});
        let value = format!(
            "{}.{}.{}",
            encode(json!({"alg": "RS256", "typ": "JWT"})),
            encode(claims),
            "c2ln"
        );
        Ok(Token {
            value: Secret::new(value),
            expires: now + std::time::Duration::from_secs(3600),
        })
    }

    fn name(&self) -> &'static str {
        "forged"
    }
}

struct Silent;

#[async_trait::async_trait]
impl azir::azure::Observer for Silent {
    async fn intent(&self, _: &azir::azure::Call) -> Result<u64, azir::azure::Refused> {
        Ok(0)
    }
    async fn result(&self, _: u64, _: &azir::azure::Outcome) {}
    async fn settled(&self, _: u64, _: &str) {}
    async fn note(&self, _: azir::azure::ClientNote) {}
}

fn parts(
    method: &str,
    url: &str,
    headers: Vec<(String, String)>,
    body: Option<&[u8]>,
) -> RequestParts {
    RequestParts {
        plane: Plane::Blob,
        method: method.into(),
        path_or_url: url.into(),
        query: Vec::new(),
        api_version: None,
        headers,
        body: body.map(|body| body.to_vec().into()),
    }
}

#[test]
#[ignore = "needs Azurite from npm"]
fn evidence_is_created_once_and_read_back_from_azurite() {
    let folder = tempfile::tempdir().unwrap();
    let modules = std::env::var("AZIR_TEST_NODE_MODULES")
        .expect("AZIR_TEST_NODE_MODULES names the folder where Azurite is installed");
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let (pem, private) = (
        folder.path().join("cert.pem"),
        folder.path().join("key.pem"),
    );
    std::fs::write(&pem, certificate.pem()).unwrap();
    std::fs::write(&private, key.serialize_pem()).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut azurite = Command::new("node")
        .arg(format!("{modules}/azurite/dist/src/blob/main.js"))
        .args([
            "--blobHost",
            "127.0.0.1",
            "--blobPort",
            &port.to_string(),
            "--oauth",
            "basic",
            "--disableTelemetry",
            "--silent",
            "--skipApiVersionCheck",
            "--inMemoryPersistence",
        ])
        .arg("--cert")
        .arg(&pem)
        .arg("--key")
        .arg(&private)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(
            std::time::Instant::now() < deadline,
            "Azurite does not listen"
        );
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let result = std::panic::catch_unwind(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(protocol(port, &std::fs::read(&pem).unwrap()));
    });
    azurite.kill().unwrap();
    azurite.wait().unwrap();
    result.unwrap();
}

async fn protocol(port: u16, pem: &[u8]) {
    let http = Http::new(Some(pem)).unwrap();
    let mut cloud = Cloud::builtin("AzureCloud").unwrap();
    cloud.arm = format!("https://127.0.0.1:{port}").parse().unwrap();
    let client = Client::new(ClientOptions {
        cloud,
        http,
        credential: Arc::new(Forged),
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
        fence: None,
    });
    let base = format!("https://127.0.0.1:{port}/devstoreaccount1");
    client.allow_from_arm(&base).unwrap();
    let container = WriteRequest::new(
        parts(
            "PUT",
            &format!("{base}/ir-evidence?restype=container"),
            Vec::new(),
            None,
        ),
        Effect::Create,
        true,
    )
    .unwrap();
    client.write(&container, &Silent).await.unwrap();
    let url = format!("{base}/ir-evidence/IR-1/run/exhibit.jsonl");
    let create = || {
        WriteRequest::new(
            parts(
                "PUT",
                &url,
                azir::evidence::vault::create_headers(),
                Some(b"{\"a\":1}\n"),
            ),
            Effect::Create,
            true,
        )
        .unwrap()
    };
    client.write(&create(), &Silent).await.unwrap();
    let again = client.write(&create(), &Silent).await.unwrap_err();
    assert_eq!(again.code(), "BlobAlreadyExists");
    let read = client
        .read(
            &ReadRequest::new(parts("GET", &url, Vec::new(), None)).unwrap(),
            &Silent,
        )
        .await
        .unwrap();
    assert_eq!(&read.body[..], b"{\"a\":1}\n");
    crate::anchors::by_the_vendors_emulator(&client, &base).await;
}

/// The credential's kinds are pinned by name, and a missing secret is an error and no panic.
#[test]
fn a_credential_without_its_values_is_refused() {
    let http = Http::new(None).unwrap();
    let cloud = Cloud::builtin("AzureCloud").unwrap();
    let Err(error) = SdkCredential::choose(
        Some(AuthKind::Env),
        &AuthEnvironment::default(),
        &cloud,
        &http,
    ) else {
        panic!("a credential without a secret");
    };
    assert_eq!(error.code(), "auth");
}
