//! Secrets: an answer that holds one is never stored, so it is not read by a step that stores answers.

use super::{Found, Subject};
use crate::runbook::model::{Action, Call, Plane};
use crate::runbook::walk;

/// Last segments of paths whose answers hold secrets.
const SECRET_ANSWERS: &[&str] = &[
    "addkey",
    "addpassword",
    "begingetaccess",
    "generatesas",
    "getsharedaccesssignature",
    "listaccountsas",
    "listadminkeys",
    "listcallbackurl",
    "listclusteradmincredential",
    "listclusterusercredential",
    "listconnectionstrings",
    "listcredentials",
    "listkeys",
    "listquerykeys",
    "listsecrets",
    "listservicesas",
    "publishxml",
    "regeneratekey",
    "resetpassword",
    "retrievebootdiagnosticsdata",
];

pub(super) fn look(subject: &Subject<'_>, found: &mut Found<'_>) {
    for step in &subject.runbook.steps {
        walk::calls(step, &mut |call, _| {
            // Who makes a secret by `rotate` stores no answer of it.
            let rotates = matches!(&step.action, Action::Rotate(rotate) if std::ptr::eq(call, &raw const rotate.upstream));
            if let Some(what) = secret(call)
                && !rotates
            {
                let message = format!("the answer of {what} holds a secret that would be stored");
                found.add(
                    "secret-answer",
                    call.line.place,
                    message,
                    "secrets are rotated by the step kind made for it",
                );
            }
            for (name, template) in &call.headers {
                if matches!(
                    name.to_ascii_lowercase().as_str(),
                    "authorization" | "x-ms-copy-source-authorization" | "cookie"
                ) {
                    found.add(
                        "secret-header",
                        template.place,
                        format!("{name} is set by azir alone"),
                        "leave it out",
                    );
                }
            }
        });
    }
}

fn secret(call: &Call) -> Option<String> {
    let (method, path) = call.line.value.split_once(' ')?;
    let path = path
        .split('?')
        .next()
        .unwrap_or_default()
        .trim_end_matches('/');
    let last = path
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    if SECRET_ANSWERS.contains(&last.as_str()) {
        return Some(format!("/{last}"));
    }
    let segments: Vec<&str> = path.split('/').collect();
    let at = segments
        .iter()
        .position(|segment| segment.eq_ignore_ascii_case("secrets"))?;
    let one_secret =
        segments.len() > at + 1 && !segments[at + 1].is_empty() && !last.eq("versions");
    (call.plane == Plane::Vault && method == "GET" && one_secret)
        .then(|| "a secret's value".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::tests::codes_of_steps;

    #[test]
    fn answers_with_secrets_are_not_stored() {
        let read = |call: &str| {
            codes_of_steps(&format!(
                "  - {{id: a, phase: tag, title: A, lasting: x, request: {{{call}}}, check: {{claim: c, get: {{graph: GET /v1.0/users}}, that: \"{{{{ got }}}}\"}}}}\n"
            ))
        };
        assert_eq!(
            read("graph: POST /v1.0/applications/x/addPassword"),
            ["secret-answer"]
        );
        assert!(read("arm: \"POST {{ vm }}/listKeys\", api_version: x").contains(&"secret-answer"));
        assert_eq!(
            read("graph: POST /v1.0/x, headers: {Authorization: Bearer x}"),
            ["secret-header"]
        );
        let vault = |path: &str| {
            codes_of_steps(&format!(
                "  - {{id: a, phase: tag, title: A, read: {{vault: \"GET {{{{ vm }}}}/{path}\", api_version: x}}}}\n"
            ))
        };
        assert_eq!(vault("secrets/x"), ["secret-answer"]);
        assert_eq!(vault("secrets/{{ vm }}/{{ vm }}"), ["secret-answer"]);
        assert!(vault("secrets").is_empty());
        assert!(vault("secrets/x/versions").is_empty());
    }
}
