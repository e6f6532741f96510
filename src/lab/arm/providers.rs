//! Resource providers of a subscription: whether one is registered, which those of the lab's types are, and registering
//! another ("Providers - Get", "Providers - Register (REST API)").

use serde_json::json;

use super::{Arm, types};
use crate::lab::gate;
use crate::lab::reply::{Reply, arm_error, not_modelled};

/// The type under which providers are kept and judged.
const PROVIDER: &str = "Microsoft.Resources/providers";

/// Returns namespace and action of a path such as `/subscriptions/ID/providers/Microsoft.Compute/register`.
pub(super) fn of_path(path: &str) -> Option<(String, Option<String>)> {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match segments.as_slice() {
        [first, _, middle, name, rest @ ..]
            if first.eq_ignore_ascii_case("subscriptions")
                && middle.eq_ignore_ascii_case("providers")
                && rest.len() <= 1 =>
        {
            let action = rest.first().map(|action| action.to_ascii_lowercase());
            let known = matches!(action.as_deref(), None | Some("register" | "unregister"));
            known.then(|| ((*name).to_owned(), action))
        }
        _ => None,
    }
}

impl Arm<'_> {
    pub(super) fn provider(&mut self, name: &str, action: Option<&str>) -> Result<Reply, Reply> {
        let subscription = self.ask.segments().get(1).copied().unwrap_or_default();
        let scope = format!("/subscriptions/{subscription}");
        let verb = match action {
            None => "read".to_owned(),
            Some(action) => format!("{action}/action"),
        };
        let right = format!("{name}/{verb}");
        gate::authorize(&self.grants, self.claims, &right, &scope)?;
        let id = format!("{scope}/providers/{name}");
        let kinds = types::of(name);
        let state = match (self.ask.method.as_str(), action) {
            ("GET", None) => {
                let known = self.store.get(&id);
                let registered = known.is_some() || !kinds.is_empty();
                if !registered && !OTHERS.iter().any(|other| other.eq_ignore_ascii_case(name)) {
                    let message = format!("The resource namespace '{name}' is invalid.");
                    return Err(arm_error(404, "InvalidResourceNamespace", &message));
                }
                if registered {
                    "Registered"
                } else {
                    "NotRegistered"
                }
            }
            ("POST", Some("register")) => {
                // Registering takes minutes in the service; here it is over at once.
                self.store
                    .put(&id, json!({"id": id, "name": name, "type": PROVIDER}));
                "Registered"
            }
            (method, _) => return Err(not_modelled(&format!("{method} on resource providers"))),
        };
        let types: Vec<_> = kinds
            .iter()
            .map(|(kind, versions)| {
                json!({"resourceType": kind, "locations": [], "apiVersions": versions})
            })
            .collect();
        Ok(Reply::json(
            200,
            &json!({"id": id, "namespace": name, "registrationState": state, "registrationPolicy": "RegistrationRequired", "resourceTypes": types}),
        ))
    }
}

/// Providers that the cloud has and the lab models no type of.
const OTHERS: &[&str] = &["Microsoft.Capacity", "Microsoft.Quota"];
