//! The end of a record: runs that seal themselves, those that are sealed by hand, and persons who sign afterwards.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use azir::journal::disk::RealDisk;
use azir::journal::reader::read;
use azir::journal::verify::{Outside, verify};
use azir::journal::{Entry, Writer};
use serde_json::{Value, json};

use crate::agent_kit::key_file;
use crate::journal_kit::{
    ALICE, RUN, codes, deps, entry, intent, last_checkpoint, person, sealed_run, signers_line,
    start, wait,
};
use crate::support::{Azir, Done, done};

const BOB: &str = "bob@contoso.example";

/// A home folder with one run in it that no cloud has seen.
struct Home {
    folder: tempfile::TempDir,
    run_dir: PathBuf,
}

impl Home {
    /// A run that ends with `entries`, sealed or not.
    fn with(entries: Vec<Entry>, seal: bool) -> Self {
        let home = Self::empty();
        let deps = deps(Arc::new(RealDisk), 1);
        let writer = Writer::create(&home.run_dir, start(), deps).unwrap();
        wait(async {
            for entry in entries {
                writer.append_durable(entry).await.unwrap();
            }
            if seal {
                writer.seal(serde_json::Map::new()).await.unwrap();
            } else {
                writer.close().await.unwrap();
            }
        });
        home
    }

    fn sealed() -> Self {
        let home = Self::empty();
        sealed_run(home.run_dir.parent().unwrap(), 1);
        home
    }

    fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for seed in [1, 2] {
            key_file(&folder.path().join(format!("key{seed}")), seed);
        }
        let run_dir = folder.path().join(format!("cases/IR-2026-0042/run-{RUN}"));
        std::fs::create_dir_all(run_dir.parent().unwrap()).unwrap();
        Self { folder, run_dir }
    }

    /// Runs as `who` with the key of `person(seed)`; 0: none.
    fn run(&self, words: &[&str], who: &str, seed: u8) -> Done {
        let mut command = Command::new(env!("CARGO_BIN_EXE_azir"));
        command
            .args(words)
            .args(["--responder", who, "--output", "json"])
            .env_clear()
            .env("AZIR_HOME", self.folder.path())
            .stdin(Stdio::null());
        if seed > 0 {
            command.env("AZIR_KEY", self.folder.path().join(format!("key{seed}")));
        }
        done(command.output().unwrap())
    }

    fn ok(&self, words: &[&str], who: &str, seed: u8) -> Value {
        let done = self.run(words, who, seed);
        assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
        serde_json::from_str(&done.stdout).unwrap()
    }

    /// Returns the exit code and what was said.
    fn refused(&self, words: &[&str], who: &str, seed: u8) -> (i32, String) {
        let done = self.run(words, who, seed);
        let error: Value = serde_json::from_str(&done.stdout).unwrap();
        let message = error["error"]["message"].as_str().unwrap();
        (done.code, message.to_owned())
    }

    fn outside(&self) -> Outside {
        let signers = self.folder.path().join("both");
        let lines = [
            signers_line(ALICE, "", &person(1)),
            signers_line(BOB, "", &person(2)),
        ];
        std::fs::write(&signers, lines.concat()).unwrap();
        Outside {
            signers: Some(signers),
            ..Outside::default()
        }
    }
}

const SEAL: &[&str] = &["journal", "seal"];
const COUNTERSIGN: &[&str] = &["journal", "countersign"];

fn beside(run_dir: &Path, end: &str) -> bool {
    last_checkpoint(run_dir).with_extension(end).exists()
}

#[test]
fn a_run_that_comes_to_its_end_seals_itself_and_can_still_be_undone_and_countersigned() {
    let azir = Azir::new();
    let isolate = ["isolate-vm", "vm-app-01", "--incident", "IR-1", "--yes"];
    let (code, report) = azir.json(&isolate);
    assert_eq!(code, 0, "{report}");
    assert_eq!(report["journal"]["sealed"], json!(true));
    let run_dir = azir.run_dir("IR-1");
    let lines = read(&run_dir).unwrap().lines;
    let (first, last) = (&lines[0], lines.last().unwrap());
    assert_eq!(last.kind, "seal");
    for (name, value) in [
        ("open_intents", json!([])),
        ("gaps", json!(0)),
        ("undo_state", json!("possible")),
        ("seen", json!([])),
    ] {
        assert_eq!(last.data[name], value, "{name}");
    }
    // The token is an application's: it is the principal, and the person here answers.
    assert_eq!(
        first.data["principal"]["appid"],
        json!(azir.lab.ready().client_id)
    );
    let responder = first.data["responder"]["upn"].as_str().unwrap();
    assert!(responder.contains('@'), "{responder}");
    let key = azir.home.path().join("id");
    key_file(&key, 1);
    let mut sign = azir.command(&["journal", "countersign", "last", "--responder", ALICE]);
    let signed = done(sign.env("AZIR_KEY", &key).output().unwrap());
    assert_eq!(signed.code, 0, "{}", signed.stderr);
    assert!(
        signed.stdout.contains("as second person"),
        "{}",
        signed.stdout
    );
    let shown = azir.run(&["show", "last"]).stdout;
    let words = format!("signed by {ALICE} as second person, unsigned by the responder");
    assert!(shown.contains(&words), "{shown}");
    let undone = azir.run(&["undo", "last", "--yes"]);
    assert_eq!(undone.code, 0, "{}", undone.stderr);
}

#[test]
fn open_writes_are_sealed_over_only_when_that_is_said() {
    let home = Home::with(vec![intent(1)], false);
    let (code, message) = home.refused(SEAL, ALICE, 1);
    assert_eq!(code, 2);
    assert!(message.contains("/subscriptions/s (line 1)"), "{message}");
    assert_eq!(read(&home.run_dir).unwrap().lines.len(), 2);
    let sealed = home.ok(&["journal", "seal", "last", "--yes"], ALICE, 1);
    assert_eq!(sealed["open_intents"], json!([1]));
    assert_eq!(sealed["already_sealed"], json!(false));
    assert_eq!(sealed["journal"]["sealed"], json!(true));
    assert_eq!(sealed["journal"]["signed"][0]["entries"], json!(4));
    let lines = read(&home.run_dir).unwrap().lines;
    assert_eq!(lines[2].data["reason"], json!("seal"));
    assert_eq!(lines[3].data["open_intents"], json!([1]));
    assert_eq!(verify(&home.run_dir, &home.outside()).exit_code, 2);
    assert_eq!(home.ok(SEAL, ALICE, 1)["already_sealed"], json!(true));
}

#[test]
fn a_run_that_broke_off_is_sealed_only_when_that_is_said() {
    let begun = entry("step", json!({"step": "x", "state": "started"}));
    let home = Home::with(vec![begun], false);
    let (code, message) = home.refused(SEAL, ALICE, 0);
    assert_eq!(code, 2);
    assert!(message.contains("broke off"), "{message}");
    home.ok(&["journal", "seal", "last", "--yes"], ALICE, 0);
}

#[test]
fn a_run_that_is_being_written_is_neither_sealed_nor_countersigned() {
    let home = Home::empty();
    let writer = Writer::create(&home.run_dir, start(), deps(Arc::new(RealDisk), 1)).unwrap();
    for words in [SEAL, COUNTERSIGN] {
        let (code, message) = home.refused(words, ALICE, 1);
        assert_eq!(code, 75, "{message}");
        let holder = format!("process {}", std::process::id());
        assert!(message.contains(&holder), "{message}");
    }
    drop(writer);
}

#[test]
fn the_signature_that_a_sealed_run_lacks_is_asked_for_again() {
    let home = Home::sealed();
    let lost = home.run(SEAL, ALICE, 9);
    assert_eq!(lost.code, 4, "{}{}", lost.stdout, lost.stderr);
    let told: Value = serde_json::from_str(&lost.stdout).unwrap();
    assert_eq!(told["missing"][0]["witness"], json!("person"));
    assert!(!beside(&home.run_dir, "human.sig"));
    let sealed = home.ok(SEAL, ALICE, 1);
    assert_eq!(sealed["already_sealed"], json!(true));
    assert_eq!(sealed["missing"], json!([]));
    assert_eq!(sealed["journal"]["signed"][0]["principal"], json!(ALICE));
    let report = verify(&home.run_dir, &home.outside());
    assert!(!codes(&report).contains(&"unsigned"), "{report:?}");
    // Once more does no harm.
    home.ok(SEAL, ALICE, 1);
}

#[test]
fn another_persons_key_does_not_sign_as_the_responder_of_a_sealed_run() {
    let home = Home::sealed();
    let bobs = signers_line(BOB, "", &person(2));
    std::fs::write(home.folder.path().join("signers"), bobs).unwrap();
    let done = home.run(SEAL, BOB, 2);
    assert_eq!(done.code, 4, "{}", done.stdout);
    assert!(
        done.stdout.contains("bob@contoso.example's"),
        "{}",
        done.stdout
    );
    assert!(!beside(&home.run_dir, "human.sig"));
}

#[test]
fn a_key_that_was_not_valid_when_the_checkpoint_was_made_does_not_sign() {
    let home = Home::sealed();
    let before = ",valid-before=\"20200101Z\"";
    let expired = signers_line(ALICE, before, &person(1));
    std::fs::write(home.folder.path().join("signers"), expired).unwrap();
    let (code, message) = home.refused(COUNTERSIGN, ALICE, 1);
    assert_eq!(code, 2);
    assert!(message.contains("does not speak"), "{message}");
    let done = home.run(SEAL, ALICE, 1);
    assert_eq!(done.code, 4, "{}", done.stdout);
    assert!(done.stdout.contains("does not speak"), "{}", done.stdout);
    assert!(!beside(&home.run_dir, "human.sig"));
}

#[test]
fn a_transfer_is_pending_until_two_persons_have_signed() {
    let transfer = || entry("transfer", json!({"from": ALICE, "to": BOB}));
    for [(first, one), (second, other)] in [[(ALICE, 1), (BOB, 2)], [(BOB, 2), (ALICE, 1)]] {
        let home = Home::with(vec![transfer()], true);
        let pending =
            |report: &azir::journal::verify::Report| codes(report).contains(&"transfer-pending");
        assert!(pending(&verify(&home.run_dir, &home.outside())));
        let signed = home.ok(COUNTERSIGN, first, one);
        assert_eq!(signed["transfer"], json!("pending"));
        assert!(pending(&verify(&home.run_dir, &home.outside())));
        let signed = home.ok(COUNTERSIGN, second, other);
        assert_eq!(signed["transfer"], json!("complete"));
        assert_eq!((&signed["entries"], &signed["of"]), (&json!(3), &json!(3)));
        let report = verify(&home.run_dir, &home.outside());
        assert!(!pending(&report), "{report:?}");
        let who: Vec<(&str, bool)> = report
            .signed
            .iter()
            .map(|signed| (signed.principal.as_str(), signed.second))
            .collect();
        assert_eq!(who, [(ALICE, false), (BOB, true)]);
    }
}

#[test]
fn the_second_person_is_another_with_another_key() {
    let home = Home::sealed();
    let second = ["journal", "countersign", "last", "--second"];
    let (code, message) = home.refused(&second, ALICE, 1);
    assert_eq!(code, 2);
    assert!(message.contains("must be another"), "{message}");
    home.ok(COUNTERSIGN, ALICE, 1);
    assert!(beside(&home.run_dir, "human.sig"));
    // The same key under another name.
    let (code, message) = home.refused(COUNTERSIGN, BOB, 1);
    assert_eq!(code, 2);
    assert!(message.contains("alice@contoso.example's"), "{message}");
    std::fs::remove_file(home.folder.path().join("signers")).unwrap();
    std::fs::remove_file(home.run_dir.join("signers")).unwrap();
    let (_, message) = home.refused(COUNTERSIGN, BOB, 1);
    assert!(message.contains("the same key"), "{message}");
    assert!(!beside(&home.run_dir, "second.sig"));
    let (code, message) = home.refused(COUNTERSIGN, ALICE, 1);
    assert_eq!(code, 2);
    assert!(message.contains("already"), "{message}");
    let (code, message) = home.refused(COUNTERSIGN, ALICE, 0);
    assert_eq!(code, 2);
    assert!(message.contains("no key"), "{message}");
    assert_eq!(verify(&home.run_dir, &Outside::default()).exit_code, 2);
}
