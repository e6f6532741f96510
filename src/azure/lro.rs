//! Long-running operations: which address to poll, what an answer means, where the result lies (arm.md section 1.6).
//!
//! Pure rules; the client does the polling.

use serde_json::Value;
use url::Url;

use super::error::{Error, envelope};
use super::request::{Plane, Response};
use crate::secret::redact_text;

/// How an operation is followed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Watch {
    /// A status resource, which answers 200 with `status`; and the `Location` given beside it.
    Status { url: Url, location: Option<Url> },
    /// An address that answers 202 until the end.
    Location { url: Url },
    /// The resource itself, until its `provisioningState` is final.
    Resource,
    /// The resource itself, until it is gone.
    Absence,
}

impl Watch {
    /// Returns how to go on when the operation's own address tells nothing any more: only the resource can.
    /// Of an action (POST) nothing can.
    pub(crate) fn without_record(method: &str) -> Option<Self> {
        match method {
            "PUT" | "PATCH" => Some(Self::Resource),
            "DELETE" => Some(Self::Absence),
            _ => None,
        }
    }
}

/// What a poll says.
#[derive(Clone, Debug)]
pub(crate) enum Progress {
    /// Not yet; the state as the service words it.
    Running(String),
    /// Over.
    Succeeded,
    /// Over, and failed.
    Failed(Error),
    /// The record of the operation is gone or closed to us; only the resource can tell.
    Gone,
}

/// Returns how to follow what `response` to `method` on `url` began, or nothing if it is already over.
///
/// Operations are ARM's. Of Graph a 202 with a `Location` is one, whose address answers with a `status`; a 201's
/// `Location` is the thing made. An address that cannot be read is as good as none.
pub(crate) fn watch(plane: Plane, method: &str, url: &Url, response: &Response) -> Option<Watch> {
    let address = |name: &str| response.header(name).and_then(|text| url.join(text).ok());
    let location = address("location");
    match plane {
        Plane::Graph if response.status == 202 => {
            return location.map(|url| Watch::Status {
                url,
                location: None,
            });
        }
        Plane::Arm => {}
        Plane::Graph | Plane::Vault | Plane::Logs | Plane::Blob => return None,
    }
    if let Some(url) = address("azure-asyncoperation") {
        return Some(Watch::Status { url, location });
    }
    if let (Some(url), 200..=202) = (location, response.status)
        && (response.status == 202 || method != "GET")
    {
        return Some(Watch::Location { url });
    }
    let state = serde_json::from_slice::<Value>(&response.body)
        .ok()
        .as_ref()
        .and_then(provisioning_state);
    match (method, response.status, state) {
        // A final state that is no success is read, and told, by the first poll.
        ("PUT" | "PATCH", _, Some(state)) if !state.eq_ignore_ascii_case("Succeeded") => {
            Some(Watch::Resource)
        }
        ("PUT" | "PATCH", 202, None) => Some(Watch::Resource),
        ("DELETE", 202, _) => Some(Watch::Absence),
        _ => None,
    }
}

/// Reads the answer of a poll.
pub(crate) fn progress(watch: &Watch, response: &Response) -> Progress {
    let missing = matches!(response.status, 404 | 410);
    match watch {
        Watch::Absence if missing || response.status == 204 => return Progress::Succeeded,
        Watch::Absence if response.status < 300 => {
            return Progress::Running("Deleting".to_owned());
        }
        // Polling is authorised at the subscription or group, not at the resource (arm.md section 1.6).
        _ if missing || matches!(response.status, 401 | 403) => return Progress::Gone,
        _ => {}
    }
    if response.status >= 300 {
        return Progress::Failed(super::error::service(
            response.status,
            &response.body,
            None,
            response.request_id(),
        ));
    }
    let body = serde_json::from_slice::<Value>(&response.body).unwrap_or(Value::Null);
    match watch {
        Watch::Location { .. } | Watch::Absence if response.status == 202 => {
            Progress::Running("InProgress".to_owned())
        }
        Watch::Location { .. } | Watch::Absence => Progress::Succeeded,
        Watch::Status { .. } => of_state(
            body.get("status")
                .and_then(Value::as_str)
                .unwrap_or("InProgress"),
            &body,
            response,
        ),
        Watch::Resource => match provisioning_state(&body) {
            Some(state) => of_state(&state, &body, response),
            None if response.status == 202 => Progress::Running("Accepted".to_owned()),
            None => Progress::Succeeded,
        },
    }
}

fn of_state(state: &str, body: &Value, response: &Response) -> Progress {
    if state.eq_ignore_ascii_case("Succeeded") {
        return Progress::Succeeded;
    }
    if !is_final(state) {
        return Progress::Running(state.to_owned());
    }
    let (code, message) = body
        .get("error")
        .and_then(|_| envelope(body))
        .unwrap_or_else(|| (state.to_owned(), format!("the operation ended as {state}")));
    Progress::Failed(Error::Service {
        status: response.status,
        code,
        message: redact_text(&message),
        request_id: response.request_id(),
    })
}

/// Returns the result that a status body carries in `properties.output`.
pub(crate) fn output(body: &[u8]) -> Option<Vec<u8>> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let output =
        crate::json::member(&body, "properties.output").filter(|output| output.is_object())?;
    serde_json::to_vec(output).ok()
}

fn provisioning_state(body: &Value) -> Option<String> {
    crate::json::member(body, "properties.provisioningState")
        .and_then(Value::as_str)
        .map(str::to_owned)
}

fn is_final(state: &str) -> bool {
    ["Succeeded", "Failed", "Canceled", "Cancelled"]
        .iter()
        .any(|word| word.eq_ignore_ascii_case(state))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
        Response {
            status,
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            body: bytes::Bytes::copy_from_slice(body.as_bytes()),
            host: "h".to_owned(),
            read_back: false,
        }
    }

    const AAO: (&str, &str) = ("Azure-AsyncOperation", "https://h/op");
    const LOC: (&str, &str) = ("Location", "/loc");

    fn begun(plane: Plane, method: &str, response: &Response) -> Option<Watch> {
        watch(plane, method, &Url::parse("https://h/x").unwrap(), response)
    }

    fn at(address: &str) -> Url {
        Url::parse(address).unwrap()
    }

    #[test]
    fn the_status_address_comes_before_the_location_at_any_success() {
        for status in [200, 201, 202] {
            assert_eq!(
                begun(Plane::Arm, "PUT", &response(status, &[LOC, AAO], "{}")),
                Some(Watch::Status {
                    url: at("https://h/op"),
                    location: Some(at("https://h/loc"))
                }),
                "{status}"
            );
        }
        assert_eq!(
            begun(Plane::Arm, "DELETE", &response(202, &[LOC], "")),
            Some(Watch::Location {
                url: at("https://h/loc")
            })
        );
    }

    #[test]
    fn without_an_address_the_resource_itself_is_watched() {
        let in_state = |state: &str| {
            let body = format!(r#"{{"properties":{{"provisioningState":"{state}"}}}}"#);
            begun(Plane::Arm, "PUT", &response(200, &[], &body))
        };
        assert_eq!(in_state("Updating"), Some(Watch::Resource));
        assert_eq!(in_state("Failed"), Some(Watch::Resource));
        assert_eq!(in_state("Succeeded"), None);
        let accepted = response(202, &[], "");
        assert_eq!(begun(Plane::Arm, "DELETE", &accepted), Some(Watch::Absence));
        assert_eq!(begun(Plane::Arm, "PATCH", &accepted), Some(Watch::Resource));
        assert_eq!(begun(Plane::Arm, "POST", &accepted), None);
    }

    #[test]
    fn a_location_of_graph_is_an_operation_only_with_202() {
        assert_eq!(
            begun(Plane::Graph, "POST", &response(201, &[LOC], "{}")),
            None
        );
        assert!(matches!(
            begun(Plane::Graph, "POST", &response(202, &[LOC], "")),
            Some(Watch::Status { .. })
        ));
        assert_eq!(begun(Plane::Blob, "PUT", &response(202, &[LOC], "")), None);
    }

    #[test]
    fn failed_inside_200_is_a_failure_with_the_services_words() {
        let url = Url::parse("https://h/op").unwrap();
        let watch = Watch::Status {
            url,
            location: None,
        };
        let failed = response(
            200,
            &[],
            r#"{"status":"Failed","error":{"code":"Conflict","message":"busy"}}"#,
        );
        match progress(&watch, &failed) {
            Progress::Failed(Error::Service { code, message, .. }) => {
                assert_eq!((code.as_str(), message.as_str()), ("Conflict", "busy"));
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(
            progress(&watch, &response(200, &[], r#"{"status":"canceled"}"#)),
            Progress::Failed(_)
        ));
        assert!(matches!(
            progress(&watch, &response(200, &[], r#"{"status":"Weird"}"#)),
            Progress::Running(_)
        ));
        assert!(matches!(
            progress(&watch, &response(404, &[], "")),
            Progress::Gone
        ));
    }
}
