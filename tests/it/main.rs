//! Integration tests: a file a subject, each with the sentence that it stands for.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on says where it stopped; counts are printed for the README"
)]

mod agent_kit;
mod anchors;
mod architecture;
mod audits;
mod az_kit;
mod azure_batch;
mod azure_lists;
mod azure_operations;
mod azure_retry;
mod azure_server;
mod azure_trust;
mod bad_input;
mod bulk;
mod canary;
mod checklists;
mod command_line;
mod consent;
mod console;
mod cut_short;
mod damaged;
mod directory_targets;
mod drill;
mod drill_apart;
mod drill_guard;
mod drill_history;
mod drill_judge;
mod drill_kit;
mod drill_marked;
mod drill_page;
mod drill_play;
mod drill_sabotage;
mod drill_tabletop;
mod drill_together;
mod every_runbook;
mod exports;
mod fallback;
mod fault_kit;
mod fault_matrix;
mod fault_operations;
mod fault_waits;
mod fault_whole;
mod fault_wire;
mod findings;
mod full_disk;
mod graph_metadata;
mod identity;
mod incident;
mod isolate;
mod journal_by_hand;
mod journal_cost;
mod journal_crash;
mod journal_forged;
mod journal_format;
mod journal_kill;
mod journal_kit;
mod journal_power;
mod journal_proof;
mod journal_stamp;
mod journal_tamper;
mod journal_vectors;
mod journal_writer;
mod judged_by_az;
mod judged_by_models;
mod judged_by_scripts;
mod judged_by_sdks;
mod key;
mod killed;
mod killed_identity;
mod killed_rotation;
mod lab;
mod lab_accounts;
mod lab_blob;
mod lab_blocks;
mod lab_built;
mod lab_compute;
mod lab_directory;
mod lab_disks;
mod lab_immutability;
mod lab_inventory;
mod lab_keys;
mod lab_kql;
mod lab_logs;
mod lab_made;
mod lab_network;
mod lab_playbooks;
mod lab_policies;
mod lab_records;
mod lab_rights;
mod lab_signin;
mod lab_support;
mod lab_traps;
mod lab_vault;
mod lab_wire;
mod lab_workspace;
mod many_responders;
mod many_users;
mod national;
mod notify;
mod once;
mod preflight;
mod race;
mod requests_sent;
mod restore_point;
mod resume;
mod revoke_app;
mod revoke_user;
mod role;
mod rotation;
mod runbook_format;
mod seal;
mod staged;
mod stamps;
mod support;
mod token_theft;
mod two_persons;
mod vault;
mod vault_worth;
mod verdicts;
mod watch;

/// A file that nobody names here would never run.
#[test]
fn every_file_of_this_folder_is_named_here() {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let named = include_str!("main.rs");
    for entry in std::fs::read_dir(here).unwrap().flatten() {
        if entry.path().is_dir() {
            continue;
        }
        let stem = entry
            .path()
            .file_stem()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        assert!(
            stem == "main" || named.contains(&format!("mod {stem};")),
            "{stem}"
        );
    }
}
