//! The query API of Log Analytics (graph-and-data-planes.md section 7): `POST /v1/workspaces/{guid}/query`, or by the
//! workspace's resource id. Of Kusto the lab reads what `kql` says; anything else is an error, and never an empty success.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::entra::Claims;
use super::gate::Grants;
use super::kql::{Cell, Error, Query, Table};
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
    let query = Query::parse(text).map_err(|why| refused(&why))?;
    let span = timespan::read(body["timespan"].as_str(), now)
        .map_err(|why| error(400, "BadArgumentError", &why))?;
    let customer = &workspace["properties"]["customerId"];
    let tables = |name: &str| table(store, name, customer, span, now);
    let found = query.run(&tables, now).map_err(|why| refused(&why))?;
    Ok(Reply::json(200, &shown(&found)))
}

/// Returns a table of the workspace, of the time that is asked for: what a query says of time narrows it further.
fn table(
    store: &Store,
    name: &str,
    customer: &Value,
    (from, to): (Option<DateTime<Utc>>, DateTime<Utc>),
    now: DateTime<Utc>,
) -> Option<Table> {
    let (name, columns) = log_schema::table(name)?;
    let mut rows = log_tables::rows(store, name, now);
    rows.retain(|row| {
        let time = row["TimeGenerated"]
            .as_str()
            .and_then(|time| time.parse::<DateTime<Utc>>().ok());
        time.is_some_and(|time| from.is_none_or(|from| from <= time) && time <= to)
    });
    for row in &mut rows {
        row["TenantId"] = customer.clone();
    }
    Some(Table::of(columns, rows.iter()))
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

/// Columns with their types, and rows by position.
fn shown(table: &Table) -> Value {
    let heads: Vec<Value> = table
        .columns
        .iter()
        .map(|column| json!({"name": column.name, "type": column.kind.name()}))
        .collect();
    let rows: Vec<Vec<Value>> = table
        .rows
        .iter()
        .map(|row| row.iter().map(Cell::shown).collect())
        .collect();
    json!({"tables": [{"name": "PrimaryResult", "columns": heads, "rows": rows}]})
}

/// The refusal of a query: what the service would not understand either, or what is too large for the lab.
fn refused(why: &Error) -> Reply {
    let mut innermost = json!({"message": why.to_string()});
    let (kind, message) = match why {
        Error::TooLarge(_) => return error(501, "NotModelled", &why.to_string()),
        Error::Semantic { code, .. } => {
            innermost["code"] = json!(code);
            ("SemanticError", "A semantic error occurred.")
        }
        Error::Syntax {
            token,
            line,
            column,
        } => {
            innermost["code"] = json!("SYN0002");
            innermost["line"] = json!(line);
            innermost["pos"] = json!(column);
            innermost["token"] = json!(token);
            ("SyntaxError", "A recognition error occurred in the query.")
        }
    };
    let inner = json!({"code": kind, "message": message, "innererror": innermost});
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
