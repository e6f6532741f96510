//! People are told how a run ended; whom it does not reach is a gap, and nothing of it changes what the run came to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use crate::support::{Azir, Done, done};

/// What must never be shown: parts of an address that is a capability, a routing key, a password.
const SECRETS: [&str; 3] = [
    "sig-of-the-workflow",
    "routing-key-of-the-soc",
    "password-of-the-mail",
];

/// Takes one request and answers with a status; hands on path and body.
fn web(status: u16) -> (u16, Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
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
            "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{echo}",
            echo.len()
        );
        reader.get_mut().write_all(answer.as_bytes()).unwrap();
        let _ = sender.send((path, serde_json::from_slice(&body).unwrap()));
    });
    (port, receiver)
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
    let (path, card) = teams_told.recv().unwrap();
    assert!(path.starts_with("/workflows/1?sig="), "{path}");
    assert_eq!(card["type"], "message");
    let attachment = &card["attachments"][0];
    assert_eq!(
        attachment["contentType"],
        "application/vnd.microsoft.card.adaptive"
    );
    assert_eq!(attachment["content"]["type"], "AdaptiveCard");
    assert_eq!(attachment["content"]["body"][0]["text"], head);
    let (path, event) = pager_told.recv().unwrap();
    assert_eq!(path, "/v2/enqueue");
    assert_eq!(event["routing_key"], SECRETS[1]);
    assert_eq!(
        (&event["event_action"], &event["dedup_key"]),
        (&json!("trigger"), &json!("IR-1"))
    );
    assert_eq!(event["payload"]["summary"], head);
    assert_eq!(event["payload"]["severity"], "warning");
    assert_eq!(event["payload"]["custom_details"]["run"], report["run"]);
    if let Some(until) = until {
        assert!(card.to_string().contains(until), "{card}");
    }
    let said = mail_told.recv().unwrap();
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
    let (_, card) = teams_told.recv().unwrap();
    let text = card.to_string();
    assert!(
        text.contains("NOT BEGUN: isolate-vm on vm-app-01 (IR-1)"),
        "{text}"
    );
}
