//! Resource Graph: what the caller may read, asked in Kusto (arm.md section 5.6).

use serde_json::{Value, json};

use super::groups::GROUP;
use super::{Arm, only_members, shown};
use crate::ids::ArmId;
use crate::lab::kql::{Column, Error, Kind, Query, Table};
use crate::lab::reply::{Reply, not_modelled};

/// The most rows on a page.
const MOST: usize = 1_000;

impl Arm<'_> {
    pub(super) fn query(&mut self) -> Result<Reply, Reply> {
        if self.ask.method != "POST" {
            return Err(not_modelled(&format!(
                "{} on Resource Graph",
                self.ask.method
            )));
        }
        let body = self.ask.json()?;
        only_members(
            &body,
            &["query", "subscriptions", "options"],
            "QueryRequest",
        )?;
        only_members(
            &body["options"],
            &[
                "resultFormat",
                "$top",
                "$skip",
                "$skipToken",
                "allowPartialScopes",
            ],
            "QueryRequestOptions",
        )?;
        if !matches!(
            body["options"]["resultFormat"].as_str(),
            None | Some("objectArray")
        ) {
            return Err(not_modelled("results of Resource Graph as a table"));
        }
        let invalid = |why: Error| match why {
            Error::TooLarge(_) => not_modelled(&why.to_string()),
            why => self.invalid(&why.to_string()),
        };
        let text = body["query"].as_str().unwrap_or_default();
        let query = Query::parse(text).map_err(&invalid)?;
        query.check_for_resource_graph().map_err(&invalid)?;
        let subscriptions: Option<Vec<&str>> = body["subscriptions"]
            .as_array()
            .map(|all| all.iter().filter_map(Value::as_str).collect());
        let listed = |row: &Value| {
            let own = row["subscriptionId"].as_str().unwrap_or_default();
            subscriptions
                .as_ref()
                .is_none_or(|all| all.iter().any(|id| own.eq_ignore_ascii_case(id)))
        };
        let tables = |name: &str| {
            let rows = self.rows(name)?;
            Some(Table::of(columns(), rows.iter().filter(|row| listed(row))))
        };
        let found = query
            .run(&tables, self.tenant.clock.now())
            .map_err(&invalid)?;
        let rows: Vec<Value> = found
            .rows
            .iter()
            .map(|row| {
                let pairs = found.columns.iter().zip(row);
                let pairs = pairs.map(|(column, cell)| (column.name.clone(), cell.as_json()));
                Value::Object(pairs.collect())
            })
            .collect();
        Ok(self.page(&body["options"], &rows, query.is_ordered()))
    }

    /// Returns the rows of a table that the caller may read: what is missing is missing silently.
    fn rows(&self, table: &str) -> Option<Vec<Value>> {
        let all = self.store.all().map(|(_, value)| value);
        let readable = |value: &&Value| {
            let kind = value["type"].as_str().unwrap_or_default();
            self.grants.allow(
                &format!("{kind}/read"),
                value["id"].as_str().unwrap_or_default(),
            )
        };
        let kind = |value: &Value| value["type"].as_str().unwrap_or_default().to_owned();
        if table.eq_ignore_ascii_case("Resources") {
            let top_level = |value: &&Value| {
                kind(value).matches('/').count() == 1
                    && !kind(value).starts_with("Microsoft.Authorization/")
                    && !kind(value).starts_with("Microsoft.Resources/")
            };
            return Some(all.filter(top_level).filter(readable).map(row).collect());
        }
        if table.eq_ignore_ascii_case("ResourceContainers") {
            let container = |value: &&Value| {
                kind(value) == GROUP || kind(value) == "Microsoft.Resources/subscriptions"
            };
            return Some(
                all.filter(container)
                    .filter(|value| self.grants.touch(value["id"].as_str().unwrap_or_default()))
                    .map(row)
                    .collect(),
            );
        }
        None
    }

    /// Answers a page. Without an order and the column `id` there is no next one, and only `resultTruncated` tells.
    fn page(&self, options: &Value, rows: &[Value], ordered: bool) -> Reply {
        let number = |name: &str| {
            options[name]
                .as_u64()
                .and_then(|number| usize::try_from(number).ok())
        };
        let size = self
            .tenant
            .options
            .page
            .or(number("$top"))
            .unwrap_or(MOST)
            .clamp(1, MOST);
        let token = options["$skipToken"]
            .as_str()
            .and_then(|token| token.parse().ok());
        let from: usize = token.or(number("$skip")).unwrap_or(0);
        let page: Vec<&Value> = rows.iter().skip(from).take(size).collect();
        let next = from.saturating_add(size);
        let more = rows.len() > next;
        let mut reply = json!({"totalRecords": rows.len(), "count": page.len(), "data": page, "facets": [], "resultTruncated": if more { "true" } else { "false" }});
        if more && ordered && rows.iter().all(|row| row["id"].is_string()) {
            reply["$skipToken"] = json!(next.to_string());
        }
        Reply::json(200, &reply)
            .with("x-ms-user-quota-remaining", "14")
            .with("x-ms-user-quota-resets-after", "00:00:05")
    }

    fn invalid(&self, message: &str) -> Reply {
        let info = format!(
            "Please provide below info when asking for support: timestamp = {}, correlationId = {}.",
            self.tenant.clock.now().to_rfc3339(),
            self.tenant.random.uuid()
        );
        let details = json!([{"code": "InvalidQuery", "message": "Query is invalid. Please refer to the documentation for the Azure Resource Graph service and fix the error before retrying."}, {"code": "ParserFailure", "message": message}]);
        Reply::json(
            400,
            &json!({"error": {"code": "BadRequest", "message": info, "details": details}}),
        )
    }
}

/// The columns of both tables ("Understand the Azure Resource Graph query language").
fn columns() -> Vec<Column> {
    let text = [
        "id",
        "name",
        "type",
        "tenantId",
        "kind",
        "location",
        "resourceGroup",
        "subscriptionId",
        "managedBy",
    ];
    let dynamic = [
        "sku",
        "plan",
        "properties",
        "tags",
        "identity",
        "zones",
        "extendedLocation",
    ];
    let text = text.map(|name| Column::new(name, Kind::String));
    let dynamic = dynamic.map(|name| Column::new(name, Kind::Dynamic));
    text.into_iter().chain(dynamic).collect()
}

/// Returns a resource as a row: with the columns that every table has.
fn row(value: &Value) -> Value {
    let mut row = shown(value);
    if let Ok(id) = value["id"].as_str().unwrap_or_default().parse::<ArmId>() {
        row["name"] = value
            .get("name")
            .or_else(|| value.get("displayName"))
            .cloned()
            .unwrap_or_default();
        row["subscriptionId"] = json!(id.subscription());
        row["resourceGroup"] = json!(
            id.resource_group()
                .map(str::to_lowercase)
                .unwrap_or_default()
        );
        row["type"] = json!(id.resource_type().to_lowercase());
        row["tenantId"] = value.get("tenantId").cloned().unwrap_or_default();
    }
    row
}
