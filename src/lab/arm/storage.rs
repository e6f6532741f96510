//! Microsoft.Storage: accounts and containers, shown only (arm.md section 3).

use serde_json::{Value, json};

use super::immutability::container;
use super::{Arm, Target, shown};
use crate::lab::reply::{Reply, not_modelled};

impl Arm<'_> {
    pub(super) fn storage(&mut self, target: Target, kind: &str) -> Result<Reply, Reply> {
        self.no_filter()?;
        match (self.ask.method.as_str(), kind, target) {
            ("GET", "microsoft.storage/storageaccounts", Target::Resource(id)) => {
                Ok(Reply::json(200, &self.account(&self.found(&id)?)))
            }
            ("GET", "microsoft.storage/storageaccounts", Target::List { scope, kind }) => {
                let items: Vec<Value> = self
                    .visible(&scope, &kind)
                    .iter()
                    .map(|value| self.account(value))
                    .collect();
                Ok(self.list(&items))
            }
            (_, _, target) if kind.ends_with("/immutabilitypolicies") => self.immutability(target),
            ("GET", _, Target::Resource(id)) => Ok(Reply::json(200, &container(&self.found(&id)?))),
            ("GET", _, Target::List { scope, kind }) => {
                let items: Vec<Value> = self.store.of_type(&scope, &kind).map(container).collect();
                Ok(self.list(&items))
            }
            (method, kind, _) => Err(not_modelled(&format!("{method} on {kind}"))),
        }
    }

    /// Shows an account with the address of its blobs, which are here.
    fn account(&self, value: &Value) -> Value {
        let mut value = shown(value);
        let name = value["name"].as_str().unwrap_or_default().to_owned();
        value["properties"]["primaryEndpoints"] =
            json!({"blob": format!("https://{name}.blob.localhost:{}/", self.tenant.port)});
        value["properties"]["provisioningState"] = json!("Succeeded");
        value
    }
}
