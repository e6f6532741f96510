//! What a responder asks the workspace in Kusto: hunting queries, those of the reference documents, types and errors.
//! What each operator and function does is tested beside the language itself (`src/lab/kql/tests.rs`).

use azir::lab::scenario::Scenario;
use serde_json::{Map, Value, json};

use crate::az_kit;
use crate::lab_support::{Answer, Bench};

const LAW: &str = "abababab-abab-4bab-8bab-abababababab";

fn members(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// A tenant in which somebody guesses passwords, gets in from far away, and is revoked too late.
fn attacked() -> Scenario {
    let mut scenario = az_kit::scenario();
    let wrong = json!({"errorCode": 50126, "failureReason": "Error validating credentials due to invalid username or password."});
    let place = |city: &str, country: &str| json!({"city": city, "state": "", "countryOrRegion": country, "geoCoordinates": {}});
    for sign_in in [
        json!({"user": "bob@contoso.com", "hours_ago": 5, "count": 3, "ipAddress": "203.0.113.9", "appDisplayName": "Azure Portal", "status": wrong, "location": place("Minsk", "BY")}),
        json!({"user": "bob@contoso.com", "hours_ago": 4, "ipAddress": "203.0.113.9", "appDisplayName": "Azure Portal", "location": place("Minsk", "BY")}),
        json!({"user": "bob@contoso.com", "hours_ago": 4, "minutes_ago": 3, "ipAddress": "198.51.100.22", "appDisplayName": "Outlook", "location": place("Bellevue", "US")}),
        json!({"user": "bob@contoso.com", "hours_ago": 300, "ipAddress": "198.51.100.22", "appDisplayName": "Outlook", "location": place("Bellevue", "US")}),
    ] {
        scenario.directory.sign_ins.push(members(sign_in));
    }
    scenario.directory.audits.push(members(json!({
        "by": "pia@contoso.com", "target": "bob@contoso.com", "hours_ago": 6,
        "activityDisplayName": "Revoke sign-in sessions", "from": "198.51.100.5",
    })));
    scenario
}

struct Workspace(Bench);

impl Workspace {
    fn new() -> Self {
        Self(Bench::with(attacked(), |_| {}))
    }

    fn ask(&self, text: &str) -> Answer {
        let bench = &self.0;
        let port = bench.lab.ready().arm.rsplit(':').next().unwrap();
        let origin = format!("https://api.loganalytics.localhost:{port}");
        let token = bench.token_for(&format!("{origin}/.default"));
        let url = format!("{origin}/v1/workspaces/{LAW}/query");
        let request = bench.http.post(url).bearer_auth(token);
        bench.send(request.json(&json!({"query": text})))
    }

    /// Returns `name:type` of each column.
    fn columns(&self, text: &str) -> Vec<String> {
        let answer = self.ask(text);
        let columns = answer.body["tables"][0]["columns"].as_array();
        let columns = columns.unwrap_or_else(|| panic!("{text}: {answer:?}"));
        let each = columns.iter().map(|column| {
            let part = |name: &str| column[name].as_str().unwrap().to_owned();
            format!("{}:{}", part("name"), part("type"))
        });
        each.collect()
    }

    fn rows(&self, text: &str) -> Value {
        let answer = self.ask(text);
        assert_eq!(answer.status, 200, "{text}: {answer:?}");
        answer.body["tables"][0]["rows"].clone()
    }

    /// Returns the codes of a refusal, outermost first, and its innermost message.
    fn refusal(&self, text: &str) -> (u16, Vec<String>, String) {
        let answer = self.ask(text);
        let mut at = &answer.body["error"];
        let (mut codes, mut message) = (Vec::new(), String::new());
        while let Some(code) = at["code"].as_str() {
            codes.push(code.to_owned());
            message = at["message"].as_str().unwrap_or_default().to_owned();
            at = &at["innererror"];
        }
        (answer.status, codes, message)
    }
}

#[test]
fn failed_sign_ins_are_counted_by_user_address_and_hour() {
    let workspace = Workspace::new();
    let query = "SigninLogs
        | where TimeGenerated > ago(1d) and ResultType !in ('0', '50125', '50140')
        | summarize failures = count(), codes = make_set(ResultType), first = min(TimeGenerated)
            by UserPrincipalName, IPAddress, bin(TimeGenerated, 12h)
        | where failures >= 3
        | order by failures";
    assert_eq!(
        workspace.columns(query),
        [
            "UserPrincipalName:string",
            "IPAddress:string",
            "TimeGenerated:datetime",
            "failures:long",
            "codes:dynamic",
            "first:datetime"
        ]
    );
    let rows = workspace.rows(query);
    assert_eq!(rows.as_array().unwrap().len(), 1, "{rows}");
    assert_eq!(rows[0][0], "bob@contoso.com");
    assert_eq!(rows[0][3], 3);
    assert_eq!(rows[0][4], "[\"50126\"]");
}

#[test]
fn two_countries_within_the_hour_are_impossible_travel() {
    let workspace = Workspace::new();
    let query = "let successes = SigninLogs
            | where TimeGenerated > ago(1d) and ResultType == '0'
            | extend country = tostring(LocationDetails.countryOrRegion);
        successes
        | summarize arg_max(TimeGenerated, country, IPAddress) by UserPrincipalName
        | join kind=inner (successes | project UserPrincipalName, before = TimeGenerated, from = country) on UserPrincipalName
        | where from != country and abs(TimeGenerated - before) between (0s .. 1h)
        | project UserPrincipalName, from, country, minutes = abs(TimeGenerated - before) / 1m";
    assert_eq!(
        workspace.rows(query),
        json!([["bob@contoso.com", "US", "BY", 3.0]])
    );
}

#[test]
fn addresses_that_were_never_seen_before_are_what_an_anti_join_leaves() {
    let workspace = Workspace::new();
    let query = "let known = SigninLogs | where TimeGenerated between (ago(30d) .. ago(2d)) | distinct UserPrincipalName, IPAddress;
        SigninLogs
        | where TimeGenerated > ago(2d) and UserPrincipalName in~ ('BOB@contoso.com', 'alice@contoso.com')
        | join kind=leftanti known on UserPrincipalName, IPAddress
        | summarize signIns = count() by UserPrincipalName, IPAddress";
    assert_eq!(
        workspace.rows(query),
        json!([["bob@contoso.com", "203.0.113.9", 4]])
    );
}

#[test]
fn targets_of_audit_records_are_pulled_apart() {
    let workspace = Workspace::new();
    let query = "AuditLogs
        | where OperationName == 'Revoke sign-in sessions'
        | mv-expand target = TargetResources
        | project Actor = tostring(InitiatedBy.user.userPrincipalName), Target = tostring(target.userPrincipalName), kind = tostring(target['type'])";
    assert_eq!(
        workspace.rows(query),
        json!([["pia@contoso.com", "bob@contoso.com", "User"]])
    );
}

#[test]
fn all_tables_of_sign_ins_are_asked_together() {
    let workspace = Workspace::new();
    let query = "union withsource=source SigninLogs, AADNonInteractiveUserSignInLogs, AADServicePrincipalSignInLogs
        | where IPAddress in ('203.0.113.77', '198.51.100.80')
        | summarize signIns = count(), apps = dcount(AppDisplayName) by source
        | order by source asc";
    assert_eq!(
        workspace.rows(query),
        json!([
            ["AADNonInteractiveUserSignInLogs", 4, 1],
            ["AADServicePrincipalSignInLogs", 6, 1],
            ["SigninLogs", 3, 1]
        ])
    );
    // A column of two types is two columns.
    let city = "union SigninLogs, AADNonInteractiveUserSignInLogs
        | extend place = coalesce(LocationDetails_dynamic, parse_json(LocationDetails_string))
        | where IPAddress == '203.0.113.77' | distinct tostring(place.city)";
    assert_eq!(workspace.rows(city), json!([["Frankfurt am Main"]]));
    let (_, codes, _) = workspace
        .refusal("union SigninLogs, AADNonInteractiveUserSignInLogs | project LocationDetails");
    assert_eq!(codes.last().unwrap(), "SEM0100");
    // What is dynamic in one table is text in the other.
    let (_, codes, _) =
        workspace.refusal("AADNonInteractiveUserSignInLogs | extend c = LocationDetails.city");
    assert_eq!(codes, ["BadArgumentError", "SemanticError", "SEM0001"]);
}

#[test]
fn the_reference_documents_queries_are_answered() {
    let workspace = Workspace::new();
    for (query, found) in [
        (
            "SigninLogs
             | where UserPrincipalName in~ (\"break-glass-bg01@contoso.onmicrosoft.com\",
                                            \"BOB@contoso.com\")
             | project TimeGenerated, UserPrincipalName, IPAddress, AppDisplayName, ResultType",
            6,
        ),
        (
            "SigninLogs | where UserPrincipalName startswith \"ali\"
             | project TimeGenerated, UserPrincipalName, ResultType, ResultDescription, IPAddress, Location, AppDisplayName
             | order by TimeGenerated desc | take 4",
            4,
        ),
        (
            "AzureActivity
             | where ResourceId contains \"/resourceGroups/rg-workload-prod\" or ResourceId contains \"snapshots\"
             | where OperationNameValue endswith \"/delete\" or OperationNameValue endswith \"/write\"
             | extend body = tostring(parse_json(Properties).requestbody)
             | project TimeGenerated, Caller, ResourceId, OperationNameValue, body, ActivityStatusValue
             | order by TimeGenerated desc | take 2",
            2,
        ),
        (
            "let lookback = 1d;
             SigninLogs
             | where TimeGenerated > ago(lookback)
             | where ResultType == 0
             | extend RiskState = tostring(parse_json(ConditionalAccessPolicies)[0].result)
             | summarize Cities=make_set(LocationDetails.city),
                         Devices=make_set(DeviceDetail.displayName),
                         Apps=make_set(AppDisplayName)
                       by UserPrincipalName, bin(TimeGenerated, 1d)
             | where array_length(Cities) > 1",
            2,
        ),
        (
            "SigninLogs
             | where ResultType != 0
             | summarize attempts = count() by UserPrincipalName, IPAddress, bin(TimeGenerated, 1d)
             | where attempts > 2",
            1,
        ),
        (
            "AuditLogs
             | where ActivityDisplayName in (\"Revoke sign-in sessions\", \"Reset password (by admin)\", \"Disable user\")
             | extend revoked = tostring(TargetResources[0].userPrincipalName)
             | join kind=leftouter (
                 SigninLogs
                 | project sigUpn=UserPrincipalName, sigTime=TimeGenerated, sigResult=ResultType
               ) on $left.revoked == $right.sigUpn
             | where isnotempty(sigTime) and sigTime > TimeGenerated and sigResult == 0
             | project TimeGenerated, RevocationActor=InitiatedBy, target=revoked, gapMin=(sigTime - TimeGenerated)/1m, sigTime
             | order by TimeGenerated desc | take 200",
            2,
        ),
    ] {
        let rows = workspace.rows(query);
        assert_eq!(rows.as_array().unwrap().len(), found, "{query}\n{rows}");
    }
    // Those that the service refuses too: a join on a path, and what the workspace does not have.
    for (query, code) in [
        (
            "AuditLogs | join kind=leftouter (SigninLogs | project sigUpn=UserPrincipalName) on $left.TargetResources[0].userPrincipalName == $right.sigUpn",
            "SEM0001",
        ),
        ("_GetWatchlist('TabletopSchedule') | take 1", "SEM0260"),
        (
            "TabletopRunResults_CL | summarize max(TimeGenerated)",
            "SEM0100",
        ),
    ] {
        let (status, codes, _) = workspace.refusal(query);
        assert_eq!(
            (status, codes.last().unwrap().as_str()),
            (400, code),
            "{query}"
        );
    }
}

#[test]
fn errors_are_written_as_the_service_writes_them() {
    let workspace = Workspace::new();
    let answer = workspace.ask("SigninLogs\n| whre ResultType == 0");
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.body["error"],
        json!({
            "message": "The request had some invalid properties", "code": "BadArgumentError",
            "innererror": {
                "code": "SyntaxError", "message": "A recognition error occurred in the query.",
                "innererror": {"code": "SYN0002", "message": "Query could not be parsed at 'whre' on line [2,3]", "line": 2, "pos": 3, "token": "whre"},
            },
        })
    );
    for (query, codes, message) in [
        (
            "Requests | take 1",
            ["BadArgumentError", "SemanticError", "SEM0100"],
            "'take' operator: Failed to resolve table or column expression named 'Requests'",
        ),
        (
            "SigninLogs | where userprincipalname == ''",
            ["BadArgumentError", "SemanticError", "SEM0100"],
            "'where' operator: Failed to resolve column or scalar expression named 'userprincipalname'",
        ),
        (
            "SigninLogs | extend x = geo_distance(1)",
            ["BadArgumentError", "SemanticError", "SEM0260"],
            "Unknown function: 'geo_distance'.",
        ),
        (
            "SigninLogs | where ResultType > 5",
            ["BadArgumentError", "SemanticError", "SEM0064"],
            "Cannot compare values of types string and long. Try adding explicit casts",
        ),
    ] {
        let (status, found, why) = workspace.refusal(query);
        assert_eq!((status, why.as_str()), (400, message), "{query}");
        assert_eq!(found, codes, "{query}");
    }
    let (status, codes, _) = workspace.refusal("range x from 1 to 1000000000 step 1");
    assert_eq!((status, codes), (501, vec!["NotModelled".to_owned()]));
}

#[test]
fn values_are_written_by_their_types() {
    let workspace = Workspace::new();
    let query = "print b = true, t = datetime(2026-05-01T10:00:00.5Z), d = dynamic({'a': 1}), e = dynamic(['x'])[0], i = int(1), l = 2, r = 1.5, nan = real(nan), s = 'x', span = 1.02:00:00, none = long(null)";
    assert_eq!(
        workspace.ask(query).status,
        400,
        "a length of time is written in timespan(...)"
    );
    let query = query.replace("1.02:00:00", "26h");
    let columns = workspace.columns(&query);
    let kinds: Vec<&str> = columns
        .iter()
        .map(|one| one.split_once(':').unwrap().1)
        .collect();
    assert_eq!(
        kinds,
        [
            "bool", "datetime", "dynamic", "dynamic", "int", "long", "real", "real", "string",
            "timespan", "long"
        ]
    );
    assert_eq!(
        workspace.rows(&query),
        json!([[
            true,
            "2026-05-01T10:00:00.5Z",
            "{\"a\":1}",
            "x",
            1,
            2,
            1.5,
            "NaN",
            "x",
            "1.02:00:00",
            null
        ]])
    );
}

#[test]
fn resource_graph_is_asked_in_the_same_language() {
    let workspace = Workspace::new();
    let bench = &workspace.0;
    let ask = |query: &str| {
        let path = "/providers/Microsoft.ResourceGraph/resources?api-version=2022-10-01";
        bench.call("POST", path, &json!({"query": query}))
    };
    let counted = ask(
        "Resources | where type =~ 'Microsoft.Compute/virtualMachines' | summarize machines = count() by resourceGroup | join kind=leftouter (ResourceContainers | where type =~ 'microsoft.resources/subscriptions/resourceGroups' | project resourceGroup = tolower(name), where_ = location) on resourceGroup | project resourceGroup, machines, where_ | order by resourceGroup asc",
    );
    assert_eq!(counted.status, 200, "{counted:?}");
    let rows = counted.body["data"].as_array().unwrap();
    assert!(!rows.is_empty());
    assert!(
        rows.iter()
            .all(|row| row["machines"].as_i64() > Some(0) && row["where_"] != ""),
        "{rows:?}"
    );
    // Some of the language is not Resource Graph's.
    for query in [
        "Resources | where nothing == 1",
        "let x = 1; Resources | take x",
        "print 1",
        "Resources | join kind=leftanti (ResourceContainers) on id",
        "Resources | project-rename x = id",
        "Resources | union Resources | union Resources | union Resources | union Resources",
    ] {
        assert_eq!(ask(query).error(), (400, "BadRequest"), "{query}");
    }
}
