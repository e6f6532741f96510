//! The one language of templates and expressions: minijinja, strict, with fuel and a short list of filters.
//!
//! A text that is exactly one `{{ expression }}` keeps its JSON type; any other becomes text. What is
//! undefined is an error. There are expressions only, no statements. A value from the cloud cannot become
//! part of a query or path: see `landing`. The filters are in the table that [`documented`] returns.

mod address;
mod alike;
mod arm_filters;
mod consents;
mod convert;
mod credentials;
mod filters;
mod graph;
mod landing;
mod language;
mod mail;
mod members;
mod methods;
mod network;
mod order;
mod pieces;
mod rating;
mod rbac;
mod reachable;
mod reissue;
mod roles;
mod rules;
mod scales;
mod scope;
mod signins;
mod standing;
mod subnet;
mod timeline;
mod travel;
mod vaults;

use std::collections::BTreeSet;

use minijinja::{Environment, UndefinedBehavior, Value as Mini};
use serde_json::{Map, Value};

use self::convert::to_json;
use self::landing::{Landing, Walk};
use self::pieces::Piece;
use super::model::{Call, Plane};
pub use language::documented;
pub use scope::Scope;

/// Why an expression has no value.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("evaluate {template:?}: {message}")]
pub struct ExprError {
    /// The template, cut to 200 characters.
    pub template: String,
    /// What is wrong with it.
    pub message: String,
    /// What the runbook itself says is missing, where that is why (`need`).
    pub needed: Option<String>,
}

impl ExprError {
    fn new(template: &str, message: impl Into<String>) -> Self {
        Self {
            template: cut(template),
            message: message.into(),
            needed: None,
        }
    }
}

/// A call with its templates filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct RenderedCall {
    /// Which plane.
    pub plane: Plane,
    /// The method.
    pub method: String,
    /// The encoded path, or the URL.
    pub path_or_url: String,
    /// Query parameters, not encoded.
    pub query: Vec<(String, String)>,
    /// The `api-version`.
    pub api_version: Option<String>,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<Value>,
    /// The member that holds a page's items.
    pub pages: Option<String>,
    /// Whether 404 is an answer.
    pub missing_ok: bool,
}

/// The evaluator.
pub struct Expressions {
    env: Environment<'static>,
}

/// Operations that one expression may take; one that is nested without end stops long before it hurts.
const FUEL: u64 = 2_000_000;

impl Default for Expressions {
    fn default() -> Self {
        Self::new()
    }
}

impl Expressions {
    /// Returns an evaluator with the documented filters and no others.
    pub fn new() -> Self {
        let mut env = Environment::empty();
        env.set_undefined_behavior(UndefinedBehavior::Strict);
        env.set_fuel(Some(FUEL));
        env.set_recursion_limit(32);
        language::add(&mut env);
        Self { env }
    }

    /// Evaluates the templates inside a JSON value.
    ///
    /// # Errors
    /// A template that does not parse, or names what is undefined.
    pub fn value(&self, value: &Value, scope: &Scope) -> Result<Value, ExprError> {
        self.fill(value, scope, false)
    }

    /// Evaluates the templates inside a JSON value, in which members named `query` may be KQL.
    fn fill(&self, value: &Value, scope: &Scope, kql: bool) -> Result<Value, ExprError> {
        Ok(match value {
            Value::String(text) => self.template(text, scope)?,
            Value::Array(items) => items
                .iter()
                .map(|item| self.fill(item, scope, kql))
                .collect::<Result<_, _>>()?,
            Value::Object(members) => {
                let mut out = Map::new();
                for (name, member) in members {
                    let filled = match member {
                        Value::String(text) if kql && name.eq_ignore_ascii_case("query") => {
                            Value::String(self.render(text, scope, Landing::Kql)?)
                        }
                        member => self.fill(member, scope, kql)?,
                    };
                    out.insert(name.clone(), filled);
                }
                Value::Object(out)
            }
            other => other.clone(),
        })
    }

    /// Evaluates one template.
    ///
    /// # Errors
    /// As [`Self::value`].
    pub fn template(&self, text: &str, scope: &Scope) -> Result<Value, ExprError> {
        match pieces::whole(text) {
            Some(expression) => self.evaluate(text, expression, &scope.context()),
            None => self.render(text, scope, Landing::Text).map(Value::String),
        }
    }

    /// Evaluates a template to text; lists and objects are refused.
    ///
    /// # Errors
    /// As [`Self::value`].
    pub fn text(&self, text: &str, scope: &Scope) -> Result<String, ExprError> {
        match self.template(text, scope)? {
            Value::String(text) => Ok(text),
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(value) => Ok(value.to_string()),
            _ => Err(ExprError::new(text, "it gives no text")),
        }
    }

    /// Evaluates a condition; only true and false are answers.
    ///
    /// # Errors
    /// As [`Self::value`].
    pub fn truth(&self, text: &str, scope: &Scope) -> Result<bool, ExprError> {
        match self.template(text, scope)? {
            Value::Bool(value) => Ok(value),
            other => Err(ExprError::new(
                text,
                format!("it gives {} and no truth value", kind_of(&other)),
            )),
        }
    }

    /// Evaluates a template to a list.
    ///
    /// # Errors
    /// As [`Self::value`].
    pub fn list(&self, text: &str, scope: &Scope) -> Result<Vec<Value>, ExprError> {
        match self.template(text, scope)? {
            Value::Array(items) => Ok(items),
            other => Err(ExprError::new(
                text,
                format!("it gives {} and no list", kind_of(&other)),
            )),
        }
    }

    /// Fills in a call, each value as its place demands.
    ///
    /// # Errors
    /// As [`Self::value`]; also a value that cannot stand in its place.
    pub fn call(&self, call: &Call, scope: &Scope) -> Result<RenderedCall, ExprError> {
        let (method, path_or_url) = self.line(call, scope)?;
        let mut query = Vec::new();
        for (name, template) in &call.query {
            query.push((
                name.clone(),
                self.render(&template.value, scope, Landing::of_parameter(name))?,
            ));
        }
        let mut headers = Vec::new();
        for (name, template) in &call.headers {
            headers.push((
                name.clone(),
                self.render(&template.value, scope, Landing::Header)?,
            ));
        }
        let body = match &call.body {
            Some(template) => {
                Some(self.fill(&template.value, scope, takes_kql(call.plane, &path_or_url))?)
            }
            None => None,
        };
        Ok(RenderedCall {
            plane: call.plane,
            method: method.to_owned(),
            path_or_url,
            query,
            api_version: call.api_version.clone(),
            headers,
            body,
            pages: call.pages.clone(),
            missing_ok: call.missing_ok,
        })
    }

    /// Returns a call's method and path, for people.
    ///
    /// # Errors
    /// As [`Self::value`].
    pub fn call_line(&self, call: &Call, scope: &Scope) -> Result<String, ExprError> {
        let (method, path) = self.line(call, scope)?;
        Ok(format!("{method} {path}"))
    }

    fn line<'c>(&self, call: &'c Call, scope: &Scope) -> Result<(&'c str, String), ExprError> {
        let (method, path) = call
            .line
            .value
            .split_once(' ')
            .unwrap_or((&call.line.value, ""));
        let path = self.render(path.trim(), scope, Landing::Path(call.plane))?;
        Ok((method, path))
    }

    /// Fills in a template piece by piece, each value as its place demands.
    fn render(&self, text: &str, scope: &Scope, landing: Landing) -> Result<String, ExprError> {
        let pieces = pieces::split(text).map_err(|message| ExprError::new(text, message))?;
        let context = scope.context();
        let mut walk = Walk::new(landing);
        let mut out = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(part) => {
                    walk.pass(part)
                        .map_err(|message| ExprError::new(text, message))?;
                    out.push_str(part);
                }
                Piece::Expression(expression) => {
                    let value = self.evaluate(text, expression, &context)?;
                    let placed = walk.place(&value);
                    out.push_str(&placed.map_err(|message| {
                        ExprError::new(text, format!("{expression}: {message}"))
                    })?);
                }
            }
        }
        Ok(out)
    }

    fn evaluate(
        &self,
        template: &str,
        expression: &str,
        context: &Mini,
    ) -> Result<Value, ExprError> {
        let value = self
            .env
            .compile_expression(expression)
            .and_then(|compiled| compiled.eval(context.clone()))
            .map_err(|error| failed(template, expression, &error))?;
        // Even a strict evaluator takes a missing last member for an answer.
        to_json(&value)
            .map_err(|message| ExprError::new(template, format!("{expression}: {message}")))
    }

    /// Returns the names that a template speaks of: the first of each path, and of `steps.x` the x.
    ///
    /// # Errors
    /// A template that does not parse.
    pub fn names(&self, text: &str) -> Result<BTreeSet<String>, ExprError> {
        let name = |path: String| {
            let mut parts = path.split('.');
            match (parts.next(), parts.next()) {
                (Some("steps"), Some(step)) => step.to_owned(),
                (first, _) => first.unwrap_or_default().to_owned(),
            }
        };
        Ok(self.paths(text)?.into_iter().map(name).collect())
    }

    /// Returns the dotted paths that a template speaks of, as `machine.disks`.
    ///
    /// # Errors
    /// A template that does not parse.
    pub fn paths(&self, text: &str) -> Result<BTreeSet<String>, ExprError> {
        let functions = language::functions();
        let mut paths = BTreeSet::new();
        for piece in pieces::split(text).map_err(|message| ExprError::new(text, message))? {
            if let Piece::Expression(expression) = piece {
                let compiled = self
                    .env
                    .compile_expression(expression)
                    .map_err(|error| failed(text, expression, &error))?;
                paths.extend(compiled.undeclared_variables(true));
            }
        }
        paths.retain(|path| !functions.contains(path.as_str()));
        Ok(paths)
    }

    /// Returns the filters and tests of a template that the language does not have.
    pub fn unknown_words(&self, text: &str) -> Vec<String> {
        let known: BTreeSet<&str> = documented().into_iter().map(|(name, _)| name).collect();
        let mut unknown = Vec::new();
        for piece in pieces::split(text).unwrap_or_default() {
            if let Piece::Expression(expression) = piece {
                let (filters, tests) = pieces::filters_and_tests(expression);
                unknown.extend(filters.into_iter().filter(|name| !known.contains(name)));
                unknown.extend(tests.into_iter().filter(|name| !language::has_test(name)));
            }
        }
        unknown.into_iter().map(str::to_owned).collect()
    }
}

/// Returns whether a call's answer comes from a query in KQL.
fn takes_kql(plane: Plane, path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    match plane {
        Plane::Logs => true,
        Plane::Arm => path.contains("/microsoft.resourcegraph/") || path.ends_with("/query"),
        Plane::Graph => path.ends_with("/runhuntingquery"),
        Plane::Vault | Plane::Blob => false,
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn failed(template: &str, expression: &str, error: &minijinja::Error) -> ExprError {
    let mut message = format!("{expression}: {}", error.kind());
    if let Some(detail) = error.detail() {
        message = format!("{message}: {detail}");
    }
    let needed = error
        .detail()
        .and_then(|detail| detail.strip_prefix("need: "));
    ExprError {
        template: cut(template),
        message,
        needed: needed.map(str::to_owned),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::place::Spanned;
    use serde_json::json;

    fn scope() -> Scope {
        let mut scope = Scope::new();
        scope.set("vm", &json!({"id": "/subscriptions/S/resourceGroups/g g/providers/Microsoft.Compute/virtualMachines/v", "name": "v'1", "n": 3, "ok": true, "none": null}));
        scope.set("evil", &json!("a/../b?x=1#f' or 1 eq 1"));
        scope
    }

    fn call(line: &str, query: &str, body: Option<Value>) -> Call {
        Call {
            plane: Plane::Arm,
            line: Spanned {
                value: line.into(),
                ..Spanned::default()
            },
            api_version: Some("2024-11-01".into()),
            query: [(
                "$filter".to_owned(),
                Spanned {
                    value: query.to_owned(),
                    ..Spanned::default()
                },
            )]
            .into_iter()
            .collect(),
            headers: indexmap::IndexMap::new(),
            body: body.map(|value| Spanned {
                value,
                ..Spanned::default()
            }),
            pages: None,
            missing_ok: false,
            beta: None,
        }
    }

    #[test]
    fn one_expression_keeps_its_type_and_undefined_is_an_error() {
        let e = Expressions::new();
        assert_eq!(e.template("{{ vm.n }}", &scope()).unwrap(), json!(3));
        assert_eq!(
            e.template("{{ vm.n }} of {{ vm.ok }}", &scope()).unwrap(),
            json!("3 of true")
        );
        assert_eq!(
            e.value(&json!({"a": ["{{ vm.ok }}"]}), &scope()).unwrap(),
            json!({"a": [true]})
        );
        for bad in [
            "{{ vm.nope }}",
            "{{ nope }}",
            "x {{ vm.nope }}",
            "{{ vm.n | nofilter }}",
            "{{ vm.n",
            "x {{ vm.none }}",
        ] {
            assert!(e.template(bad, &scope()).is_err(), "{bad}");
        }
        assert_eq!(e.template("{{ -1 }}", &scope()).unwrap(), json!(-1));
        assert_eq!(
            e.template("{{ {'a': {'b': vm.n}} }}", &scope()).unwrap(),
            json!({"a": {"b": 3}})
        );
        assert_eq!(e.template("{{ '}}' }}", &scope()).unwrap(), json!("}}"));
        assert!(e.truth("{{ vm.n }}", &scope()).is_err());
        let nested = e.template("{{ [vm.nope] }}", &scope()).unwrap_err();
        assert!(nested.to_string().contains("vm.nope"), "{nested}");
        assert!(e.template("{% set x = 1 %}{{ x }}", &scope()).is_err());
        assert!(e.template("{{ 'a' * 9999999999 }}", &scope()).is_err());
        assert!(e.template("{{ range(99999999) }}", &scope()).is_err());
    }

    #[test]
    fn a_value_cannot_leave_its_path_segment_or_its_quotes() {
        let e = Expressions::new();
        let body = json!({"query": "Resources | where name =~ {{ vm.name }}", "options": {"x": "{{ vm.name }}"}});
        let line = "GET {{ vm.id }}/providers/Microsoft.ResourceGraph/resources";
        let rendered = e
            .call(&call(line, "name eq {{ evil }}", Some(body)), &scope())
            .unwrap();
        assert_eq!(
            rendered.path_or_url,
            "/subscriptions/S/resourceGroups/g%20g/providers/Microsoft.Compute/virtualMachines/v/providers/Microsoft.ResourceGraph/resources"
        );
        assert_eq!(rendered.query[0].1, "name eq 'a/../b?x=1#f'' or 1 eq 1'");
        assert_eq!(
            rendered.body.unwrap(),
            json!({"query": "Resources | where name =~ 'v\\'1'", "options": {"x": "v'1"}})
        );
        let segment = e
            .call(&call("GET /a/{{ evil }}", "1 eq 1", None), &scope())
            .unwrap();
        assert_eq!(
            segment.path_or_url,
            "/a/a%2F..%2Fb%3Fx%3D1%23f%27%20or%201%20eq%201"
        );
        for bad in ["GET /a/{{ vm }}", "GET /a/{{ '..' }}", "GET /a/{{ '' }}"] {
            assert!(
                e.call(&call(bad, "1 eq 1", None), &scope()).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn queries_are_known_by_where_they_go() {
        let e = Expressions::new();
        let body = json!({"Query": "T | where a == {{ evil }}"});
        let mut hunt = call(
            "POST /v1.0/security/runHuntingQuery",
            "1 eq 1",
            Some(body.clone()),
        );
        hunt.plane = Plane::Graph;
        assert_eq!(
            e.call(&hunt, &scope()).unwrap().body.unwrap()["Query"],
            "T | where a == 'a/../b?x=1#f\\' or 1 eq 1'"
        );
        let plain = call("PUT /a", "1 eq 1", Some(body));
        assert_eq!(
            e.call(&plain, &scope()).unwrap().body.unwrap()["Query"],
            "T | where a == a/../b?x=1#f' or 1 eq 1"
        );
        let quoted = call("GET /a", "name eq '{{ evil }}'", None);
        assert!(
            e.call(&quoted, &scope())
                .unwrap_err()
                .to_string()
                .contains("quotes")
        );
    }

    #[test]
    fn what_the_language_lacks_is_found_without_a_value() {
        let e = Expressions::new();
        assert_eq!(
            e.unknown_words("{{ a | first | nope }} {{ b is odd }} {{ 'c | d' }}"),
            ["nope", "odd"]
        );
        assert_eq!(
            e.paths("{{ a.b.c | pluck('x') }}")
                .unwrap()
                .into_iter()
                .collect::<Vec<_>>(),
            ["a.b.c"]
        );
        assert_eq!(format!("{:?}", scope()), "{\"evil\", \"vm\"}");
    }

    #[test]
    fn names_are_the_first_of_each_path() {
        let e = Expressions::new();
        let names = e
            .names("{{ steps.disks.each | pluck('id') }} {{ vm.id if flush_rule(before) else x }}")
            .unwrap();
        assert_eq!(
            names,
            ["before", "disks", "vm", "x"]
                .map(str::to_owned)
                .into_iter()
                .collect()
        );
    }
}
