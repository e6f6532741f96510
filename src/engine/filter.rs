//! Targets by a condition: what `--filter` says becomes one `where` of a query to Resource Graph, and no more than that.
//!
//! `resources | where type =~ 'TYPE' | where CONDITION | project id ...`, read to its end by the client that cannot
//! write. A condition is the responder's own Kusto, so it is not quoted; what could make more of it than a condition
//! (another operator, another statement, a comment that swallows the rest) is refused before it is sent.

use serde_json::Value;

use super::error::EngineError;
use super::resolve::{Resolver, cloud, kql};

/// The longest condition that is sent: it stands in the record too.
const LONGEST: usize = 4_000;

/// Reads a condition: one that can stand behind `where` and be nothing else.
///
/// # Errors
/// Why it cannot.
pub fn condition(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("the filter is empty".to_owned());
    }
    if text.len() > LONGEST {
        return Err(format!("a filter has at most {LONGEST} bytes"));
    }
    let more = [
        (
            "|",
            "a pipe, and a filter is one condition: join several with and",
        ),
        (
            ";",
            "a semicolon, and a filter is one condition: join several with and",
        ),
        ("//", "a comment, or what Resource Graph takes for one"),
    ];
    if let Some((_, what)) = more.iter().find(|(mark, _)| text.contains(mark)) {
        return Err(format!("it holds {what}"));
    }
    if text.chars().any(char::is_control) {
        return Err("it holds a line break or another control character".to_owned());
    }
    Ok(text.to_owned())
}

impl Resolver<'_> {
    /// Returns the resources of this type that fulfil a condition, as [`Resolver::resources`] does.
    ///
    /// # Errors
    /// A condition that is none, one that the service refuses, and one that nothing fulfils.
    pub(super) async fn filtered(
        &self,
        kind: &str,
        filter: &str,
    ) -> Result<Vec<Value>, EngineError> {
        let usage = |message: String| EngineError::Usage {
            message: format!("--filter {filter:?}: {message}"),
            hint: format!(
                "azir {} --filter \"location == 'westeurope' and tags.env =~ 'prod'\" --plan",
                self.command
            ),
        };
        let condition = condition(filter).map_err(usage)?;
        let query = format!(
            "Resources | where type =~ {} | where ({condition}) | project id, name, type, location, resourceGroup, subscriptionId | order by id asc",
            kql(kind)
        );
        let rows = match self.ask(&query).await {
            Ok(rows) => rows,
            Err(failure) if failure.code == "BadRequest" || failure.code == "InvalidQuery" => {
                return Err(usage(format!(
                    "Resource Graph refuses it: {}",
                    failure.message
                )));
            }
            Err(failure) => return Err(cloud(&failure)),
        };
        // Whatever the condition says, what is not of this type is no target.
        let found: Vec<Value> = rows
            .iter()
            .filter(|row| {
                let own = row["type"].as_str();
                own.is_some_and(|own| own.eq_ignore_ascii_case(kind))
            })
            .map(|row| super::resolve::described(row, ""))
            .collect();
        if found.is_empty() {
            return Err(EngineError::Refused {
                code: "unknown_target",
                message: format!(
                    "no {kind} that azir can see fulfils --filter {filter:?}; Resource Graph learns of changes after minutes"
                ),
                target: None,
                hint: format!("az resource list --resource-type {kind} --output table"),
            });
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_one_condition_and_nothing_else() {
        for good in [
            "tags.env =~ 'prod' and location == 'westeurope'",
            " name startswith 'vm-' ",
            "(a == 1) or (b == 2)",
        ] {
            assert_eq!(condition(good).unwrap(), good.trim());
        }
        for bad in [
            "",
            "  ",
            "true | project id",
            "true; Resources",
            "true) // rest",
            "true\n| take 1",
            "name == 'a\u{7}'",
        ] {
            assert!(condition(bad).is_err(), "{bad:?}");
        }
        assert!(condition(&"x".repeat(4_001)).is_err());
    }
}
