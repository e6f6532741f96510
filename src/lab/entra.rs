//! Entra: the token endpoint, its errors, and what a token says.

use base64::Engine as _;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::reply::{Ask, Reply};
use super::scenario::Caller;

const B64: base64::engine::general_purpose::GeneralPurpose =
    base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// How long a token lives.
const LIFETIME: i64 = 3_600;

/// Who signs in here.
pub(super) struct Entra {
    pub(super) tenant: String,
    pub(super) callers: Vec<Caller>,
    /// Signs the tokens of this start.
    pub(super) key: [u8; 32],
}

/// What a good token says.
#[derive(Clone, Debug)]
pub(super) struct Claims {
    pub(super) oid: String,
    pub(super) appid: String,
}

impl Entra {
    /// Answers `POST /{tenant}/oauth2/v2.0/token` with client credentials.
    pub(super) fn token(&self, ask: &Ask, now: DateTime<Utc>) -> Reply {
        let form: Vec<(String, String)> = url::form_urlencoded::parse(&ask.body)
            .into_owned()
            .collect();
        let field = |name: &str| {
            form.iter()
                .find(|(known, _)| known == name)
                .map_or("", |(_, value)| value.as_str())
        };
        let tenant = ask.segments().first().copied().unwrap_or_default();
        if !tenant.eq_ignore_ascii_case(&self.tenant) {
            return error(
                400,
                "invalid_request",
                "AADSTS90002",
                &format!("Tenant '{tenant}' not found."),
                now,
            );
        }
        if field("grant_type") != "client_credentials" {
            return error(
                400,
                "unsupported_grant_type",
                "AADSTS70003",
                "The app requested an unsupported grant type.",
                now,
            );
        }
        let Some(caller) = self
            .callers
            .iter()
            .find(|caller| caller.client_id.eq_ignore_ascii_case(field("client_id")))
        else {
            return error(
                400,
                "unauthorized_client",
                "AADSTS700016",
                "Application with this identifier was not found in the directory.",
                now,
            );
        };
        if field("client_secret") != caller.client_secret {
            return error(
                401,
                "invalid_client",
                "AADSTS7000215",
                "Invalid client secret provided.",
                now,
            );
        }
        let Some(audience) = field("scope").strip_suffix("/.default") else {
            return error(
                400,
                "invalid_scope",
                "AADSTS1002012",
                "The provided value for scope is not valid.",
                now,
            );
        };
        let token = self.sign(audience, caller, now);
        Reply::json(
            200,
            &json!({"token_type": "Bearer", "expires_in": LIFETIME - 1, "ext_expires_in": LIFETIME - 1, "access_token": token}),
        )
    }

    fn sign(&self, audience: &str, caller: &Caller, now: DateTime<Utc>) -> String {
        let header = B64.encode(json!({"typ": "JWT", "alg": "HS256"}).to_string());
        let claims = json!({
            "aud": audience,
            "iss": format!("https://sts.windows.net/{}/", self.tenant),
            "iat": now.timestamp(),
            "nbf": now.timestamp(),
            "exp": now.timestamp() + LIFETIME,
            "appid": caller.client_id,
            "oid": caller.object_id,
            "sub": caller.object_id,
            "tid": self.tenant,
            "idtyp": "app",
            "roles": caller.graph,
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

    /// Reads a bearer token for one of these audiences; the error is the reply's message.
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
        let claims: Value = signed
            .split_once('.')
            .and_then(|(_, claims)| B64.decode(claims).ok())
            .and_then(|claims| serde_json::from_slice(&claims).ok())
            .ok_or_else(|| invalid("its claims cannot be read"))?;
        if claims["exp"].as_i64().unwrap_or(0) <= now.timestamp() {
            return Err((
                "ExpiredAuthenticationToken",
                "The access token expiry UTC time is earlier than current UTC time.".to_owned(),
            ));
        }
        let audience = claims["aud"]
            .as_str()
            .unwrap_or_default()
            .trim_end_matches('/');
        if !audiences
            .iter()
            .any(|known| known.trim_end_matches('/').eq_ignore_ascii_case(audience))
        {
            return Err((
                "InvalidAuthenticationTokenAudience",
                format!(
                    "The access token has been obtained for wrong audience or resource '{audience}'."
                ),
            ));
        }
        let text = |name: &str| claims[name].as_str().unwrap_or_default().to_owned();
        Ok(Claims {
            oid: text("oid"),
            appid: text("appid"),
        })
    }
}

fn error(status: u16, error: &str, code: &str, message: &str, now: DateTime<Utc>) -> Reply {
    let number: u64 = code.trim_start_matches("AADSTS").parse().unwrap_or(0);
    Reply::json(
        status,
        &json!({
            "error": error,
            "error_description": format!("{code}: {message} Timestamp: {}", now.format("%Y-%m-%d %H:%M:%SZ")),
            "error_codes": [number],
            "timestamp": now.format("%Y-%m-%d %H:%M:%SZ").to_string(),
        }),
    )
}

/// Answers `/metadata/endpoints`: one cloud for the newer version, a list for the older.
pub(super) fn metadata(ask: &Ask, port: u16) -> Reply {
    let cloud = json!({
        "name": "lab",
        "portal": ask.origin,
        "authentication": {"loginEndpoint": format!("{}/", ask.origin), "audiences": [ask.origin], "tenant": "common", "identityProvider": "AAD"},
        "resourceManager": ask.origin,
        "microsoftGraphResourceId": format!("https://graph.localhost:{port}"),
        "graph": format!("https://graph.localhost:{port}"),
        "suffixes": {"storage": format!("localhost:{port}"), "keyVaultDns": format!("vault.localhost:{port}"), "sqlServerHostname": format!("database.localhost:{port}")},
    });
    match ask.query("api-version") {
        Some("2022-09-01") => Reply::json(200, &cloud),
        Some("2019-05-01" | "2018-05-01" | "2020-06-01") => Reply::json(200, &json!([cloud])),
        _ => super::reply::arm_error(
            400,
            "InvalidApiVersionParameter",
            "The api-version is invalid.",
        ),
    }
}
