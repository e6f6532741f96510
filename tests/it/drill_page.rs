//! The page of a drill: nothing in it runs, nothing is left out, and it looks as it should in a real browser.

use std::path::{Path, PathBuf};
use std::process::Command;

use azir::digest::Digest;
use azir::drill::findings::findings;
use azir::drill::history::{counted, history};
use azir::drill::page::page;
use azir::drill::record;
use azir::drill::report::report;
use azir::drill::verdict::Part;
use base64::Engine as _;
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use crate::drill_kit::{Drill, time};
use crate::support::bare;

const DOOR: &str = "door-left-open";
const HOSTILE: &str = "<script>alert(1)</script>\"'&\u{1b}[2J\u{202e}";

/// Three quarters of drills by people and by azir alone; the last one, by people, is the one to tell.
fn exercised(home: &Path) -> Drill {
    let at = |text: &str| time(&format!("{text}T09:00:00Z"));
    let quick = |id: &str, text: &str, contain, eradicate| {
        Drill::of(DOOR, id, at(text))
            .auto()
            .took(Some(contain), Some(eradicate))
            .line("port_shut", Some(true))
            .write(home);
    };
    let slow = |id: &str, text: &str, contain, eradicate, holds| {
        Drill::of(DOOR, id, at(text))
            .took(contain, eradicate)
            .line("port_shut", Some(holds))
            .line("captured_first", Some(false))
            .write(home);
    };
    slow("DRILL-2026-0003", "2026-02-10", None, None, false);
    slow(
        "DRILL-2026-0007",
        "2026-05-12",
        Some(402.0),
        Some(2300.0),
        false,
    );
    slow(
        "DRILL-2026-0009",
        "2026-05-28",
        Some(331.0),
        Some(1500.0),
        true,
    );
    quick("DRILL-2026-0010", "2026-05-29", 21.4, 48.0);
    quick("DRILL-2026-0012", "2026-08-20", 18.2, 41.0);
    quick("DRILL-2026-0016", "2026-11-01", 17.9, 39.5);
    let run = "0198c7d2-3f41-7c55-9d7a-2b6f1e0a4c11";
    let undo = "0198c7d5-91aa-7e02-8f10-5d3c2b1a0f99";
    let mut last = Drill::of(DOOR, "DRILL-2026-0017", at("2026-11-02"))
        .took(Some(252.0), Some(1310.0))
        .told(
            "port_shut",
            Part::Contained,
            "No address of the internet reaches port 22 of vm-app-01",
            Some(true),
            "",
        )
        .told(
            "interfaces_cut",
            Part::Contained,
            "Both interfaces are behind the quarantine group",
            Some(true),
            "",
        )
        .told(
            "key_gone",
            Part::Eradicated,
            "The attacker's key is no longer among those that may sign in",
            Some(true),
            "",
        )
        .told(
            "captured_first",
            Part::Order,
            "The disk was kept before the machine was cut",
            Some(false),
            "the snapshot was made 1m 12s after the interfaces were cut",
        )
        .told(
            "exhibits",
            Part::Evidence,
            "Every exhibit is stored whole",
            Some(true),
            "",
        )
        .told(
            "neighbour",
            Part::Unharmed,
            "vm-app-02 still answers on port 443",
            Some(true),
            "",
        )
        .told(
            "sessions",
            Part::Claims,
            "What the run says of open sessions is so",
            None,
            "the flow log had no entries of the last ten minutes",
        )
        .run(run, "drill", true)
        .run(undo, "undo", false)
        .step(run, "snapshot-the-disks", "done", 96.0, 71.0)
        .step(
            run,
            "put-interfaces-behind-the-quarantine-group",
            "done",
            168.0,
            43.0,
        )
        .step(run, "drop-flows", "done", 211.0, 38.5)
        .step(run, "tag-the-machine", "failed", 250.0, 1.2)
        .step(
            undo,
            "put-interfaces-behind-the-quarantine-group",
            "done",
            290.0,
            9.0,
        );
    last.blind = true;
    last.left = vec![(
        "/subscriptions/22222222-2222-4222-8222-222222222222/resourceGroups/rg-forensic-prod/providers/Microsoft.Compute/snapshots/snap-vm-app-01-os-20261102".to_owned(),
        "evidence is kept for a year".to_owned(),
    )];
    last.write(home);
    last
}

/// The page of a drill as the command makes it, less what hangs on the clock.
fn told(home: &Path, drill: &str) -> String {
    let (drills, bad) = record::all(home);
    assert_eq!(bad, []);
    let verdicts = counted(&drills);
    let today = "2026-12-20".parse().unwrap();
    let findings = findings(&verdicts, &[], "rita@contoso.com", today);
    let (folder, standing) = drills
        .iter()
        .find(|(_, standing)| standing.begun.drill == drill)
        .unwrap();
    let report = report(folder, standing, findings, history(&verdicts)).unwrap();
    assert_eq!(report.gaps, Vec::<String>::new());
    page(&report, "2026-12-20T12:00:00Z")
}

/// What is opened is closed.
fn is_whole(page: &str) {
    for tag in [
        "table", "tr", "td", "ul", "li", "svg", "g", "dl", "pre", "div", "title", "desc", "text",
        "body", "html", "span",
    ] {
        let opened =
            page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn the_page_has_all_that_a_drill_has_and_says_drill_first() {
    let home = tempfile::tempdir().unwrap();
    exercised(home.path());
    let page = told(home.path(), "DRILL-2026-0017");
    is_whole(&page);
    let body = page.split_once("<body>").unwrap().1;
    assert!(
        body.trim_start().starts_with("<p class=mark>DRILL</p>\n<p class=warning>DRILL: rehearsed. No incident.</p>\n<h1>DRILL door-left-open: "),
        "{}",
        &body[..200]
    );
    for said in [
        "4m 12s",
        "deadline 5m 00s, kept",
        "21m 50s",
        "71 of 100",
        "50 of 70 points",
        "2 of 7 lines do not hold",
        "alice@contoso.com, bob@contoso.com",
        "olga@contoso.com",
        "Brute force against vm-app-01",
        "a rule that lets the world in to vm-app-01",
        "yes: what was planted was hidden while it ran",
        "the snapshot was made 1m 12s after the interfaces were cut",
        "nobody can tell",
        "F-door-left-open-captured_first",
        "alice@contoso.com, by default",
        "2026-03-12 OVERDUE",
        "opened 2026-02-10 by DRILL-2026-0003; failed again 2026-05-12",
        "DOES NOT VERIFY",
        "undo of isolate-vm",
        "evidence is kept for a year",
        "People, tabletop: time to contain",
        "Azir alone (--auto), lab: time to eradicate",
        "2026Q1: never reached, 0 of 1 within 5m 00s. 2026Q2: mean 6m 07s, 0 of 2 within 5m 00s. 2026Q3: no drill.",
        "@media print",
    ] {
        assert!(page.contains(said), "{said}");
    }
    assert_eq!(page.matches("<svg class=trend ").count(), 4);
    assert_eq!(page.matches("<svg class=bar ").count(), 5);
    // A scenario whose text was changed since is not told as if it had been judged.
    let text = record::folder(home.path(), "DRILL-2026-0017").join("scenario.yaml");
    let changed = std::fs::read_to_string(&text)
        .unwrap()
        .replace("SSH", "RDP");
    std::fs::write(&text, changed).unwrap();
    let done = bare(home.path(), &["drill", "report", "DRILL-2026-0017"]);
    assert_eq!(done.code, 0);
    assert!(
        done.stderr.contains("is not the text that was judged"),
        "{}",
        done.stderr
    );
    assert!(!done.stdout.contains("RDP"));
}

#[test]
fn nothing_that_was_written_elsewhere_is_markup_and_the_policy_lets_nothing_run() {
    let home = tempfile::tempdir().unwrap();
    let mut drill = Drill::of(DOOR, "D-1", time("2026-11-02T09:00:00Z"))
        .auto()
        .told("port", Part::Contained, HOSTILE, Some(false), HOSTILE)
        .run("r", "drill", true)
        .step("r", HOSTILE, HOSTILE, 1.0, 2.0);
    drill.verdict.scenario.title = HOSTILE.to_owned();
    drill.verdict.participants = vec![HOSTILE.to_owned()];
    drill.verdict.observer = Some(HOSTILE.to_owned());
    drill.verdict.runs[0].status = HOSTILE.to_owned();
    drill.verdict.runs[0].head = HOSTILE.to_owned();
    drill.left = vec![(HOSTILE.to_owned(), HOSTILE.to_owned())];
    drill.write(home.path());
    let page = told(home.path(), "D-1");
    is_whole(&page);
    for bad in [
        "<script",
        "\u{1b}",
        "\u{202e}",
        " onload=",
        "http-equiv=refresh",
        "src=",
        "href=",
        "style=\"",
        "url(",
    ] {
        assert!(!page.contains(bad), "{bad:?}");
    }
    assert!(page.matches("&lt;script&gt;alert(1)").count() > 10);
    assert!(page.contains("DRILL in the LAB: rehearsed in a simulated tenant"));
    let style = page.split_once("<style>").unwrap().1;
    let style = style.split_once("</style>").unwrap().0;
    let hash = base64::engine::general_purpose::STANDARD.encode(Digest::of(style.as_bytes()).0);
    assert!(page.contains(&format!(
        "Content-Security-Policy content=\"default-src 'none'; style-src 'sha256-{hash}'"
    )));
}

#[test]
fn report_is_asked_for_by_id_beginning_or_last_and_written_once() {
    let home = tempfile::tempdir().unwrap();
    let refused = |args: &[&str], why: &str, next: &str| {
        let done = bare(home.path(), &[&["drill", "report"], args].concat());
        assert_eq!((done.code, &*done.stdout), (2, ""), "{args:?}");
        assert!(
            done.stderr.contains(why) && done.stderr.contains(next),
            "{args:?}: {}",
            done.stderr
        );
    };
    refused(&[], "no drill was judged yet", "next: azir drill list");
    let at = Utc::now() - TimeDelta::days(1);
    let running = Drill::of(DOOR, "X-1", at);
    running.begun(home.path(), |record| {
        record.add(at, record::What::Emitted).unwrap();
    });
    refused(
        &[],
        "no drill was judged yet",
        "next: azir drill finish X-1",
    );
    refused(
        &["X-1"],
        "X-1 is not judged yet",
        "next: azir drill finish X-1",
    );
    Drill::of(DOOR, "X-2", at).begun(home.path(), |record| {
        let why = "enough".to_owned();
        record.add(at, record::What::Aborted { why }).unwrap();
    });
    refused(
        &["X-2"],
        "was aborted",
        "next: azir drill start door-left-open",
    );
    exercised(home.path());
    refused(&["X-9"], "there is no drill X-9", "next: azir drill list");
    refused(
        &["DRILL-2026-001"],
        "names 4 drills: DRILL-2026-0010, DRILL-2026-0012",
        "next: azir drill report DRILL-2026-0010",
    );
    let schema = bare(home.path(), &["schema", "drill"]).stdout;
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    for args in [
        &["--format", "json"][..],
        &["last", "--output", "json"],
        &["DRILL-2026-0017", "--format", "json"],
    ] {
        let done = bare(home.path(), &[&["drill", "report"], args].concat());
        assert_eq!(done.code, 0, "{}", done.stderr);
        let told: Value = serde_json::from_str(&done.stdout).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&told)
            .map(|error| error.to_string())
            .collect();
        assert_eq!(errors, Vec::<String>::new());
        assert_eq!(told["mark"], "DRILL");
        assert_eq!(told["verdict"]["drill"], "DRILL-2026-0017");
        assert_eq!(told["verdict"]["score"], 71);
        assert_eq!(
            told["planted"][0],
            "a rule that lets the world in to vm-app-01"
        );
        assert_eq!(told["history"].as_array().unwrap().len(), 2);
        assert_eq!(told["findings"][0]["open"], true);
    }
    let file = home.path().join("page.html");
    let words = ["drill", "report", "--to", file.to_str().unwrap()];
    let done = bare(home.path(), &words);
    assert_eq!((done.code, &*done.stdout), (0, ""), "{}", done.stderr);
    let bytes = std::fs::read(&file).unwrap();
    assert_eq!(
        done.stderr,
        format!(
            "DRILL html written to {}, {} bytes, sha256 {}\n",
            file.display(),
            bytes.len(),
            Digest::of(&bytes)
        )
    );
    let again = bare(home.path(), &words);
    assert_eq!(again.code, 2);
    assert!(
        again.stderr.contains("nothing is overwritten"),
        "{}",
        again.stderr
    );
    let inside = record::folder(home.path(), "DRILL-2026-0017").join("page.html");
    refused(
        &["-o", inside.to_str().unwrap()],
        "which is the record and is never changed",
        "next: give a path outside",
    );
    let other = home.path().join("other.json");
    let done = bare(
        home.path(),
        &[
            "drill",
            "report",
            "--format",
            "json",
            "-o",
            other.to_str().unwrap(),
            "--output",
            "json",
        ],
    );
    let told: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(
        (&told["mark"], &told["format"]),
        (&json!("DRILL"), &json!("json"))
    );
    assert_eq!(
        told["sha256"],
        Digest::of(&std::fs::read(&other).unwrap()).to_string()
    );
}

/// The browser, which `AZIR_TEST_BROWSER` names, and a folder to work in.
struct Browser {
    program: String,
    folder: tempfile::TempDir,
}

/// What a browser drew, as red, green and blue.
struct Picture {
    width: usize,
    pixels: Vec<[u8; 3]>,
}

/// A box of a page: left, top, right, bottom.
type Box4 = [usize; 4];

impl Browser {
    fn new() -> Self {
        let program = std::env::var("AZIR_TEST_BROWSER")
            .expect("AZIR_TEST_BROWSER names a Chromium, as /usr/bin/chromium");
        let folder = tempfile::tempdir().unwrap();
        Self { program, folder }
    }

    fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Runs it; returns what it says on stdout.
    fn run(&self, args: &[String], page: &Path) -> String {
        let output = Command::new(&self.program)
            .args([
                "--headless=new",
                "--no-sandbox",
                "--hide-scrollbars",
                "--disable-gpu",
            ])
            .args([
                "--force-device-scale-factor=1",
                "--allow-file-access-from-files",
            ])
            .arg(format!(
                "--user-data-dir={}",
                self.folder.path().join("browser").display()
            ))
            .args(args)
            .arg(format!("file://{}", page.display()))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Returns what a page measures at a width. A window cannot be as narrow as a phone, a frame in it can.
    fn measured(&self, page: &Path, width: usize) -> Value {
        let frame = self.frame(page, width, 1000);
        let dom = self.run(
            &["--dump-dom".into(), "--window-size=1600,1000".into()],
            &frame,
        );
        let said = dom.split_once("<pre id=\"said\">").unwrap().1;
        let said = said.split_once("</pre>").unwrap().0;
        let said = said
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&");
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
    }

    fn frame(&self, page: &Path, width: usize, height: usize) -> PathBuf {
        let name = page.file_name().unwrap().to_str().unwrap();
        let frame = format!(
            "<!doctype html><body style='margin:0'><iframe id=frame src='{name}' style='border:0' width={width} height={height}></iframe><pre id=said></pre><script>{MEASURE}</script>"
        );
        self.put(&format!("frame-{width}-{height}.html"), &frame)
    }

    /// Draws a page as high as it is, at a width. Kept in the folder that `AZIR_TEST_PICTURES` names, for people to look at.
    fn drawn(&self, page: &Path, width: usize, height: usize) -> Picture {
        let frame = self.frame(page, width, height);
        let to = self.folder.path().join(format!("{width}.png"));
        let size = format!("--window-size={width},{height}");
        let to_file = format!("--screenshot={}", to.display());
        self.run(&[size, to_file], &frame);
        if let Some(keep) = std::env::var_os("AZIR_TEST_PICTURES") {
            std::fs::copy(&to, Path::new(&keep).join(format!("drill-{width}.png"))).unwrap();
        }
        Picture::read(&to)
    }

    /// Prints a page, and returns its sheets.
    fn printed(&self, page: &Path) -> Vec<Picture> {
        let to = self.folder.path().join("print.pdf");
        let args = [
            format!("--print-to-pdf={}", to.display()),
            "--no-pdf-header-footer".to_owned(),
        ];
        self.run(&args, page);
        let sheets = self.folder.path().join("sheet");
        let done = Command::new("pdftoppm")
            .args(["-png", "-r", "72"])
            .args([&to, &sheets])
            .status()
            .expect("pdftoppm of poppler-utils draws what was printed");
        assert!(done.success());
        let mut files: Vec<PathBuf> = std::fs::read_dir(self.folder.path())
            .unwrap()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| {
                path.file_name()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .starts_with("sheet-")
            })
            .collect();
        files.sort();
        if let Some(keep) = std::env::var_os("AZIR_TEST_PICTURES") {
            for file in &files {
                let name = format!("drill-{}", file.file_name().unwrap().to_str().unwrap());
                std::fs::copy(file, Path::new(&keep).join(name)).unwrap();
            }
        }
        files.iter().map(|file| Picture::read(file)).collect()
    }
}

/// Looks at the page in the frame: how wide it wants to be, what is cut off, which words lie on others, where is what.
const MEASURE: &str = r"
addEventListener('load', () => {
  const page = document.getElementById('frame').contentDocument;
  const root = page.documentElement;
  const named = (e) => e.tagName + ': ' + e.textContent.trim().slice(0, 60);
  const box = (e) => { const r = e.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]; };
  const cut = [], upon = [];
  for (const e of page.body.querySelectorAll('*')) {
    const r = e.getBoundingClientRect();
    if (r.width && (r.right > root.clientWidth + 0.5 || r.left < -0.5)) cut.push(named(e));
    if (!e.closest('svg') && e.scrollWidth > e.clientWidth + 1 && e.clientWidth) cut.push(named(e));
  }
  for (const svg of page.querySelectorAll('svg.trend')) {
    const s = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll('text')].map((e) => [e, e.getBoundingClientRect()]);
    for (const [e, r] of texts)
      if (r.left < s.left || r.right > s.right || r.top < s.top || r.bottom > s.bottom) cut.push(named(e));
    texts.forEach(([e, r], at) => texts.slice(at + 1).forEach(([f, q]) => {
      if (Math.min(r.right, q.right) - Math.max(r.left, q.left) > 1 && Math.min(r.bottom, q.bottom) - Math.max(r.top, q.top) > 3)
        upon.push(named(e) + ' / ' + named(f));
    }));
  }
  const smallest = Math.min(...[...page.querySelectorAll('svg.trend text')].map((e) => e.getBoundingClientRect().height));
  const all = (s) => [...page.querySelectorAll(s)].map(box);
  document.getElementById('said').textContent = JSON.stringify({
    wide: root.scrollWidth, inner: root.clientWidth, high: root.scrollHeight, cut, upon, smallest,
    scripts: page.scripts.length, styled: getComputedStyle(page.querySelector('.warning')).backgroundColor,
    warning: all('.warning')[0], tiles: all('.tile'), trends: all('svg.trend'), bars: all('svg.bar'), tables: all('table'),
  });
});
";

impl Picture {
    fn read(path: &Path) -> Self {
        let file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
        let mut decoder = png::Decoder::new(file);
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut bytes).unwrap();
        let samples = info.color_type.samples();
        let pixels = bytes[..info.buffer_size()].chunks(samples);
        Self {
            width: info.width as usize,
            pixels: pixels
                .map(|pixel| match pixel {
                    [grey] | [grey, _] => [*grey; 3],
                    [red, green, blue, ..] => [*red, *green, *blue],
                    [] => unreachable!("chunks are never empty"),
                })
                .collect(),
        }
    }

    fn height(&self) -> usize {
        self.pixels.len() / self.width
    }

    /// Returns the share of a box that fulfils a condition.
    fn share(&self, [left, top, right, bottom]: Box4, is: impl Fn([u8; 3]) -> bool) -> f64 {
        let (right, bottom) = (right.min(self.width), bottom.min(self.height()));
        let mut count = 0;
        for y in top..bottom {
            let row = &self.pixels[y * self.width..][left..right];
            count += row.iter().filter(|pixel| is(**pixel)).count();
        }
        count as f64 / ((right - left) * (bottom - top)) as f64
    }
}

/// Whether a pixel is about as a colour: what is drawn is smoothed.
fn about(colour: [u8; 3]) -> impl Fn([u8; 3]) -> bool {
    move |pixel| {
        let near = |(one, other): (&u8, &u8)| one.abs_diff(*other) < 24;
        pixel.iter().zip(&colour).all(near)
    }
}

fn dark(pixel: [u8; 3]) -> bool {
    pixel.iter().map(|part| u32::from(*part)).sum::<u32>() < 200
}

fn boxes(value: &Value) -> Vec<Box4> {
    let each = value.as_array().unwrap().iter();
    each.map(|one| {
        let parts: Vec<usize> = one
            .as_array()
            .unwrap()
            .iter()
            .map(|part| part.as_f64().unwrap().round() as usize)
            .collect();
        parts.try_into().unwrap()
    })
    .collect()
}

const BANNER: [u8; 3] = [0xff, 0xf3, 0xcd];
const BORDER: [u8; 3] = [0x8a, 0x61, 0x00];
const INK: [u8; 3] = [0x1f, 0x4e, 0x79];
const LATE: [u8; 3] = [0xa0, 0x15, 0x15];

#[test]
#[ignore = "needs a browser: AZIR_TEST_BROWSER"]
fn a_browser_shows_the_whole_page_on_a_desk_and_on_a_phone() {
    let home = tempfile::tempdir().unwrap();
    exercised(home.path());
    let browser = Browser::new();
    let page = browser.put("page.html", &told(home.path(), "DRILL-2026-0017"));
    for width in [1280, 390] {
        let said = browser.measured(&page, width);
        assert_eq!(said["inner"], json!(width), "{said:#}");
        assert_eq!(said["wide"], json!(width), "nothing hangs out: {said:#}");
        assert_eq!(said["cut"], json!([]), "nothing is cut off");
        assert_eq!(said["upon"], json!([]), "no words lie on others");
        assert_eq!(said["scripts"], json!(0));
        assert_eq!(
            said["styled"], "rgb(255, 243, 205)",
            "the policy allows the style"
        );
        assert!(said["smallest"].as_f64().unwrap() >= 8.0, "{said:#}");
        let high = said["high"].as_f64().unwrap().ceil() as usize;
        let picture = browser.drawn(&page, width, high);
        assert_eq!((picture.width, picture.height()), (width, high));

        let white = picture.share([width - 6, 0, width, high], |pixel| pixel == [255; 3]);
        assert!((white - 1.0).abs() < f64::EPSILON, "ink at the right edge");
        let warning = boxes(&json!([said["warning"]]))[0];
        assert!(warning[1] < 60, "the banner comes first: {warning:?}");
        assert!(picture.share(warning, about(BANNER)) > 0.6);
        assert!(picture.share(warning, about(BORDER)) > 0.01);
        assert!(picture.share(warning, dark) > 0.01, "it says something");

        let trends = boxes(&said["trends"]);
        assert_eq!(trends.len(), 4);
        for trend in &trends {
            assert!(picture.share(*trend, about(INK)) > 0.002, "bars: {trend:?}");
            assert!(
                picture.share(*trend, about(LATE)) > 0.001,
                "the deadline: {trend:?}"
            );
        }
        // People's bars are full, azir's are hollow: they are told apart without colours.
        let full = picture.share(trends[0], about(INK));
        let hollow = picture.share(trends[2], about(INK));
        assert!(full > 1.5 * hollow, "{full} and {hollow}");
        let bars = boxes(&said["bars"]);
        assert_eq!(bars.len(), 5);
        for bar in bars {
            let drawn = picture.share(bar, |pixel| about(INK)(pixel) || about(LATE)(pixel));
            assert!(drawn > 0.001, "{bar:?}");
        }
        for tile in boxes(&said["tiles"]) {
            assert!(picture.share(tile, dark) > 0.005, "{tile:?}");
        }
    }
}

#[test]
#[ignore = "needs a browser: AZIR_TEST_BROWSER"]
fn every_printed_sheet_says_drill() {
    let home = tempfile::tempdir().unwrap();
    exercised(home.path());
    let browser = Browser::new();
    let page = browser.put("page.html", &told(home.path(), "DRILL-2026-0017"));
    let sheets = browser.printed(&page);
    assert!(
        sheets.len() > 1,
        "a page of this length has more than one sheet"
    );
    let mut bars = 0.0;
    for (number, sheet) in sheets.iter().enumerate() {
        let (width, height) = (sheet.width, sheet.height());
        let corner = [width / 2, height - height / 8, width, height];
        assert!(
            sheet.share(corner, about(BORDER)) > 0.0,
            "sheet {}",
            number + 1
        );
        let edge = [width - 6, 0, width, height];
        assert!(
            sheet.share(edge, dark) < f64::EPSILON,
            "sheet {}",
            number + 1
        );
        bars += sheet.share([0, 0, width, height], about(INK));
    }
    let first = &sheets[0];
    let top = [0, 0, first.width, first.height() / 5];
    assert!(first.share(top, about(BANNER)) > 0.05);
    assert!(bars > 0.005, "the trend is printed: {bars}");
}

#[test]
#[ignore = "needs a browser: AZIR_TEST_BROWSER"]
fn names_without_end_and_hostile_ones_fit_a_phone() {
    let home = tempfile::tempdir().unwrap();
    let long = "x".repeat(300);
    let mut drill = Drill::of(DOOR, "D-1", time("2026-11-02T09:00:00Z"))
        .took(Some(36_000.0), Some(400_000.0))
        .told("port", Part::Contained, &long, Some(false), HOSTILE)
        .run(&long, "drill", true)
        .step(&long, &long, &long, 1.0, 100_000.0);
    drill.verdict.participants = vec![long.clone()];
    drill.verdict.scenario.title = long.clone();
    drill.left = vec![(long.clone(), long)];
    drill.write(home.path());
    let browser = Browser::new();
    let page = browser.put("page.html", &told(home.path(), "D-1"));
    for width in [360, 1280] {
        let said = browser.measured(&page, width);
        assert_eq!(said["wide"], json!(width), "{said:#}");
        assert_eq!(said["cut"], json!([]), "{said:#}");
        assert_eq!(said["upon"], json!([]), "{said:#}");
        assert_eq!(said["scripts"], json!(0));
    }
}
