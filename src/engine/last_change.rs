//! Who last changed something before azir did, and who since: shown before it is put back, so that nobody restores what
//! an attacker made.

use serde_json::Value;

use super::calls::Calls;
use super::failure::Failure;
use super::past::PastWrite;
use super::step::wire;
use super::target::Target;
use crate::azure::Reader;
use crate::ids::ArmId;
use crate::runbook::expr::RenderedCall;
use crate::runbook::model::Plane;

/// Returns in words who last changed what a write changed, before the moment `until` (as `2026-05-23T10:00:00Z`).
pub(super) async fn before(
    target: &Target<'_>,
    write: &PastWrite,
    until: &str,
    calls: &Calls,
) -> String {
    let path = write.record["target"].as_str().unwrap_or_default();
    let Some(call) = log_of(path, None, until) else {
        return "no log that azir reads says who changed it before".to_owned();
    };
    match newest(target.common.power.reader(), &call, None, calls).await {
        Ok(Some(record)) => format!("before azir last changed by {}", in_words(&record)),
        Ok(None) => "the log holds no change of it before azir's".to_owned(),
        Err(failure) => format!(
            "who changed it before azir cannot be read: {}",
            failure.message
        ),
    }
}

/// A run's own identity, and its last moment: until then, what that identity changed is taken for the run's own.
pub(super) struct Own {
    /// The identity's object id.
    pub(super) oid: String,
    /// When the run's record ends, in RFC 3339.
    pub(super) until: String,
}

/// Returns in words who last changed what a write changed, between the moment `from` and now, the run itself left out.
pub(super) async fn since(
    target: &Target<'_>,
    write: &PastWrite,
    from: &str,
    own: &Own,
    calls: &Calls,
) -> String {
    let path = write.record["target"].as_str().unwrap_or_default();
    let now = crate::clock::seconds(target.teller.now());
    let Some(call) = log_of(path, Some(from), &now) else {
        return "no log that azir reads says who changed it since".to_owned();
    };
    match newest(target.common.power.reader(), &call, Some(own), calls).await {
        Ok(Some(record)) => format!("since then last changed by {}", in_words(&record)),
        // The activity log and the directory's audit are minutes behind.
        Ok(None) => "the log does not yet hold who changed it since".to_owned(),
        Err(failure) => format!("who changed it since cannot be read: {}", failure.message),
    }
}

/// Returns the log that knows of changes of what lies at a path: newest first.
fn log_of(path: &str, from: Option<&str>, until: &str) -> Option<RenderedCall> {
    if let Some(object) = object_of(path) {
        let begin = from
            .map(|from| format!(" and activityDateTime ge {from}"))
            .unwrap_or_default();
        let filter = format!(
            "targetResources/any(t:t/id eq '{object}') and activityDateTime lt {until}{begin}"
        );
        return Some(call(
            Plane::Graph,
            "/v1.0/auditLogs/directoryAudits",
            None,
            vec![
                ("$filter".to_owned(), filter),
                ("$top".to_owned(), "1".to_owned()),
            ],
        ));
    }
    let id: ArmId = path.parse().ok()?;
    let subscription = id.subscription()?;
    // The activity log must be asked for a span of its 90 days (arm.md section 5.5).
    let end: chrono::DateTime<chrono::Utc> = until.parse().ok()?;
    let begin = match from {
        Some(from) => from.to_owned(),
        None => crate::clock::seconds(end - chrono::Duration::days(30)),
    };
    let filter = format!(
        "eventTimestamp ge '{begin}' and eventTimestamp le '{until}' and resourceUri eq '{id}'"
    );
    Some(call(
        Plane::Arm,
        &format!(
            "/subscriptions/{subscription}/providers/Microsoft.Insights/eventtypes/management/values"
        ),
        Some("2015-04-01"),
        vec![("$filter".to_owned(), filter)],
    ))
}

/// Returns the id of the directory object that a Graph path begins with.
fn object_of(path: &str) -> Option<&str> {
    let mut segments = path.trim_start_matches('/').split('/');
    let version = segments.next()?;
    if !matches!(version, "v1.0" | "beta") {
        return None;
    }
    segments
        .nth(1)
        .filter(|id| uuid::Uuid::try_parse(id).is_ok())
}

fn call(
    plane: Plane,
    path: &str,
    api_version: Option<&str>,
    query: Vec<(String, String)>,
) -> RenderedCall {
    RenderedCall {
        plane,
        method: "GET".to_owned(),
        path_or_url: path.to_owned(),
        query,
        api_version: api_version.map(str::to_owned),
        headers: Vec::new(),
        body: None,
        pages: Some("value".to_owned()),
        missing_ok: false,
    }
}

async fn newest(
    reader: &Reader,
    call: &RenderedCall,
    own: Option<&Own>,
    calls: &Calls,
) -> Result<Option<Value>, Failure> {
    let mut pages = wire::pages(reader, call)?;
    // Both logs answer newest first; a page may be empty and have a next one.
    while let Some(page) = pages.next(calls).await? {
        if let Some(first) = page
            .into_iter()
            .find(|record| !own.is_some_and(|own| own.made(record)))
        {
            return Ok(Some(first));
        }
    }
    Ok(None)
}

impl Own {
    /// Whether a record is of the run. The id of the application says nothing: everybody who signs in with the Azure CLI
    /// has the same.
    fn made(&self, record: &Value) -> bool {
        let places = [
            "/caller",
            "/claims/http:~1~1schemas.microsoft.com~1identity~1claims~1objectidentifier",
            "/initiatedBy/app/servicePrincipalId",
            "/initiatedBy/user/id",
        ];
        let mut ids = places
            .iter()
            .filter_map(|place| record.pointer(place)?.as_str());
        let time = ["/eventTimestamp", "/activityDateTime"]
            .iter()
            .find_map(|place| record.pointer(place)?.as_str());
        let (time, until) = (time.and_then(moment), moment(&self.until));
        !self.oid.is_empty() && ids.any(|id| self.oid.eq_ignore_ascii_case(id)) && time <= until
    }
}

fn moment(text: &str) -> Option<chrono::DateTime<chrono::Utc>> {
    text.parse().ok()
}

fn in_words(record: &Value) -> String {
    let text = |paths: &[&str]| {
        let found = paths
            .iter()
            .find_map(|path| record.pointer(path).and_then(Value::as_str))
            .filter(|text| !text.is_empty());
        found.unwrap_or("unknown").to_owned()
    };
    let who = text(&[
        "/initiatedBy/user/userPrincipalName",
        "/initiatedBy/app/displayName",
        "/caller",
    ]);
    let what = text(&[
        "/activityDisplayName",
        "/operationName/localizedValue",
        "/operationName/value",
    ]);
    let when = text(&["/activityDateTime", "/eventTimestamp"]);
    format!("{who}: {what}, {when}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_path_is_looked_up_in_the_log_of_its_plane() {
        let id = "88888888-8888-4888-8888-888888888801";
        let graph = log_of(&format!("/v1.0/users/{id}"), None, "2026-11-24T03:00:00Z").unwrap();
        assert_eq!(graph.plane, Plane::Graph);
        assert!(graph.query[0].1.contains(id));
        let arm = log_of(
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/disks/d",
            None,
            "2026-11-24T03:00:00Z",
        )
        .unwrap();
        assert_eq!(arm.plane, Plane::Arm);
        assert!(
            arm.query[0].1.contains("2026-10-25T03:00:00Z"),
            "{:?}",
            arm.query
        );
        assert!(
            log_of(
                "https://kv.vault.azure.net/secrets/x",
                None,
                "2026-11-24T03:00:00Z"
            )
            .is_none()
        );
        assert!(log_of("/v1.0/users/x' or 'a", None, "2026-11-24T03:00:00Z").is_none());
    }

    #[test]
    fn a_record_is_told_with_who_what_and_when() {
        let record = json!({"activityDisplayName": "Disable account", "activityDateTime": "2026-11-24T02:00:00Z",
            "initiatedBy": {"user": {"userPrincipalName": "mallory@contoso.com"}}});
        assert_eq!(
            in_words(&record),
            "mallory@contoso.com: Disable account, 2026-11-24T02:00:00Z"
        );
        let own = Own {
            oid: "55555555-5555-4555-8555-555555555555".to_owned(),
            until: "2026-11-24T03:00:00Z".to_owned(),
        };
        assert!(!own.made(&record));
        let by = |oid: &str, at: &str| own.made(&json!({"caller": oid, "eventTimestamp": at}));
        assert!(by(&own.oid, "2026-11-24T02:00:00.5Z"));
        assert!(!by(&own.oid, "2026-11-24T03:00:01Z"), "after the run");
        assert!(!by("", "2026-11-24T02:00:00Z"));
        let record = json!({"caller": "pia@contoso.com", "operationName": {"value": "Microsoft.Compute/disks/write"}, "eventTimestamp": "2026-11-24T02:00:00Z"});
        assert!(in_words(&record).contains("pia@contoso.com: Microsoft.Compute/disks/write"));
    }
}
