//! Where a value lands in a call: each place has its own rule, so that a value stays a value.
//!
//! A template is walked from left to right. The author's own text says where the next value stands (at the
//! start of a path, inside quotes, in a comment); the value, which may come from an attacker, never does.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::ids::ArmId;
use crate::runbook::model::Plane;

/// All but the characters that RFC 3986 never reserves.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The kind of text that a template becomes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Landing {
    /// Text for people, or a JSON string.
    Text,
    /// A request header.
    Header,
    /// The path of a call, or its URL on a plane whose addresses come from resources.
    Path(Plane),
    /// An `OData` expression, as in `$filter`.
    OData,
    /// A Graph `$search` clause.
    Search,
    /// A query in KQL.
    Kql,
}

impl Landing {
    /// Returns how values land in a query parameter.
    pub(super) fn of_parameter(name: &str) -> Self {
        match name.trim_start_matches('$').to_ascii_lowercase().as_str() {
            "filter" | "expand" | "apply" | "orderby" | "compute" => Self::OData,
            "search" => Self::Search,
            _ => Self::Text,
        }
    }
}

/// How far a template has been walked.
#[derive(Debug)]
pub(super) struct Walk {
    landing: Landing,
    /// Whether nothing has been written yet.
    start: bool,
    /// Whether the last thing written was an address, after which only a path may follow.
    after_address: bool,
    inside: Inside,
}

/// What surrounds the place reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Inside {
    Nothing,
    /// A literal that this character ends, in which a backslash escapes or does not.
    Quotes(char, bool),
    /// A KQL literal between two runs of three backticks.
    Fence,
    /// A KQL comment, which ends with its line.
    Comment,
}

impl Walk {
    /// Begins at the start of a template.
    pub(super) fn new(landing: Landing) -> Self {
        Self {
            landing,
            start: true,
            after_address: false,
            inside: Inside::Nothing,
        }
    }

    /// Goes past the author's text.
    pub(super) fn pass(&mut self, text: &str) -> Result<(), String> {
        if self.after_address && !text.starts_with(['/', '?']) {
            return Err("after an address there must be a path that begins with /".to_owned());
        }
        self.start = false;
        self.after_address = false;
        match self.landing {
            Landing::Path(_) | Landing::OData => self.pass_quotes(text, '\'', false),
            Landing::Search => self.pass_quotes(text, '"', true),
            Landing::Kql => self.pass_kql(text),
            Landing::Text | Landing::Header => {}
        }
        Ok(())
    }

    /// Returns how `value` is written at the place reached.
    pub(super) fn place(&mut self, value: &Value) -> Result<String, String> {
        if self.after_address {
            return Err("after an address there must be a path that begins with /".to_owned());
        }
        let start = std::mem::replace(&mut self.start, false);
        match self.landing {
            Landing::Text => scalar(value),
            Landing::Header => plain(value),
            Landing::Path(plane) if start => self.address(plane, value),
            Landing::Path(_) => segment(value, self.inside != Inside::Nothing),
            Landing::OData if self.inside == Inside::Nothing => odata(value),
            Landing::Kql if self.inside == Inside::Nothing => kql(value),
            Landing::OData | Landing::Kql => Err(
                "a value stands inside quotes or a comment; leave them out, azir quotes it"
                    .to_owned(),
            ),
            Landing::Search if self.inside == Inside::Nothing => Err(
                "in a search a value stands inside double quotes, as \"displayName:{{ name }}\""
                    .to_owned(),
            ),
            Landing::Search => Ok(plain(value)?.replace('\\', "\\\\").replace('"', "\\\"")),
        }
    }

    /// Writes the value that a path begins with: an ARM id, or the address of a data plane.
    fn address(&mut self, plane: Plane, value: &Value) -> Result<String, String> {
        let text = plain(value)?;
        match plane {
            Plane::Arm if text == "/" => Ok(String::new()),
            Plane::Arm => {
                let id: ArmId = text
                    .parse()
                    .map_err(|error: crate::ids::NotAnArmId| error.to_string())?;
                let segments: Vec<String> = id.as_str().split('/').map(encoded).collect();
                Ok(segments.join("/"))
            }
            Plane::Graph => {
                Err("a path of Microsoft Graph begins with its version, as /v1.0".to_owned())
            }
            Plane::Vault | Plane::Logs | Plane::Blob => {
                self.after_address = true;
                data_plane(&text)
            }
        }
    }

    fn pass_quotes(&mut self, text: &str, quote: char, escapes: bool) {
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match self.inside {
                Inside::Quotes(_, true) if c == '\\' => {
                    chars.next();
                }
                // A doubled quote closes and opens again, which leaves the state right.
                Inside::Quotes(..) if c == quote => self.inside = Inside::Nothing,
                Inside::Nothing if c == quote => self.inside = Inside::Quotes(quote, escapes),
                _ => {}
            }
        }
    }

    fn pass_kql(&mut self, text: &str) {
        let mut rest = text;
        let mut previous = ' ';
        while let Some(c) = rest.chars().next() {
            let fence = rest.starts_with("```");
            let mut taken = if fence { 3 } else { c.len_utf8() };
            self.inside = match (self.inside, c) {
                (Inside::Nothing, _) if fence => Inside::Fence,
                (Inside::Fence, _) if fence => Inside::Nothing,
                (Inside::Nothing, '\'' | '"') => Inside::Quotes(c, previous != '@'),
                (Inside::Nothing, '/') if rest.starts_with("//") => Inside::Comment,
                (Inside::Comment, '\n') => Inside::Nothing,
                (Inside::Quotes(quote, true), '\\') => {
                    taken += rest[1..].chars().next().map_or(0, char::len_utf8);
                    Inside::Quotes(quote, true)
                }
                (Inside::Quotes(quote, _), _) if c == quote => Inside::Nothing,
                (inside, _) => inside,
            };
            previous = c;
            rest = &rest[taken..];
        }
    }
}

fn scalar(value: &Value) -> Result<String, String> {
    match value {
        Value::Null => Err("a value that stands in text is missing".to_owned()),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        Value::String(text) => Ok(text.clone()),
        Value::Array(_) => Err("a list cannot stand in text".to_owned()),
        Value::Object(_) => Err("an object cannot stand in text".to_owned()),
    }
}

/// A scalar of one line: what a header, a query and a path can hold.
fn plain(value: &Value) -> Result<String, String> {
    let text = scalar(value)?;
    if text.chars().any(char::is_control) {
        return Err("a text with control characters cannot stand here".to_owned());
    }
    Ok(text)
}

fn encoded(segment: &str) -> String {
    utf8_percent_encode(segment, SEGMENT).to_string()
}

fn segment(value: &Value, quoted: bool) -> Result<String, String> {
    let text = plain(value)?;
    if quoted {
        // The server takes the percent signs away before it reads the literal.
        return Ok(encoded(&text.replace('\'', "''")));
    }
    if matches!(text.as_str(), "" | "." | "..") {
        return Err(format!("{text:?} cannot be a path segment"));
    }
    Ok(encoded(&text))
}

/// An address read from a resource; whether azir may send a token there is the client's to judge.
fn data_plane(text: &str) -> Result<String, String> {
    let url = url::Url::parse(text).map_err(|error| format!("{text:?} is no address: {error}"))?;
    let clean = matches!(url.scheme(), "https" | "http")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if clean {
        Ok(url.as_str().trim_end_matches('/').to_owned())
    } else {
        Err(format!(
            "{text:?} is no plain address such as https://name.vault.azure.net"
        ))
    }
}

fn odata(value: &Value) -> Result<String, String> {
    let text = plain(value)?;
    Ok(match value {
        // A moment is a literal of its own in OData: Graph refuses a quoted one, ARM takes both.
        Value::String(_) if is_moment(&text) => text,
        Value::String(_) => format!("'{}'", text.replace('\'', "''")),
        _ => text,
    })
}

/// Whether a text is a moment of UTC and nothing else, as `2026-05-23T10:00:00Z`.
fn is_moment(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_digit() || matches!(c, '-' | ':' | '.' | 'T' | 'Z');
    text.ends_with('Z')
        && text.chars().all(plain)
        && chrono::DateTime::parse_from_rfc3339(text).is_ok()
}

fn kql(value: &Value) -> Result<String, String> {
    match value {
        // `in ()` is no KQL; an empty dynamic array is, and holds nothing.
        Value::Array(items) if items.is_empty() => Ok("(dynamic([]))".to_owned()),
        Value::Array(items) => {
            let items = items
                .iter()
                .map(kql_literal)
                .collect::<Result<Vec<_>, _>>()?;
            Ok(format!("({})", items.join(", ")))
        }
        other => kql_literal(other),
    }
}

fn kql_literal(value: &Value) -> Result<String, String> {
    let text = plain(value)?;
    Ok(match value {
        Value::String(_) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")),
        _ => text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Walks texts with `value` between them.
    fn land(landing: Landing, texts: &[&str], value: &Value) -> Result<String, String> {
        let mut walk = Walk::new(landing);
        let mut out = String::new();
        for (index, text) in texts.iter().enumerate() {
            if index > 0 {
                out.push_str(&walk.place(value)?);
            }
            if !text.is_empty() {
                walk.pass(text)?;
                out.push_str(text);
            }
        }
        Ok(out)
    }

    const EVIL: &str = "x' or 1 eq 1 or \"\\ 'y";

    #[test]
    fn an_id_is_a_path_only_at_the_start() {
        let arm = Landing::Path(Plane::Arm);
        let id = json!("/subscriptions/S/resourceGroups/g g");
        assert_eq!(
            land(arm, &["", "/x"], &id).unwrap(),
            "/subscriptions/S/resourceGroups/g%20g/x"
        );
        // A tag that looks like an id must not reach another resource.
        assert_eq!(
            land(arm, &["/a/", ""], &id).unwrap(),
            "/a/%2Fsubscriptions%2FS%2FresourceGroups%2Fg%20g"
        );
        assert_eq!(land(arm, &["", "/x"], &json!("/")).unwrap(), "/x");
        for bad in ["vm-1", "https://evil.example/x", "/subscriptions/s/../t"] {
            assert!(land(arm, &["", "/x"], &json!(bad)).is_err(), "{bad}");
        }
        assert!(land(Landing::Path(Plane::Graph), &["", ""], &id).is_err());
        for bad in ["", ".", "..", "a\nb"] {
            assert!(land(arm, &["/a/", ""], &json!(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_is_followed_by_a_path_and_nothing_else() {
        let vault = Landing::Path(Plane::Vault);
        let uri = json!("https://kv.vault.azure.net/");
        assert_eq!(
            land(vault, &["", "/secrets"], &uri).unwrap(),
            "https://kv.vault.azure.net/secrets"
        );
        assert!(land(vault, &["", ".evil.example/secrets"], &uri).is_err());
        assert!(land(vault, &["", "", ""], &uri).is_err());
        for bad in [
            "https://u:p@kv.vault.azure.net",
            "https://kv/?x",
            "ftp://kv",
            "kv",
        ] {
            assert!(land(vault, &["", "/x"], &json!(bad)).is_err(), "{bad}");
        }
        let later = land(
            vault,
            &["https://kv.vault.azure.net/keys/", ""],
            &json!("https://evil.example"),
        )
        .unwrap();
        assert_eq!(
            later,
            "https://kv.vault.azure.net/keys/https%3A%2F%2Fevil.example"
        );
    }

    #[test]
    fn odata_values_are_quoted_once() {
        assert_eq!(
            land(Landing::OData, &["a eq ", ""], &json!(EVIL)).unwrap(),
            "a eq 'x'' or 1 eq 1 or \"\\ ''y'"
        );
        assert_eq!(
            land(Landing::OData, &["a eq ", ""], &json!(3)).unwrap(),
            "a eq 3"
        );
        assert!(land(Landing::OData, &["a eq '", "'"], &json!("x")).is_err());
        assert_eq!(
            land(Landing::OData, &["a eq 'it''s' and b eq ", ""], &json!("x")).unwrap(),
            "a eq 'it''s' and b eq 'x'"
        );
        assert!(land(Landing::OData, &["a in ", ""], &json!(["x"])).is_err());
        for (moment, written) in [
            ("2026-05-23T10:00:00Z", "2026-05-23T10:00:00Z"),
            ("2026-05-23T10:00:00.5Z", "2026-05-23T10:00:00.5Z"),
            (
                "2026-05-23T10:00:00Z or 1 eq 1",
                "'2026-05-23T10:00:00Z or 1 eq 1'",
            ),
            ("2026-05-23", "'2026-05-23'"),
        ] {
            assert_eq!(
                land(Landing::OData, &["t ge ", ""], &json!(moment)).unwrap(),
                format!("t ge {written}")
            );
        }
        let key = land(
            Landing::Path(Plane::Graph),
            &["/v1.0/users(userPrincipalName='", "')"],
            &json!("o'x/y"),
        )
        .unwrap();
        assert_eq!(key, "/v1.0/users(userPrincipalName='o%27%27x%2Fy')");
    }

    #[test]
    fn search_values_stay_in_their_double_quotes() {
        assert_eq!(
            land(
                Landing::Search,
                &["\"displayName:", "\""],
                &json!("a\" OR \\x")
            )
            .unwrap(),
            "\"displayName:a\\\" OR \\\\x\""
        );
        assert!(land(Landing::Search, &["displayName:", ""], &json!("x")).is_err());
    }

    #[test]
    fn kql_values_become_literals_and_stand_in_none() {
        assert_eq!(
            land(Landing::Kql, &["T | where a == ", ""], &json!(EVIL)).unwrap(),
            "T | where a == 'x\\' or 1 eq 1 or \"\\\\ \\'y'"
        );
        assert_eq!(
            land(Landing::Kql, &["a in~ ", ""], &json!(["x", 1, true])).unwrap(),
            "a in~ ('x', 1, true)"
        );
        assert_eq!(
            land(Landing::Kql, &["a in~ ", ""], &json!([])).unwrap(),
            "a in~ (dynamic([]))"
        );
        for before in [
            "a == '",
            "a == \"",
            "// ",
            "a == @'c:\\",
            "a == ```",
            "a == 'it\\'s ",
        ] {
            assert!(
                land(Landing::Kql, &[before, ""], &json!("x")).is_err(),
                "{before}"
            );
        }
        for before in [
            "a == 'b' and c == ",
            "// no\n",
            "a == @'c:\\' and b == ",
            "```'``` ",
            "'//' ",
        ] {
            assert!(
                land(Landing::Kql, &[before, ""], &json!("x")).is_ok(),
                "{before}"
            );
        }
        for bad in [json!("a\nb"), json!({}), json!([["x"]]), json!(null)] {
            assert!(land(Landing::Kql, &["a == ", ""], &bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_header_has_one_line() {
        assert!(land(Landing::Header, &["", ""], &json!("a\r\nAuthorization: x")).is_err());
        assert_eq!(
            land(Landing::Header, &["", ""], &json!("W/\"1\"")).unwrap(),
            "W/\"1\""
        );
    }
}
