//! Shared access to the bytes of a snapshot or a disk: given for a while, and taken back (arm.md section 2.4).
//!
//! The address is one of the service's form, and a secret. The bytes are not modelled: who reads there gets 501.

use serde_json::{Value, json};

use super::operations::Start;
use super::{Arm, only_members};
use crate::ids::ArmId;
use crate::lab::reply::{Reply, arm_error, not_modelled};
use crate::lab::scenario::guid;

/// What a request for access may say.
const ASKED: &[&str] = &[
    "access",
    "durationInSeconds",
    "fileFormat",
    "getSecureVMGuestStateSAS",
];
/// The state of what is given out.
const SHARED: &str = "ActiveSAS";

impl Arm<'_> {
    /// POST of `beginGetAccess` and `endGetAccess`.
    pub(super) fn access(&mut self, id: &ArmId, action: &str, kind: &str) -> Result<Reply, Reply> {
        let value = self.found(id)?;
        match action {
            "begingetaccess" => self.give_access(id, value, kind),
            "endgetaccess" => Ok(self.end_access(id, value, kind)),
            other => Err(not_modelled(&format!("{other} on {kind}"))),
        }
    }

    fn give_access(&mut self, id: &ArmId, mut value: Value, kind: &str) -> Result<Reply, Reply> {
        let asked = self.ask.json()?;
        only_members(&asked, ASKED, "GrantAccessData")?;
        if asked["access"] != "Read" || asked["getSecureVMGuestStateSAS"] == true {
            return Err(not_modelled("access to disks other than to read them"));
        }
        if matches!(asked["durationInSeconds"].as_u64(), None | Some(0)) {
            return Err(arm_error(
                400,
                "InvalidParameter",
                "Required parameter 'durationInSeconds' is missing (null).",
            ));
        }
        let refuse = |message: String| Err(arm_error(409, "OperationNotAllowed", &message));
        if value["properties"]["networkAccessPolicy"] == "DenyAll" {
            // The code is the one of other refusals of the same kind; the documents do not give it.
            return refuse(format!(
                "Access to '{id}' is not allowed: its network access policy is DenyAll."
            ));
        }
        let holder = value["managedBy"].as_str();
        if holder.is_some_and(|holder| self.runs(holder)) {
            return refuse(format!(
                "Disk '{}' is attached to a running virtual machine.",
                id.name()
            ));
        }
        value["properties"]["diskState"] = json!(if holder.is_some() {
            "ActiveSASFrozen"
        } else {
            SHARED
        });
        self.store.put(id.as_str(), value.clone());
        let unique = guid(&format!("access {id} {}", self.store.version));
        let address = format!(
            "https://md-{}z45.blob.localhost:{}/{}/abcd?sv=2018-03-28&sr=b&si={unique}&sig={}%3D",
            &unique[..12].replace('-', ""),
            self.tenant.port,
            &unique[24..],
            unique.replace('-', "")
        );
        let output = json!({ "accessSAS": address });
        Ok(self.begin_access(id, &value, kind, Some(output)))
    }

    /// Taking back what was not given is no error.
    fn end_access(&mut self, id: &ArmId, mut value: Value, kind: &str) -> Reply {
        let state = match value["managedBy"].as_str() {
            Some(holder) if self.runs(holder) => "Attached",
            Some(_) => "Reserved",
            None => "Unattached",
        };
        value["properties"]["diskState"] = json!(state);
        self.store.put(id.as_str(), value.clone());
        self.begin_access(id, &value, kind, None)
    }

    fn begin_access(
        &mut self,
        id: &ArmId,
        value: &Value,
        kind: &str,
        output: Option<Value>,
    ) -> Reply {
        let location = value["location"].as_str().unwrap_or_default();
        let operation = self.begin(Start {
            kind,
            resource: Some(id.as_str()),
            output,
            ..Start::default()
        });
        let reply = Reply::empty(202).with(
            "azure-asyncoperation",
            self.address(&operation, kind, location, false),
        );
        reply.with("location", self.address(&operation, kind, location, true))
    }

    fn runs(&self, machine: &str) -> bool {
        self.store
            .get(machine)
            .is_some_and(|machine| machine["__power"] == "running")
    }
}

/// Refuses to delete what is given out.
pub(super) fn not_shared(value: &Value, id: &ArmId) -> Result<(), Reply> {
    let state = value["properties"]["diskState"].as_str();
    if state.is_some_and(|state| state.starts_with(SHARED)) {
        let message = format!(
            "There is an active shared access signature outstanding for disk {}. Call EndGetAccess before attaching or deleting the disk.",
            id.name()
        );
        return Err(arm_error(409, "OperationNotAllowed", &message));
    }
    Ok(())
}
