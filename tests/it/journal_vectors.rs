//! Good records, and one false in each way that has a name, as files with their verdicts: `vectors/journal`.
//!
//! The table and the files are for any verifier. The files are here what the makers below make of the good ones,
//! so that a reader sees what each lie is; `AZIR_WRITE_VECTORS=1` writes them anew (`good` only where it is not
//! there: records once written must verify for ever).

use std::fs;
use std::path::{Path, PathBuf};

use azir::journal::verify::{Outside, verify};
use serde_json::json;

use crate::journal_kit::{
    ALICE, Forge, ORIGIN, copy, last_checkpoint, person, run_start, sealed_run, signature,
    signers_line,
};
use crate::journal_stamp::Authority;

const TABLE: &str = include_str!("vectors/journal/verdicts.txt");
const BOB: &str = "bob@contoso.example";
const NAMESPACE: &str = "azir-checkpoint-v1";

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/vectors/journal")
}

/// One row of the table.
#[derive(Clone, Copy)]
struct Case<'a> {
    name: &'a str,
    base: &'a str,
    outside: &'a str,
    exit: u8,
    entries: &'a str,
    open: &'a str,
    place: &'a str,
}

fn cases() -> Vec<Case<'static>> {
    let rows = TABLE
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    rows.map(|row| {
        let words: Vec<&str> = row.split('|').map(str::trim).collect();
        let [name, base, outside, exit, entries, open, place] = words[..] else {
            panic!("{row}");
        };
        Case {
            name,
            base,
            outside,
            exit: exit.parse().unwrap(),
            entries,
            open,
            place,
        }
    })
    .collect()
}

impl Case<'_> {
    fn outside(&self) -> Outside {
        let folder = vectors().join("outside");
        let origin = Some(ORIGIN.to_owned());
        let signers = |name| Some(folder.join(name));
        let earlier_checkpoints = vec![folder.join("sealed.cp")];
        match self.outside {
            "none" => Outside::default(),
            "known" => Outside {
                origin,
                signers: signers("signers"),
                earlier_checkpoints,
                ..Outside::default()
            },
            "expired" => Outside {
                origin,
                signers: signers("signers-expired"),
                earlier_checkpoints,
                ..Outside::default()
            },
            "stamped" => Outside {
                origin,
                signers: signers("signers"),
                tsa_ca: Some(folder.join("roots.pem")),
                ..Outside::default()
            },
            "counted" => Outside {
                origin,
                signers: signers("signers"),
                min_size: Some(12),
                ..Outside::default()
            },
            other => panic!("{other}"),
        }
    }

    /// Lays the case out as a run folder, as a stranger would.
    fn lay(&self, to: &Path) {
        copy(&vectors().join("good").join(self.base), to);
        let lie = vectors().join("lies").join(self.name);
        assert!(
            self.name == self.base || lie.is_dir(),
            "{} has no files",
            self.name
        );
        for path in files(&lie) {
            let bytes = fs::read(lie.join(&path)).unwrap();
            match path.strip_suffix(".gone") {
                Some(gone) => fs::remove_file(to.join(gone)).unwrap(),
                None => put(&to.join(path), &bytes),
            }
        }
    }

    fn judge(&self) {
        let folder = tempfile::tempdir().unwrap();
        self.lay(folder.path());
        let report = verify(folder.path(), &self.outside());
        let who = format!("{} ({})", self.name, self.outside);
        assert_eq!(report.exit_code, self.exit, "{who}: {report:#?}");
        for (said, is) in [
            (self.entries, report.entries),
            (self.open, report.open_intents),
        ] {
            assert!(said == "-" || said == is.to_string(), "{who}: {report:#?}");
        }
        let (file, line) = self.place.split_once(':').unwrap_or((self.place, ""));
        let named = report.findings.iter().any(|finding| {
            finding.file == file
                && (line.is_empty() || finding.line.is_some_and(|at| at.to_string() == line))
        });
        assert!(self.place == "-" || named, "{who}: {report:#?}");
    }
}

#[test]
fn every_vector_has_the_verdict_of_the_table() {
    let (mut judged, mut lies) = (0, 0);
    for case in cases().iter().filter(|case| case.outside != "stamped") {
        case.judge();
        judged += 1;
        lies += u32::from(case.exit == 1);
    }
    println!("vectors judged: {judged}, of them false: {lies}, none undetected");
}

#[test]
#[ignore = "needs openssl"]
fn every_stamped_vector_has_the_verdict_of_the_table() {
    let mut judged = 0;
    for case in cases().iter().filter(|case| case.outside == "stamped") {
        case.judge();
        judged += 1;
    }
    println!("stamped vectors judged: {judged}");
}

#[test]
#[ignore = "needs ssh-keygen"]
fn ssh_keygen_accepts_the_signatures_of_the_good_record() {
    let sealed = vectors().join("good/sealed");
    let line = fs::read_to_string(sealed.join("seg-000001.jsonl")).unwrap();
    let first: serde_json::Value = serde_json::from_str(line.lines().next().unwrap()).unwrap();
    let key = first["data"]["session_key"].as_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let session = folder.path().join("session");
    fs::write(
        &session,
        format!("session namespaces=\"{NAMESPACE}\" {key}\n"),
    )
    .unwrap();
    for (signers, who, end) in [
        (&session, "session", "session.sig"),
        (&vectors().join("outside/signers"), ALICE, "human.sig"),
    ] {
        let checkpoint = last_checkpoint(&sealed);
        let status = std::process::Command::new("ssh-keygen")
            .args(["-Y", "verify", "-n", NAMESPACE, "-I", who, "-f"])
            .arg(signers)
            .arg("-s")
            .arg(checkpoint.with_extension(end))
            .stdin(fs::File::open(&checkpoint).unwrap())
            .status()
            .unwrap();
        assert!(status.success(), "{who}");
    }
}

#[test]
fn every_lie_is_the_one_that_its_name_tells_and_in_the_table() {
    let write = std::env::var_os("AZIR_WRITE_VECTORS").is_some();
    if write && !vectors().join("good").exists() {
        make_good();
    }
    let mut names: Vec<&str> = Vec::new();
    for case in cases() {
        if case.name == case.base || names.contains(&case.name) {
            continue;
        }
        names.push(case.name);
        let base = vectors().join("good").join(case.base);
        let folder = tempfile::tempdir().unwrap();
        copy(&base, folder.path());
        Made(folder.path()).lie(case.name);
        let made = differences(&base, folder.path());
        assert!(!made.is_empty(), "{} lies about nothing", case.name);
        let place = vectors().join("lies").join(case.name);
        if write {
            let _ = fs::remove_dir_all(&place);
            for (path, bytes) in &made {
                put(&place.join(path), bytes);
            }
        }
        let there: Vec<(String, Vec<u8>)> = files(&place)
            .into_iter()
            .map(|path| (path.clone(), fs::read(place.join(path)).unwrap()))
            .collect();
        assert!(made == there, "{}: {:?}", case.name, files(&place));
    }
    names.sort_unstable();
    let mut there: Vec<String> = fs::read_dir(vectors().join("lies"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    there.sort();
    assert_eq!(names, there);
}

/// A copy of a good record, to be made false.
struct Made<'a>(&'a Path);

impl Made<'_> {
    fn lie(&self, name: &str) {
        let beside = |end: &str| last_checkpoint(self.0).with_extension(end);
        match name {
            "unknown-type" => self.forge(|forge| {
                forge.say("weather", json!({"sky": "grey"}));
                forge.say("note", json!({}));
            }),
            "flipped-bit" => {
                self.lines(|lines| lines[4] = lines[4].replacen("\"_hash\":\"", "\"_hash\":#", 1));
            }
            "edited-text" => {
                self.lines(|lines| lines[8] = lines[8].replacen("\"all\"", "\"one\"", 1));
            }
            "edited-and-hashed-again" => self.lines(|lines| {
                let body =
                    format!("{{{}", lines[8][76..].trim_end()).replacen("\"all\"", "\"one\"", 1);
                let hash = azir::digest::Digest::of(body.as_bytes());
                lines[8] = format!("{{\"_hash\":\"{hash}\",{}\n", &body[1..]);
            }),
            "cut-in-a-line" => self.lines(|lines| lines[11].truncate(100)),
            "cut-between-lines" => self.lines(|lines| lines.truncate(11)),
            "cut-with-its-checkpoint" => {
                self.lines(|lines| lines.truncate(11));
                self.without(&["cp", "session.sig", "human.sig", "tsr"]);
            }
            "without-its-last-lf" => self.lines(|lines| {
                lines[11].pop();
            }),
            "dirty-tail" | "dirty-tail-of-an-open-run" => {
                self.lines(|lines| lines.push("\u{0}\u{1}{\"_hash\":\"0\n".to_owned()));
            }
            "whole-line-in-a-tail" => self.lines(|lines| {
                let again = lines[1].clone();
                lines.push(again);
            }),
            "declared-tail-changed" => {
                let segment = self.0.join("seg-000001.jsonl");
                let mut bytes = fs::read(&segment).unwrap();
                *bytes.last_mut().unwrap() ^= 1;
                fs::write(segment, bytes).unwrap();
            }
            "reordered" => self.lines(|lines| lines.swap(3, 4)),
            "duplicated" => self.lines(|lines| lines.insert(4, lines[3].clone())),
            "deleted" => self.lines(|lines| {
                lines.remove(5);
            }),
            "inserted" => self.lines(|lines| {
                let mut forge = Forge::started();
                let from = forge.bytes.len();
                forge.say("note", json!({"text": "nothing to see here"}));
                lines.insert(5, String::from_utf8(forge.bytes[from..].to_vec()).unwrap());
            }),
            "spliced" => self.lines(|lines| lines[5].clone_from(&other_run()[5])),
            "another-run" => self.lines(|lines| *lines = other_run()),
            "crlf" => self.lines(|lines| {
                for line in lines {
                    *line = line.replace('\n', "\r\n");
                }
            }),
            "byte-order-mark" => self.lines(|lines| lines[0].insert(0, '\u{feff}')),
            "space-in-a-line" => self.lines(|lines| lines[3] = lines[3].replacen(':', ": ", 1)),
            "segment-missing" => fs::remove_file(self.0.join("seg-000001.jsonl")).unwrap(),
            "segment-gap" => fs::write(self.0.join("seg-000003.jsonl"), "x\n").unwrap(),
            "empty-segment" => fs::write(self.0.join("seg-000002.jsonl"), "").unwrap(),
            "foreign-file" => fs::write(self.0.join("notes.txt"), "x\n").unwrap(),
            "evidence-edited" => fs::write(self.evidence(), "what was not there before").unwrap(),
            "evidence-missing" => fs::remove_file(self.evidence()).unwrap(),
            "evidence-misnamed" => fs::write(self.0.join("evidence/readme"), "x\n").unwrap(),
            "evidence-uncited" => {
                let digest = azir::digest::Digest::of(b"x");
                fs::write(self.0.join(format!("evidence/{digest}")), "x").unwrap();
            }
            "signers-of-no-form" => {
                fs::write(self.0.join("signers"), "alice ssh-ed25519 AAAA\n").unwrap();
            }
            "checkpoint-size-edited" => {
                self.text("cp", |text| text.replacen("\n12\n", "\n13\n", 1));
            }
            "checkpoint-time-edited" => {
                self.text("cp", |text| text.replacen("time 2026", "time 2025", 1));
            }
            "checkpoint-with-a-line-more" => self.text("cp", |text| text + "note x\n"),
            "checkpoint-with-a-zero" => {
                self.text("cp", |text| text.replacen("\n12\n", "\n012\n", 1));
            }
            "checkpoint-of-another-log" => {
                self.text("cp", |text| text.replacen("IR-2026", "IR-2025", 1));
            }
            "checkpoint-missing" => fs::remove_file(self.0.join("cp/000001.cp")).unwrap(),
            "checkpoint-replayed" => {
                for end in ["cp", "session.sig"] {
                    fs::copy(
                        self.0.join(format!("cp/000002.{end}")),
                        self.0.join(format!("cp/000004.{end}")),
                    )
                    .unwrap();
                }
            }
            "last-checkpoint-removed" => self.without(&["cp", "session.sig", "human.sig", "tsr"]),
            "session-signature-missing" => self.without(&["session.sig"]),
            "session-signature-replayed" => {
                fs::copy(self.0.join("cp/000002.session.sig"), beside("session.sig")).unwrap();
            }
            "session-signature-foreign" => self.sign("session.sig", 3, NAMESPACE),
            "human-signature-removed" => self.without(&["human.sig"]),
            "human-signature-replayed" => {
                let earlier = fs::read(self.0.join("cp/000002.cp")).unwrap();
                fs::write(
                    beside("human.sig"),
                    signature(&person(1), NAMESPACE, &earlier),
                )
                .unwrap();
            }
            "human-signature-by-another" => self.sign("human.sig", 2, NAMESPACE),
            "human-signature-by-a-stranger" => self.sign("human.sig", 3, NAMESPACE),
            "wrong-namespace" => self.sign("human.sig", 1, "file"),
            // The key's time is over; what is signed is as it should be, in a comment of the run's own copy.
            "expired-key" => fs::write(
                self.0.join("signers"),
                signers(",valid-before=\"20260101Z\""),
            )
            .unwrap(),
            "signature-with-crlf" => self.text("human.sig", |text| text.replace('\n', "\r\n")),
            "signature-with-a-byte-more" => self.text("human.sig", |text| text + "\n"),
            "second-signature-by-the-first" => self.sign("second.sig", 1, NAMESPACE),
            "second-signature" => self.sign("second.sig", 2, NAMESPACE),
            "stamp-removed" => self.without(&["tsr"]),
            "stamp-of-another-checkpoint" => {
                fs::copy(self.0.join("cp/000001.tsr"), beside("tsr")).unwrap();
            }
            "stamp-cut" => self.stamp(|stamp| stamp.truncate(stamp.len() - 1)),
            "stamp-with-a-byte-more" => self.stamp(|stamp| stamp.push(0)),
            "stamp-of-garbage" => fs::write(beside("tsr"), "garbage").unwrap(),
            "stamp-time-edited" => self.stamp(|stamp| {
                // GeneralizedTime, 15 bytes: the last digit of the year.
                let at = stamp.windows(2).position(|tag| tag == [0x18, 15]).unwrap();
                stamp[at + 5] ^= 1;
            }),
            "stamp-signature-edited" => self.stamp(|stamp| *stamp.last_mut().unwrap() ^= 1),
            line => self.forge(|forge| forged(forge, line)),
        }
    }

    fn lines(&self, change: impl FnOnce(&mut Vec<String>)) {
        let segment = self.0.join("seg-000001.jsonl");
        let mut lines = split(&fs::read_to_string(&segment).unwrap());
        change(&mut lines);
        fs::write(segment, lines.concat()).unwrap();
    }

    fn without(&self, ends: &[&str]) {
        let checkpoint = last_checkpoint(self.0);
        for end in ends {
            fs::remove_file(checkpoint.with_extension(end)).unwrap();
        }
    }

    fn sign(&self, end: &str, who: u8, namespace: &str) {
        let checkpoint = last_checkpoint(self.0);
        let text = fs::read(&checkpoint).unwrap();
        fs::write(
            checkpoint.with_extension(end),
            signature(&person(who), namespace, &text),
        )
        .unwrap();
    }

    fn text(&self, end: &str, change: impl FnOnce(String) -> String) {
        let path = last_checkpoint(self.0).with_extension(end);
        fs::write(&path, change(fs::read_to_string(&path).unwrap())).unwrap();
    }

    fn stamp(&self, change: impl FnOnce(&mut Vec<u8>)) {
        let path = last_checkpoint(self.0).with_extension("tsr");
        let mut stamp = fs::read(&path).unwrap();
        change(&mut stamp);
        fs::write(path, stamp).unwrap();
    }

    fn evidence(&self) -> PathBuf {
        self.0
            .join("evidence")
            .join(&files(&self.0.join("evidence"))[0])
    }

    fn forge(&self, say: impl FnOnce(&mut Forge)) {
        let mut forge = Forge::started();
        say(&mut forge);
        fs::write(self.0.join("seg-000001.jsonl"), forge.bytes).unwrap();
    }
}

/// Lines with right hashes that are false in themselves, or in what they tell.
fn forged(forge: &mut Forge, name: &str) {
    let id = json!({"client_request_id": "00000000-0000-4000-8000-000000000001"});
    let spelled = |forge: &mut Forge, from: &str, to: &str| {
        let members = forge.members("note", json!({"a": "x", "b": 1}));
        let body = azir::json::canonical(&members).unwrap();
        forge.body(body.replacen(from, to, 1).as_bytes());
    };
    let other = |forge: &mut Forge, member: &str, value: serde_json::Value| {
        let mut members = forge.members("note", json!({}));
        members[member] = value;
        forge.line(&members);
    };
    match name {
        "duplicate-key" => spelled(forge, "\"b\":1", "\"b\":1,\"b\":2"),
        "key-in-upper-case" => spelled(forge, "\"b\"", "\"B\""),
        "keys-out-of-order" => spelled(forge, "\"a\":\"x\",\"b\":1", "\"b\":1,\"a\":\"x\""),
        "float" => spelled(forge, "\"b\":1", "\"b\":1.5"),
        "number-too-large" => spelled(forge, "\"b\":1", "\"b\":9007199254740992"),
        "escape-not-needed" => spelled(forge, "\"x\"", "\"\\u0078\""),
        "lone-surrogate" => spelled(forge, "\"x\"", "\"\\ud800\""),
        "member-too-many" => other(forge, "zone", json!("CET")),
        "day-that-never-was" => other(forge, "time", json!("2026-02-30T00:00:00.000000Z")),
        "gap-in-seq" => other(forge, "seq", json!(2)),
        "clock-that-runs-back" => {
            other(forge, "mono_us", json!(1000));
            other(forge, "mono_us", json!(999));
        }
        "result-of-no-intent" => {
            forge.say("action.result", json!({"intent": 0, "outcome": "ok"}));
        }
        "request-id-again" => {
            forge.say("action.intent", id.clone());
            forge.say("action.intent", id);
        }
        "seal-that-hides-an-intent" => {
            forge.say("action.intent", id);
            forge.say("seal", json!({"open_intents": []}));
        }
        "line-after-the-seal" => {
            forge.say("seal", json!({"open_intents": []}));
            forge.say("note", json!({}));
        }
        "format-of-tomorrow" => {
            *forge = Forge::new();
            let mut data = run_start();
            data["format"] = json!("azir-journal-v2");
            forge.say("run.start", data);
        }
        other => panic!("nobody knows how to make {other}"),
    }
}

/// Lines of a run with the same origin that was written by somebody else.
fn other_run() -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let mut forge = Forge::started();
    for n in 0..11 {
        forge.say("note", json!({"n": n}));
    }
    let path = folder.path().join("segment");
    fs::write(&path, &forge.bytes).unwrap();
    split(&fs::read_to_string(path).unwrap())
}

fn split(text: &str) -> Vec<String> {
    text.split_inclusive('\n').map(str::to_owned).collect()
}

fn signers(bounds: &str) -> String {
    [
        signers_line(ALICE, bounds, &person(1)),
        signers_line(BOB, "", &person(2)),
    ]
    .concat()
}

/// Writes the good records; stamps come from an authority that exists only while this runs.
fn make_good() {
    let good = vectors().join("good");
    let outside = vectors().join("outside");
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    copy(&sealed_run(folder.path(), 1), &good.join("sealed"));
    let _ = fs::remove_file(good.join("sealed/lock"));
    let checkpoint = last_checkpoint(&good.join("sealed"));
    Made(&good.join("sealed")).sign("human.sig", 1, NAMESPACE);
    for stamped in [&checkpoint, &good.join("sealed/cp/000001.cp")] {
        fs::write(stamped.with_extension("tsr"), authority.stamp(stamped)).unwrap();
    }
    put(&outside.join("sealed.cp"), &fs::read(&checkpoint).unwrap());
    put(&outside.join("signers"), signers("").as_bytes());
    put(
        &outside.join("signers-expired"),
        signers(",valid-before=\"20260101Z\"").as_bytes(),
    );
    fs::copy(authority.path("ca.pem"), outside.join("roots.pem")).unwrap();
    let torn = crate::journal_kit::torn_run(folder.path(), "torn");
    copy(&torn, &good.join("torn"));
    crate::journal_kit::resumed(&torn);
    copy(&torn, &good.join("resumed"));
    for name in ["torn", "resumed"] {
        let _ = fs::remove_file(good.join(name).join("lock"));
    }
    put(&good.join("line/seg-000001.jsonl"), &Forge::started().bytes);
}

fn put(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Returns the files of a folder and its folders, by path below it, in order.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() {
            found.extend(
                files(&entry.path())
                    .iter()
                    .map(|path| format!("{name}/{path}")),
            );
        } else {
            found.push(name);
        }
    }
    found.sort();
    found
}

/// Returns what must be laid over one folder to make the other of it.
fn differences(base: &Path, made: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<(String, Vec<u8>)> = Vec::new();
    for path in files(made) {
        let bytes = fs::read(made.join(&path)).unwrap();
        if fs::read(base.join(&path)).ok().as_ref() != Some(&bytes) {
            found.push((path, bytes));
        }
    }
    let gone = files(base)
        .into_iter()
        .filter(|path| !made.join(path).exists());
    found.extend(gone.map(|path| (format!("{path}.gone"), Vec::new())));
    found.sort();
    found
}
