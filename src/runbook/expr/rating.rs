//! How bad something is and why, and who did it: what the filters that judge have in common.

use serde_json::Value;

/// How bad something is, with every reason; the worst reason decides.
#[derive(Debug, Default)]
pub(super) struct Rating {
    reasons: Vec<(usize, String)>,
}

/// The severities, the mildest first.
const SEVERITIES: [&str; 4] = ["info", "low", "medium", "high"];

impl Rating {
    pub(super) fn info(&mut self, why: String) {
        self.reasons.push((0, why));
    }

    pub(super) fn low(&mut self, why: String) {
        self.reasons.push((1, why));
    }

    pub(super) fn medium(&mut self, why: String) {
        self.reasons.push((2, why));
    }

    pub(super) fn high(&mut self, why: String) {
        self.reasons.push((3, why));
    }

    /// Returns the word for the worst reason; without any, `info`.
    pub(super) fn severity(&self) -> &'static str {
        let worst = self.reasons.iter().map(|(rank, _)| *rank).max();
        SEVERITIES[worst.unwrap_or(0)]
    }

    /// Returns the reasons, the worst first, after `joint`; nothing where there are none.
    pub(super) fn reasons_after(&self, joint: &str) -> String {
        if self.reasons.is_empty() {
            return String::new();
        }
        let mut sorted: Vec<&(usize, String)> = self.reasons.iter().collect();
        sorted.sort_by_key(|(rank, _)| std::cmp::Reverse(*rank));
        let words: Vec<&str> = sorted.iter().map(|(_, why)| why.as_str()).collect();
        format!("{joint}{}", words.join("; "))
    }
}

/// Returns the text at a path; empty where there is none.
pub(super) fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    let found = crate::json::member(value, path);
    found.and_then(Value::as_str).unwrap_or_default()
}

/// Returns who an audit event names as its author, with the address where it has one (Graph sheet section 2.2).
pub(super) fn actor(event: &Value) -> String {
    match text(event, "initiatedBy.user.ipAddress") {
        "" => author(event),
        from => format!("{} from {from}", author(event)),
    }
}

/// Returns who an audit event names as its author.
pub(super) fn author(event: &Value) -> String {
    let names = [
        "initiatedBy.user.userPrincipalName",
        "initiatedBy.user.displayName",
        "initiatedBy.user.id",
        "initiatedBy.app.displayName",
        "initiatedBy.app.servicePrincipalName",
        "initiatedBy.app.servicePrincipalId",
    ];
    let found = names.iter().map(|path| text(event, path));
    found
        .into_iter()
        .find(|found| !found.is_empty())
        .unwrap_or("nobody it names")
        .to_owned()
}

/// Matches a name against a pattern in which `*` stands for anything, without regard to case.
pub(super) fn wildcard(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_lowercase(), name.to_lowercase());
    let Some((head, tail)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut rest) = name.strip_prefix(head) else {
        return false;
    };
    let (middle, end) = tail.rsplit_once('*').unwrap_or(("", tail));
    for part in middle.split('*') {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_worst_reason_decides_and_stands_first() {
        let mut rating = Rating::default();
        assert_eq!(
            (rating.severity(), rating.reasons_after(": ").as_str()),
            ("info", "")
        );
        rating.low("a".to_owned());
        rating.high("b".to_owned());
        rating.info("c".to_owned());
        assert_eq!(rating.severity(), "high");
        assert_eq!(rating.reasons_after(": "), ": b; a; c");
    }

    #[test]
    fn an_author_is_a_person_an_application_or_nobody() {
        for (event, who) in [
            (
                json!({"initiatedBy": {"user": {"userPrincipalName": "a@b", "ipAddress": "192.0.2.1"}}}),
                "a@b from 192.0.2.1",
            ),
            (
                json!({"initiatedBy": {"app": {"displayName": "Shop"}, "user": null}}),
                "Shop",
            ),
            (json!({}), "nobody it names"),
        ] {
            assert_eq!(actor(&event), who);
        }
    }
}
