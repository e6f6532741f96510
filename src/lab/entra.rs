//! Entra: the token endpoint and its errors, discovery documents, and what a token says
//! (graph-and-data-planes.md section 5).

use base64::Engine as _;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::graph::{Attempt, SignInRefusal, SignedIn, note_sign_in, sign_in};
use super::reply::{Ask, Reply, arm_error, not_modelled};
use super::scenario::guid;
use super::store::Store;
use crate::random::Random;

const B64: base64::engine::general_purpose::GeneralPurpose =
    base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// How long a token lives, in seconds.
const LIFETIME: i64 = 3_600;

/// Who signs in here.
pub(super) struct Entra {
    pub(super) tenant: String,
    /// Tenants of another national cloud.
    pub(super) elsewhere: Vec<String>,
    /// Signs the tokens of this start.
    pub(super) key: [u8; 32],
}

/// What signing in sees and leaves behind.
pub(super) struct Book<'a> {
    pub(super) store: &'a mut Store,
    pub(super) random: &'a dyn Random,
    pub(super) now_us: u64,
}

/// What a good token says.
#[derive(Clone, Debug)]
pub(super) struct Claims {
    pub(super) oid: String,
    pub(super) appid: String,
    /// Application permissions on Graph.
    pub(super) roles: Vec<String>,
    /// All of it, for the activity log.
    pub(super) all: Value,
}

impl Entra {
    /// Answers what needs no token: the token endpoints and the discovery documents. `None`: not Entra's.
    pub(super) fn answer(
        &self,
        ask: &Ask,
        now: DateTime<Utc>,
        book: &mut Book<'_>,
    ) -> Option<Reply> {
        let path = ask.path.to_ascii_lowercase();
        match ask.method.as_str() {
            "POST" if path.ends_with("/oauth2/v2.0/token") || path.ends_with("/oauth2/token") => {
                Some(self.token(ask, now, book))
            }
            "GET" if path == "/common/discovery/instance" => Some(instance(ask)),
            "GET" if path.ends_with("/.well-known/openid-configuration") => {
                Some(self.discovery(ask))
            }
            _ if path.contains("/oauth2/") => {
                Some(not_modelled(&format!("{} {}", ask.method, ask.path)))
            }
            _ => None,
        }
    }

    /// Answers `POST /{tenant}/oauth2/v2.0/token` with client credentials.
    fn token(&self, ask: &Ask, now: DateTime<Utc>, book: &mut Book<'_>) -> Reply {
        let form: Vec<(String, String)> = url::form_urlencoded::parse(&ask.body)
            .into_owned()
            .collect();
        let field = |name: &str| {
            form.iter()
                .find(|(known, _)| known == name)
                .map_or("", |(_, value)| value.as_str())
        };
        let tenant = ask.segments().first().copied().unwrap_or_default();
        let is_it = |known: &String| known.eq_ignore_ascii_case(tenant);
        if self.elsewhere.iter().any(is_it) {
            let message = format!(
                "Tenant '{tenant}' request is being redirected to the National Cloud 'MicrosoftOnline.US'."
            );
            return error(400, "invalid_request", 90_038, &message, now);
        }
        if !tenant.eq_ignore_ascii_case(&self.tenant) {
            let message = format!(
                "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud."
            );
            return error(400, "invalid_request", 90_002, &message, now);
        }
        if field("grant_type") != "client_credentials" {
            let message = format!(
                "The app requested an unsupported grant type '{}'. The lab models client_credentials.",
                field("grant_type")
            );
            return error(400, "unsupported_grant_type", 70_003, &message, now);
        }
        let client = field("client_id");
        let at = crate::clock::seconds(now);
        let tried = sign_in(book.store, client, field("client_secret"), &at);
        let resource = match field("scope") {
            "" => field("resource"),
            scope => scope.trim_end_matches("/.default"),
        };
        let attempt = Attempt {
            id: book.random.uuid().to_string(),
            app: client,
            key: tried.as_ref().map_or("", |caller| caller.key_id.as_str()),
            resource,
            error: tried.as_ref().err().map_or(0, code),
            at: &at,
        };
        note_sign_in(book.store, &attempt, book.now_us);
        let caller = match tried {
            Ok(caller) => caller,
            Err(refusal) => return turned_away(&refusal, client, tenant, now),
        };
        let audience = match field("scope") {
            "" => Some(field("resource")).filter(|resource| !resource.is_empty()),
            scope => scope
                .strip_suffix("/.default")
                .filter(|resource| !resource.is_empty()),
        };
        let Some(audience) = audience else {
            let message = format!(
                "The provided request must include a 'scope' input parameter. The scope '{}' is not valid.",
                field("scope")
            );
            return error(400, "invalid_scope", 70_011, &message, now);
        };
        let token = self.sign(audience, client, &caller, now);
        Reply::json(
            200,
            &json!({"token_type": "Bearer", "expires_in": LIFETIME - 1, "ext_expires_in": LIFETIME - 1, "access_token": token}),
        )
    }

    fn sign(&self, audience: &str, client: &str, caller: &SignedIn, now: DateTime<Utc>) -> String {
        let header = B64.encode(json!({"typ": "JWT", "alg": "HS256"}).to_string());
        let claims = json!({
            "aud": audience,
            "iss": format!("https://sts.windows.net/{}/", self.tenant),
            "iat": now.timestamp(),
            "nbf": now.timestamp(),
            "exp": now.timestamp() + LIFETIME,
            "appid": client,
            "appidacr": "1",
            "app_displayname": caller.name,
            "oid": caller.object_id,
            "sub": caller.object_id,
            "tid": self.tenant,
            "idtyp": "app",
            "roles": caller.roles,
            "wids": caller.wids,
            "ver": "1.0",
        });
        let claims = B64.encode(claims.to_string());
        let signature = B64.encode(self.mac(&format!("{header}.{claims}")));
        format!("{header}.{claims}.{signature}")
    }

    fn mac(&self, text: &str) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(self.key);
        hasher.update(text);
        hasher.finalize().into()
    }

    /// Reads a bearer token for one of these audiences; the error is the reply's code and message.
    pub(super) fn check(
        &self,
        ask: &Ask,
        audiences: &[String],
        now: DateTime<Utc>,
    ) -> Result<Claims, (&'static str, String)> {
        let missing = || {
            (
                "AuthenticationFailed",
                "Authentication failed. The 'Authorization' header is missing.".to_owned(),
            )
        };
        let token = ask
            .header("authorization")
            .and_then(|header| header.strip_prefix("Bearer "))
            .ok_or_else(missing)?;
        let invalid = |why: &str| {
            (
                "InvalidAuthenticationToken",
                format!("The access token is invalid: {why}."),
            )
        };
        let (signed, signature) = token
            .rsplit_once('.')
            .ok_or_else(|| invalid("it is no JWT"))?;
        if B64.decode(signature).ok() != Some(self.mac(signed).to_vec()) {
            return Err(invalid("its signature does not fit"));
        }
        let all: Value = signed
            .split_once('.')
            .and_then(|(_, claims)| B64.decode(claims).ok())
            .and_then(|claims| serde_json::from_slice(&claims).ok())
            .ok_or_else(|| invalid("its claims cannot be read"))?;
        if all["exp"].as_i64().unwrap_or(0) <= now.timestamp() {
            let message = format!(
                "The access token expiry UTC time is earlier than current UTC time '{}'.",
                now.format("%-m/%-d/%Y %-I:%M:%S %p")
            );
            return Err(("ExpiredAuthenticationToken", message));
        }
        let audience = all["aud"]
            .as_str()
            .unwrap_or_default()
            .trim_end_matches('/');
        if !audiences
            .iter()
            .any(|known| known.trim_end_matches('/').eq_ignore_ascii_case(audience))
        {
            let message = format!(
                "The access token has been obtained for wrong audience or resource '{audience}'. It should exactly match with one of the allowed audiences '{}'.",
                audiences.join("','")
            );
            return Err(("InvalidAuthenticationToken", message));
        }
        let text = |name: &str| all[name].as_str().unwrap_or_default().to_owned();
        let roles = all["roles"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        Ok(Claims {
            oid: text("oid"),
            appid: text("appid"),
            roles,
            all,
        })
    }

    fn discovery(&self, ask: &Ask) -> Reply {
        let tenant = ask.segments().first().copied().unwrap_or_default();
        if !tenant.eq_ignore_ascii_case(&self.tenant) {
            return Reply::json(
                400,
                &json!({"error": "invalid_tenant", "error_description": format!("AADSTS90002: Tenant '{tenant}' not found.")}),
            );
        }
        let base = format!("{}/{}", ask.origin, self.tenant);
        Reply::json(
            200,
            &json!({
                "issuer": format!("{base}/v2.0"),
                "token_endpoint": format!("{base}/oauth2/v2.0/token"),
                "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
                "device_authorization_endpoint": format!("{base}/oauth2/v2.0/devicecode"),
                "jwks_uri": format!("{base}/discovery/v2.0/keys"),
                "token_endpoint_auth_methods_supported": ["client_secret_post"],
                "response_types_supported": ["code"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "tenant_region_scope": "EU",
                "cloud_instance_name": ask.host,
            }),
        )
    }
}

/// Says why an application may not sign in (section 5.1).
/// Returns Entra's number of a refusal.
fn code(refusal: &SignInRefusal) -> u64 {
    match refusal {
        SignInRefusal::Unknown => 700_016,
        SignInRefusal::Disabled => 7_000_112,
        SignInRefusal::WrongSecret => 7_000_215,
        SignInRefusal::Expired => 7_000_222,
    }
}

fn turned_away(refusal: &SignInRefusal, client: &str, tenant: &str, now: DateTime<Utc>) -> Reply {
    let number = code(refusal);
    match refusal {
        SignInRefusal::Unknown => error(
            400,
            "unauthorized_client",
            number,
            &format!(
                "Application with identifier '{client}' was not found in the directory '{tenant}'."
            ),
            now,
        ),
        SignInRefusal::Disabled => error(
            400,
            "unauthorized_client",
            number,
            &format!("Application '{client}' is disabled."),
            now,
        ),
        SignInRefusal::WrongSecret => error(
            401,
            "invalid_client",
            number,
            &format!(
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{client}'."
            ),
            now,
        ),
        SignInRefusal::Expired => error(
            401,
            "invalid_client",
            number,
            &format!("The provided client secret keys for app '{client}' are expired."),
            now,
        ),
    }
}

fn error(status: u16, error: &str, code: u64, message: &str, now: DateTime<Utc>) -> Reply {
    let time = now.format("%Y-%m-%d %H:%M:%SZ").to_string();
    let (trace, correlation) = (
        guid(&format!("trace {time} {code}")),
        guid(&format!("correlation {time} {code}")),
    );
    Reply::json(
        status,
        &json!({
            "error": error,
            "error_description": format!("AADSTS{code}: {message} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {time}"),
            "error_codes": [code],
            "timestamp": time,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
        }),
    )
}

/// Answers the authority check that some clients make before they trust a login host.
fn instance(ask: &Ask) -> Reply {
    let host = ask.origin.trim_start_matches("https://");
    let tenant = ask
        .query("authorization_endpoint")
        .and_then(|at| at.split('/').nth(3))
        .unwrap_or("common");
    Reply::json(
        200,
        &json!({
            "tenant_discovery_endpoint": format!("{}/{tenant}/v2.0/.well-known/openid-configuration", ask.origin),
            "api-version": "1.1",
            "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
        }),
    )
}

/// Answers `/metadata/endpoints`: one cloud for the newer versions and the oldest, a list for those between.
pub(super) fn metadata(ask: &Ask, name: &str, port: u16) -> Reply {
    let graph = format!("https://graph.localhost:{port}");
    let cloud = json!({
        "name": name,
        "portal": ask.origin,
        "portalEndpoint": ask.origin,
        "galleryEndpoint": ask.origin,
        "graphEndpoint": graph,
        "logAnalyticsResourceId": format!("https://api.loganalytics.localhost:{port}"),
        "authentication": {"loginEndpoint": format!("{}/", ask.origin), "audiences": [ask.origin], "tenant": "common", "identityProvider": "AAD"},
        "resourceManager": ask.origin,
        "microsoftGraphResourceId": graph,
        "graph": graph,
        "suffixes": {"storage": format!("localhost:{port}"), "keyVaultDns": format!("vault.localhost:{port}"), "sqlServerHostname": format!("database.localhost:{port}")},
    });
    match ask.query("api-version") {
        Some("2022-09-01" | "2020-06-01" | "2015-01-01") => Reply::json(200, &cloud),
        Some("2019-05-01" | "2018-05-01") => Reply::json(200, &json!([cloud])),
        Some(other) => arm_error(
            400,
            "InvalidApiVersionParameter",
            &format!("The api-version '{other}' is invalid."),
        ),
        None => arm_error(
            400,
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        ),
    }
}
