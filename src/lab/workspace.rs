//! The query API of Log Analytics (graph-and-data-planes.md section 7): `POST /v1/workspaces/{guid}/query`, or by the
//! workspace's resource id. Of Kusto the lab reads what `kql` says; anything else is 501, and never an empty success.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::entra::Claims;
use super::gate::Grants;
use super::kql::Query;
use super::kql_columns::Typed;
use super::reply::{Ask, Reply};
use super::store::Store;
use super::{log_schema, log_tables, timespan};
use crate::ids::ArmId;

const WORKSPACE: &str = "Microsoft.OperationalInsights/workspaces";
/// The right that a query takes.
const RIGHT: &str = "Microsoft.OperationalInsights/workspaces/query/read";

/// Answers a request to `api.loganalytics.localhost`.
pub(super) fn answer(store: &Store, ask: &Ask, claims: &Claims, now: DateTime<Utc>) -> Reply {
    let (Ok(reply) | Err(reply)) = match ask.path.as_str() {
        "/v1/$batch" if ask.method == "POST" => batch(store, ask, claims, now),
        _ => query(store, ask, claims, now),
    };
    reply
}

/// Returns an error as the query API writes it.
pub(super) fn error(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(
        status,
        &json!({"error": {"message": message, "code": code}}),
    )
}

/// The most queries in a batch ("Azure Log Analytics REST API, Batch Requests").
const MOST: usize = 100;

/// `POST /v1/$batch`: each query by itself, and its answer beside its id.
fn batch(store: &Store, ask: &Ask, claims: &Claims, now: DateTime<Utc>) -> Result<Reply, Reply> {
    let invalid = || {
        error(
            400,
            "BadArgumentError",
            "The batch had some invalid properties",
        )
    };
    let body: Value = serde_json::from_slice(&ask.body).map_err(|_| invalid())?;
    let requests = body["requests"].as_array().filter(|all| all.len() <= MOST);
    let mut responses = Vec::new();
    for one in requests.ok_or_else(invalid)? {
        let text = |name: &str| one[name].as_str().unwrap_or_default();
        if text("id").is_empty() || text("path") != "/query" || text("method") != "POST" {
            return Err(invalid());
        }
        let headers = one["headers"].as_object().into_iter().flatten();
        let headers =
            headers.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
        let inner = Ask {
            path: format!("/v1/workspaces/{}/query", text("workspace")),
            headers: headers
                .filter(|(name, _)| !name.eq_ignore_ascii_case("content-type"))
                .chain([("content-type".to_owned(), "application/json".to_owned())])
                .collect(),
            body: one["body"].to_string().into_bytes(),
            ..ask.clone()
        };
        let (Ok(reply) | Err(reply)) = query(store, &inner, claims, now);
        let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        responses.push(json!({"id": text("id"), "status": reply.status, "headers": {"Content-Type": "application/json; charset=utf-8"}, "body": answer}));
    }
    // The order of answers means nothing, so it is another one.
    responses.reverse();
    Ok(Reply::json(200, &json!({ "responses": responses })))
}

fn query(store: &Store, ask: &Ask, claims: &Claims, now: DateTime<Utc>) -> Result<Reply, Reply> {
    let place = ask.path.strip_prefix("/v1/");
    let Some(place) = place.and_then(|rest| rest.strip_suffix("/query")) else {
        let message = "The requested path does not exist";
        return Err(error(404, "PathNotFoundError", message));
    };
    if ask.method != "POST" {
        return Err(not_modelled(&format!("{} on queries", ask.method)));
    }
    let workspace = find(store, place).ok_or_else(|| {
        let message = "The workspace could not be found";
        error(404, "WorkspaceNotFoundError", message)
    })?;
    let scope = workspace["id"].as_str().unwrap_or_default();
    if !Grants::of(store, claims).allow(RIGHT, scope) {
        let message =
            "The provided credentials have insufficient access to perform the requested operation";
        return Err(error(403, "InsufficientAccessError", message));
    }
    let typed = ask
        .header("content-type")
        .is_some_and(|kind| kind.starts_with("application/json"));
    if !typed || ask.body.is_empty() {
        // The service's own answer to a question that it does not see.
        return Ok(Reply::empty(200));
    }
    let body = read(ask)?;
    let text = body["query"].as_str().unwrap_or_default();
    let parsed = Query::parse(text, now).map_err(|why| wrong("SyntaxError", "SYN0002", &why))?;
    let (table, columns) = log_schema::table(&parsed.table).ok_or_else(|| {
        let why = format!(
            "'where' operator: Failed to resolve table or column expression named '{}'",
            parsed.table
        );
        wrong("SemanticError", "SEM0100", &why)
    })?;
    let known = columns.clone();
    let left = parsed
        .columns(columns)
        .map_err(|why| wrong("SemanticError", "SEM0100", &why))?;
    let (from, to) = timespan::read(body["timespan"].as_str(), now)
        .map_err(|why| error(400, "BadArgumentError", &why))?;
    let mut rows = log_tables::rows(store, table, now);
    rows.retain(|row| {
        let time = row["TimeGenerated"]
            .as_str()
            .and_then(|time| time.parse::<DateTime<Utc>>().ok());
        time.is_some_and(|time| from.is_none_or(|from| from <= time) && time <= to)
    });
    for row in &mut rows {
        row["TenantId"] = workspace["properties"]["customerId"].clone();
        *row = filled(row, &known);
    }
    let rows = parsed
        .evaluate(rows)
        .map_err(|why| wrong("SemanticError", "SEM0001", &why))?;
    Ok(Reply::json(200, &shown(&left, &rows)))
}

fn find<'a>(store: &'a Store, place: &str) -> Option<&'a Value> {
    let Some(id) = place.strip_prefix("workspaces/") else {
        let id: ArmId = format!("/{place}").parse().ok()?;
        return store
            .get(id.as_str())
            .filter(|found| found["type"] == WORKSPACE);
    };
    let mut all = store.of_type("", WORKSPACE);
    all.find(|one| {
        one["properties"]["customerId"]
            .as_str()
            .is_some_and(|own| own.eq_ignore_ascii_case(id))
    })
}

fn read(ask: &Ask) -> Result<Value, Reply> {
    let invalid = |why: &str| error(400, "BadArgumentError", why);
    let body: Value = serde_json::from_slice(&ask.body)
        .map_err(|_| invalid("The request had some invalid properties"))?;
    if body["workspaces"]
        .as_array()
        .is_some_and(|more| !more.is_empty())
    {
        return Err(not_modelled("queries over several workspaces"));
    }
    let prefer = ask.header("prefer").unwrap_or_default();
    if prefer.contains("include-") {
        return Err(not_modelled("statistics of queries, and how to draw them"));
    }
    match body["query"].as_str() {
        Some(query) if !query.trim().is_empty() => Ok(body),
        _ => Err(invalid("The query is missing or is no text")),
    }
}

/// Every row has every column of its table: a text that is not there is empty.
fn filled(row: &Value, columns: &[Typed]) -> Value {
    let mut whole = json!({});
    for (name, kind) in columns {
        let value = row.get(name).cloned().unwrap_or_default();
        whole[name] = match *kind {
            "string" if value.is_null() => json!(""),
            _ => value,
        };
    }
    whole
}

/// Rows by position; what is dynamic is JSON written as text.
fn shown(columns: &[Typed], rows: &[Value]) -> Value {
    let heads: Vec<Value> = columns
        .iter()
        .map(|(name, kind)| json!({"name": name, "type": kind}))
        .collect();
    let cell = |row: &Value, (name, kind): &Typed| match (&row[name], *kind) {
        (Value::Null, "string") => json!(""),
        (Value::Null, _) => Value::Null,
        (Value::String(text), _) => json!(text),
        (value, "dynamic" | "string") => json!(value.to_string()),
        (value, _) => value.clone(),
    };
    let rows: Vec<Vec<Value>> = rows
        .iter()
        .map(|row| columns.iter().map(|column| cell(row, column)).collect())
        .collect();
    json!({"tables": [{"name": "PrimaryResult", "columns": heads, "rows": rows}]})
}

/// The refusal of a query: what the service would not understand, or what the lab does not model.
fn wrong(kind: &str, code: &str, why: &str) -> Reply {
    if why.starts_with("the lab does not model") {
        return error(501, "NotModelled", why);
    }
    let message = match kind {
        "SyntaxError" => "A recognition error occurred in the query.",
        _ => "A semantic error occurred.",
    };
    let inner =
        json!({"code": kind, "message": message, "innererror": {"code": code, "message": why}});
    Reply::json(
        400,
        &json!({"error": {"message": "The request had some invalid properties", "code": "BadArgumentError", "innererror": inner}}),
    )
}

fn not_modelled(what: &str) -> Reply {
    error(
        501,
        "NotModelled",
        &format!("the lab does not model {what}"),
    )
}
