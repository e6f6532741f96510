//! Who may act on which administrator (Graph sheet section 0.1, "Privileged targets"), told before anything is tried.

use serde_json::{Value, json};

use super::filters::{arg, list, text_arg};
use super::language::Row;
use super::rating::text;

pub(super) const ROWS: &[Row] = &[(
    "reach_over",
    reach_over,
    "own directory roles | reach_over(the user's, in a role-assignable group, 'account'): {may, needs}: whether they suffice, and what would",
)];

const PASSWORD: &str = "966707d0-3269-4727-9be2-8c3a10f19b9d";
const HELPDESK: &str = "729827e3-9c14-49f7-bb1b-9608f156bbb8";
const AUTHENTICATION: &str = "c4e39bd9-1100-46d3-8c65-fb160da0071f";
const USER: &str = "fe930be7-5e62-47db-91af-98c3a49a38b1";
const PRIVILEGED: &str = "7be44c8a-adaf-4e2a-84d6-ab2649e08a13";
const GLOBAL: &str = "62e90394-69f5-4237-9190-012177145e10";

/// Roles that may act, the lesser first, by name.
const NAMES: [(&str, &str); 6] = [
    (PASSWORD, "Password Administrator"),
    (HELPDESK, "Helpdesk Administrator"),
    (AUTHENTICATION, "Authentication Administrator"),
    (USER, "User Administrator"),
    (PRIVILEGED, "Privileged Authentication Administrator"),
    (GLOBAL, "Global Administrator"),
];

/// Roles of a target over which more than the two highest roles may act: id, who may reset its password, who may
/// change the account. Any other role is beyond all but the two highest.
const LESSER: [(&str, &[&str], &[&str]); 10] = [
    // Directory Readers, Guest Inviter
    (
        "88d8e3e3-8f55-4a1e-953a-9b9898b8876b",
        &[PASSWORD, HELPDESK, AUTHENTICATION, USER],
        &[AUTHENTICATION, USER],
    ),
    (
        "95e79109-95c0-4d8e-aee3-d01accf2d47b",
        &[PASSWORD, HELPDESK, AUTHENTICATION, USER],
        &[AUTHENTICATION, USER],
    ),
    (HELPDESK, &[HELPDESK, USER], &[USER]),
    (
        PASSWORD,
        &[PASSWORD, HELPDESK, AUTHENTICATION, USER],
        &[AUTHENTICATION, USER],
    ),
    (USER, &[USER], &[USER]),
    // Groups Administrator
    ("fdd7a751-b60b-444a-984c-02652fe8fa1c", &[USER], &[USER]),
    (AUTHENTICATION, &[AUTHENTICATION], &[AUTHENTICATION]),
    // Message Center Reader, Reports Reader, Usage Summary Reports Reader
    (
        "790c1fb9-7f7d-4f88-86a1-ef1f95c05c1b",
        &[HELPDESK, AUTHENTICATION, USER],
        &[AUTHENTICATION, USER],
    ),
    (
        "4a5d8f65-41da-4de4-8968-e035b65339cf",
        &[HELPDESK, AUTHENTICATION, USER],
        &[AUTHENTICATION, USER],
    ),
    (
        "75934031-6c7e-415a-99d7-48dbd49e875e",
        &[HELPDESK, AUTHENTICATION, USER],
        &[AUTHENTICATION, USER],
    ),
];

fn reach_over(value: &Value, args: &[Value]) -> Result<Value, String> {
    let own = ids(list(value)?);
    let held = ids(list(arg(args, 0)?)?);
    let assignable = arg(args, 1)? == &json!(true);
    let password = match text_arg(args, 2)? {
        "password" => true,
        "account" => false,
        other => return Err(format!("{other:?} is neither account nor password")),
    };
    // What a user without a role asks for: a role to reset the password, and to disable only the permission.
    let mut suffice: Vec<&str> = match (held.is_empty() && !assignable, password) {
        (true, false) => return Ok(json!({"may": true, "needs": ""})),
        (true, true) => vec![PASSWORD, HELPDESK, AUTHENTICATION, USER],
        (false, _) => vec![PASSWORD, HELPDESK, AUTHENTICATION, USER],
    };
    for role in &held {
        let over = LESSER.iter().find(|(id, ..)| id.eq_ignore_ascii_case(role));
        let over = over.map_or(
            &[][..],
            |(_, reset, account)| if password { reset } else { account },
        );
        suffice.retain(|id| over.contains(id));
    }
    if assignable {
        suffice.clear();
    }
    suffice.extend([PRIVILEGED, GLOBAL]);
    let may = own
        .iter()
        .any(|role| suffice.iter().any(|id| id.eq_ignore_ascii_case(role)));
    let names: Vec<&str> = NAMES
        .iter()
        .filter(|(id, _)| suffice.contains(id))
        .map(|(_, name)| *name)
        .collect();
    Ok(json!({"may": may, "needs": names.join(", or ")}))
}

/// Returns the ids of roles, given as ids or as assignments of them.
fn ids(roles: &[Value]) -> Vec<String> {
    roles
        .iter()
        .map(|role| {
            role.as_str()
                .unwrap_or_else(|| text(role, "roleDefinitionId"))
                .to_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(own: &[&str], held: &[&str], assignable: bool, what: &str) -> (bool, String) {
        let answer =
            reach_over(&json!(own), &[json!(held), json!(assignable), json!(what)]).unwrap();
        (
            answer["may"] == true,
            answer["needs"].as_str().unwrap().to_owned(),
        )
    }

    #[test]
    fn a_user_without_a_role_is_disabled_by_permission_and_reset_by_a_role() {
        assert_eq!(over(&[], &[], false, "account"), (true, String::new()));
        assert!(!over(&[], &[], false, "password").0);
        assert!(over(&[HELPDESK], &[], false, "password").0);
    }

    #[test]
    fn each_role_of_the_target_must_be_within_reach() {
        let reports = "4a5d8f65-41da-4de4-8968-e035b65339cf";
        assert!(over(&[USER], &[USER, reports], false, "account").0);
        assert!(!over(&[AUTHENTICATION], &[USER, reports], false, "account").0);
        assert_eq!(
            over(&[USER], &[GLOBAL], false, "account"),
            (
                false,
                "Privileged Authentication Administrator, or Global Administrator".to_owned()
            )
        );
        assert!(over(&[PRIVILEGED], &[GLOBAL], false, "account").0);
        // One whom Helpdesk Administrator may reset, it may not disable.
        assert!(over(&[HELPDESK], &[HELPDESK], false, "password").0);
        assert!(!over(&[HELPDESK], &[HELPDESK], false, "account").0);
    }

    #[test]
    fn a_member_of_a_role_assignable_group_is_an_administrator() {
        assert!(!over(&[USER], &[], true, "account").0);
        assert!(over(&[GLOBAL], &[], true, "password").0);
        assert!(reach_over(&json!([]), &[json!([]), json!(false), json!("name")]).is_err());
    }
}
