//! Long-running operations: which address to poll, what an answer means, where the result lies (arm.md section 1.6).
//!
//! Pure rules; the client does the polling.

use serde_json::Value;
use url::Url;

use super::error::{Error, envelope};
use super::request::Response;

/// How an operation is followed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Watch {
    /// A status resource, which answers 200 with `status`; and the `Location` given beside it.
    Status { url: Url, location: Option<Url> },
    /// An address that answers 202 until the end.
    Location { url: Url },
    /// The resource itself, until its `provisioningState` is final.
    Resource,
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
    /// The record of the operation is gone; only the resource can tell.
    Gone,
}

/// Returns how to follow what `response` to `method` began, or nothing if it is already over.
pub(crate) fn watch(method: &str, response: &Response) -> Result<Option<Watch>, Error> {
    let location = url(response, "location")?;
    if let Some(url) = url(response, "azure-asyncoperation")? {
        return Ok(Some(Watch::Status { url, location }));
    }
    if let (Some(url), 200..=202) = (location, response.status)
        && (response.status == 202 || method != "GET")
    {
        return Ok(Some(Watch::Location { url }));
    }
    let writes_resource = matches!(method, "PUT" | "PATCH");
    let state = serde_json::from_slice::<Value>(&response.body)
        .ok()
        .as_ref()
        .and_then(provisioning_state);
    Ok(match (writes_resource, response.status, state) {
        (true, _, Some(state)) if !is_final(&state) => Some(Watch::Resource),
        (true, 202, None) => Some(Watch::Resource),
        _ => None,
    })
}

/// Reads the answer of a poll.
pub(crate) fn progress(watch: &Watch, response: &Response) -> Progress {
    if matches!(response.status, 404 | 410) {
        return Progress::Gone;
    }
    if response.status >= 400 {
        return Progress::Failed(super::error::service(
            response.status,
            &response.body,
            None,
            response.request_id(),
        ));
    }
    let body = serde_json::from_slice::<Value>(&response.body).unwrap_or(Value::Null);
    match watch {
        Watch::Location { .. } if response.status == 202 => {
            Progress::Running("InProgress".to_owned())
        }
        Watch::Location { .. } => Progress::Succeeded,
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
        message,
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

/// Returns the address in a header; one that is no URL is an error, not a reason to stop polling.
fn url(response: &Response, name: &str) -> Result<Option<Url>, Error> {
    let Some(text) = response.header(name) else {
        return Ok(None);
    };
    Url::parse(text)
        .map(Some)
        .map_err(|error| Error::Malformed {
            host: response.host.clone(),
            message: format!("its {name} header is no URL ({error})"),
        })
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
    const LOC: (&str, &str) = ("Location", "https://h/loc");

    #[test]
    fn the_status_address_comes_before_the_location_at_any_success() {
        for status in [200, 201, 202] {
            assert!(
                matches!(
                    watch("PUT", &response(status, &[LOC, AAO], "{}")),
                    Ok(Some(Watch::Status { .. }))
                ),
                "{status}"
            );
        }
        assert!(matches!(
            watch("DELETE", &response(202, &[LOC], "")),
            Ok(Some(Watch::Location { .. }))
        ));
        assert!(matches!(
            watch(
                "PUT",
                &response(
                    201,
                    &[],
                    r#"{"properties":{"provisioningState":"Updating"}}"#
                )
            ),
            Ok(Some(Watch::Resource))
        ));
        assert!(matches!(
            watch(
                "PUT",
                &response(
                    200,
                    &[],
                    r#"{"properties":{"provisioningState":"Succeeded"}}"#
                )
            ),
            Ok(None)
        ));
        assert!(watch("PUT", &response(202, &[("Location", "not a url")], "")).is_err());
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
