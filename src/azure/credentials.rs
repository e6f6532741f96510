//! Who azir is to the cloud: credentials through `azure_identity`, tokens in our own cache.
//!
//! `azure_identity`'s Azure CLI credential has no cache and its errors hide their cause (CRATES.md section 2), so
//! tokens are cached here per scope, refreshed five minutes early, one request at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::{Secret as SdkSecret, TokenCredential};
use azure_core::http::{ClientOptions as SdkOptions, Transport};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertionCredentialOptions,
    ClientSecretCredential, ClientSecretCredentialOptions, ManagedIdentityCredential,
    ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential,
    WorkloadIdentityCredentialOptions,
};
use base64::Engine as _;
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::cloud::Cloud;
use super::error::{Error, chain};
use super::http::Http;
use crate::clock::Clock;
use crate::secret::{Secret, redact_text};

/// Which kind of credential to use; absent: the first that the environment offers, in this order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AuthKind {
    /// A client secret in the environment.
    Env,
    /// A federated token file in the environment.
    WorkloadIdentity,
    /// The managed identity of the machine.
    ManagedIdentity,
    /// The Azure CLI's sign-in.
    Cli,
}

/// What the environment says of credentials; read by the command line.
#[derive(Clone, Debug, Default)]
pub struct AuthEnvironment {
    /// `AZURE_TENANT_ID`, or the profile's tenant.
    pub tenant: Option<String>,
    /// `AZURE_CLIENT_ID`.
    pub client_id: Option<String>,
    /// `AZURE_CLIENT_SECRET`.
    pub client_secret: Option<Secret>,
    /// `AZURE_FEDERATED_TOKEN_FILE`.
    pub federated_token_file: Option<std::path::PathBuf>,
    /// Whether an endpoint of a managed identity is named (`IDENTITY_ENDPOINT`, `MSI_ENDPOINT`).
    pub identity_endpoint: bool,
}

/// A token and until when it is good.
#[derive(Clone, Debug)]
pub struct Token {
    /// The token.
    pub value: Secret,
    /// When it ends.
    pub expires: DateTime<Utc>,
}

/// Where tokens come from; a seam, so that tests need no Entra.
#[async_trait::async_trait]
pub trait TokenSource: Send + Sync {
    /// Gets a new token, past any cache.
    async fn fetch(&self, scope: &str) -> Result<Token, Error>;
    /// The credential's name for the record.
    fn name(&self) -> &'static str;
    /// Makes the next token fresh, past any cache of the credential's own.
    fn renew(&self) {}
}

/// Who azir is, as its token says; decoded for the record and for guards, never for decisions of access.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Identity {
    /// The principal's object id.
    pub oid: String,
    /// The application's id.
    pub appid: String,
    /// The tenant's id.
    pub tenant: String,
    /// The person's principal name; absent for an application.
    pub upn: Option<String>,
    /// When the token ends.
    pub expires: Option<DateTime<Utc>>,
    /// `app` or `user`, where the token says it.
    pub kind: Option<String>,
    /// The application permissions granted (`roles`).
    pub roles: Vec<String>,
    /// The delegated permissions granted (`scp`).
    pub scopes: Vec<String>,
    /// The directory roles held, by template id (`wids`); not complete where there are many groups.
    pub directory_roles: Vec<String>,
}

impl Identity {
    /// Returns what a person calls this principal.
    pub fn label(&self) -> String {
        match &self.upn {
            Some(upn) => upn.clone(),
            None => format!("application {}", self.appid),
        }
    }
}

/// A credential of `azure_identity`.
pub struct SdkCredential {
    patience: Duration,
    make: Box<dyn Fn() -> Result<Arc<dyn TokenCredential>, Error> + Send + Sync>,
    current: Mutex<Arc<dyn TokenCredential>>,
    name: &'static str,
}

impl SdkCredential {
    /// Chooses the credential that `kind` names or the environment offers.
    ///
    /// # Errors
    /// The pinned kind lacks what it needs; the values are malformed.
    pub fn choose(
        kind: Option<AuthKind>,
        env: &AuthEnvironment,
        cloud: &Cloud,
        http: &Http,
    ) -> Result<Self, Error> {
        let kind = kind.unwrap_or_else(|| offered(env));
        let patience = http.patience().signing_in;
        let (env, cloud, http) = (env.clone(), cloud.clone(), http.clone());
        let name = match kind {
            AuthKind::Env => "client-secret",
            AuthKind::WorkloadIdentity => "workload-identity",
            AuthKind::ManagedIdentity => "managed-identity",
            AuthKind::Cli => "azure-cli",
        };
        let make = Box::new(move || {
            // The metadata service of a machine cannot be reached through a proxy.
            let pool = match kind {
                AuthKind::ManagedIdentity => http.direct()?,
                _ => http.pool(&cloud.login, false)?,
            };
            make(kind, &env, &options(&cloud, pool)).map_err(|error| Error::Auth {
                scope: "any resource".to_owned(),
                message: format!("the {name} credential cannot be made: {}", chain(&error)),
                passing: false,
                aadsts: None,
            })
        });
        let current = make()?;
        Ok(Self {
            patience,
            make,
            current: Mutex::new(current),
            name,
        })
    }
}

/// Secret, workload identity, managed identity, then the Azure CLI (DESIGN section 5).
fn offered(env: &AuthEnvironment) -> AuthKind {
    if env.client_secret.is_some() && env.client_id.is_some() && env.tenant.is_some() {
        AuthKind::Env
    } else if env.federated_token_file.is_some() {
        AuthKind::WorkloadIdentity
    } else if env.identity_endpoint {
        AuthKind::ManagedIdentity
    } else {
        AuthKind::Cli
    }
}

fn make(
    kind: AuthKind,
    env: &AuthEnvironment,
    options: &SdkOptions,
) -> azure_core::Result<Arc<dyn TokenCredential>> {
    let tenant = env.tenant.clone().unwrap_or_default();
    match kind {
        AuthKind::Env => {
            let secret = env
                .client_secret
                .as_ref()
                .map(|secret| secret.reveal().to_owned())
                .unwrap_or_default();
            let options = ClientSecretCredentialOptions {
                client_options: options.clone(),
            };
            let client = env.client_id.clone().unwrap_or_default();
            Ok(ClientSecretCredential::new(
                &tenant,
                client,
                SdkSecret::from(secret),
                Some(options),
            )?)
        }
        AuthKind::WorkloadIdentity => Ok(WorkloadIdentityCredential::new(Some(
            WorkloadIdentityCredentialOptions {
                credential_options: ClientAssertionCredentialOptions {
                    client_options: options.clone(),
                },
                client_id: env.client_id.clone(),
                tenant_id: env.tenant.clone(),
                token_file_path: env.federated_token_file.clone(),
            },
        ))?),
        AuthKind::ManagedIdentity => Ok(ManagedIdentityCredential::new(Some(
            ManagedIdentityCredentialOptions {
                user_assigned_id: env.client_id.clone().map(UserAssignedId::ClientId),
                client_options: options.clone(),
            },
        ))?),
        AuthKind::Cli => Ok(AzureCliCredential::new(Some(AzureCliCredentialOptions {
            tenant_id: env.tenant.clone(),
            ..AzureCliCredentialOptions::default()
        }))?),
    }
}

fn options(cloud: &Cloud, pool: reqwest::Client) -> SdkOptions {
    let mut custom = CustomConfiguration::default();
    cloud
        .login
        .as_str()
        .trim_end_matches('/')
        .clone_into(&mut custom.authority_host);
    SdkOptions {
        transport: Some(Transport::new(Arc::new(pool))),
        cloud: Some(Arc::new(CloudConfiguration::Custom(custom))),
        ..SdkOptions::default()
    }
}

#[async_trait::async_trait]
impl TokenSource for SdkCredential {
    async fn fetch(&self, scope: &str) -> Result<Token, Error> {
        let credential = Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner));
        // The SDK waits for an answer without end.
        let scopes = [scope];
        let fetched = credential.get_token(&scopes, None);
        let token = tokio::time::timeout(self.patience, fetched)
            .await
            .map_err(|_| Error::Auth {
                scope: scope.to_owned(),
                message: format!(
                    "no answer to the sign-in within {} s",
                    self.patience.as_secs()
                ),
                aadsts: None,
                passing: true,
            })?
            .map_err(|error| {
                let message = redact_text(&chain(&error));
                Error::Auth {
                    scope: scope.to_owned(),
                    aadsts: aadsts(&message),
                    passing: passes(&error),
                    message,
                }
            })?;
        let expires =
            DateTime::from_timestamp(token.expires_on.unix_timestamp(), 0).unwrap_or_default();
        Ok(Token {
            value: Secret::new(token.token.secret()),
            expires,
        })
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn renew(&self) {
        // The SDK's credentials cache for themselves and cannot be told to forget; a new one knows nothing.
        if let Ok(fresh) = (self.make)() {
            *self.current.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
    }
}

/// Whether a sign-in failed on the way rather than being refused: no answer came, or half of one.
fn passes(error: &azure_core::Error) -> bool {
    use azure_core::error::ErrorKind;
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let on_the_way = error.is::<serde_json::Error>()
            || error
                .downcast_ref::<azure_core::Error>()
                .is_some_and(|error| {
                    matches!(error.kind(), ErrorKind::Io | ErrorKind::DataConversion)
                });
        if on_the_way {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Returns the AADSTS code in a message.
fn aadsts(message: &str) -> Option<String> {
    let start = message.find("AADSTS")?;
    let digits: String = message[start + 6..]
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    (!digits.is_empty()).then(|| format!("AADSTS{digits}"))
}

type Lane = Arc<tokio::sync::Mutex<Option<Token>>>;

/// Tokens by scope.
pub(crate) struct Tokens {
    source: Arc<dyn TokenSource>,
    clock: Arc<dyn Clock>,
    lanes: Mutex<HashMap<String, Lane>>,
}

/// A token that ends sooner than this is replaced before it is used.
const EARLY: Duration = Duration::from_secs(5 * 60);

/// Attempts at a token whose answer was lost; the SDK itself waits for a service that is busy.
const FETCHES: u32 = 4;
/// The pause before the second attempt; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

impl Tokens {
    pub(crate) fn new(source: Arc<dyn TokenSource>, clock: Arc<dyn Clock>) -> Self {
        Self {
            source,
            clock,
            lanes: Mutex::new(HashMap::new()),
        }
    }

    pub(crate) fn credential_name(&self) -> &'static str {
        self.source.name()
    }

    /// Returns a token for `scope`; who asks while one is being fetched waits for that one.
    pub(crate) async fn token(&self, scope: &str) -> Result<Token, Error> {
        let lane = self.lane(scope);
        let mut kept = lane.lock().await;
        if let Some(token) = kept.as_ref()
            && token.expires > self.clock.now() + EARLY
        {
            return Ok(token.clone());
        }
        match (self.fetch(scope).await, kept.as_ref()) {
            (Ok(token), _) => {
                *kept = Some(token.clone());
                Ok(token)
            }
            // The old one still opens the door; the sign-in may be back before it ends.
            (Err(_), Some(old)) if old.expires > self.clock.now() => Ok(old.clone()),
            (Err(error), _) => Err(error),
        }
    }

    async fn fetch(&self, scope: &str) -> Result<Token, Error> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..FETCHES {
            match self.source.fetch(scope).await {
                Err(Error::Auth { passing: true, .. }) => self.clock.sleep(pause).await,
                answer => return answer,
            }
            pause *= 2;
        }
        self.source.fetch(scope).await
    }

    /// Drops the token of `scope` if it is still `used`, so that the next one is new.
    pub(crate) async fn forget(&self, scope: &str, used: &Token) {
        let lane = self.lane(scope);
        let mut kept = lane.lock().await;
        if kept
            .as_ref()
            .is_some_and(|token| token.value.reveal() == used.value.reveal())
        {
            *kept = None;
            self.source.renew();
        }
    }

    fn lane(&self, scope: &str) -> Lane {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(lanes.entry(scope.to_owned()).or_default())
    }
}

/// Reads who a token speaks for (graph-and-data-planes.md section 5.7); a token that is no JWT says nothing.
pub(crate) fn identity(token: &Token) -> Identity {
    let claims = token
        .value
        .reveal()
        .split('.')
        .nth(1)
        .and_then(|part| {
            base64::engine::general_purpose::URL_SAFE_NO_PAD
                .decode(part.trim_end_matches('='))
                .ok()
        })
        .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok())
        .unwrap_or(Value::Null);
    let text = |names: &[&str]| {
        names
            .iter()
            .find_map(|name| claims.get(*name)?.as_str().map(str::to_owned))
    };
    let list = |name: &str| {
        let items = claims.get(name).and_then(Value::as_array);
        let texts = items.into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::to_owned).collect::<Vec<_>>()
    };
    Identity {
        oid: text(&["oid", "sub"]).unwrap_or_default(),
        appid: text(&["appid", "azp"]).unwrap_or_default(),
        tenant: text(&["tid"]).unwrap_or_default(),
        upn: text(&["upn", "preferred_username", "unique_name"]),
        expires: Some(token.expires),
        kind: text(&["idtyp"]),
        roles: list("roles"),
        scopes: text(&["scp"])
            .unwrap_or_default()
            .split_whitespace()
            .map(str::to_owned)
            .collect(),
        directory_roles: list("wids"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Counting(AtomicUsize, Arc<ManualClock>);

    #[async_trait::async_trait]
    impl TokenSource for Counting {
        async fn fetch(&self, scope: &str) -> Result<Token, Error> {
            tokio::task::yield_now().await;
            let number = self.0.fetch_add(1, Ordering::SeqCst);
            Ok(Token {
                value: Secret::new(format!("{scope}-{number}")),
                expires: self.1.now() + Duration::from_secs(3_600),
            })
        }

        fn name(&self) -> &'static str {
            "counting"
        }
    }

    #[tokio::test]
    async fn a_token_is_fetched_once_for_all_who_ask_and_again_five_minutes_before_its_end() {
        let clock = Arc::new(ManualClock::at(
            DateTime::from_timestamp(1_790_000_000, 0).unwrap(),
        ));
        let source = Arc::new(Counting(AtomicUsize::new(0), Arc::clone(&clock)));
        let tokens = Tokens::new(source.clone(), clock.clone());
        futures_util::future::join_all((0..5).map(|_| tokens.token("arm"))).await;
        assert_eq!(source.0.load(Ordering::SeqCst), 1);
        clock.advance(Duration::from_secs(3_301));
        let token = tokens.token("arm").await.unwrap();
        assert_eq!(source.0.load(Ordering::SeqCst), 2);
        tokens.forget("arm", &token).await;
        tokens.token("arm").await.unwrap();
        assert_eq!(source.0.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn the_environment_decides_in_a_fixed_order() {
        let mut env = AuthEnvironment::default();
        assert_eq!(offered(&env), AuthKind::Cli);
        env.federated_token_file = Some("f".into());
        assert_eq!(offered(&env), AuthKind::WorkloadIdentity);
        env.tenant = Some("t".into());
        env.client_id = Some("c".into());
        env.client_secret = Some(Secret::new("s"));
        assert_eq!(offered(&env), AuthKind::Env);
        assert_eq!(
            aadsts("x AADSTS7000215: Invalid"),
            Some("AADSTS7000215".to_owned())
        );
    }
}
