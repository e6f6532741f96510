//! Microsoft's own SDKs for Python, and a forensic tool of others that uses them, judge the lab: what they read, what
//! they wait for and what they raise. A room of tests lies in `sdk/`; here stands which tests it has, so that one that
//! is skipped or missing fails, and what its lab is like.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use azir::lab::{Faults, Options};

use crate::az_kit::{self, RESOLVER};
use crate::support::Azir;

/// Names the python of a virtual environment with `.ci/python/sdk-requirements.txt`.
const SDKS: &str = "AZIR_TEST_SDK_PYTHON";
/// Names the one with `.ci/python/forensics-requirements.txt`, whose packages are older.
const FORENSICS: &str = "AZIR_TEST_FORENSICS_PYTHON";
/// What the clients need beside the tenant of the Azure CLI.
const MORE: &str = include_str!("sdk/scenario.yaml");

#[test]
#[ignore = "needs the Azure SDKs for Python"]
fn the_compute_client_works_with_machines_disks_and_snapshots() {
    judged(
        SDKS,
        "compute",
        usual,
        &[
            "test_a_disk_is_made_of_a_snapshot_changed_and_deleted",
            "test_a_locked_group_takes_no_snapshot",
            "test_a_machine_is_stopped_and_started_to_the_end",
            "test_a_machine_is_updated_under_its_etag_and_under_no_other",
            "test_a_machine_shows_its_disks_its_interfaces_and_how_it_stands",
            "test_a_policy_disallows_a_snapshot",
            "test_a_snapshot_elsewhere_than_its_disk_is_not_found",
            "test_a_snapshot_is_made_listed_shared_changed_and_deleted",
            "test_an_attached_disk_is_not_deleted",
            "test_disks_are_listed_over_several_pages",
            "test_machines_are_listed_over_several_pages",
            "test_restore_points_are_made_and_read",
            "test_the_identities_of_a_machine_go_with_the_map_of_them",
            "test_what_is_not_there_is_not_found",
            "test_what_the_lab_does_not_model_is_refused",
            "test_who_has_no_rights_is_told_which_one_is_missing",
        ],
    );
}

#[test]
#[ignore = "needs the Azure SDKs for Python"]
fn the_clients_build_a_machine_and_a_vault_and_take_them_away() {
    judged(
        SDKS,
        "built",
        usual,
        &[
            "test_a_group_goes_with_all_that_is_in_it",
            "test_a_machine_has_no_more_interfaces_than_its_size_takes",
            "test_a_machine_is_made_with_its_parts_and_deleted_to_the_end",
            "test_a_vault_is_made_deleted_and_purged",
        ],
    );
}

#[test]
#[ignore = "needs the Azure SDKs for Python"]
fn the_network_client_works_with_interfaces_and_security_groups() {
    judged(
        SDKS,
        "network",
        usual,
        &[
            "test_a_group_is_made_read_listed_changed_and_deleted",
            "test_a_group_of_another_region_is_no_valid_reference",
            "test_a_rule_is_made_read_listed_and_deleted",
            "test_addresses_networks_and_balancers_are_read",
            "test_an_interface_goes_behind_another_group_and_keeps_the_rest",
            "test_an_interface_under_a_stale_etag_is_left_alone",
            "test_effective_groups_come_at_the_end_of_their_operation",
            "test_effective_groups_need_a_running_machine",
            "test_interfaces_are_listed_over_several_pages",
        ],
    );
}

#[test]
#[ignore = "needs the Azure SDKs for Python"]
fn the_storage_and_vault_clients_work_with_accounts_containers_and_vaults() {
    judged(
        SDKS,
        "storage",
        usual,
        &[
            "test_a_legal_hold_is_set_and_cleared",
            "test_a_policy_is_made_changed_under_its_etag_locked_and_extended",
            "test_an_account_is_made_read_listed_changed_and_deleted",
            "test_an_account_with_a_locked_container_is_not_deleted",
            "test_containers_are_listed_over_several_pages",
            "test_keys_of_an_account_are_no_business_of_the_lab",
            "test_the_blob_service_is_told_to_keep_versions",
            "test_vaults_are_listed_over_several_pages_and_read",
        ],
    );
}

#[test]
#[ignore = "needs the Azure SDKs for Python"]
fn the_resource_clients_work_with_groups_tags_locks_policies_and_the_activity_log() {
    judged(
        SDKS,
        "resources",
        usual,
        &[
            "test_a_group_is_made_found_listed_and_deleted_to_the_end",
            "test_a_lock_is_set_holds_and_goes",
            "test_a_policy_is_assigned_disallows_and_goes",
            "test_resources_are_listed_filtered_and_expanded",
            "test_subscriptions_and_the_tenant_are_listed",
            "test_tags_are_merged_replaced_and_taken_away",
            "test_the_activity_log_is_read_over_pages_and_its_filter_is_judged",
        ],
    );
}

#[test]
#[ignore = "needs the Azure SDKs for Python"]
fn the_authorization_client_works_with_assignments_and_definitions() {
    judged(
        SDKS,
        "rights",
        usual,
        &[
            "test_a_role_is_assigned_once_read_listed_and_taken_away",
            "test_assignments_are_listed_over_several_pages",
            "test_definitions_are_read_and_found_by_name",
            "test_deny_assignments_and_eligibilities_are_listed",
            "test_what_the_caller_may_do_is_listed",
            "test_who_has_no_rights_assigns_none",
        ],
    );
}

#[test]
#[ignore = "needs the Azure SDKs for Python"]
fn the_clients_wait_as_long_as_a_throttled_lab_says() {
    let few = |options: &mut Options| options.throttle = Some(0.05);
    judged(
        SDKS,
        "throttling",
        few,
        &[
            "test_a_refused_request_is_sent_again_after_what_retry_after_says",
            "test_who_does_not_try_again_sees_the_services_code",
        ],
    );
}

#[test]
#[ignore = "needs the Azure SDKs for Python"]
fn the_clients_try_again_answer_challenges_and_raise_what_is_left() {
    judged(
        SDKS,
        "trouble",
        usual,
        &[
            "test_a_claims_challenge_is_answered_with_another_token",
            "test_a_connection_that_breaks_is_made_again",
            "test_a_service_that_is_busy_is_asked_again",
            "test_a_token_that_is_refused_without_a_challenge_is_an_error",
            "test_a_vault_asks_for_a_token_and_then_for_another",
            "test_an_operation_that_fails_raises_what_its_end_says",
        ],
    );
}

#[test]
#[ignore = "needs the Azure SDKs for Python"]
fn the_vault_clients_answer_the_challenge_and_work_with_secrets_and_keys() {
    judged(
        SDKS,
        "vault",
        usual,
        &[
            "test_a_key_is_made_read_listed_disabled_rotated_and_deleted",
            "test_a_secret_has_versions_of_which_one_is_disabled",
            "test_a_secret_is_deleted_recovered_and_purged",
            "test_a_vault_says_which_token_it_wants",
            "test_keys_are_listed_over_several_pages",
            "test_secrets_are_listed_over_several_pages",
            "test_the_value_of_a_secret_is_told_to_nobody",
            "test_who_has_no_rights_is_told_by_what_they_are_judged",
        ],
    );
}

#[test]
#[ignore = "needs the Azure SDKs for Python"]
fn the_query_client_reads_whole_partial_and_refused_answers() {
    judged(
        SDKS,
        "logs",
        usual,
        &[
            "test_a_batch_answers_each_query_by_itself",
            "test_a_query_answers_with_typed_columns",
            "test_a_query_by_the_id_of_the_workspace_answers_the_same",
            "test_a_result_that_is_too_large_is_partial_and_says_so",
            "test_a_workspace_that_is_not_there_is_not_found",
            "test_statistics_are_refused_and_not_made_up",
            "test_what_is_no_query_is_refused_as_the_service_refuses_it",
            "test_who_may_not_read_the_workspace_is_told_so",
        ],
    );
}

#[test]
#[ignore = "needs the Azure SDKs for Python"]
fn the_blob_client_uploads_appends_lists_and_hears_refusals() {
    judged(
        SDKS,
        "blob",
        usual,
        &[
            "test_a_blob_is_deleted_and_then_not_found",
            "test_a_blob_is_uploaded_once_read_whole_and_in_part",
            "test_a_container_is_made_once_and_shown",
            "test_a_large_blob_goes_up_in_blocks_and_comes_down_in_ranges",
            "test_an_empty_blob_is_read_as_one",
            "test_appends_go_where_they_are_expected",
            "test_blobs_are_listed_over_pages_by_prefix_and_as_folders",
            "test_copies_are_refused_and_not_made_up",
            "test_what_a_legal_hold_keeps_stays_as_it_is",
            "test_what_a_locked_policy_keeps_stays_as_it_is",
            "test_who_has_no_rights_on_data_is_told_so",
        ],
    );
}

#[test]
#[ignore = "needs the Azure SDKs for Python"]
fn the_graph_client_works_with_users_groups_and_batches() {
    judged(
        SDKS,
        "graph",
        usual,
        &[
            "test_a_batch_answers_each_request_by_itself",
            "test_a_member_is_added_and_removed",
            "test_a_user_is_read_disabled_cut_off_and_enabled",
            "test_errors_are_raised_with_the_services_code",
            "test_members_of_a_group_are_of_their_own_kinds",
            "test_sessions_are_revoked_with_and_without_a_word",
            "test_sign_ins_audits_roles_and_applications_are_read",
            "test_users_are_counted_and_ordered_by_an_advanced_query",
            "test_users_are_listed_over_several_pages",
            "test_users_are_selected_and_filtered",
        ],
    );
}

#[test]
#[ignore = "needs the Azure SDKs for Python"]
fn libcloudforensics_lists_machines_and_copies_disks() {
    judged(
        FORENSICS,
        "forensics",
        usual,
        &[
            "test_a_copy_into_another_region_needs_the_keys_of_an_account",
            "test_a_disk_is_copied_into_another_group",
            "test_a_group_that_is_there_is_used",
            "test_a_snapshot_is_made_shared_and_deleted",
            "test_machines_and_disks_are_listed_over_several_pages",
            "test_the_boot_disk_of_a_machine_is_copied_as_another_type",
            "test_the_disks_of_a_machine_are_found",
        ],
    );
}

/// Small pages, operations that are not over at the first look, and what goes wrong by script.
fn usual(options: &mut Options) {
    options.page = Some(2);
    options.lro = 0.2;
    options.faults = Faults::parse(include_str!("sdk/faults.yaml")).unwrap();
}

/// Runs a room against a lab of its own; all of its tests pass, and they are these.
fn judged(python: &str, room: &str, change: fn(&mut Options), tests: &[&str]) {
    let python = std::env::var(python).unwrap_or_else(|_| {
        panic!("{python} names the python of a virtual environment; see .ci/run")
    });
    let azir = Azir::with("faults: []", |options| {
        options.scenario = az_kit::with(az_kit::scenario(), MORE);
        change(options);
    });
    let began = Instant::now();
    let done = command(&azir, Path::new(&python), room).output().unwrap();
    let (said, wrong) = (
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr),
    );
    let failed = said.lines().any(|line| line.starts_with("failed "));
    assert!(done.status.success() && !failed, "{said}{wrong}");
    let mut passed: Vec<&str> = said
        .lines()
        .filter_map(|line| line.strip_prefix("passed "))
        .collect();
    passed.sort_unstable();
    assert_eq!(passed, tests, "{said}{wrong}");
    println!(
        "{room}: {} tests in {:.1} s",
        passed.len(),
        began.elapsed().as_secs_f64()
    );
}

fn command(azir: &Azir, python: &Path, room: &str) -> Command {
    let (ready, home) = (azir.lab.ready(), azir.home.path());
    // In a folder of its own: Python reads it at its start, whatever it is asked to run.
    let resolver = home.join("resolver");
    std::fs::create_dir_all(&resolver).unwrap();
    std::fs::write(resolver.join("sitecustomize.py"), RESOLVER).unwrap();
    // What Python makes of the packages stays beside them, for the next room.
    let cache = python
        .parent()
        .and_then(Path::parent)
        .unwrap_or(home)
        .join("pycache");
    // A client that waits for ever is to fail, not to hold up everything.
    let mut command = Command::new("timeout");
    command
        .arg("300")
        .arg(python)
        .arg(folder().join("run.py"))
        .arg(room)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("PYTHONPATH", resolver)
        .env("PYTHONPYCACHEPREFIX", cache)
        .env("REQUESTS_CA_BUNDLE", &ready.ca)
        .env("SSL_CERT_FILE", &ready.ca)
        .env("AZIR_LAB", serde_json::to_string(ready).unwrap())
        .stdin(Stdio::null());
    command
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/sdk")
}
