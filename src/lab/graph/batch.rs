//! `$batch`: up to 20 requests in one, each with its own status (section 4).

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{Route, Visit, dispatch, route};
use crate::lab::reply::{Ask, Reply, dated, graph_error};

pub(super) const ROUTES: &[Route] = &[route("POST", "$batch", &[], answer)];

/// The most requests in a batch.
const MOST: usize = 20;

fn answer(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    let refuse = |message: &str| graph_error(400, "BadRequest", message);
    let Ok(body) = serde_json::from_slice::<Value>(&visit.ask.body) else {
        return refuse("Unable to read JSON request payload.");
    };
    let Some(requests) = body["requests"].as_array() else {
        return refuse("Invalid batch payload format.");
    };
    if requests.is_empty() || requests.len() > MOST {
        return refuse(&format!(
            "Number of batch request steps exceeds the maximum value of {MOST}, or there is none."
        ));
    }
    let mut ids: Vec<String> = requests
        .iter()
        .map(|one| one["id"].as_str().unwrap_or_default().to_lowercase())
        .collect();
    ids.sort();
    if ids.iter().any(String::is_empty) || ids.windows(2).any(|pair| pair[0] == pair[1]) {
        return refuse("Each batch request needs an id of its own.");
    }
    let mut statuses: HashMap<String, u16> = HashMap::new();
    let mut responses = Vec::new();
    for request in requests {
        let id = request["id"].as_str().unwrap_or_default();
        let mut reply = match failed_before(request, &statuses) {
            Some(reply) => reply,
            None => inner(visit, request),
        };
        statuses.insert(id.to_owned(), reply.status);
        let at = visit.now.format("%Y-%m-%dT%H:%M:%S").to_string();
        dated(&mut reply, &at, &visit.new_id(), None);
        responses.push(shown(id, &reply));
    }
    // The order of answers means nothing, so it is another one.
    responses.reverse();
    Reply::json(200, &json!({"responses": responses}))
}

fn failed_before(request: &Value, statuses: &HashMap<String, u16>) -> Option<Reply> {
    let before = request["dependsOn"].as_array()?;
    let failed = before.iter().filter_map(Value::as_str).any(|id| {
        statuses
            .get(id)
            .is_none_or(|status| !(200..300).contains(status))
    });
    failed.then(|| {
        graph_error(
            424,
            "FailedDependency",
            "A request that this one depends on has failed.",
        )
    })
}

fn inner(visit: &mut Visit<'_>, request: &Value) -> Reply {
    let ask = match read(visit, request) {
        Ok(ask) => ask,
        Err(refusal) => return refusal,
    };
    let mut each = Visit {
        tenant: visit.tenant,
        store: &mut *visit.store,
        ask: &ask,
        claims: visit.claims,
        now: visit.now,
        now_us: visit.now_us,
    };
    let reply = dispatch(&mut each);
    visit.tenant.note(&ask, &reply);
    reply
}

fn read(visit: &Visit<'_>, request: &Value) -> Result<Ask, Reply> {
    let refuse = |message: &str| Err(graph_error(400, "BadRequest", message));
    let url = request["url"].as_str().unwrap_or_default();
    if url.is_empty() || url.contains("://") || url.trim_start_matches('/').starts_with("$batch") {
        return refuse("The url of a batch request is relative to the version.");
    }
    let version = visit.ask.segments().first().copied().unwrap_or("v1.0");
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let path = percent_encoding::percent_decode_str(path.trim_start_matches('/'))
        .decode_utf8_lossy()
        .into_owned();
    let headers: Vec<(String, String)> = request["headers"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect();
    let typed = headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let method = request["method"]
        .as_str()
        .unwrap_or_default()
        .to_uppercase();
    if matches!(method.as_str(), "POST" | "PATCH" | "PUT") && (request["body"].is_null() || !typed)
    {
        return refuse(
            "Write request id must contain a body and the Content-Type header declaration.",
        );
    }
    let body = match &request["body"] {
        Value::Null => Vec::new(),
        body => body.to_string().into_bytes(),
    };
    Ok(Ask {
        method,
        host: visit.ask.host.clone(),
        path: format!("/{version}/{path}"),
        query: url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
        headers,
        body,
        origin: visit.ask.origin.clone(),
    })
}

fn shown(id: &str, reply: &Reply) -> Value {
    let headers: Value = reply
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    let mut one = json!({"id": id, "status": reply.status, "headers": headers});
    if let Ok(body) = serde_json::from_slice::<Value>(&reply.body) {
        one["body"] = body;
    }
    one
}
