//! The same machines isolated with the Azure CLI, by the script `isolate-vm.sh` beside this file:
//! `cargo bench --bench figures -- --az 10`.
//!
//! The command line is the vendor's own, registered with the lab as with any cloud and signed in before the clock starts.
//! It is taken from `AZIR_BENCH_AZ`, else from the path; `--install-az FOLDER` puts it into a virtual environment of
//! Python first. It knows no faster clock, so neither does the lab.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::record::Row;
use super::vms::{self, Counted};

/// Installs the Azure CLI into a folder; returns where it is then.
pub(crate) fn install(folder: &Path) -> PathBuf {
    let run = |command: &mut Command| {
        let status = command.status().expect("Python");
        assert!(status.success(), "{command:?}");
    };
    run(Command::new("python3").args(["-m", "venv"]).arg(folder));
    let pip = folder.join("bin/pip");
    run(Command::new(pip).args(["install", "--quiet", "azure-cli==2.91.0"]));
    folder.join("bin/az")
}

/// Returns the Azure CLI that the machine has.
pub(crate) fn found() -> PathBuf {
    std::env::var_os("AZIR_BENCH_AZ").map_or_else(|| "az".into(), Into::into)
}

/// Isolates so many machines one after the other, as the script does, and prints one line.
pub(crate) fn az(az: &Path, count: usize) -> Row {
    let home = tempfile::tempdir().expect("a temporary folder");
    let lab = vms::lab(count, 1.0, None, home.path());
    let ready = lab.ready();
    let prepared = |command: &mut Command| {
        let mut paths = vec![az.parent().unwrap_or(Path::new("")).to_owned()];
        paths.extend(std::env::split_paths(
            &std::env::var_os("PATH").unwrap_or_default(),
        ));
        let status = command
            .env("PATH", std::env::join_paths(paths).expect("a path"))
            .env("AZURE_CONFIG_DIR", home.path().join("az"))
            .env("AZURE_CORE_COLLECT_TELEMETRY", "false")
            .env("AZURE_CORE_INSTANCE_DISCOVERY", "false")
            .env("AZURE_CORE_ONLY_SHOW_ERRORS", "true")
            .env("REQUESTS_CA_BUNDLE", &ready.ca)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .expect("the Azure CLI");
        // What it was told holds a password.
        let first = command.get_args().next().unwrap_or_default();
        assert!(status.success(), "az {} failed", first.display());
    };
    let cloud = ["cloud", "register", "--name", "azir-lab"];
    prepared(
        Command::new(az)
            .args(cloud)
            .args(["--endpoint-resource-manager", &ready.arm]),
    );
    prepared(Command::new(az).args(["cloud", "set", "--name", "azir-lab"]));
    let service_principal = ["login", "--service-principal", "--tenant", &ready.tenant_id];
    prepared(
        Command::new(az)
            .args(service_principal)
            .args(["--username", &ready.client_id])
            .args(["--password", &ready.client_secret]),
    );
    let before = lab.requests().len();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/isolate-vm.sh");
    let case_began = azir::clock::seconds(chrono::Utc::now());
    let began = Instant::now();
    for number in 0..count {
        let (subscription, group, name) = vms::place(number);
        prepared(
            Command::new("bash")
                .arg(&script)
                .args(["IR-1", &subscription, &group, &name])
                .arg(home.path())
                .arg(&case_began),
        );
    }
    let seconds = began.elapsed().as_secs_f64();
    let counted = Counted::of(&lab.requests()[before..]);
    vms::assert_cut(&lab.state(), count);
    lab.stop();
    println!(
        "az, {count} machines one after the other: {seconds:.1} s; {} requests, {} of them polls, {} refused by throttles",
        counted.requests, counted.polls, counted.refused,
    );
    Row {
        tool: "az".to_owned(),
        machines: count,
        seconds,
        ..counted.row()
    }
}
