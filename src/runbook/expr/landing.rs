//! Where interpolated values land: each place has its own rule, so that a value cannot become anything but a value.

use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Error, ErrorKind, Output, State, Value};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::ids::ArmId;

/// All but the characters that RFC 3986 never reserves.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Returns the rule for a template by the end of its name.
pub(super) fn by_name(name: &str) -> AutoEscape {
    match name.rsplit_once('.').map(|(_, landing)| landing) {
        Some("path") => AutoEscape::Custom("path".into()),
        Some("odata") => AutoEscape::Custom("odata".into()),
        Some("kql") => AutoEscape::Custom("kql".into()),
        _ => AutoEscape::None,
    }
}

/// Writes one interpolated value.
pub(super) fn format(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    if value.is_undefined() || value.is_none() {
        return Err(Error::new(
            ErrorKind::UndefinedError,
            "a value that stands in text is missing",
        ));
    }
    let text = match state.auto_escape() {
        AutoEscape::Custom(name) if name == "path" => path(value)?,
        AutoEscape::Custom(name) if name == "odata" => odata(value)?,
        AutoEscape::Custom(name) if name == "kql" => kql(value)?,
        _ => scalar(value)?,
    };
    out.write_str(&text).map_err(Error::from)
}

fn refuse(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

fn scalar(value: &Value) -> Result<String, Error> {
    match value.kind() {
        ValueKind::Bool => Ok(if value.is_true() { "true" } else { "false" }.to_owned()),
        ValueKind::Number | ValueKind::String => Ok(value.to_string()),
        kind => Err(refuse(format!("a {kind} cannot stand in text"))),
    }
}

/// An ARM id becomes a path; anything else one segment.
fn path(value: &Value) -> Result<String, Error> {
    let text = scalar(value)?;
    if text.starts_with("https://") || text.starts_with("http://") {
        // A data-plane address, which the client checks against the cloud's origins.
        return match url::Url::parse(&text) {
            Ok(url) => Ok(url.as_str().trim_end_matches('/').to_owned()),
            Err(error) => Err(refuse(format!("{text} is no URL: {error}"))),
        };
    }
    if text == "/" {
        return Ok(String::new());
    }
    if text.starts_with('/') {
        let id: ArmId = text
            .parse()
            .map_err(|error: crate::ids::NotAnArmId| refuse(error.to_string()))?;
        let segments: Vec<String> = id
            .as_str()
            .split('/')
            .map(|segment| utf8_percent_encode(segment, SEGMENT).to_string())
            .collect();
        return Ok(segments.join("/"));
    }
    if matches!(text.as_str(), "" | "." | "..") {
        return Err(refuse(format!("{text:?} cannot be a path segment")));
    }
    Ok(utf8_percent_encode(&text, SEGMENT).to_string())
}

fn odata(value: &Value) -> Result<String, Error> {
    match value.kind() {
        ValueKind::String => Ok(format!("'{}'", value.to_string().replace('\'', "''"))),
        _ => scalar(value),
    }
}

fn kql(value: &Value) -> Result<String, Error> {
    match value.kind() {
        ValueKind::String => {
            let text = value.to_string();
            if text.chars().any(char::is_control) {
                return Err(refuse(
                    "a text with control characters cannot stand in a query",
                ));
            }
            Ok(format!(
                "'{}'",
                text.replace('\\', "\\\\").replace('\'', "\\'")
            ))
        }
        ValueKind::Seq => {
            let items = value
                .try_iter()?
                .map(|item| kql(&item))
                .collect::<Result<Vec<_>, _>>()?;
            Ok(format!("({})", items.join(", ")))
        }
        _ => scalar(value),
    }
}
