//! Every way to lie that is listed in the format: none goes undetected.

use std::fs;
use std::path::{Path, PathBuf};

use azir::journal::verify::{Outside, verify};
use serde_json::{Value, json};

use crate::journal_kit::{
    ALICE, Forge, anchor, copy, inside, last_checkpoint, person, sealed_run, signature,
    signers_line,
};
use crate::journal_stamp::Authority;

/// A sealed and anchored run that verified 0, in a folder of its own.
struct Anchored {
    folder: tempfile::TempDir,
    run_dir: PathBuf,
    outside: Outside,
}

impl Anchored {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let run_dir = sealed_run(folder.path(), 1);
        let outside = anchor(&run_dir, folder.path());
        assert_eq!(verify(&run_dir, &outside).exit_code, 0);
        Self {
            folder,
            run_dir,
            outside,
        }
    }

    fn code(&self) -> u8 {
        verify(&self.run_dir, &self.outside).exit_code
    }

    fn segment(&self) -> PathBuf {
        self.run_dir.join("seg-000001.jsonl")
    }

    fn lines(&self) -> Vec<String> {
        fs::read_to_string(self.segment())
            .unwrap()
            .split_inclusive('\n')
            .map(str::to_owned)
            .collect()
    }

    fn write_lines(&self, lines: &[String]) {
        fs::write(self.segment(), lines.concat()).unwrap();
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        if entry.is_dir() {
            found.extend(files(&entry));
        } else if entry.file_name().is_some_and(|name| name != "lock") {
            found.push(entry);
        }
    }
    found.sort();
    found
}

/// Flips every `stride`-th bit of every file; 1 is all of them, and a number without common divisor with 8 gives
/// every position in a byte its turn.
fn flips(run: &Anchored, stride: usize) -> usize {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let one = |worker: usize| {
        // A copy of its own, so that one's flips are not the other's.
        let folder = tempfile::tempdir().unwrap();
        copy(&run.run_dir, folder.path());
        let mut tried = 0;
        for path in files(folder.path()) {
            let good = fs::read(&path).unwrap();
            for bit in (0..good.len() * 8)
                .step_by(stride)
                .skip(worker)
                .step_by(workers)
            {
                let mut bad = good.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                fs::write(&path, &bad).unwrap();
                let report = verify(folder.path(), &run.outside);
                assert_eq!(
                    report.exit_code,
                    1,
                    "{} bit {bit}: {report:?}",
                    path.display()
                );
                tried += 1;
            }
            fs::write(&path, &good).unwrap();
        }
        assert_eq!(verify(folder.path(), &run.outside).exit_code, 0);
        tried
    };
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..workers)
            .map(|worker| scope.spawn(move || one(worker)))
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).sum()
    })
}

#[test]
fn a_flipped_bit_is_found_wherever_it_is() {
    println!(
        "flipped bits, one in 131: {}, none undetected",
        flips(&Anchored::new(), 131)
    );
}

#[test]
#[ignore = "needs minutes"]
fn every_flipped_bit_is_found() {
    println!(
        "flipped bits, every one: {}, none undetected",
        flips(&Anchored::new(), 1)
    );
}

#[test]
#[ignore = "needs openssl"]
fn a_flipped_bit_is_found_in_a_record_that_rests_on_a_stamp() {
    let authority = Authority::new();
    let mut run = Anchored::new();
    let cp = last_checkpoint(&run.run_dir);
    fs::write(cp.with_extension("tsr"), authority.stamp(&cp)).unwrap();
    run.outside.earlier_checkpoints.clear();
    run.outside.tsa_ca = Some(authority.path("ca.pem"));
    assert_eq!(run.code(), 0);
    // Of a stamp only TSTInfo and signature count; they have their own test, and everything else is flipped here.
    let stamp = fs::read(cp.with_extension("tsr")).unwrap();
    let signed = run.run_dir.clone();
    let mut tried = 0;
    for path in files(&signed)
        .iter()
        .filter(|path| path.extension().is_none_or(|end| end != "tsr"))
    {
        let good = fs::read(path).unwrap();
        for bit in (0..good.len() * 8).step_by(67) {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            fs::write(path, &bad).unwrap();
            assert_eq!(run.code(), 1, "{} bit {bit}", path.display());
            tried += 1;
        }
        fs::write(path, &good).unwrap();
    }
    assert_eq!((run.code(), stamp.is_empty()), (0, false));
    println!("flipped bits of a stamped record, one in 67: {tried}, none undetected");
}

#[test]
fn a_cut_at_any_byte_below_the_last_checkpoint_is_an_error() {
    let run = Anchored::new();
    let good = fs::read(run.segment()).unwrap();
    for len in 0..good.len() {
        fs::write(run.segment(), &good[..len]).unwrap();
        assert_eq!(run.code(), 1, "cut to {len}");
    }
    println!("cuts, one at every byte: {}, none undetected", good.len());
}

#[test]
fn whatever_follows_the_last_line_is_torn_or_an_error() {
    let good = Forge::started().bytes;
    let mut tails: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
    tails.extend((0..=255).map(|byte| vec![byte, b'\n']));
    tails.push(b"{\"_hash\":\"".to_vec());
    tails.push(vec![0; 100_000]);
    tails.push([&good[..50], b"\n", &good[50..]].concat());
    tails.extend((1..good.len()).map(|len| good[..len].to_vec()));
    let folder = tempfile::tempdir().unwrap();
    let segment = folder.path().join("seg-000001.jsonl");
    for tail in &tails {
        fs::write(&segment, [&good[..], tail].concat()).unwrap();
        let code = inside(folder.path()).exit_code;
        // A frame with a right hash in the tail is no accident.
        let whole = tail.windows(good.len()).any(|window| window == good);
        assert_eq!(code, if whole { 1 } else { 3 }, "{tail:?}");
    }
    println!("dirty tails: {}, none undetected", tails.len());
}

#[test]
fn a_cut_above_the_last_checkpoint_is_torn_or_a_shorter_log() {
    let mut forge = Forge::started();
    let mut ends = vec![0, forge.bytes.len()];
    for n in 0..3 {
        forge.say("note", json!({"n": n}));
        ends.push(forge.bytes.len());
    }
    let folder = tempfile::tempdir().unwrap();
    let segment = folder.path().join("seg-000001.jsonl");
    for len in 0..=forge.bytes.len() {
        fs::write(&segment, &forge.bytes[..len]).unwrap();
        let report = inside(folder.path());
        let whole = ends.iter().rposition(|end| *end <= len).unwrap();
        let expected = if whole == 0 {
            1
        } else if ends[whole] == len {
            2
        } else {
            3
        };
        assert_eq!(report.exit_code, expected, "cut to {len}: {report:?}");
        if expected != 1 {
            assert_eq!(report.entries, whole as u64);
        }
    }
}

#[test]
fn lines_removed_repeated_exchanged_or_taken_from_elsewhere_are_found() {
    let run = Anchored::new();
    let good = run.lines();
    let other_folder = tempfile::tempdir().unwrap();
    let other =
        fs::read_to_string(sealed_run(other_folder.path(), 2).join("seg-000001.jsonl")).unwrap();
    let other: Vec<String> = other.split_inclusive('\n').map(str::to_owned).collect();
    for at in 0..good.len() {
        let mut without = good.clone();
        without.remove(at);
        let mut twice = good.clone();
        twice.insert(at, good[at].clone());
        let mut exchanged = good.clone();
        exchanged.swap(at, (at + 1) % good.len());
        let mut spliced = good.clone();
        spliced[at].clone_from(&other[at]);
        for (what, lines) in [
            ("removed", without),
            ("repeated", twice),
            ("exchanged", exchanged),
            ("spliced", spliced),
        ] {
            run.write_lines(&lines);
            assert_eq!(run.code(), 1, "line {at} {what}");
            // Without anything from outside and without checkpoints the chain alone finds it, save a cut at the end.
            let bare = tempfile::tempdir().unwrap();
            copy(&run.run_dir.join("evidence"), &bare.path().join("evidence"));
            fs::copy(run.segment(), bare.path().join("seg-000001.jsonl")).unwrap();
            let expected = if what == "removed" && at == good.len() - 1 {
                2
            } else {
                1
            };
            assert_eq!(
                inside(bare.path()).exit_code,
                expected,
                "line {at} {what}, bare"
            );
        }
    }
}

#[test]
fn what_does_not_belong_into_a_run_folder_is_an_error() {
    let cases: [(&str, &dyn Fn(&Path)); 9] = [
        ("foreign file", &|dir| {
            fs::write(dir.join("readme"), "x").unwrap();
        }),
        ("foreign file in cp", &|dir| {
            fs::write(dir.join("cp/000001.txt"), "x").unwrap();
        }),
        ("foreign file in evidence", &|dir| {
            fs::write(dir.join("evidence/x"), "x").unwrap();
        }),
        ("folder", &|dir| fs::create_dir(dir.join("tmp-x")).unwrap()),
        ("link", &|dir| {
            std::os::unix::fs::symlink("seg-000001.jsonl", dir.join("seg-000002.jsonl")).unwrap();
        }),
        ("a signature alone", &|dir| {
            fs::write(dir.join("cp/000099.human.sig"), "x").unwrap();
        }),
        ("evidence changed that nobody cites", &|dir| {
            fs::write(dir.join("evidence").join("a".repeat(64)), "x").unwrap();
        }),
        ("an empty second segment", &|dir| {
            fs::write(dir.join("seg-000002.jsonl"), "").unwrap();
        }),
        ("a gap in the segments", &|dir| {
            fs::write(dir.join("seg-000003.jsonl"), "x").unwrap();
        }),
    ];
    for (what, tamper) in cases {
        let run = Anchored::new();
        tamper(&run.run_dir);
        assert_eq!(run.code(), 1, "{what}");
    }
    let run = Anchored::new();
    for harmless in ["lock", "tmp-1", "cp/tmp-2", "evidence/tmp-3"] {
        fs::write(run.run_dir.join(harmless), "x").unwrap();
    }
    let uncited = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
    fs::write(run.run_dir.join("evidence").join(uncited), "x").unwrap();
    assert_eq!(run.code(), 0);
}

#[test]
fn what_is_gone_is_missed() {
    let run = Anchored::new();
    let evidence = fs::read_dir(run.run_dir.join("evidence"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    for path in [
        evidence,
        run.segment(),
        run.run_dir.join("cp/000001.cp"),
        last_checkpoint(&run.run_dir).with_extension("session.sig"),
    ] {
        let kept = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(run.code(), 1, "{}", path.display());
        fs::write(&path, kept).unwrap();
    }
    let human = last_checkpoint(&run.run_dir).with_extension("human.sig");
    fs::remove_file(human).unwrap();
    assert_eq!(run.code(), 2);
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(inside(empty.path()).exit_code, 4);
    assert_eq!(inside(&empty.path().join("nowhere")).exit_code, 4);
}

#[test]
fn signatures_count_only_from_the_right_person_for_this_checkpoint_and_in_time() {
    let run = Anchored::new();
    let cp = last_checkpoint(&run.run_dir);
    let text = fs::read(&cp).unwrap();
    let (alice, bob) = (person(1), person(2));
    let good = signature(&alice, "azir-checkpoint-v1", &text);
    let earlier = fs::read(run.run_dir.join("cp/000001.cp")).unwrap();
    let both = [
        signers_line(ALICE, "", &alice),
        signers_line("bob@contoso.example", "", &bob),
    ]
    .concat();
    let signers = run.outside.signers.clone().unwrap();
    fs::write(&signers, &both).unwrap();
    for (what, human) in [
        ("another namespace", signature(&alice, "file", &text)),
        (
            "another checkpoint",
            signature(&alice, "azir-checkpoint-v1", &earlier),
        ),
        (
            "another person",
            signature(&bob, "azir-checkpoint-v1", &text),
        ),
        (
            "an unknown key",
            signature(&person(3), "azir-checkpoint-v1", &text),
        ),
        ("a byte after it", format!("{good}\n")),
        ("CR LF", good.replace('\n', "\r\n")),
        ("other columns", good.replacen("\nU1", "\nU\n1", 1)),
        ("nothing", String::new()),
    ] {
        fs::write(cp.with_extension("human.sig"), human).unwrap();
        assert_eq!(run.code(), 1, "{what}");
    }
    fs::write(cp.with_extension("human.sig"), &good).unwrap();
    assert_eq!(run.code(), 0);
    for (what, second, code) in [
        (
            "the responder",
            signature(&alice, "azir-checkpoint-v1", &text),
            1,
        ),
        (
            "a second person",
            signature(&bob, "azir-checkpoint-v1", &text),
            0,
        ),
    ] {
        fs::write(cp.with_extension("second.sig"), second).unwrap();
        assert_eq!(run.code(), code, "{what}");
    }
    for (bounds, code) in [
        (",valid-before=\"20260101Z\"", 1),
        (",valid-after=\"20270101Z\"", 1),
        (",valid-after=\"20260101Z\",valid-before=\"20270101Z\"", 0),
        (",valid-before=\"20260231Z\"", 4),
    ] {
        fs::write(
            &signers,
            [
                signers_line(ALICE, bounds, &alice),
                signers_line("bob@contoso.example", "", &bob),
            ]
            .concat(),
        )
        .unwrap();
        assert_eq!(run.code(), code, "{bounds}");
    }
}

#[test]
fn a_session_key_is_no_persons_key() {
    let run = Anchored::new();
    let first: Value = serde_json::from_str(&run.lines()[0]).unwrap();
    let line = format!(
        "{ALICE} namespaces=\"azir-checkpoint-v1\" {}\n",
        first["data"]["session_key"].as_str().unwrap()
    );
    let signers = run.folder.path().join("signers-of-the-session");
    fs::write(&signers, &line).unwrap();
    assert_eq!(
        verify(
            &run.run_dir,
            &Outside {
                signers: Some(signers),
                ..run.outside.clone()
            }
        )
        .exit_code,
        4
    );
    fs::write(run.run_dir.join("signers"), &line).unwrap();
    assert_eq!(inside(&run.run_dir).exit_code, 1);
    assert_eq!(
        run.code(),
        0,
        "the run's own file is looked at only when none is given"
    );
}

#[test]
fn inputs_from_outside_that_cannot_be_read_end_the_verification() {
    let run = Anchored::new();
    let junk = run.folder.path().join("junk");
    fs::write(&junk, "junk").unwrap();
    let nowhere = run.folder.path().join("nowhere");
    for path in [junk, nowhere] {
        let with = |change: &dyn Fn(&mut Outside)| {
            let mut outside = run.outside.clone();
            change(&mut outside);
            verify(&run.run_dir, &outside).exit_code
        };
        assert_eq!(with(&|outside| outside.signers = Some(path.clone())), 4);
        assert_eq!(with(&|outside| outside.tsa_ca = Some(path.clone())), 4);
        assert_eq!(
            with(&|outside| outside.earlier_checkpoints.push(path.clone())),
            4
        );
    }
}
