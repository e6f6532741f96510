//! Anchors in the vault: append blobs that a second writer cannot take over, read back where an answer was lost.

use std::path::Path;
use std::sync::Arc;

use azir::azure::{
    AuthEnvironment, AuthKind, Call, Client, ClientNote, ClientOptions, Cloud, Effect, Error, Http,
    Observer, Outcome, Plane, ReadRequest, Refused, RequestParts, SdkCredential, WriteRequest,
};
use azir::clock::{Clock, ManualClock, SystemClock};
use azir::engine::Worm;
use azir::engine::profile::Vault;
use azir::journal::Writer;
use azir::journal::disk::RealDisk;
use azir::journal::verify::{Outside, verify};
use azir::lab::scenario::Scenario;
use azir::lab::{Faults, Lab};
use azir::random::SeededRandom;
use azir::secret::Secret;
use serde_json::{Value, json};

use crate::journal_kit::{
    RUN, again, anchor, deps, entry, last_checkpoint, sealed_run, start, wait,
};
use crate::support::Azir;

struct Silent;

#[async_trait::async_trait]
impl Observer for Silent {
    async fn intent(&self, _: &Call) -> Result<u64, Refused> {
        Ok(0)
    }
    async fn result(&self, _: u64, _: &Outcome) {}
    async fn settled(&self, _: u64, _: &str) {}
    async fn note(&self, _: ClientNote) {}
}

/// A lab with a vault, and a run to anchor there.
struct Bench {
    lab: Lab,
    client: Client,
    clock: Arc<dyn Clock>,
    base: String,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new(faults: &str) -> Self {
        Self::with(Scenario::load("default").unwrap(), faults)
    }

    fn with(scenario: Scenario, faults: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = crate::lab_support::options(&folder.path().join("lab"));
        options.faults = Faults::parse(faults).unwrap();
        options.scenario = scenario;
        let lab = Lab::start(options).unwrap();
        let ready = lab.ready().clone();
        let http = Http::new(Some(&std::fs::read(&ready.ca).unwrap())).unwrap();
        let cloud = wait(Cloud::find(&ready.arm, &http, &SystemClock)).unwrap();
        let environment = AuthEnvironment {
            tenant: Some(ready.tenant_id),
            client_id: Some(ready.client_id),
            client_secret: Some(Secret::new(ready.client_secret)),
            ..AuthEnvironment::default()
        };
        let credential =
            SdkCredential::choose(Some(AuthKind::Env), &environment, &cloud, &http).unwrap();
        // Waits between attempts take no time.
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(SystemClock.now()));
        let client = Client::new(ClientOptions {
            cloud,
            http,
            credential: Arc::new(credential),
            clock: Arc::clone(&clock),
            random: Arc::new(SeededRandom::new(3)),
            fence: None,
        });
        let endpoint = client.blob_endpoint("stforensicirprodweu").unwrap();
        Self {
            lab,
            client,
            clock,
            base: format!("{endpoint}/ir-evidence/IR-2026-0042/{RUN}/anchor"),
            folder,
        }
    }

    fn worm(&self) -> Worm {
        let vault = Vault {
            account: Some("stforensicirprodweu".to_owned()),
            id: None,
            container: "ir-evidence".to_owned(),
        };
        Worm::new(&self.client, &self.clock, &vault)
    }

    fn run(&self) -> std::path::PathBuf {
        sealed_run(self.folder.path(), 1)
    }

    fn blob(&self, name: &str) -> Result<Vec<u8>, Error> {
        let request = ReadRequest::new(parts("GET", &format!("{}/{name}", self.base))).unwrap();
        wait(self.client.read(&request, &Silent)).map(|response| response.body.to_vec())
    }

    /// What somebody else writes.
    fn foreign(&self, name: &str, headers: &[(&str, &str)], query: &[(&str, &str)], body: &[u8]) {
        let own = |pairs: &[(&str, &str)]| {
            let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            pairs.iter().map(own).collect()
        };
        let mut parts = parts("PUT", &format!("{}/{name}", self.base));
        (parts.headers, parts.query) = (own(headers), own(query));
        parts.body = (!body.is_empty()).then(|| body.to_vec().into());
        let request = WriteRequest::new(parts, Effect::Create, true).unwrap();
        wait(self.client.write(&request, &Silent)).unwrap();
    }

    /// The writes that reached the container, by the blobs' names.
    fn writes(&self) -> Vec<String> {
        let requests = self.lab.requests().into_iter();
        let writes = requests.filter(|request| request.write && request.path.contains("/anchor/"));
        writes
            .map(|request| request.path.rsplit('/').next().unwrap().to_owned())
            .collect()
    }
}

fn parts(method: &str, url: &str) -> RequestParts {
    RequestParts {
        plane: Plane::Blob,
        method: method.to_owned(),
        path_or_url: url.to_owned(),
        query: Vec::new(),
        api_version: None,
        headers: Vec::new(),
        body: None,
    }
}

fn checkpoint(run_dir: &Path, number: u64) -> Vec<u8> {
    std::fs::read(run_dir.join(format!("cp/{number:06}.cp"))).unwrap()
}

fn number_of(checkpoint: &Path) -> u64 {
    checkpoint
        .file_stem()
        .unwrap()
        .to_str()
        .unwrap()
        .parse()
        .unwrap()
}

fn anchored(worm: &Worm, run_dir: &Path, number: u64) -> Result<Option<Value>, String> {
    wait(worm.anchor(run_dir, number, &checkpoint(run_dir, number)))
}

/// Everything that a run has up to its last checkpoint lies in the container, once.
fn is_complete(bench: &Bench, run_dir: &Path) {
    let last = number_of(&last_checkpoint(run_dir));
    let all: Vec<u8> = (1..=last)
        .flat_map(|number| checkpoint(run_dir, number))
        .collect();
    assert_eq!(bench.blob("checkpoints").unwrap(), all);
    assert_eq!(
        bench.blob(&format!("{last:06}.cp")).unwrap(),
        checkpoint(run_dir, last)
    );
    for number in 1.. {
        let name = format!("seg-{number:06}.jsonl");
        let Ok(local) = std::fs::read(run_dir.join(&name)) else {
            assert!(number > 1);
            break;
        };
        assert!(bench.blob(&name).unwrap() == local, "{name}");
    }
}

#[test]
fn a_run_lies_in_the_container_byte_for_byte_and_its_last_checkpoint_is_an_outside_one() {
    let bench = Bench::new("faults: []");
    let (run_dir, worm) = (bench.run(), bench.worm());
    let first = anchored(&worm, &run_dir, 1).unwrap().unwrap();
    assert_eq!(first["uri"], format!("{}/checkpoints", bench.base));
    assert_eq!(
        (&first["position"], &first["segments"][0]["position"]),
        (&json!(0), &json!(0))
    );
    let last = number_of(&last_checkpoint(&run_dir));
    let receipt = anchored(&worm, &run_dir, last).unwrap().unwrap();
    assert_eq!(receipt["position"], checkpoint(&run_dir, 1).len());
    assert_eq!(receipt["file"], format!("{}/{last:06}.cp", bench.base));
    for receipt in [&receipt, &receipt["segments"][0]] {
        for name in ["bytes", "request_id", "etag", "server_date"] {
            assert!(!receipt[name].is_null(), "{name}: {receipt}");
        }
    }
    is_complete(&bench, &run_dir);
    let before = bench.writes().len();
    assert_eq!(anchored(&worm, &run_dir, last), Ok(None));
    assert_eq!(
        anchored(&bench.worm(), &run_dir, last),
        Ok(None),
        "by another process"
    );
    assert_eq!(
        anchored(&bench.worm(), &run_dir, 1),
        Ok(None),
        "an earlier one"
    );
    let creations = bench.writes().len() - before;
    assert_eq!(
        creations, 6,
        "only tries to create what is there, which are refused"
    );
    is_complete(&bench, &run_dir);
    // Downloaded, it is all that verify needs from outside besides signers.
    let downloaded = bench.folder.path().join("from-the-vault.cp");
    std::fs::write(&downloaded, bench.blob(&format!("{last:06}.cp")).unwrap()).unwrap();
    let outside = Outside {
        earlier_checkpoints: vec![downloaded],
        ..anchor(&run_dir, bench.folder.path())
    };
    let report = verify(&run_dir, &outside);
    assert_eq!(report.exit_code, 0, "{report:?}");
}

#[test]
fn an_answer_that_was_lost_is_settled_by_reading_back_and_nothing_is_there_twice() {
    for fault in [
        // The creation, the append, and both, of each blob; the effect took place.
        "{method: PUT, path: seg-000001, do: reset-after}",
        "{method: PUT, path: seg-000001, nth: 2, do: reset-after}",
        "{method: PUT, path: seg-000001, do: reset-after, times: 2}",
        "{method: PUT, path: anchor/checkpoints, nth: 2, do: reset-after}",
        "{method: PUT, path: .cp, do: reset-after}",
        // It did not.
        "{method: PUT, path: seg-000001, nth: 2, do: reset-before}",
        "{method: PUT, path: .cp, do: reset-before}",
        "{method: PUT, path: seg-000001, nth: 2, do: status, status: 500, code: InternalError}",
    ] {
        let bench = Bench::new(&format!("faults: [{fault}]"));
        let (run_dir, worm) = (bench.run(), bench.worm());
        let last = number_of(&last_checkpoint(&run_dir));
        for number in 1..=last {
            anchored(&worm, &run_dir, number).unwrap_or_else(|why| panic!("{fault}: {why}"));
        }
        is_complete(&bench, &run_dir);
    }
    // The answer to an append is lost and so is every later one: unknown, until the next time reads it back.
    let bench = Bench::new(
        "faults: [{method: PUT, path: seg-000001, nth: 2, do: reset-after}, {path: seg-000001, nth: 2, do: reset-before, times: 30}]",
    );
    let (run_dir, worm) = (bench.run(), bench.worm());
    let last = number_of(&last_checkpoint(&run_dir));
    assert!(anchored(&worm, &run_dir, last).is_err());
    let mut tries = 0;
    while let Err(why) = anchored(&worm, &run_dir, last) {
        tries += 1;
        assert!(tries < 20, "{why}");
    }
    is_complete(&bench, &run_dir);
}

#[test]
fn a_second_writer_is_refused_and_what_it_finds_stays() {
    let append = [("comp", "appendblock")];
    let create = [("x-ms-blob-type", "AppendBlob")];
    // Somebody was there before.
    let bench = Bench::new("faults: []");
    let run_dir = bench.run();
    bench.foreign("seg-000001.jsonl", &create, &[], b"");
    bench.foreign("seg-000001.jsonl", &[], &append, b"not this run");
    let told = anchored(&bench.worm(), &run_dir, 1).unwrap_err();
    assert!(
        told.starts_with("another writer holds the anchor https://"),
        "{told}"
    );
    assert_eq!(bench.blob("seg-000001.jsonl").unwrap(), b"not this run");
    // Somebody comes in between: the position refuses us.
    let bench = Bench::new("faults: []");
    let (run_dir, worm) = (bench.run(), bench.worm());
    anchored(&worm, &run_dir, 1).unwrap();
    let ours = bench.blob("seg-000001.jsonl").unwrap();
    bench.foreign("seg-000001.jsonl", &[], &append, b"{}\n");
    let told = anchored(&worm, &run_dir, 2).unwrap_err();
    assert!(told.contains("another writer holds the anchor"), "{told}");
    assert_eq!(
        bench.blob("seg-000001.jsonl").unwrap(),
        [&ours[..], b"{}\n"].concat()
    );
    // The newest checkpoint under its own name is somebody else's.
    let bench = Bench::new("faults: []");
    let (run_dir, worm) = (bench.run(), bench.worm());
    bench.foreign(
        "000001.cp",
        &[("x-ms-blob-type", "BlockBlob")],
        &[],
        b"azir/other\n",
    );
    assert!(
        anchored(&worm, &run_dir, 1)
            .unwrap_err()
            .contains("another writer")
    );
}

#[test]
fn a_later_session_goes_on_where_the_container_ends() {
    let bench = Bench::new("faults: []");
    let run_dir = bench.folder.path().join(format!("run-{RUN}"));
    let writer = Writer::create(&run_dir, start(), deps(Arc::new(RealDisk), 1)).unwrap();
    anchored(&bench.worm(), &run_dir, 1).unwrap().unwrap();
    wait(writer.append(entry("note", json!({"text": "more"})))).unwrap();
    wait(writer.close()).unwrap();
    drop(writer);
    // A crash in the middle of a line leaves bytes that are evidence, too.
    let mut torn = std::fs::OpenOptions::new()
        .append(true)
        .open(run_dir.join("seg-000001.jsonl"))
        .unwrap();
    std::io::Write::write_all(&mut torn, b"{\"_hash\":\"abc").unwrap();
    drop(torn);
    let writer = Writer::open_session(&run_dir, again(), deps(Arc::new(RealDisk), 2)).unwrap();
    wait(writer.seal(serde_json::Map::new())).unwrap();
    let last = number_of(&last_checkpoint(&run_dir));
    let receipt = anchored(&bench.worm(), &run_dir, last).unwrap().unwrap();
    assert_eq!(
        receipt["segments"].as_array().unwrap().len(),
        2,
        "{receipt}"
    );
    assert_ne!(
        receipt["segments"][0]["position"], 0,
        "the first begins where it was left"
    );
    is_complete(&bench, &run_dir);
    assert_eq!(verify(&run_dir, &Outside::default()).exit_code, 2);
}

#[test]
fn what_cannot_be_anchored_now_is_anchored_later() {
    let bench = Bench::new(
        "faults: [{path: /anchor/, do: status, status: 503, code: ServerBusy, times: 30}]",
    );
    let (run_dir, worm) = (bench.run(), bench.worm());
    let told = anchored(&worm, &run_dir, 1).unwrap_err();
    assert!(told.contains("ServerBusy"), "{told}");
    let last = number_of(&last_checkpoint(&run_dir));
    while anchored(&worm, &run_dir, last).is_err() {}
    is_complete(&bench, &run_dir);
}

#[test]
fn a_long_segment_goes_in_blocks_that_the_service_takes() {
    let bench = Bench::new("faults: []");
    let run_dir = bench.folder.path().join("run");
    std::fs::create_dir_all(run_dir.join("cp")).unwrap();
    let long = vec![b'x'; 9 * 1024 * 1024];
    std::fs::write(run_dir.join("seg-000001.jsonl"), &long).unwrap();
    let text = format!(
        "azir/IR-2026-0042/{RUN}\n1\nroot\nchain\nfile seg-000001.jsonl {} 00\n",
        long.len()
    );
    wait(bench.worm().anchor(&run_dir, 1, text.as_bytes()))
        .unwrap()
        .unwrap();
    assert!(bench.blob("seg-000001.jsonl").unwrap() == long);
    let appends = bench
        .writes()
        .iter()
        .filter(|name| *name == "seg-000001.jsonl")
        .count();
    assert_eq!(appends, 1 + 3, "a creation and blocks of 4 MiB");
}

#[test]
fn a_policy_that_lets_nothing_be_appended_is_named() {
    let bench = Bench::with(
        sealed_container("allowProtectedAppendWrites: false"),
        "faults: []",
    );
    let run_dir = bench.run();
    let told = anchored(&bench.worm(), &run_dir, 1).unwrap_err();
    assert!(
        told.contains("must have allowed protected append writes"),
        "{told}"
    );
    // The checkpoint itself needs no append.
    assert!(
        told.contains("the checkpoint itself lies at https://"),
        "{told}"
    );
    assert_eq!(bench.blob("000001.cp").unwrap(), checkpoint(&run_dir, 1));
}

/// The protocol of anchors, as the vendor's own emulator knows it; called where that runs (`vault`).
pub(crate) async fn by_the_vendors_emulator(client: &Client, endpoint: &str) {
    let folder = tempfile::tempdir().unwrap();
    let parent = folder.path().to_path_buf();
    // The run is written on a thread of its own: this one already waits for something.
    let run_dir = std::thread::spawn(move || sealed_run(&parent, 1))
        .join()
        .unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let worm = || Worm::at(client, &clock, endpoint, "ir-evidence");
    let last = number_of(&last_checkpoint(&run_dir));
    let ours = worm();
    for number in [1, last] {
        let text = checkpoint(&run_dir, number);
        let receipt = ours.anchor(&run_dir, number, &text).await.unwrap().unwrap();
        assert!(receipt["segments"][0]["etag"].is_string(), "{receipt}");
    }
    let text = checkpoint(&run_dir, last);
    assert_eq!(
        worm().anchor(&run_dir, last, &text).await,
        Ok(None),
        "by another process"
    );
    let base = format!("{endpoint}/ir-evidence/IR-2026-0042/{RUN}/anchor");
    let read = |name: String| async move {
        let request = ReadRequest::new(parts("GET", &name)).unwrap();
        client.read(&request, &Silent).await.unwrap().body.to_vec()
    };
    let segment = std::fs::read(run_dir.join("seg-000001.jsonl")).unwrap();
    assert!(read(format!("{base}/seg-000001.jsonl")).await == segment);
    assert_eq!(read(format!("{base}/{last:06}.cp")).await, text);
    // A second writer comes in between, and the position refuses us.
    let mut foreign = parts("PUT", &format!("{base}/checkpoints"));
    foreign.query = vec![("comp".to_owned(), "appendblock".to_owned())];
    foreign.body = Some(b"azir/other\n"[..].into());
    let foreign = WriteRequest::new(foreign, Effect::Update, true).unwrap();
    client.write(&foreign, &Silent).await.unwrap();
    let next = [&text[..], b"more\n"].concat();
    let told = ours.anchor(&run_dir, last + 1, &next).await.unwrap_err();
    assert!(told.contains("another writer holds the anchor"), "{told}");
}

/// The default tenant with other words in the policy of the vault's container.
pub(crate) fn sealed_container(policy: &str) -> Scenario {
    let usual = "allowProtectedAppendWrites: true";
    let text = include_str!("../../src/lab/scenarios/default.yaml");
    assert!(text.contains(usual));
    Scenario::load(&text.replace(usual, policy)).unwrap()
}

#[test]
fn a_run_anchors_itself_and_says_so() {
    let azir = Azir::new();
    let (code, report) = azir.json(&["isolate-vm", "vm-app-01", "--yes", "--incident", "IR-1"]);
    assert_eq!(code, 0, "{report}");
    let run_dir = azir.run_dir("IR-1");
    let log = azir::journal::read(&run_dir).unwrap();
    let receipts = log.lines.iter().filter(|line| line.kind == "anchor");
    let receipts: Vec<&Value> = receipts.map(|line| &line.data["receipt"]).collect();
    assert!(!receipts.is_empty());
    assert_eq!(report["journal"]["receipts"]["worm"], receipts.len());
    assert_eq!(report["journal"]["missing"], serde_json::json!([]));
    // No intent of the record is about anchoring it.
    let about = |line: &&azir::journal::Line| {
        line.kind == "action.intent" && line.data["target"].to_string().contains("/anchor/")
    };
    assert!(!log.lines.iter().any(|line| about(&line)));
    // The seal's own checkpoint, or here the last one, stands outside only.
    let run = report["run"].as_str().unwrap();
    let last = last_checkpoint(&run_dir);
    let name = last.file_name().unwrap().to_str().unwrap();
    let path = format!("/ir-evidence/IR-1/{run}/anchor/{name}");
    let written = azir.all_writes();
    assert!(
        written.iter().any(|write| write.ends_with(&path)),
        "{written:?}"
    );
}
