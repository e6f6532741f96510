//! The one language of templates and expressions: minijinja, strict, with fuel and a short list of filters.
//!
//! A text that is exactly one `{{ expression }}` keeps its JSON type; any other becomes text. What is
//! undefined is an error. A value from the cloud cannot become part of a query or path: see `landing`.

mod arm_filters;
mod filters;
mod landing;
mod network;

use std::collections::BTreeSet;

use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value as Mini};
use serde_json::{Map, Value};

use super::model::{Call, Plane, Template};
pub use filters::documented;

/// The names that templates see; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    names: std::collections::BTreeMap<String, Mini>,
}

impl Scope {
    /// Returns a scope without names.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives `name` a value, in place of any it had.
    pub fn set(&mut self, name: &str, value: &Value) {
        self.names.insert(name.to_owned(), to_mini(value));
    }

    /// Returns the value of a name.
    pub fn get(&self, name: &str) -> Option<Value> {
        self.names.get(name).and_then(|value| to_json(value).ok())
    }

    /// Takes from `other` the names that this scope lacks.
    pub fn add_missing(&mut self, other: &Self) {
        for (name, value) in &other.names {
            self.names
                .entry(name.clone())
                .or_insert_with(|| value.clone());
        }
    }
}

/// Why an expression has no value.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("evaluate {template:?}: {message}")]
pub struct ExprError {
    /// The template, cut to 200 characters.
    pub template: String,
    /// What is wrong with it.
    pub message: String,
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

/// Operations that one expression may take; a nested loop over a large list ends long before it hurts.
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
        env.set_auto_escape_callback(landing::by_name);
        env.set_formatter(landing::format);
        filters::add(&mut env);
        Self { env }
    }

    /// Evaluates the templates inside a JSON value.
    ///
    /// # Errors
    /// A template that does not parse, or names what is undefined.
    pub fn value(&self, value: &Value, scope: &Scope) -> Result<Value, ExprError> {
        self.landed(value, scope, "text")
    }

    fn landed(&self, value: &Value, scope: &Scope, landing: &str) -> Result<Value, ExprError> {
        Ok(match value {
            Value::String(text) if landing == "text" => self.template(text, scope)?,
            Value::String(text) => Value::String(self.render(text, scope, landing)?),
            Value::Array(items) => items
                .iter()
                .map(|item| self.landed(item, scope, landing))
                .collect::<Result<_, _>>()?,
            Value::Object(members) => {
                let mut out = Map::new();
                for (name, member) in members {
                    out.insert(name.clone(), self.landed(member, scope, landing)?);
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
        let Some(expression) = whole(text) else {
            if !text.contains("{{") && !text.contains("{%") {
                return Ok(Value::String(text.to_owned()));
            }
            return self.render(text, scope, "text").map(Value::String);
        };
        let value = self
            .env
            .compile_expression(expression)
            .and_then(|expression| expression.eval(Mini::from(Serde(&scope.names))))
            .map_err(|error| failed(text, &error))?;
        if value.is_undefined() {
            return Err(ExprError {
                template: cut(text),
                message: "it is undefined".to_owned(),
            });
        }
        to_json(&value).map_err(|message| ExprError {
            template: cut(text),
            message,
        })
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
            _ => Err(ExprError {
                template: cut(text),
                message: "it gives no text".to_owned(),
            }),
        }
    }

    /// Evaluates a condition; only true and false are answers.
    ///
    /// # Errors
    /// As [`Self::value`].
    pub fn truth(&self, text: &str, scope: &Scope) -> Result<bool, ExprError> {
        match self.template(text, scope)? {
            Value::Bool(value) => Ok(value),
            other => Err(ExprError {
                template: cut(text),
                message: format!("it gives {} and no truth value", cut(&other.to_string())),
            }),
        }
    }

    /// Evaluates a template to a list.
    ///
    /// # Errors
    /// As [`Self::value`].
    pub fn list(&self, text: &str, scope: &Scope) -> Result<Vec<Value>, ExprError> {
        match self.template(text, scope)? {
            Value::Array(items) => Ok(items),
            _ => Err(ExprError {
                template: cut(text),
                message: "it gives no list".to_owned(),
            }),
        }
    }

    /// Fills in a call, each value as its place demands.
    ///
    /// # Errors
    /// As [`Self::value`]; also a value that cannot stand in its place.
    pub fn call(&self, call: &Call, scope: &Scope) -> Result<RenderedCall, ExprError> {
        let (method, path) = call
            .line
            .value
            .split_once(' ')
            .unwrap_or((&call.line.value, ""));
        let path_or_url = self.render(path.trim(), scope, "path")?;
        let mut query = Vec::new();
        for (name, template) in &call.query {
            let landing = if matches!(name.as_str(), "$filter" | "$search") {
                "odata"
            } else {
                "text"
            };
            query.push((name.clone(), self.render(&template.value, scope, landing)?));
        }
        let mut headers = Vec::new();
        for (name, template) in &call.headers {
            headers.push((name.clone(), self.render(&template.value, scope, "text")?));
        }
        Ok(RenderedCall {
            plane: call.plane,
            method: method.to_owned(),
            body: self.body(call, &path_or_url, scope)?,
            path_or_url,
            query,
            api_version: call.api_version.clone(),
            headers,
            pages: call.pages.clone(),
            missing_ok: call.missing_ok,
        })
    }

    /// Returns a call's method and path, for people.
    ///
    /// # Errors
    /// As [`Self::value`].
    pub fn call_line(&self, call: &Call, scope: &Scope) -> Result<String, ExprError> {
        let (method, path) = call
            .line
            .value
            .split_once(' ')
            .unwrap_or((&call.line.value, ""));
        Ok(format!(
            "{method} {}",
            self.render(path.trim(), scope, "path")?
        ))
    }

    /// In the body of a query the member `query` is KQL, whatever else is JSON.
    fn body(&self, call: &Call, path: &str, scope: &Scope) -> Result<Option<Value>, ExprError> {
        let Some(template) = &call.body else {
            return Ok(None);
        };
        let kql = call.plane == Plane::Logs
            || path
                .to_ascii_lowercase()
                .ends_with("/microsoft.resourcegraph/resources");
        let Value::Object(members) = &template.value else {
            return self.value(&template.value, scope).map(Some);
        };
        let mut body = Map::new();
        for (name, member) in members {
            let landing = if kql && name == "query" {
                "kql"
            } else {
                "text"
            };
            body.insert(name.clone(), self.landed(member, scope, landing)?);
        }
        Ok(Some(Value::Object(body)))
    }

    fn render(&self, text: &str, scope: &Scope, landing: &str) -> Result<String, ExprError> {
        if !text.contains("{{") && !text.contains("{%") {
            return Ok(text.to_owned());
        }
        self.env
            .render_named_str(
                &format!("template.{landing}"),
                text,
                Mini::from(Serde(&scope.names)),
            )
            .map_err(|error| failed(text, &error))
    }

    /// Returns the names that a template speaks of: the first of each path, and of `steps.x` the x.
    pub fn names(&self, text: &str) -> Result<BTreeSet<String>, ExprError> {
        let source = if text.contains("{{") || text.contains("{%") {
            text
        } else {
            return Ok(BTreeSet::new());
        };
        let template = self
            .env
            .template_from_str(source)
            .map_err(|error| failed(text, &error))?;
        let paths = template.undeclared_variables(true);
        let functions: BTreeSet<&str> = filters::functions();
        Ok(paths
            .iter()
            .map(|path| {
                let mut parts = path.split('.');
                match (parts.next(), parts.next()) {
                    (Some("steps"), Some(step)) => step.to_owned(),
                    (first, _) => first.unwrap_or_default().to_owned(),
                }
            })
            .filter(|name| !functions.contains(name.as_str()))
            .collect())
    }
}

/// Returns the names of several templates; one that does not parse speaks of nothing.
pub fn names_of<'a>(templates: impl IntoIterator<Item = &'a Template>) -> BTreeSet<String> {
    let expressions = Expressions::new();
    templates
        .into_iter()
        .filter_map(|template| expressions.names(&template.value).ok())
        .flatten()
        .collect()
}

/// Returns the expression that is all of `text`.
fn whole(text: &str) -> Option<&str> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    (!inner.contains("{{") && !inner.contains("}}") && !inner.contains("{%"))
        .then(|| inner.trim().trim_matches('-').trim())
}

pub(crate) fn to_mini(value: &Value) -> Mini {
    Mini::from(Serde(value))
}

pub(crate) fn to_json(value: &Mini) -> Result<Value, String> {
    if value.is_undefined() {
        return Err("it is undefined".to_owned());
    }
    serde_json::to_value(value).map_err(|error| error.to_string())
}

fn failed(text: &str, error: &minijinja::Error) -> ExprError {
    let mut message = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    ExprError {
        template: cut(text),
        message,
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
        assert!(e.truth("{{ vm.n }}", &scope()).is_err());
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
