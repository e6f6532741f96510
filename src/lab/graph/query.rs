//! `$select`, `$filter`, `$expand`, `$top`, `$count`, `$search` and pages, as far as the calls of incident response use
//! them (graph-and-data-planes.md section 0.1). An option or property that is not known is refused.

use serde_json::{Map, Value, json};

use super::directory::shown;
use super::filter::{self, Filter};
use super::{Visit, bad};
use crate::lab::reply::{Reply, graph_error};

/// What a collection offers.
pub(super) struct Shape {
    /// Its name in the answer's context.
    pub(super) name: &'static str,
    /// Properties that exist.
    pub(super) properties: &'static [&'static str],
    /// Properties that come without `$select`; empty: all.
    pub(super) usual: &'static [&'static str],
    /// What `$expand` may name.
    pub(super) expands: &'static [&'static str],
    /// The largest `$top`, and the size of a page without one.
    pub(super) pages: (usize, usize),
    /// Whether only advanced queries may use `$count`, `$search`, `ne`, `not`, `endsWith` and sorting with a filter.
    pub(super) directory: bool,
}

/// A query, read and allowed.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) select: Option<Vec<String>>,
    pub(super) filter: Option<Filter>,
    pub(super) expand: Vec<String>,
    top: Option<usize>,
    count: bool,
    search: Option<String>,
    order: Option<String>,
    skip: usize,
}

/// Reads the query of a request.
///
/// # Errors
/// The refusal, as the service writes it.
pub(super) fn read(visit: &Visit<'_>, shape: &Shape) -> Result<Query, Reply> {
    let mut query = Query {
        select: None,
        filter: None,
        expand: Vec::new(),
        top: None,
        count: false,
        search: None,
        order: None,
        skip: 0,
    };
    for (name, value) in &visit.ask.query {
        match name.to_ascii_lowercase().as_str() {
            "$select" => query.select = Some(names(value, shape.properties, shape)?),
            "$expand" => query.expand = names(value, shape.expands, shape)?,
            "$filter" => query.filter = Some(filter_of(value, shape)?),
            "$top" => query.top = Some(top(value, shape)?),
            "$count" => query.count = value.eq_ignore_ascii_case("true"),
            "$search" => query.search = Some(value.clone()),
            "$orderby" => query.order = Some(value.clone()),
            "$skiptoken" => query.skip = token(value)?,
            "$format" => {}
            other => {
                let message = format!("The query parameter '{other}' is not supported.");
                return Err(graph_error(400, "BadRequest", &message));
            }
        }
    }
    allowed(visit, shape, &query)?;
    Ok(query)
}

/// Reads the query of a request for one object: only `$select` and `$expand`.
pub(super) fn read_one(visit: &Visit<'_>, shape: &Shape) -> Result<Query, Reply> {
    let query = read(visit, shape)?;
    if query.filter.is_some() || query.top.is_some() || query.search.is_some() {
        return Err(bad(
            "Only $select and $expand are supported for a single entity.",
        ));
    }
    Ok(query)
}

fn names(value: &str, known: &[&str], shape: &Shape) -> Result<Vec<String>, Reply> {
    value
        .split(',')
        .map(|name| {
            let name = name.trim();
            let found = known.iter().find(|one| one.eq_ignore_ascii_case(name));
            found.map(|one| (*one).to_owned()).ok_or_else(|| {
                let message = format!(
                    "Could not find a property named '{name}' on type 'microsoft.graph.{}'.",
                    shape.name
                );
                graph_error(400, "BadRequest", &message)
            })
        })
        .collect()
}

fn filter_of(value: &str, shape: &Shape) -> Result<Filter, Reply> {
    let filter = filter::parse(value)
        .map_err(|why| graph_error(400, "BadRequest", &format!("Invalid filter clause: {why}")))?;
    let unknown = filter.properties().into_iter().find(|name| {
        !shape
            .properties
            .iter()
            .any(|one| one.eq_ignore_ascii_case(name))
    });
    match unknown {
        Some(name) => {
            let message = format!(
                "Could not find a property named '{name}' on type 'microsoft.graph.{}'.",
                shape.name
            );
            Err(graph_error(400, "BadRequest", &message))
        }
        None => Ok(filter),
    }
}

fn top(value: &str, shape: &Shape) -> Result<usize, Reply> {
    match value.parse::<usize>() {
        Ok(top) if (1..=shape.pages.0).contains(&top) => Ok(top),
        _ => Err(bad(&format!(
            "Invalid page size specified: '{value}'. Must be between 1 and {} inclusive.",
            shape.pages.0
        ))),
    }
}

/// A token is opaque to clients; this one says where the page begins.
fn token(value: &str) -> Result<usize, Reply> {
    let read = value
        .strip_prefix("RFNwdAIAAQAAAB")
        .and_then(|rest| usize::from_str_radix(rest, 36).ok());
    read.ok_or_else(|| {
        graph_error(
            400,
            "Directory_ExpiredPageToken",
            "The specified page token value has expired or is not valid.",
        )
    })
}

fn allowed(visit: &Visit<'_>, shape: &Shape, query: &Query) -> Result<(), Reply> {
    let filtered = query.filter.is_some();
    let advanced = query.search.is_some()
        || query.filter.as_ref().is_some_and(Filter::advanced)
        || (query.order.is_some() && filtered);
    let eventual = visit
        .ask
        .header("consistencylevel")
        .is_some_and(|level| level.eq_ignore_ascii_case("eventual"));
    let refuse = |message: &str| Err(graph_error(400, "Request_UnsupportedQuery", message));
    if shape.directory && advanced && !(eventual && query.count) {
        return refuse(
            "Operator or combination is only supported with the header ConsistencyLevel: eventual and $count=true.",
        );
    }
    if shape.directory && query.count && !eventual {
        return refuse("$count is only supported with the header ConsistencyLevel: eventual.");
    }
    Ok(())
}

impl Query {
    /// Returns this query without its filter, for a list that was filtered otherwise.
    pub(super) fn unfiltered(self) -> Self {
        Self {
            filter: None,
            ..self
        }
    }

    /// Returns an object with what was asked for of it.
    pub(super) fn project(&self, shape: &Shape, object: &Value) -> Value {
        let object = shown(object);
        let Value::Object(members) = object else {
            return object;
        };
        let wanted = |name: &str| {
            let kept = match &self.select {
                Some(select) => select.iter().any(|one| one == name),
                None => shape.usual.is_empty() || shape.usual.contains(&name),
            };
            kept || name.starts_with("@odata") || self.expand.iter().any(|one| one == name)
        };
        let kept: Map<String, Value> = members
            .into_iter()
            .filter(|(name, _)| wanted(name))
            .collect();
        Value::Object(kept)
    }

    /// Answers with a page of those objects that pass.
    pub(super) fn page(&self, visit: &Visit<'_>, shape: &Shape, mut items: Vec<Value>) -> Reply {
        items.retain(|item| {
            self.filter.as_ref().is_none_or(|filter| filter.holds(item))
                && self.search.as_ref().is_none_or(|text| found(item, text))
        });
        if let Some(order) = &self.order {
            sort(&mut items, order);
        }
        let asked = self.top.unwrap_or(shape.pages.1);
        let most = visit.tenant.options.page.unwrap_or(asked);
        let size = match self.top {
            Some(top) => most.min(top).max(1),
            None => most.max(1),
        };
        let value: Vec<Value> = items
            .iter()
            .skip(self.skip)
            .take(size)
            .map(|item| self.project(shape, item))
            .collect();
        let mut body = json!({"@odata.context": visit.context(shape.name)});
        if self.count {
            body["@odata.count"] = json!(items.len());
        }
        if items.len() > self.skip.saturating_add(size) {
            body["@odata.nextLink"] = json!(self.next(visit, self.skip + size));
        }
        body["value"] = json!(value);
        Reply::json(200, &body)
    }

    /// Returns the address of the next page, which carries every option of this one.
    fn next(&self, visit: &Visit<'_>, skip: usize) -> String {
        let mut options: Vec<String> = visit
            .ask
            .query
            .iter()
            .filter(|(name, _)| !name.eq_ignore_ascii_case("$skiptoken"))
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect();
        options.push(format!("$skiptoken=RFNwdAIAAQAAAB{}", base36(skip)));
        let path: Vec<String> = visit.ask.path.split('/').map(encoded).collect();
        format!(
            "{}{}?{}",
            visit.ask.origin,
            path.join("/"),
            options.join("&")
        )
    }
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn base36(mut number: usize) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(char::from_digit((number % 36) as u32, 36).unwrap_or('0'));
        number /= 36;
        if number == 0 {
            return digits.iter().rev().collect();
        }
    }
}

/// Returns whether `"property:text"` is found in an object, at the beginning of one of its words.
fn found(item: &Value, search: &str) -> bool {
    let Some((property, text)) = search.trim_matches('"').split_once(':') else {
        return false;
    };
    let value = item[property].as_str().unwrap_or_default().to_lowercase();
    let text = text.trim().to_lowercase();
    value
        .split(|c: char| !c.is_alphanumeric())
        .any(|word| word.starts_with(&text))
        || value.starts_with(&text)
}

fn sort(items: &mut [Value], order: &str) {
    let (property, falling) = match order.split_once(' ') {
        Some((property, way)) => (property, way.trim().eq_ignore_ascii_case("desc")),
        None => (order, false),
    };
    items.sort_by_key(|item| item[property].as_str().unwrap_or_default().to_lowercase());
    if falling {
        items.reverse();
    }
}

/// Answers with one object.
pub(super) fn one(visit: &Visit<'_>, shape: &Shape, query: &Query, object: &Value) -> Reply {
    let mut shown = query.project(shape, object);
    if let Some(members) = shown.as_object_mut() {
        let context = visit.context(&format!("{}/$entity", shape.name));
        members.shift_insert(0, "@odata.context".to_owned(), json!(context));
    }
    Reply::json(200, &shown)
}
