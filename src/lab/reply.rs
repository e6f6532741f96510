//! Requests and replies in the lab's own simple form, and error bodies as the services write them.

use serde_json::{Value, json};

/// A request, read whole.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) method: String,
    pub(super) host: String,
    /// The path, decoded, without a slash at its end.
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// The origin under which the lab was asked, as `https://127.0.0.1:8443`.
    pub(super) origin: String,
}

impl Ask {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn json(&self) -> Result<Value, Reply> {
        serde_json::from_slice(&self.body).map_err(|error| {
            arm_error(
                400,
                "InvalidRequestContent",
                &format!(
                    "The request content was invalid and could not be deserialized: '{error}'."
                ),
            )
        })
    }

    /// Returns the path's segments.
    pub(super) fn segments(&self) -> Vec<&str> {
        self.path.split('/').skip(1).collect()
    }
}

/// A reply.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            headers: vec![(
                "content-type".to_owned(),
                "application/json; charset=utf-8".to_owned(),
            )],
            body: body.to_string().into_bytes(),
        }
    }

    pub(super) fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// An error as ARM writes it (arm.md section 1.4).
pub(super) fn arm_error(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(
        status,
        &json!({"error": {"code": code, "message": message}}),
    )
    .with(
        "x-ms-failure-cause",
        if status == 404 { "service" } else { "gateway" },
    )
}

/// What the lab does not model; it never pretends.
pub(super) fn not_modelled(what: &str) -> Reply {
    arm_error(
        501,
        "NotModelled",
        &format!("The lab does not model {what}."),
    )
}

/// An error as Microsoft Graph writes it.
pub(super) fn graph_error(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(
        status,
        &json!({"error": {"code": code, "message": message, "innerError": {}}}),
    )
}

/// Puts into an error of Microsoft Graph when it was and which request it is about ("Microsoft Graph error responses
/// and resource types").
pub(super) fn dated(reply: &mut Reply, at: &str, request: &str, client: Option<&str>) {
    if reply.status < 400 {
        return;
    }
    let Ok(mut body) = serde_json::from_slice::<Value>(&reply.body) else {
        return;
    };
    if let Some(inner) = body.pointer_mut("/error/innerError") {
        inner["date"] = json!(at);
        inner["request-id"] = json!(request);
        inner["client-request-id"] = json!(client.unwrap_or(request));
        reply.body = body.to_string().into_bytes();
    }
}

/// An error as Blob storage writes it.
pub(super) fn blob_error(status: u16, code: &str, message: &str) -> Reply {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    Reply {
        status,
        headers: vec![
            ("content-type".into(), "application/xml".into()),
            ("x-ms-error-code".into(), code.into()),
        ],
        body: body.into_bytes(),
    }
}
