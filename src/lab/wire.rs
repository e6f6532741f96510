//! Between HTTP and the lab's own requests and replies; faults that concern the wire happen here.

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response};
use serde_json::{Value, json};
use std::sync::Arc;

use super::faults::{Fault, Rule};
use super::latency;
use super::reply::{Ask, Reply, arm_error, dated};
use super::tenant::Tenant;

/// The largest body that is read.
const BODY_LIMIT: usize = 256 * 1024 * 1024;

/// Answers one request.
pub(super) async fn handle(
    State(tenant): State<Arc<Tenant>>,
    request: Request<Body>,
) -> Response<Body> {
    let Some(ask) = read(&tenant, request).await else {
        return broken();
    };
    let takes = latency::of_request(&ask.method, &ask.path);
    tenant
        .wait(takes.mul_f64(tenant.options.latency.max(0.0)))
        .await;
    let rule = tenant.fault(&ask);
    match rule.as_ref().map(|rule| rule.fault) {
        Some(Fault::ResetBefore) => return broken(),
        Some(Fault::Delay) => {
            tenant.keep_back();
            late(&tenant, rule.as_ref()).await;
        }
        _ => {}
    }
    let after = rule
        .as_ref()
        .is_some_and(|rule| rule.fault == Fault::ActAfter);
    let acts = rule.as_ref().map_or(&[][..], |rule| &rule.act);
    if !after {
        tenant.act(acts);
    }
    let mut reply = match rule.as_ref().and_then(|rule| instead(rule, &ask)) {
        Some(reply) => reply,
        None => tenant.answer(&ask, rule.as_ref()),
    };
    if after {
        tenant.act(acts);
    }
    tenant.note(&ask, &reply);
    match rule {
        Some(rule) if rule.fault == Fault::ResetAfter => return broken(),
        Some(rule) if rule.fault == Fault::DelayAfter => late(&tenant, Some(&rule)).await,
        Some(rule) => twist(&rule, &mut reply),
        None => {}
    }
    response(&tenant, &ask, reply)
}

async fn late(tenant: &Tenant, rule: Option<&Rule>) {
    let millis = rule.and_then(|rule| rule.millis).unwrap_or(1_000);
    tenant.wait(Duration::from_millis(millis)).await;
}

/// Answers so that the exchange breaks: the body fails before its first byte, which resets an HTTP/2 stream
/// and closes an HTTP/1.1 connection, before the head was sent.
fn broken() -> Response<Body> {
    let failing = futures_util::stream::once(async {
        Err::<bytes::Bytes, _>(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
    });
    Response::new(Body::from_stream(failing))
}

async fn read(tenant: &Tenant, request: Request<Body>) -> Option<Ask> {
    let (parts, body) = request.into_parts();
    let host = if let Some(host) = parts.uri.host() {
        host.to_owned()
    } else {
        let header = parts.headers.get("host")?.to_str().ok()?;
        header
            .rsplit_once(':')
            .map_or(header, |(host, _)| host)
            .to_owned()
    };
    let path = percent_encoding::percent_decode_str(parts.uri.path())
        .decode_utf8_lossy()
        .into_owned();
    let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
        .into_owned()
        .collect();
    let text =
        |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = parts
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), text(value)))
        .collect();
    let body = axum::body::to_bytes(body, BODY_LIMIT).await.ok()?;
    Some(Ask {
        method: parts.method.as_str().to_owned(),
        origin: format!("https://{host}:{}", tenant.port),
        host: host.to_ascii_lowercase(),
        path: if path.len() > 1 {
            path.trim_end_matches('/').to_owned()
        } else {
            path
        },
        query,
        headers,
        body: body.to_vec(),
    })
}

/// Returns the reply that a fault puts in the place of the real one.
fn instead(rule: &Rule, ask: &Ask) -> Option<Reply> {
    match rule.fault {
        Fault::Status => {
            let status = rule.status.unwrap_or(503);
            let usual = if status == 429 {
                "TooManyRequests"
            } else {
                "ServiceUnavailable"
            };
            let code = rule.code.as_deref().unwrap_or(usual);
            let reply = arm_error(status, code, "The service is told to fail.");
            Some(match rule.retry_after {
                Some(seconds) => reply.with("retry-after", seconds.to_string()),
                None => reply,
            })
        }
        Fault::Html => Some(Reply {
            status: rule.status.unwrap_or(502),
            headers: vec![("content-type".into(), "text/html".into())],
            body: b"<html><body>Bad Gateway</body></html>".to_vec(),
        }),
        Fault::ExpiredToken => {
            let challenge = format!(
                "Bearer authorization_uri=\"{}\", error=\"invalid_token\"",
                ask.origin
            );
            let reply = arm_error(
                401,
                "ExpiredAuthenticationToken",
                "The access token has expired.",
            );
            Some(reply.with("www-authenticate", challenge))
        }
        Fault::Echo => {
            let said = ask.header("authorization").unwrap_or_default();
            let message = format!("The request with Authorization: {said} cannot be served.");
            let code = rule.code.as_deref().unwrap_or("GatewayError");
            let reply = arm_error(rule.status.unwrap_or(502), code, &message);
            Some(
                reply
                    .with("set-cookie", format!("session={said}; Secure"))
                    .with("x-ms-failure-cause", said),
            )
        }
        Fault::ClaimsChallenge => {
            // {"access_token":{"nbf":{"essential":true,"value":"1603742800"}}}
            let claims = "eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjp7ImVzc2VudGlhbCI6dHJ1ZSwidmFsdWUiOiIxNjAzNzQyODAwIn19fQ";
            let challenge = format!(
                "Bearer realm=\"\", authorization_uri=\"{}/common/oauth2/authorize\", error=\"insufficient_claims\", claims=\"{claims}\"",
                ask.origin
            );
            let reply = arm_error(
                401,
                "InvalidAuthenticationToken",
                "Continuous access evaluation resulted in challenge.",
            );
            Some(reply.with("www-authenticate", challenge))
        }
        _ => None,
    }
}

/// Changes a real reply as a fault says.
fn twist(rule: &Rule, reply: &mut Reply) {
    match rule.fault {
        Fault::ForeignNextLink => {
            if let Ok(mut body) = serde_json::from_slice::<Value>(&reply.body) {
                body["nextLink"] = json!("https://evil.example/next");
                reply.body = body.to_string().into_bytes();
            }
        }
        Fault::ForeignLocation => {
            for (name, value) in &mut reply.headers {
                if matches!(name.as_str(), "location" | "azure-asyncoperation") {
                    "https://evil.example/operation".clone_into(value);
                }
            }
        }
        Fault::Partial => {
            if let Ok(mut body) = serde_json::from_slice::<Value>(&reply.body) {
                in_part(&mut body);
                reply.body = body.to_string().into_bytes();
            }
        }
        Fault::Truncate => reply.body.truncate(reply.body.len() / 2),
        Fault::Malformed => reply.body = b"{\"value\": [}".to_vec(),
        _ => {}
    }
}

/// Makes the answer to a query, or each in a batch, one that is not whole (graph-and-data-planes.md section 7).
fn in_part(body: &mut Value) {
    let responses = body.get_mut("responses").and_then(Value::as_array_mut);
    for one in responses.into_iter().flatten() {
        in_part(&mut one["body"]);
    }
    let Some(tables) = body.get_mut("tables").and_then(Value::as_array_mut) else {
        return;
    };
    let rows = tables.iter_mut().map(|table| table["rows"].as_array_mut());
    for rows in rows.flatten() {
        rows.truncate(rows.len().div_ceil(2));
    }
    let why = "The results of this query exceed the set limit of 500000 records, so not all records were returned (E_QUERY_RESULT_SET_TOO_LARGE, 0x80DA0003).";
    let inner =
        json!({"code": "-2133196797", "message": why, "severity": 2, "severityName": "Error"});
    let detail = json!({"code": "EngineError", "message": "Something went wrong processing your query on the server.", "innererror": inner});
    body["error"] = json!({"code": "PartialError", "message": "There were some errors when processing your query.", "details": [detail]});
}

fn response(tenant: &Tenant, ask: &Ask, mut reply: Reply) -> Response<Body> {
    let now = tenant.clock.now();
    let request_id = tenant.random.uuid().to_string();
    let graph = ask.host.starts_with("graph.");
    let (own, echo) = if graph {
        ("request-id", "client-request-id")
    } else {
        ("x-ms-request-id", "x-ms-client-request-id")
    };
    if graph {
        let at = now.format("%Y-%m-%dT%H:%M:%S").to_string();
        dated(&mut reply, &at, &request_id, ask.header(echo));
    }
    let mut builder = Response::builder()
        .status(reply.status)
        .header(own, &request_id)
        .header("date", now.format("%a, %d %b %Y %H:%M:%S GMT").to_string())
        .header("cache-control", "no-cache")
        .header(
            "strict-transport-security",
            "max-age=31536000; includeSubDomains",
        )
        .header("x-content-type-options", "nosniff");
    if !graph {
        builder = builder
            .header(
                "x-ms-correlation-request-id",
                tenant.random.uuid().to_string(),
            )
            .header(
                "x-ms-routing-request-id",
                format!("WESTEUROPE:{}:{request_id}", now.format("%Y%m%dT%H%M%SZ")),
            )
            .header("pragma", "no-cache")
            .header("expires", "-1");
    }
    let wanted = graph
        || ask
            .header("x-ms-return-client-request-id")
            .is_some_and(|wish| wish.eq_ignore_ascii_case("true"));
    if let Some(id) = ask.header(echo).filter(|_| wanted) {
        builder = builder.header(echo, id);
    }
    for (name, value) in &reply.headers {
        builder = builder.header(name, value);
    }
    builder
        .body(Body::from(reply.body))
        .unwrap_or_else(|_| broken())
}
