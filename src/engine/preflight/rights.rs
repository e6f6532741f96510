//! The caller's rights on ARM: what the permissions API says of each place that a plan touches (arm.md sections 1.9
//! and 6.4).
//!
//! Asked once for each resource group, because what is held there is held in all of it; only where something is
//! missing, the resource itself is asked, which may have an assignment of its own.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::StreamExt;
use serde_json::Value;

use super::asking::{AT_ONCE, Asking, Unread};
use super::meant::Need;
use super::place;
use crate::runbook::actions::means;

const PERMISSIONS: &str = "Microsoft.Authorization/permissions";
const VERSION: &str = "2022-04-01";
/// More resources than this are not asked one by one: the budget is containment's.
const MOST: usize = 64;

/// What is known of the caller's rights.
pub(super) struct Rights {
    by_scope: HashMap<String, Result<Vec<Grant>, Unread>>,
}

/// One element of an answer: a role that holds at a scope.
#[derive(Clone, Debug, Default)]
pub(super) struct Grant {
    actions: Vec<String>,
    not_actions: Vec<String>,
    data_actions: Vec<String>,
    not_data_actions: Vec<String>,
    /// Whether it holds only under a condition.
    conditional: bool,
}

/// Whether a right is held.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Held {
    Yes,
    No,
    /// Nobody knows, and why.
    Unknown(String),
}

impl Rights {
    /// Asks for what is needed.
    pub(super) async fn ask(asking: &Asking, needs: &BTreeSet<Need>) -> Self {
        let mut rights = Self {
            by_scope: HashMap::new(),
        };
        let groups = needs.iter().filter_map(|need| place::container(&need.path));
        rights.learn(asking, groups.collect()).await;
        // A group that the plan makes itself is not there yet; what holds in it is what holds above.
        let above = rights
            .absent()
            .filter_map(|scope| place::subscription(scope));
        let above = above.collect();
        rights.learn(asking, above).await;
        let closer: BTreeSet<String> = needs
            .iter()
            .filter(|need| rights.at_container(need) == Some(Held::No))
            .filter_map(|need| place::resource(&need.path))
            .collect();
        if closer.len() <= MOST {
            rights.learn(asking, closer).await;
        }
        rights
    }

    /// Asks at the resource groups alone.
    pub(super) async fn at_groups(asking: &Asking, groups: BTreeSet<String>) -> Self {
        let mut rights = Self {
            by_scope: HashMap::new(),
        };
        rights.learn(asking, groups).await;
        rights
    }

    /// Asks at one scope, as what is assigned above it and at itself holds there.
    pub(super) async fn at(asking: &Asking, scope: &str) -> Self {
        Self::at_groups(asking, BTreeSet::from([scope.to_owned()])).await
    }

    /// Returns whether an action on data is held at a scope that was asked.
    pub(super) fn holds_data(&self, scope: &str, action: &str) -> Held {
        match self.by_scope.get(&scope.to_ascii_lowercase()) {
            Some(Ok(grants)) => held(grants, action, true),
            Some(Err(unread)) => {
                Held::Unknown(format!("its permissions cannot be read ({})", unread.why))
            }
            None => Held::Unknown("it was not asked".to_owned()),
        }
    }

    /// Returns whether any of these actions is held at any scope that was asked; where one could not be read, so may be
    /// those.
    pub(super) fn may_any(&self, actions: &[String]) -> bool {
        self.by_scope.values().any(|answer| match answer {
            Ok(grants) => actions
                .iter()
                .any(|action| held(grants, action, false) != Held::No),
            Err(_) => true,
        })
    }

    /// Returns whether an action is held on a path.
    pub(super) fn held(&self, need: &Need) -> Held {
        match self.at_container(need) {
            None => Held::Unknown("it lies above the subscriptions, and that is not asked".into()),
            Some(Held::No) => self.at_resource(need),
            Some(known) => known,
        }
    }

    fn at_resource(&self, need: &Need) -> Held {
        let Some(resource) = place::resource(&need.path) else {
            return Held::No;
        };
        match self.by_scope.get(&resource.to_ascii_lowercase()) {
            Some(Ok(grants)) => held(grants, &need.action, need.data),
            // It is not there yet, so it has no assignment of its own.
            Some(Err(unread)) if unread.absent => Held::No,
            Some(Err(unread)) => Held::Unknown(format!(
                "its own permissions cannot be read ({})",
                unread.why
            )),
            None => Held::Unknown(format!(
                "more than {MOST} resources would have to be asked one by one"
            )),
        }
    }

    fn at_container(&self, need: &Need) -> Option<Held> {
        let container = place::container(&need.path)?;
        let answer = self.by_scope.get(&container.to_ascii_lowercase())?;
        let answer = match answer {
            Err(unread) if unread.absent => {
                let above = place::subscription(&need.path)?;
                self.by_scope
                    .get(&above.to_ascii_lowercase())
                    .unwrap_or(answer)
            }
            known => known,
        };
        Some(match answer {
            Ok(grants) => held(grants, &need.action, need.data),
            Err(unread) => {
                Held::Unknown(format!("its permissions cannot be read ({})", unread.why))
            }
        })
    }

    fn absent(&self) -> impl Iterator<Item = &String> {
        let known = self.by_scope.iter();
        known
            .filter(|(_, answer)| answer.as_ref().is_err_and(|unread| unread.absent))
            .map(|(scope, _)| scope)
    }

    async fn learn(&mut self, asking: &Asking, scopes: BTreeSet<String>) {
        // Two spellings of one scope are one question.
        let new: BTreeMap<String, String> = scopes
            .into_iter()
            .map(|scope| (scope.to_ascii_lowercase(), scope))
            .filter(|(key, _)| !self.by_scope.contains_key(key))
            .collect();
        let answers: Vec<_> = futures_util::stream::iter(new)
            .map(|(key, scope)| async move {
                let answer = asking.list(&scope, PERMISSIONS, VERSION).await;
                (key, answer.map(|items| items.iter().map(grant).collect()))
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        self.by_scope.extend(answers);
    }
}

fn grant(item: &Value) -> Grant {
    let list = |name: &str| {
        let items = item[name].as_array().into_iter().flatten();
        items.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    Grant {
        actions: list("actions"),
        not_actions: list("notActions"),
        data_actions: list("dataActions"),
        not_data_actions: list("notDataActions"),
        conditional: item["condition"]
            .as_str()
            .is_some_and(|text| !text.is_empty()),
    }
}

/// Judges an action: one element must allow it, and that same element must not leave it out.
fn held(grants: &[Grant], action: &str, data: bool) -> Held {
    let any = |patterns: &[String]| patterns.iter().any(|pattern| means(pattern, action));
    // A role with every action has no right on data by that.
    let allows = |grant: &&Grant| {
        if data {
            any(&grant.data_actions) && !any(&grant.not_data_actions)
        } else {
            any(&grant.actions) && !any(&grant.not_actions)
        }
    };
    let mut conditional = false;
    for grant in grants.iter().filter(allows) {
        if !grant.conditional {
            return Held::Yes;
        }
        conditional = true;
    }
    if conditional {
        return Held::Unknown("it is held under a condition, which only the service judges".into());
    }
    Held::No
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_element_must_allow_it_and_not_leave_it_out() {
        let grants = |items: &[Value]| items.iter().map(grant).collect::<Vec<_>>();
        let without = json!({"actions": ["*"], "notActions": ["Microsoft.Authorization/*/Write"]});
        let write = "Microsoft.Authorization/locks/write";
        let held = |items: &[Value], action, data| super::held(&grants(items), action, data);
        assert_eq!(held(std::slice::from_ref(&without), write, false), Held::No);
        assert_eq!(
            held(std::slice::from_ref(&without), "a/b/write", false),
            Held::Yes
        );
        assert_eq!(
            held(std::slice::from_ref(&without), "a/b/write", true),
            Held::No
        );
        // What one role leaves out another may have.
        let other = json!({"actions": ["microsoft.authorization/*"], "notActions": []});
        assert_eq!(held(&[without, other.clone()], write, false), Held::Yes);
        let mut conditional = other;
        conditional["condition"] = json!("@Resource[...]");
        assert!(matches!(
            held(&[conditional], write, false),
            Held::Unknown(_)
        ));
        let data =
            json!({"actions": [], "dataActions": ["a/b/*"], "notDataActions": ["a/b/delete"]});
        assert_eq!(
            held(std::slice::from_ref(&data), "a/b/read", true),
            Held::Yes
        );
        assert_eq!(
            held(std::slice::from_ref(&data), "a/b/delete", true),
            Held::No
        );
        assert_eq!(held(&[data], "a/b/read", false), Held::No);
        assert_eq!(held(&[], write, false), Held::No);
    }
}
