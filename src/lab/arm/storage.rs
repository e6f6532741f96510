//! Microsoft.Storage: which rule a request is for (arm.md section 3).

use serde_json::Value;

use super::immutability::container;
use super::{Arm, Target};
use crate::lab::reply::{Reply, not_modelled};

impl Arm<'_> {
    pub(super) fn storage(&mut self, target: Target, kind: &str) -> Result<Reply, Reply> {
        self.no_filter()?;
        match (self.ask.method.as_str(), kind, target) {
            (_, "microsoft.storage/storageaccounts", target) => self.accounts(target),
            (_, "microsoft.storage/storageaccounts/blobservices", target) => {
                self.blob_service(target)
            }
            (_, _, target) if kind.ends_with("/immutabilitypolicies") => self.immutability(target),
            ("GET", _, Target::Resource(id)) => Ok(Reply::json(200, &container(&self.found(&id)?))),
            ("GET", _, Target::List { scope, kind }) => {
                let items: Vec<Value> = self.store.of_type(&scope, &kind).map(container).collect();
                Ok(self.list(&items))
            }
            ("PUT", _, Target::Resource(id)) => self.put_container(&id),
            ("DELETE", _, Target::Resource(id)) => self.delete_container(&id),
            ("POST", _, Target::Action { id, name }) => self.legal_hold(&id, &name),
            (method, kind, _) => Err(not_modelled(&format!("{method} on {kind}"))),
        }
    }
}
