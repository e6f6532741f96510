//! Time stamps as a run asks for them: from authorities that answer well, badly, or not at all.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use azir::azure::Http;
use azir::clock::{Clock, ManualClock};
use azir::digest::Digest;
use azir::engine::Authorities;
use azir::journal::verify::{Outside, verify};
use azir::random::{Random, SeededRandom};
use serde_json::Value;

use crate::journal_kit::{anchor, last_checkpoint, sealed_run};
use crate::journal_stamp::Authority;
use crate::support::Azir;

/// Answers a request's body with status, type and body; nothing: never.
type Answer = dyn Fn(&[u8]) -> Option<(u16, &'static str, Vec<u8>)> + Send + Sync;

/// A small HTTP server with an authority behind it.
struct Served {
    url: String,
    /// Heads and bodies of what was asked.
    asked: Arc<Mutex<Vec<(String, Vec<u8>)>>>,
}

impl Served {
    fn new(
        answer: impl Fn(&[u8]) -> Option<(u16, &'static str, Vec<u8>)> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/tsa", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let answer: Arc<Answer> = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream, &seen, &*answer));
            }
        });
        Self { url, asked }
    }

    fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

fn serve(mut stream: TcpStream, seen: &Mutex<Vec<(String, Vec<u8>)>>, answer: &Answer) {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    let end = loop {
        let count = stream.read(&mut piece).unwrap_or(0);
        if count == 0 {
            return;
        }
        bytes.extend(&piece[..count]);
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec())
        .unwrap()
        .to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = bytes[end..].to_vec();
    while body.len() < length {
        let count = stream.read(&mut piece).unwrap_or(0);
        body.extend(&piece[..count]);
    }
    seen.lock().unwrap().push((head, body.clone()));
    let Some((status, kind, body)) = answer(&body) else {
        // Keeps the connection and says nothing until the other side leaves.
        let _ = stream.read(&mut piece);
        return;
    };
    let head = format!(
        "HTTP/1.1 {status} x\r\ncontent-type: {kind}\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(&body);
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut value = vec![tag];
    match content.len() {
        length @ 0..0x80 => value.push(length as u8),
        length @ 0x80..0x100 => value.extend([0x81, length as u8]),
        length => value.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    value.extend(content);
    value
}

/// A reply that is right in everything but the signature, which only roots would look at.
fn granted(imprint: &[u8], nonce: &[u8]) -> Vec<u8> {
    let sha256 = tlv(6, b"\x60\x86\x48\x01\x65\x03\x04\x02\x01");
    let algorithm = tlv(0x30, &[sha256, tlv(5, b"")].concat());
    let info = tlv(
        0x30,
        &[
            tlv(2, &[1]),
            tlv(6, &[0x2a, 3, 4, 1]),
            tlv(0x30, &[algorithm, tlv(4, imprint)].concat()),
            tlv(2, &[7]),
            tlv(0x18, b"20261124030001Z"),
            tlv(2, nonce),
        ]
        .concat(),
    );
    let id = tlv(6, b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x04");
    let content = tlv(0x30, &[id, tlv(0xa0, &tlv(4, &info))].concat());
    let signed = [
        tlv(2, &[3]),
        tlv(0x31, b""),
        content,
        tlv(0x31, &tlv(0x30, b"")),
    ]
    .concat();
    let id = tlv(6, b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02");
    let token = tlv(0x30, &[id, tlv(0xa0, &tlv(0x30, &signed))].concat());
    tlv(0x30, &[tlv(0x30, &tlv(2, &[0])), token].concat())
}

/// Imprint and nonce of a request, where RFC 3161 has them.
fn wanted(request: &[u8]) -> (&[u8], &[u8]) {
    assert_eq!(request.len(), 69);
    (&request[24..56], &request[58..66])
}

fn honest() -> Served {
    Served::new(|request| {
        let (imprint, nonce) = wanted(request);
        Some((200, "application/timestamp-reply", granted(imprint, nonce)))
    })
}

/// A run's folder, a clock, and what asks authorities about it.
struct Asking {
    folder: tempfile::TempDir,
    run_dir: std::path::PathBuf,
    clock: ManualClock,
    runtime: tokio::runtime::Runtime,
}

impl Asking {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let run_dir = sealed_run(folder.path(), 1);
        Self {
            run_dir,
            folder,
            clock: ManualClock::at("2026-11-24T03:00:00Z".parse().unwrap()),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
        }
    }

    fn authorities(&self, places: &[&str], roots: Option<&Path>) -> Authorities {
        let places: Vec<String> = places.iter().map(ToString::to_string).collect();
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let random: Arc<dyn Random> = Arc::new(SeededRandom::new(5));
        let http = Http::new(None).unwrap();
        let authorities = Authorities::new(&places, roots, &http, &clock, &random);
        authorities
            .unwrap()
            .unwrap()
            .with_patience(Duration::from_secs(5))
    }

    fn text(&self, number: u64) -> Vec<u8> {
        std::fs::read(self.run_dir.join(format!("cp/{number:06}.cp"))).unwrap()
    }

    fn stamp(&self, asked: &Authorities, number: u64, last: bool) -> Result<Option<Value>, String> {
        let text = self.text(number);
        self.runtime
            .block_on(asked.stamp(&self.run_dir, number, &text, last))
    }

    fn has(&self, name: &str) -> bool {
        self.run_dir.join("cp").join(name).exists()
    }
}

#[test]
fn a_stamp_is_asked_for_without_a_token_and_kept_beside_its_checkpoint() {
    let asking = Asking::new();
    let (first, second) = (honest(), honest());
    let both = asking.authorities(&[&first.url, &second.url], None);
    let receipt = asking.stamp(&both, 1, false).unwrap().unwrap();
    let stamp = &receipt["stamps"][0];
    assert_eq!(stamp["file"], "cp/000001.tsr");
    assert_eq!(stamp["authority"], first.url);
    assert_eq!(
        (&stamp["policy"], &stamp["serial"]),
        (&"1.2.3.4.1".into(), &"07".into())
    );
    assert_eq!(stamp["gen_time"], "2026-11-24T03:00:01.000000Z");
    assert_eq!(
        (first.count(), second.count()),
        (1, 0),
        "one before the last"
    );
    let (head, body) = first.asked.lock().unwrap()[0].clone();
    assert!(
        head.starts_with("post /tsa ")
            && head.contains("content-type: application/timestamp-query"),
        "{head}"
    );
    assert!(
        !head.contains("authorization") && !head.contains("cookie"),
        "{head}"
    );
    assert_eq!(wanted(&body).0, Digest::of(&asking.text(1)).0);
    // The next one a moment later waits for its turn, and the last never does.
    assert_eq!(asking.stamp(&both, 2, false), Ok(None));
    asking.clock.advance(Duration::from_secs(31));
    assert!(asking.stamp(&both, 2, false).unwrap().is_some());
    assert!(asking.stamp(&both, 3, true).unwrap().is_some());
    assert!(asking.has("000003.tsr") && asking.has("000003.tsr2"));
    assert_eq!((first.count(), second.count()), (3, 1));
    // Asked again, nobody is asked.
    assert_eq!(asking.stamp(&both, 3, true), Ok(None));
    assert_eq!((first.count(), second.count()), (3, 1));
    let nonces: Vec<Vec<u8>> = first
        .asked
        .lock()
        .unwrap()
        .iter()
        .map(|(_, body)| wanted(body).1.to_vec())
        .collect();
    assert!(nonces[0] != nonces[1] && nonces.iter().all(|nonce| nonce[0] & 0x80 == 0));
    // A checkpoint with such stamps is in good form.
    assert_eq!(verify(&asking.run_dir, &Outside::default()).exit_code, 2);
}

#[test]
fn what_is_no_stamp_of_this_checkpoint_is_not_kept_and_says_why() {
    let asking = Asking::new();
    let bad: Vec<(&str, Served)> = vec![
        (
            "its nonce is not the one",
            Served::new(|request| {
                let (imprint, nonce) = wanted(request);
                Some((
                    200,
                    "application/timestamp-reply",
                    granted(imprint, &[nonce[0] ^ 1; 8]),
                ))
            }),
        ),
        (
            "it stamps other bytes",
            Served::new(|request| {
                Some((
                    200,
                    "application/timestamp-reply",
                    granted(&[0; 32], wanted(request).1),
                ))
            }),
        ),
        (
            "the authority refused: rejection (2): out of order, badAlg",
            Served::new(|_| {
                let texts = tlv(0x30, &tlv(0x0c, b"out of order"));
                let status = tlv(0x30, &[tlv(2, &[2]), texts, tlv(3, &[7, 0x80])].concat());
                Some((200, "application/timestamp-reply", tlv(0x30, &status)))
            }),
        ),
        (
            "no well-formed time-stamp reply (5 bytes, application/timestamp-reply)",
            Served::new(|_| Some((200, "application/timestamp-reply", b"\x30\x80abc".to_vec()))),
        ),
        (
            "no well-formed time-stamp reply (35 bytes, text/html)",
            Served::new(|_| {
                Some((
                    200,
                    "text/html",
                    b"<html>please sign in to WLAN</html>".to_vec(),
                ))
            }),
        ),
        (
            "a trailing byte",
            Served::new(|request| {
                let (imprint, nonce) = wanted(request);
                Some((200, "x", [&granted(imprint, nonce)[..], b"\0"].concat()))
            }),
        ),
        (
            "it answered 302",
            Served::new(|_| Some((302, "text/html", Vec::new()))),
        ),
        (
            "it answered 503",
            Served::new(|_| Some((503, "text/html", Vec::new()))),
        ),
        (
            "larger than 65536 bytes",
            Served::new(|_| Some((200, "x", vec![0x30; 70_000]))),
        ),
    ];
    for (why, served) in &bad {
        let told = asking
            .stamp(&asking.authorities(&[&served.url], None), 1, false)
            .unwrap_err();
        let expected = if *why == "a trailing byte" {
            "no well-formed"
        } else {
            why
        };
        assert!(told.contains(expected), "{why}: {told}");
        assert!(told.contains(&served.url), "{told}");
    }
    let silent = Served::new(|_| None);
    let slow = asking
        .authorities(&[&silent.url], None)
        .with_patience(Duration::from_millis(200));
    assert!(
        asking
            .stamp(&slow, 1, true)
            .unwrap_err()
            .contains("no whole answer")
    );
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let gone = format!("http://{gone}/");
    let told = asking
        .stamp(&asking.authorities(&[&gone], None), 1, true)
        .unwrap_err();
    assert!(told.contains("cannot reach 127.0.0.1"), "{told}");
    let left: Vec<_> = std::fs::read_dir(asking.run_dir.join("cp"))
        .unwrap()
        .flatten()
        .collect();
    assert!(
        left.iter()
            .all(|file| !file.file_name().to_string_lossy().contains("ts")),
        "{left:?}"
    );
    // The second authority stands in for the first, and at the end the first is missing by name.
    let second = honest();
    let both = asking.authorities(&[&gone, &second.url], None);
    let receipt = asking.stamp(&both, 1, false).unwrap().unwrap();
    assert_eq!(receipt["stamps"][0]["file"], "cp/000001.tsr2");
    let told = asking.stamp(&both, 2, true).unwrap_err();
    assert!(
        told.starts_with(&format!("{gone} (tsr): cannot reach")),
        "{told}"
    );
    assert!(asking.has("000002.tsr2") && !asking.has("000002.tsr"));
    assert_eq!(verify(&asking.run_dir, &Outside::default()).exit_code, 2);
}

#[test]
fn a_checkpoint_has_room_for_two_authorities_and_no_password() {
    let (clock, random): (Arc<dyn Clock>, Arc<dyn Random>) = (
        Arc::new(azir::clock::SystemClock),
        Arc::new(SeededRandom::new(1)),
    );
    let http = Http::new(None).unwrap();
    for (places, why) in [
        (
            vec!["https://a/", "https://b/", "https://c/"],
            "3 authorities",
        ),
        (vec!["https://a/", "https://a/"], "twice"),
        (vec!["mailto:tsa@example"], "http or https"),
        (vec!["http://alice:hunter2@a/"], "none"),
    ] {
        let places: Vec<String> = places.into_iter().map(str::to_owned).collect();
        let Err(told) = Authorities::new(&places, None, &http, &clock, &random) else {
            panic!("{places:?}");
        };
        assert!(told.contains(why) && !told.contains("hunter2"), "{told}");
    }
    assert!(
        Authorities::new(&[], None, &http, &clock, &random)
            .unwrap()
            .is_none()
    );
}

/// Lines of a run of this type, with their data.
fn lines(run_dir: &Path, kind: &str) -> Vec<Value> {
    let log = azir::journal::read(run_dir).unwrap();
    let of_kind = log.lines.into_iter().filter(|line| line.kind == kind);
    of_kind.map(|line| Value::Object(line.data)).collect()
}

#[test]
fn a_run_is_stamped_twice_at_its_end_and_once_on_the_way() {
    let (first, second) = (honest(), honest());
    let azir = Azir::new();
    azir.configure(&format!(
        "time_stamps = [{:?}, {:?}]",
        first.url, second.url
    ));
    let (code, report) = azir.json(&["isolate-vm", "vm-app-01", "--yes", "--incident", "IR-1"]);
    assert_eq!(code, 0, "{report}");
    let run_dir = azir.run_dir("IR-1");
    let last = last_checkpoint(&run_dir);
    assert!(last.with_extension("tsr").exists() && last.with_extension("tsr2").exists());
    let anchors = lines(&run_dir, "anchor");
    let stamped: Vec<&Value> = anchors
        .iter()
        .filter(|line| line["kind"] == "tsa")
        .collect();
    assert!(!stamped.is_empty(), "{anchors:?}");
    assert_eq!(report["journal"]["receipts"]["tsa"], stamped.len());
    assert_eq!(report["journal"]["unvouched"], Value::Null);
    assert_eq!(
        second.count(),
        1,
        "only the last checkpoint is stamped by both"
    );
}

#[test]
fn an_authority_that_is_not_there_is_a_gap_with_a_name_and_stops_nothing() {
    let azir = Azir::new();
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    azir.configure(&format!("time_stamps = [\"http://{gone}/\"]"));
    let done = azir.run(&["isolate-vm", "vm-app-01", "--yes", "--incident", "IR-1"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(
        done.stdout.contains("UNANCHORED since 20"),
        "{}",
        done.stdout
    );
    assert!(
        done.stdout.contains("no time stamp: http://127.0.0.1"),
        "{}",
        done.stdout
    );
    let notes = lines(&azir.run_dir("IR-1"), "note");
    let missing: Vec<&Value> = notes
        .iter()
        .filter(|note| note["kind"] == "witness")
        .collect();
    assert_eq!(missing.len(), 1, "said once: {notes:?}");
    assert_eq!(
        (&missing[0]["witness"], &missing[0]["state"]),
        (&"tsa".into(), &"missing".into())
    );
}

#[test]
fn an_authority_that_never_answers_holds_up_nothing_but_the_end() {
    let silent = Served::new(|_| None);
    let azir = Azir::new();
    azir.configure(&format!("time_stamps = [{:?}]", silent.url));
    let (code, report) = azir.json(&["isolate-vm", "vm-app-01", "--yes", "--incident", "IR-1"]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(report["status"], "contained_residual");
    let missing = &report["journal"]["unvouched"][0];
    assert_eq!(missing["witness"], "tsa", "{report}");
    let why = missing["why"].as_str().unwrap();
    assert!(why.contains("no whole answer within 7 s"), "{why}");
    // One request at a time, and no flood of them: on the way, at the end, and after 20 s between.
    assert!((2..=3).contains(&silent.count()), "{}", silent.count());
}

#[test]
fn what_is_configured_is_read_before_anything_is_sent_and_said() {
    let azir = Azir::new();
    for (lines, words) in [
        ("time_stamps = [\"ftp://tsa.example/\"]", "http or https"),
        ("time_stamps = [\"a\", \"b\", \"c\"]", "3 authorities"),
        (
            "time_stamp = [\"http://tsa.example/\"]",
            "write time_stamps for time_stamp",
        ),
    ] {
        azir.configure(lines);
        let done = azir.run(&["isolate-vm", "vm-app-01", "--yes"]);
        assert_eq!(done.code, 2, "{lines}: {}", done.stderr);
        assert!(done.stderr.contains(words), "{lines}: {}", done.stderr);
        assert_eq!(azir.run(&["doctor"]).code, 1, "{lines}");
    }
    assert!(azir.all_writes().is_empty());
    azir.configure("time_stamps = [\"http://127.0.0.1:1/\"]\ntime_stamp_roots = \"roots.pem\"");
    let (code, plan) = azir.json(&["isolate-vm", "vm-app-01", "--plan"]);
    assert_eq!(code, 0, "{plan}");
    assert!(
        plan.to_string().contains("stamped once, not twice"),
        "{plan}"
    );
    // Paths in the file are beside the file.
    let roots = azir.home.path().join("roots.pem");
    let doctor = azir.run(&["doctor"]).stdout;
    assert!(doctor.contains(&roots.display().to_string()), "{doctor}");
}

#[test]
#[ignore = "needs openssl"]
fn a_real_authority_is_judged_under_the_roots_given_and_by_openssl() {
    let authority = Arc::new(Authority::new());
    let behind = Arc::clone(&authority);
    let one_at_a_time = Mutex::new(());
    let served = Served::new(move |request| {
        let _turn = one_at_a_time.lock().unwrap();
        Some((200, "application/timestamp-reply", behind.answer(request)))
    });
    let asking = Asking::new();
    let roots = authority.path("ca.pem");
    let receipt = asking.stamp(&asking.authorities(&[&served.url], Some(&roots)), 3, true);
    let receipt = receipt.unwrap().unwrap();
    assert_eq!(receipt["stamps"][0]["roots"], "verified");
    let verified = std::process::Command::new("openssl")
        .args(["ts", "-verify", "-data"])
        .arg(asking.run_dir.join("cp/000003.cp"))
        .arg("-in")
        .arg(asking.run_dir.join("cp/000003.tsr"))
        .arg("-CAfile")
        .arg(&roots)
        .output()
        .unwrap();
    assert!(
        verified.status.success(),
        "{}",
        String::from_utf8_lossy(&verified.stderr)
    );
    // Under the roots of a stranger the reply is worth nothing and is not kept.
    let stranger = Authority::new();
    let told = asking.stamp(
        &asking.authorities(&[&served.url], Some(&stranger.path("ca.pem"))),
        2,
        true,
    );
    assert!(
        told.unwrap_err()
            .contains("does not verify under time_stamp_roots")
    );
    assert!(!asking.has("000002.tsr"));
    // Roots that cannot be read lose no stamp; the receipt says that nobody judged it.
    let nowhere = asking.folder.path().join("none.pem");
    let receipt = asking.stamp(&asking.authorities(&[&served.url], Some(&nowhere)), 2, true);
    let receipt = receipt.unwrap().unwrap();
    assert!(
        receipt["stamps"][0]["roots"]
            .as_str()
            .unwrap()
            .starts_with("not checked"),
        "{receipt}"
    );
    // At the end of the run such a stamp is what verify rests on.
    let last = last_checkpoint(&asking.run_dir);
    let number: u64 = last.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    asking
        .stamp(
            &asking.authorities(&[&served.url], Some(&roots)),
            number,
            true,
        )
        .unwrap();
    let outside = Outside {
        earlier_checkpoints: Vec::new(),
        tsa_ca: Some(roots),
        ..anchor(&asking.run_dir, asking.folder.path())
    };
    assert_eq!(verify(&asking.run_dir, &outside).exit_code, 0);
}
