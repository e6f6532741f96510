//! A disk that is really full, under a real run: what cannot be recorded is not done.

use std::path::Path;
use std::process::{Command, Stdio};

use azir::journal::verify::{Outside, verify};

use crate::support::{Azir, Done, done};

const RUN: [&str; 7] = [
    "isolate-vm",
    "vm-hard-01",
    "--incident",
    "IR-1",
    "--yes",
    "--choose",
    "cut_roles_which=all",
];

/// The command of a run, started by a shell that does `first` to itself, and with `AZIR_HOME` from `home`.
fn shell(azir: &Azir, wrap: &[&str], first: &str, home: &Path) -> Done {
    shelled(azir, &RUN, wrap, first, home)
}

/// As [`shell`], of any command.
fn shelled(azir: &Azir, args: &[&str], wrap: &[&str], first: &str, home: &Path) -> Done {
    let plain = azir.command(args);
    let mut words = wrap.to_vec();
    words.extend(["sh", "-c", first, "sh"]);
    let mut command = Command::new(words[0]);
    command
        .args(&words[1..])
        .arg(plain.get_program())
        .args(plain.get_args())
        .env_clear()
        .envs(
            plain
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .env("AZIR_HOME", home)
        .stdin(Stdio::null());
    done(command.output().unwrap())
}

/// Judges a run that met the end of the disk; returns whether the disk kept it from its end.
fn judge(azir: &Azir, cases: &Path, run: &Done, size: &str) -> bool {
    let runs: Vec<_> = std::fs::read_dir(cases.join("IR-1"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join("seg-000001.jsonl").exists())
        .collect();
    let writes: Vec<_> = azir
        .lab
        .requests()
        .into_iter()
        // What goes to the anchor is a copy of the record itself; its receipt is cited when there is room.
        .filter(|request| request.write && !request.path.contains("/anchor/"))
        .collect();
    let [run_dir] = &runs[..] else {
        // There was no room for the first line.
        assert!(writes.is_empty(), "{size}: {writes:?}");
        assert_eq!(run.code, 75, "{size}: {}{}", run.stdout, run.stderr);
        return true;
    };
    let report = verify(run_dir, &Outside::default());
    assert!(matches!(report.exit_code, 2 | 3), "{size}: {report:#?}");
    let segment = std::fs::read_to_string(run_dir.join("seg-000001.jsonl")).unwrap();
    for write in &writes {
        let id = write.client_request_id.as_deref().unwrap();
        assert!(
            segment.contains(id),
            "{size}: {} {} was sent, and is not on record",
            write.method,
            write.path
        );
    }
    if run.code == 75 {
        let said = format!("{}{}", run.stdout, run.stderr);
        assert!(
            said.contains("next: free the disk or name another folder with AZIR_HOME"),
            "{size}: {said}"
        );
        return true;
    }
    assert!(
        matches!(run.code, 0 | 3 | 4),
        "{size}: {}: {}{}",
        run.code,
        run.stdout,
        run.stderr
    );
    false
}

#[test]
fn at_the_limit_of_a_files_size_the_run_ends_with_75_and_its_record_verifies() {
    let mut full = 0;
    let mut ended = false;
    // Blocks of 512 bytes.
    for blocks in [1, 4, 16, 64, 256, 1024, 4096, 16_384] {
        let azir = Azir::new();
        let home = azir.home.path();
        // The signal that comes with the limit is ignored, so that the write fails as on a full disk.
        let first = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
        let run = shell(&azir, &[], &first, home);
        let stopped = judge(
            &azir,
            &home.join("cases"),
            &run,
            &format!("{blocks} blocks"),
        );
        full += u32::from(stopped);
        ended |= !stopped;
    }
    assert!(
        full >= 3 && ended,
        "{full} of the sizes were too small, and a large one {ended}"
    );
    println!(
        "file-size limits: {full} runs ended with 75, every record verifies, no request without its line"
    );
}

#[test]
fn an_undo_that_cannot_begin_its_record_leaves_nothing_that_looks_like_a_record_taken_away() {
    let azir = Azir::new();
    let home = azir.home.path();
    let cut = azir.run(&["isolate-vm", "vm-app-01", "--incident", "IR-1", "--yes"]);
    assert_eq!(cut.code, 0, "{}", cut.stderr);
    let before = azir.writes();
    let first = "trap '' XFSZ; ulimit -f 1; exec \"$@\"";
    let undo = shelled(&azir, &["undo", "last", "--yes"], &[], first, home);
    assert_eq!(undo.code, 75, "{}", undo.stderr);
    assert_eq!(azir.writes(), before);
    let status = azir.run(&["status", "--incident", "IR-1"]);
    assert!(!status.stdout.contains("CANNOT READ"), "{}", status.stdout);
    let runs = std::fs::read_dir(home.join("cases/IR-1"))
        .unwrap()
        .flatten();
    let runs = runs.filter(|entry| entry.file_name().to_string_lossy().starts_with("run-"));
    assert_eq!(runs.count(), 1);
    assert_eq!(azir.run(&["undo", "last", "--yes"]).code, 0);
}

#[test]
fn on_a_full_file_system_the_run_ends_with_75_and_its_record_verifies() {
    let wrap = ["unshare", "--user", "--map-root-user", "--mount"];
    let folder = tempfile::tempdir().unwrap();
    let room = folder.path().join("room");
    std::fs::create_dir(&room).unwrap();
    let mounted = Command::new(wrap[0])
        .args(&wrap[1..])
        .args(["mount", "-t", "tmpfs", "none"])
        .arg(&room)
        .stdin(Stdio::null())
        .output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        println!("nobody may mount here: the file-size limit alone has been tried");
        return;
    }
    let mut full = 0;
    let mut ended = false;
    for size in ["16k", "64k", "256k", "400k", "800k", "16m"] {
        let azir = Azir::new();
        let kept = tempfile::tempdir().unwrap();
        // The file system is gone with the shell, so what is on it is brought out first.
        let first = format!(
            "mount -t tmpfs -o size={size} none {room} && cp {home}/config.toml {room}/ && \"$@\"; code=$?; cp -r {room}/. {kept}/; exit $code",
            room = room.display(),
            home = azir.home.path().display(),
            kept = kept.path().display(),
        );
        let run = shell(&azir, &wrap, &first, &room);
        let stopped = judge(&azir, &kept.path().join("cases"), &run, size);
        full += u32::from(stopped);
        ended |= !stopped;
    }
    assert!(
        full >= 3 && ended,
        "{full} of the sizes were too small, and a large one {ended}"
    );
    println!(
        "full file systems: {full} runs ended with 75, every record verifies, no request without its line"
    );
}
