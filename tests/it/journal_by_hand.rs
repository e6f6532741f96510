//! The lines that `azir journal verify` prints for a stranger work as they stand, in a shell, without azir.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use azir::journal::verify::{Outside, verify};
use azir::report::by_hand::{ByHand, lines};

use crate::journal_kit::{
    ALICE, anchor, last_checkpoint, person, sealed_run, signature, signers_line,
};
use crate::journal_stamp::Authority;
use crate::support::bare;

/// A sealed run in a folder whose name a shell would stumble over, signed by two persons and stamped.
struct Signed {
    _folder: tempfile::TempDir,
    run_dir: PathBuf,
    outside: Outside,
    _authority: Authority,
}

impl Signed {
    fn new() -> Self {
        let authority = Authority::new();
        let folder = tempfile::tempdir().unwrap();
        let beside = folder.path().join("o'clock $(exit 1) \"case\"");
        fs::create_dir(&beside).unwrap();
        let run_dir = sealed_run(&beside, 1);
        let cp = last_checkpoint(&run_dir);
        fs::write(cp.with_extension("tsr"), authority.stamp(&cp)).unwrap();
        let outside = Outside {
            tsa_ca: Some(authority.path("ca.pem")),
            ..anchor(&run_dir, &beside)
        };
        let second = signature(&person(2), "azir-checkpoint-v1", &fs::read(&cp).unwrap());
        fs::write(cp.with_extension("second.sig"), second).unwrap();
        // Alice's key has expired since; it was good when she signed.
        let day = |days| {
            (chrono::Utc::now() + chrono::Duration::days(days))
                .format("%Y%m%d000000Z")
                .to_string()
        };
        let bounds = format!(",valid-after=\"{}\",valid-before=\"{}\"", day(-2), day(2));
        let signers = [
            signers_line(ALICE, &bounds, &person(1)),
            signers_line("bob@contoso.example", "", &person(2)),
        ];
        fs::write(outside.signers.as_ref().unwrap(), signers.concat()).unwrap();
        assert_eq!(verify(&run_dir, &outside).exit_code, 0);
        Self {
            _folder: folder,
            run_dir,
            outside,
            _authority: authority,
        }
    }

    fn lines(&self, outside: &Outside) -> Vec<ByHand> {
        lines(&self.run_dir, outside, &verify(&self.run_dir, outside))
    }
}

/// Pastes a line into a shell; returns whether it succeeded, and what it printed.
fn paste(line: &str) -> (bool, String) {
    let output = Command::new("sh").arg("-c").arg(line).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

/// What a line promises to print.
fn promised(what: &str) -> &str {
    match what.rsplit_once("prints ") {
        Some((_, "nothing but OK")) => "OK",
        Some((_, promised)) => promised,
        None => "",
    }
}

#[test]
#[ignore = "needs ssh-keygen and openssl"]
fn the_printed_lines_hold_for_a_good_run() {
    let signed = Signed::new();
    let all = signed.lines(&signed.outside);
    // Segment, session, two persons, stamp, evidence.
    assert_eq!(all.len(), 6, "{all:?}");
    for ByHand { what, line } in &all {
        let (succeeded, printed) = paste(line);
        assert!(succeeded, "{what}\n{line}\n{printed}");
        assert!(printed.contains(promised(what)), "{what}\n{printed}");
    }
    // Without anything from outside there are lines too, and they hold.
    let inside = signed.lines(&Outside::default());
    assert_eq!(inside.len(), 6);
    for ByHand { what, line } in &inside {
        let (succeeded, printed) = paste(line);
        assert!(succeeded, "{what}\n{line}\n{printed}");
    }
}

#[test]
#[ignore = "needs ssh-keygen and openssl"]
fn the_printed_lines_find_what_was_changed() {
    let signed = Signed::new();
    let all = signed.lines(&signed.outside);
    let cp = last_checkpoint(&signed.run_dir);
    let evidence = fs::read_dir(signed.run_dir.join("evidence"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let changes: [(PathBuf, &[usize]); 3] = [
        (signed.run_dir.join("seg-000001.jsonl"), &[0]),
        (cp, &[1, 2, 3, 4]),
        (evidence, &[5]),
    ];
    for (path, found_by) in changes {
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        bad[10] ^= 1;
        fs::write(&path, bad).unwrap();
        for (number, ByHand { what, line }) in all.iter().enumerate() {
            let (succeeded, printed) = paste(line);
            let holds = succeeded && printed.contains(promised(what));
            assert_eq!(
                holds,
                !found_by.contains(&number),
                "{}: {what}\n{printed}",
                path.display()
            );
        }
        fs::write(&path, good).unwrap();
    }
}

#[test]
fn the_lines_stand_in_what_verify_prints_and_in_its_json() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = sealed_run(folder.path(), 1);
    let run = run_dir.to_str().unwrap();
    let done = bare(folder.path(), &["journal", "verify", run]);
    assert_eq!(done.code, 2, "{}", done.stdout);
    let all = lines(
        &run_dir,
        &Outside::default(),
        &verify(&run_dir, &Outside::default()),
    );
    assert_eq!(all.len(), 3);
    for ByHand { line, .. } in &all {
        assert!(done.stdout.contains(line.as_str()), "{}", done.stdout);
    }
    assert!(all[0].line.starts_with("head -c "));
    assert!(all[1].line.contains("ssh-keygen -Y verify"));
    let done = bare(
        folder.path(),
        &["journal", "verify", run, "--output", "json"],
    );
    let value: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(value["exit_code"], 2);
    assert_eq!(value["entries"], 12);
    assert_eq!(value["open_intents"], 0);
    assert_eq!(value["by_hand"][0]["line"], all[0].line.as_str());
    for finding in value["findings"].as_array().unwrap() {
        for member in ["level", "file", "line", "code", "text", "meaning"] {
            assert!(finding.get(member).is_some(), "{member} in {finding}");
        }
    }
}

#[test]
fn no_run_folder_makes_the_lines_panic_or_leave_their_quotes() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = sealed_run(folder.path(), 1);
    let cp = last_checkpoint(&run_dir);
    let outside = Outside::default();
    for bad in [
        "",
        "\n\n\nfile",
        "file seg-000001.jsonl 1;exit 00\n",
        "a\n1\nb\nchain x\nfile ../../x 1 00\ntime now\n",
        "file '; rm -rf x; ' 1 00\n",
    ] {
        fs::write(&cp, bad).unwrap();
        for ByHand { line, .. } in lines(&run_dir, &outside, &verify(&run_dir, &outside)) {
            assert!(!line.contains("1;exit"), "{line}");
            assert!(!line.contains("'; rm"), "{line}");
        }
    }
    assert!(
        lines(
            Path::new("/nowhere"),
            &outside,
            &verify(Path::new("/nowhere"), &outside)
        )
        .is_empty()
    );
}
