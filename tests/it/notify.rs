//! People are told how a run ended; whom it does not reach is a gap, and nothing of it changes what the run came to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Azir, Done, done};

/// What must never be shown: parts of an address that is a capability, a routing key, a password.
const SECRETS: [&str; 3] = [
    "sig-of-the-workflow",
    "routing-key-of-the-soc",
    "password-of-the-mail",
];

/// Takes requests and answers each with a status; hands on path and body.
fn web(status: u16) -> (u16, Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            if sender.send(answered(stream.unwrap(), status)).is_err() {
                break;
            }
        }
    });
    (port, receiver)
}

/// Reads one request and answers it; returns path and body.
fn answered(stream: TcpStream, status: u16) -> (String, Value) {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    let mut path = String::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if path.is_empty() {
            line.split(' ').nth(1).unwrap().clone_into(&mut path);
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    // Whoever answers may repeat what it was sent.
    let echo = SECRETS.join(" ");
    let answer = format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{echo}",
        echo.len()
    );
    reader.get_mut().write_all(answer.as_bytes()).unwrap();
    (path, serde_json::from_slice(&body).unwrap())
}

/// Takes one mail; hands on all that was said.
fn mail() -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        let mut said = String::new();
        let mut in_data = false;
        reader.get_mut().write_all(b"220 here\r\n").unwrap();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap() == 0 {
                break;
            }
            said.push_str(&line);
            let answer: &[u8] = match line.trim_end() {
                "." => {
                    in_data = false;
                    b"250 taken\r\n"
                }
                _ if in_data => continue,
                "DATA" => {
                    in_data = true;
                    b"354 go on\r\n"
                }
                "QUIT" => b"221 bye\r\n",
                line if line.starts_with("EHLO") => b"250-here\r\n250 AUTH PLAIN\r\n",
                line if line.starts_with("AUTH") => b"235 welcome\r\n",
                _ => b"250 ok\r\n",
            };
            reader.get_mut().write_all(answer).unwrap();
            if line.starts_with("QUIT") || said.contains("\r\n.\r\n") {
                break;
            }
        }
        let _ = sender.send(said);
    });
    (port, receiver)
}

fn run(azir: &Azir, teams: u16, args: &[&str]) -> Done {
    let mut command = azir.command(args);
    command
        .env(
            "TEAMS_URL",
            format!("http://127.0.0.1:{teams}/workflows/1?sig={}", SECRETS[0]),
        )
        .env("PAGER_KEY", SECRETS[1])
        .env("MAIL_USER", "azir")
        .env("MAIL_PASSWORD", SECRETS[2]);
    let done = done(command.output().unwrap());
    for secret in SECRETS {
        assert!(
            !done.stdout.contains(secret) && !done.stderr.contains(secret),
            "{secret}"
        );
    }
    done
}

fn configure(azir: &Azir, pager: u16, mail: u16) {
    azir.configure(&format!(
        r#"notify = [
  {{ kind = "teams", url_env = "TEAMS_URL" }},
  {{ kind = "pagerduty", routing_key_env = "PAGER_KEY", url = "http://127.0.0.1:{pager}" }},
  {{ kind = "smtp", host = "127.0.0.1", port = {mail}, tls = "none", from = "azir@contoso.com", to = ["soc@contoso.com"], username_env = "MAIL_USER", password_env = "MAIL_PASSWORD" }},
]"#
    ));
}

/// Returns a port that nobody listens on.
fn nobody() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

const ISOLATE: [&str; 7] = [
    "isolate-vm",
    "vm-app-01",
    "--incident",
    "IR-1",
    "--yes",
    "--output",
    "json",
];

/// Returns all that a run left on disk.
fn record(azir: &Azir) -> String {
    fn read(folder: &std::path::Path, all: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            if entry.path().is_dir() {
                read(&entry.path(), all);
            } else if let Ok(bytes) = std::fs::read(entry.path()) {
                all.push_str(&String::from_utf8_lossy(&bytes));
            }
        }
    }
    let mut all = String::new();
    read(&azir.home.path().join("cases"), &mut all);
    all
}

#[test]
fn every_channel_is_told_how_the_run_ended_and_until_when_something_is_open() {
    let azir = Azir::new();
    let ((teams, teams_told), (pager, pager_told), (mail, mail_told)) =
        (web(202), web(202), mail());
    configure(&azir, pager, mail);
    let run = run(&azir, teams, &ISOLATE);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    let head = "CONTAINED, with something left open: isolate-vm on vm-app-01 (IR-1)";
    let until = report["residual_until"].as_str();
    let (path, card) = teams_told.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(path.starts_with("/workflows/1?sig="), "{path}");
    assert_eq!(card["type"], "message");
    let attachment = &card["attachments"][0];
    assert_eq!(
        attachment["contentType"],
        "application/vnd.microsoft.card.adaptive"
    );
    assert_eq!(attachment["content"]["type"], "AdaptiveCard");
    let first = &attachment["content"]["body"][0];
    assert_eq!(
        first["type"], "RichTextBlock",
        "no Markdown is read out of it"
    );
    assert_eq!(first["inlines"][0]["text"], head);
    let (path, event) = pager_told.recv_timeout(Duration::from_secs(60)).unwrap();
    assert_eq!(path, "/v2/enqueue");
    assert_eq!(event["routing_key"], SECRETS[1]);
    assert_eq!(
        (&event["event_action"], &event["dedup_key"]),
        (&json!("trigger"), &json!("IR-1"))
    );
    assert_eq!(event["payload"]["summary"], head);
    assert_eq!(event["payload"]["severity"], "warning");
    assert_eq!(event["payload"]["custom_details"]["run"], report["run"]);
    assert!(card.to_string().contains(until.unwrap()), "{card}");
    let said = mail_told.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(said.contains("RCPT TO:<soc@contoso.com>"), "{said}");
    assert!(
        said.contains(&format!("azir show {}", report["run"].as_str().unwrap())),
        "{said}"
    );
    assert_eq!(report["gaps"], json!([]));
    let all = record(&azir);
    assert!(all.contains("TEAMS_URL") && SECRETS.iter().all(|secret| !all.contains(secret)));
}

#[test]
fn whom_it_does_not_reach_is_a_gap_and_the_run_is_what_it_was() {
    let azir = Azir::new();
    let (teams, teams_told) = web(403);
    configure(&azir, nobody(), nobody());
    let run = run(&azir, teams, &ISOLATE);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["status"], "contained_residual");
    assert!(teams_told.recv().is_ok());
    let gaps = report["gaps"].as_array().unwrap();
    let said = report["gaps"].to_string();
    assert_eq!(gaps.len(), 3, "{said}");
    assert!(
        said.contains("teams (TEAMS_URL) was not told of this: it answered 403"),
        "{said}"
    );
    assert_eq!(azir.run(&["journal", "verify", "last"]).code, 2);
    let all = record(&azir);
    assert!(SECRETS.iter().all(|secret| !all.contains(secret)));
    let summary = azir.run(&["show", "last"]).stdout;
    assert!(summary.contains("was not told of this"), "{summary}");
}

#[test]
fn the_doctor_says_which_variables_are_missing_and_a_secret_in_the_place_of_a_name_is_refused() {
    let azir = Azir::new();
    configure(&azir, nobody(), nobody());
    let (_, report) = azir.json(&["doctor"]);
    let said = report["findings"].as_array().unwrap().iter();
    let said: Vec<&Value> = said.filter(|one| one["what"] == "notify").collect();
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said.iter().all(|one| one["verdict"] == "warn"), "{said:?}");
    assert!(
        said[0]["text"]
            .as_str()
            .unwrap()
            .contains("TEAMS_URL is not set"),
        "{said:?}"
    );
    let there = run(&azir, nobody(), &["doctor", "--output", "json"]);
    assert!(!there.stdout.contains("is not set"), "{}", there.stdout);
    for wrong in [
        r#"notify = [{ kind = "teams", url_env = "https://x.example/?sig=sig-of-the-workflow" }]"#,
        r#"notify = [{ kind = "smtp", host = "mail.contoso.com", tls = "none", from = "a@b.c", to = ["a@b.c"] }]"#,
        r#"notify = [{ kind = "fax" }]"#,
        r#"notify = [{ kind = "teams", url = "x", url_env = "X" }]"#,
    ] {
        azir.configure(wrong);
        let refused = run(&azir, nobody(), &ISOLATE);
        assert_eq!(refused.code, 2, "{wrong}: {}", refused.stdout);
    }
    assert!(azir.writes().is_empty());
}

#[test]
fn of_a_run_that_never_began_people_are_told_too() {
    let azir = Azir::new();
    let (teams, teams_told) = web(202);
    azir.configure(r#"notify = [{ kind = "teams", url_env = "TEAMS_URL" }]"#);
    let mut command = azir.command(&ISOLATE);
    command
        .env("TEAMS_URL", format!("http://127.0.0.1:{teams}/"))
        .env("AZURE_CLIENT_SECRET", "wrong");
    let failed = done(command.output().unwrap());
    assert_eq!(failed.code, 1, "{}", failed.stdout);
    let (_, card) = teams_told.recv_timeout(Duration::from_secs(60)).unwrap();
    let text = card.to_string();
    assert!(
        text.contains("NOT BEGUN: isolate-vm on vm-app-01 (IR-1)"),
        "{text}"
    );
}

const MARK: &str = r#"
azir: v1
name: mark-vm
version: 1.0.0
title: Mark a machine
about: A runbook of one's own that leaves something open for a moment.
purpose: contain
params:
  vm: {type: resource, of: Microsoft.Compute/virtualMachines, position: 1, many: true, required: true, help: The machine}
permissions:
  arm:
    - Microsoft.Resources/tags/read
    - Microsoft.Resources/tags/write
steps:
  - id: mark
    phase: isolate
    title: Mark the machine
    request:
      arm: "PATCH {{ vm.id }}/providers/Microsoft.Resources/tags/default"
      api_version: "2021-04-01"
      body: {operation: Merge, properties: {tags: {marked: "yes"}}}
    check:
      claim: the mark is there
      get: {arm: "GET {{ vm.id }}/providers/Microsoft.Resources/tags/default", api_version: "2021-04-01"}
      that: "{{ (got | get('properties.tags', {})).marked == 'yes' }}"
      within: 30s
    lasting: a mark
residual:
  - what: "a token lives on"
    until: "{{ time_add(run.started_at, 2) }}"
  - what: "a door stays open"
"#;

#[test]
fn who_waits_for_what_stays_open_tells_people_when_it_has_ended() {
    let azir = Azir::new();
    azir.configure(r#"notify = [{ kind = "teams", url_env = "TEAMS_URL" }]"#);
    let folder = azir.home.path().join("runbooks");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("mark-vm.yaml"), MARK.trim_start()).unwrap();
    let (teams, told) = web(202);
    let mark = ["mark-vm", "vm-app-01", "--incident", "IR-1", "--yes"];
    assert_eq!(run(&azir, teams, &mark).code, 0);
    told.recv_timeout(Duration::from_secs(60)).unwrap();
    let (teams, told) = web(202);
    let waited = run(&azir, teams, &["wait", "last", "--residual"]);
    assert_eq!(waited.code, 0, "{}", waited.stderr);
    let over = azir.json(&["show", "last"]).1["residual_until"].clone();
    let over: chrono::DateTime<chrono::Utc> = over.as_str().unwrap().parse().unwrap();
    assert!(chrono::Utc::now() >= over);
    let card = told
        .recv_timeout(Duration::from_secs(60))
        .unwrap()
        .1
        .to_string();
    for said in [
        "WHAT HAD A KNOWN END HAS ENDED: mark-vm on vm-app-01 (IR-1)",
        "ended: a token lives on",
        "stays open: a door stays open",
    ] {
        assert!(card.contains(said), "{said}: {card}");
    }
    // Whom it does not reach is said, and the run is what it was.
    let waited = run(&azir, nobody(), &["wait", "last", "--residual"]);
    assert_eq!(waited.code, 0);
    assert!(
        waited.stderr.contains("was not told of this"),
        "{}",
        waited.stderr
    );
}

#[test]
fn what_has_no_known_end_or_a_late_one_is_not_waited_for() {
    let azir = Azir::new();
    assert_eq!(azir.run(&ISOLATE).code, 0);
    let late = azir.run(&["wait", "last", "--residual", "--timeout", "1s"]);
    assert_eq!(late.code, 1);
    assert!(late.stderr.contains("and not within 1s"), "{}", late.stderr);
    assert!(late.stderr.contains("--residual"), "{}", late.stderr);
    let closed = ["snapshot-vm", "vm-app-01", "--incident", "IR-2", "--yes"];
    assert_eq!(azir.run(&closed).code, 0);
    let never = azir.run(&["wait", "last", "--residual", "--output", "json"]);
    assert_eq!(never.code, 0);
    assert!(
        never.stderr.contains("left nothing open"),
        "{}",
        never.stderr
    );
    assert!(
        never.stderr.contains("names no channel"),
        "{}",
        never.stderr
    );
    let report: Value = serde_json::from_str(&never.stdout).unwrap();
    assert_eq!(report["incident"], "IR-2");
}

#[test]
fn a_record_that_is_lost_while_containment_is_watched_is_told() {
    let azir = Azir::new();
    azir.configure(r#"notify = [{ kind = "teams", url_env = "TEAMS_URL" }]"#);
    let (teams, told) = web(202);
    let plain = azir.command(&[&ISOLATE[..5], &["--watch", "3s"]].concat());
    let words = plain.get_envs();
    let mut child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
        .arg(plain.get_program())
        .args(plain.get_args())
        .env_clear()
        .envs(words.filter_map(|(name, value)| Some((name, value?))))
        .env("TEAMS_URL", format!("http://127.0.0.1:{teams}/"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let first = told
        .recv_timeout(Duration::from_secs(60))
        .unwrap()
        .1
        .to_string();
    assert!(
        first.contains("CONTAINED, with something left open"),
        "{first}"
    );
    let nothing = rustix::process::Rlimit {
        current: Some(1),
        maximum: Some(1),
    };
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::prlimit(Some(pid), rustix::process::Resource::Fsize, nothing).unwrap();
    let second = told
        .recv_timeout(Duration::from_secs(60))
        .unwrap()
        .1
        .to_string();
    assert!(second.contains("DONE, NOT PROVED"), "{second}");
    assert!(second.contains("failed: the record: "), "{second}");
    assert_eq!(child.wait().unwrap().code(), Some(75));
}
