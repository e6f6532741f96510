//! The responder's own key: where it lies, what is refused, and that nothing waits for it.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use azir::journal::person::{KeyError, KeyFile};
use azir::secret::Secret;
use serde_json::{Value, json};

use crate::agent_kit::{
    Agent, Held, Signs, encrypted_key_file, foreign_key_file, key_file, mode, signing, sk_blob,
    string,
};
use crate::journal_kit::{ALICE, person, signature, signers_line};
use crate::support::{Azir, Done, bare, done};

const RUN: &[&str] = &[
    "prepare-quarantine",
    "22222222-2222-4222-8222-222222222222/westeurope",
    "--yes",
    "--incident",
    "IR-1",
    "--responder",
    ALICE,
];

/// Runs with a key named by the environment; returns the report.
fn run(azir: &Azir, key: &str, socket: Option<&Path>) -> Value {
    let done = command(azir, RUN, key, socket);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    serde_json::from_str(&done.stdout).unwrap()
}

fn command(azir: &Azir, args: &[&str], key: &str, socket: Option<&Path>) -> Done {
    let mut command = azir.command(args);
    command.args(["--output", "json"]).env("AZIR_KEY", key);
    if let Some(socket) = socket {
        command.env("SSH_AUTH_SOCK", socket);
    }
    done(command.output().unwrap())
}

fn why(report: &Value) -> &str {
    assert_eq!(report["journal"]["verified"], json!(true), "{report}");
    assert_eq!(report["journal"]["signed"], json!([]));
    assert_eq!(report["journal"]["sealed"], json!(false));
    let missing = &report["journal"]["missing"][0];
    assert_eq!(missing["witness"], json!("person"));
    missing["why"].as_str().unwrap()
}

fn refused(home: &Path, key: &str) -> (String, String) {
    let done = bare(
        home,
        &["key", "set", key, "--responder", ALICE, "--output", "json"],
    );
    assert_eq!(done.code, 1, "{}{}", done.stdout, done.stderr);
    assert!(!home.join("signers").exists());
    let error: Value = serde_json::from_str(&done.stdout).unwrap();
    let text = |name: &str| error["error"][name].as_str().unwrap().to_owned();
    (text("message"), text("hint"))
}

#[test]
fn key_set_writes_the_profile_and_the_signers_file_and_key_shows_them() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name);
    std::fs::write(
        path("config.toml"),
        "profile = \"p\"  # mine\n[profiles.p]\n",
    )
    .unwrap();
    key_file(&path("id"), 1);
    let key = path("id").display().to_string();
    let done = bare(home.path(), &["key", "set", &key]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("--responder"), "{}", done.stderr);
    let done = bare(home.path(), &["key", "set", &key, "--responder", ALICE]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("journal verify RUN --signers"));
    let config = std::fs::read_to_string(path("config.toml")).unwrap();
    assert_eq!(
        config,
        format!(
            "profile = \"p\"  # mine\n[profiles.p]\nresponder = \"{ALICE}\"\nkey = \"{key}\"\n"
        )
    );
    assert_eq!(
        std::fs::read_to_string(path("signers")).unwrap(),
        signers_line(ALICE, "", &person(1))
    );
    let shown = bare(home.path(), &["key", "--output", "json"]);
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    let fingerprint = Held::Ed25519(signing(1)).fingerprint();
    assert_eq!(shown["key"]["fingerprint"], json!(fingerprint));
    assert_eq!(shown["key"]["principal"], json!(ALICE));
    // A second key of the same person is a second line; the first stays.
    key_file(&path("id"), 2);
    assert_eq!(bare(home.path(), &["key", "set", &key]).code, 0);
    let signers = std::fs::read_to_string(path("signers")).unwrap();
    assert_eq!(signers.lines().count(), 2);
    // Another person's name for it is refused.
    let bob = "bob@contoso.example";
    let done = bare(home.path(), &["key", "set", &key, "--responder", bob]);
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert!(done.stderr.contains(ALICE), "{}", done.stderr);
}

#[test]
fn keys_that_cannot_sign_are_refused_by_name_with_the_next_command() {
    let folder = tempfile::tempdir().unwrap();
    let home = tempfile::tempdir().unwrap();
    let file = folder.path().join("id");
    let name = file.display().to_string();
    for kind in [
        "ssh-rsa",
        "ecdsa-sha2-nistp256",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    ] {
        foreign_key_file(&file, &[string(kind.as_bytes()), string(&[1; 33])].concat());
        let (message, hint) = refused(home.path(), &name);
        assert!(message.contains(kind), "{message}");
        assert!(hint.contains("ssh-keygen -t ed25519"), "{hint}");
    }
    foreign_key_file(&file, &sk_blob(1));
    let (message, hint) = refused(home.path(), &name);
    assert!(message.contains("through ssh-agent only"), "{message}");
    let fingerprint = Held::Sk(signing(1), 0).fingerprint();
    assert!(hint.contains(&format!("agent:{fingerprint}")), "{hint}");
    // A public half of small order.
    let weak = [string(b"ssh-ed25519"), string(&[0; 32])].concat();
    foreign_key_file(&file, &weak);
    assert!(refused(home.path(), &name).0.contains("public half"));
    key_file(&file, 1);
    mode(&file, 0o640);
    let (message, hint) = refused(home.path(), &name);
    assert!(message.contains("mode 640"), "{message}");
    assert_eq!(hint, format!("chmod 600 {name}"));
    let public = person(1).public_key().to_openssh().unwrap();
    std::fs::write(&file, public).unwrap();
    assert!(refused(home.path(), &name).0.contains("public half"));
    std::fs::write(&file, "-----BEGIN RSA PRIVATE KEY-----\n").unwrap();
    mode(&file, 0o600);
    assert!(
        refused(home.path(), &name)
            .0
            .contains("no OpenSSH private key")
    );
    assert!(
        refused(home.path(), "/nowhere/id")
            .0
            .contains("cannot read")
    );
    assert!(refused(home.path(), "agent").0.contains("SSH_AUTH_SOCK"));
    assert!(refused(home.path(), "agent:id").0.contains("names no key"));
}

#[test]
fn every_checkpoint_of_a_run_bears_the_signature_and_the_summary_says_whose() {
    let azir = Azir::new();
    let key = azir.home.path().join("id");
    key_file(&key, 1);
    let report = run(&azir, key.to_str().unwrap(), None);
    let journal = &report["journal"];
    let expected = json!([{"principal": ALICE, "second": false, "entries": journal["entries"], "touch": null, "pin": null}]);
    assert_eq!(journal["signed"], expected, "{report}");
    assert_eq!(journal["missing"], json!([]));
    assert_eq!(journal["sealed"], json!(true));
    assert_eq!(journal["anchored"], json!(false));
    let run_dir = azir.run_dir("IR-1");
    let line = signers_line(ALICE, "", &person(1));
    for file in [run_dir.join("signers"), azir.home.path().join("signers")] {
        assert_eq!(std::fs::read_to_string(file).unwrap(), line);
    }
    let shown = azir.run(&["show", "last"]).stdout;
    let words = format!("signed by {ALICE}; not anchored outside this machine; sealed");
    assert!(shown.contains(&words), "{shown}");
    let (_, listed) = azir.json(&["list"]);
    assert_eq!(listed[0]["signed"], journal["signed"]);
    assert_eq!(listed[0]["sealed"], json!(true));
    assert!(azir.run(&["list"]).stdout.contains(" signed "));
    // A home that does not know the responder says by what the signature was judged.
    std::fs::remove_file(azir.home.path().join("signers")).unwrap();
    let shown = azir.run(&["show", "last"]).stdout;
    let words = format!("signed by {ALICE} (by the run's own signers file)");
    assert!(shown.contains(&words), "{shown}");
    let (_, doctor) = azir.json(&["doctor"]);
    let findings = doctor["findings"].as_array().unwrap();
    let of_key = findings
        .iter()
        .find(|finding| finding["what"] == json!("key"));
    assert_eq!(of_key.unwrap()["verdict"], json!("warn"));
}

#[test]
fn without_a_key_the_run_goes_on_and_says_so() {
    let azir = Azir::new();
    let (code, report) = azir.json(RUN);
    assert_eq!(code, 0);
    let journal = &report["journal"];
    assert_eq!(
        (&journal["signed"], &journal["missing"]),
        (&json!([]), &json!([]))
    );
    assert_eq!(journal["sealed"], json!(true));
    let shown = azir.run(&["show", "last"]).stdout;
    assert!(shown.contains("unsigned by a person"), "{shown}");
}

#[test]
fn a_key_that_is_lost_or_locked_or_exposed_is_named_and_the_run_goes_on() {
    let azir = Azir::new();
    let key = azir.home.path().join("id");
    let name = key.to_str().unwrap();
    let report = run(&azir, name, None);
    assert!(why(&report).contains("cannot read"), "{report}");
    encrypted_key_file(&key, 1, "correct horse");
    // There is no terminal to ask on.
    let report = run(&azir, name, None);
    assert!(why(&report).contains("is encrypted"), "{report}");
    key_file(&key, 1);
    mode(&key, 0o644);
    let report = run(&azir, name, None);
    assert!(why(&report).contains("chmod 600"), "{report}");
    let shown = azir.run(&["show", "last"]).stdout;
    assert!(shown.contains("unsigned by a person since 20"), "{shown}");
    assert!(shown.contains("azir journal seal"), "{shown}");
}

#[test]
fn a_key_that_is_another_persons_does_not_sign() {
    let azir = Azir::new();
    let key = azir.home.path().join("id");
    key_file(&key, 1);
    let bobs = signers_line("bob@contoso.example", "", &person(1));
    std::fs::write(azir.home.path().join("signers"), bobs).unwrap();
    let report = run(&azir, key.to_str().unwrap(), None);
    assert!(why(&report).contains("bob@contoso.example's"), "{report}");
}

#[test]
fn a_key_in_the_agent_signs() {
    let azir = Azir::new();
    let held = vec![Held::Other("ssh-rsa"), Held::Ed25519(signing(1))];
    let agent = Agent::new(azir.home.path(), held, Signs::Well);
    let report = run(&azir, "agent", Some(&agent.socket));
    assert_eq!(report["journal"]["signed"][0]["principal"], json!(ALICE));
    assert_eq!(report["journal"]["signed"][0]["touch"], json!(null));
    assert!(*agent.asked.lock().unwrap() > 1);
}

#[test]
fn a_security_key_is_touched_once_and_its_flags_are_shown() {
    for (flags, touch, pin) in [(1, true, false), (5, true, true), (0, false, false)] {
        let azir = Azir::new();
        let held = Held::Sk(signing(1), flags);
        let name = format!("agent:{}", held.fingerprint());
        let agent = Agent::new(azir.home.path(), vec![held], Signs::Well);
        let report = run(&azir, &name, Some(&agent.socket));
        let signed = &report["journal"]["signed"][0];
        assert_eq!(
            (&signed["touch"], &signed["pin"]),
            (&json!(touch), &json!(pin))
        );
        assert_eq!(signed["entries"], report["journal"]["entries"]);
        assert_eq!(*agent.asked.lock().unwrap(), 1);
        let shown = azir.run(&["show", "last"]).stdout;
        let word = |yes| if yes { "yes" } else { "no" };
        let words = format!(
            "signed by {ALICE} (touch: {}, PIN: {})",
            word(touch),
            word(pin)
        );
        assert!(shown.contains(&words), "{shown}");
    }
}

#[test]
fn the_terminal_says_when_a_security_key_waits_for_a_touch() {
    let azir = Azir::new();
    let agent = Agent::new(azir.home.path(), vec![Held::Sk(signing(1), 1)], Signs::Well);
    let mut command = azir.command(RUN);
    command
        .env("AZIR_KEY", "agent")
        .env("SSH_AUTH_SOCK", &agent.socket);
    let done = done(command.output().unwrap());
    assert!(
        done.stderr.contains("touch your security key"),
        "{}",
        done.stderr
    );
    assert!(
        done.stdout.contains("(touch: yes, PIN: no)"),
        "{}",
        done.stdout
    );
}

#[test]
fn an_agent_that_refuses_or_answers_wrongly_leaves_no_signature() {
    for (signs, said) in [
        (Signs::Never, "refused to sign"),
        (Signs::Wrongly, "is not its signature"),
    ] {
        let azir = Azir::new();
        let held = vec![Held::Ed25519(signing(1))];
        let agent = Agent::new(azir.home.path(), held, signs);
        let report = run(&azir, "agent", Some(&agent.socket));
        assert!(why(&report).contains(said), "{report}");
    }
}

#[test]
fn which_key_of_the_agent_must_be_clear() {
    let home = tempfile::tempdir().unwrap();
    let set = |key: &str, socket: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_azir"));
        command
            .args(["key", "set", key, "--responder", ALICE])
            .env_clear()
            .env("AZIR_HOME", home.path())
            .env("SSH_AUTH_SOCK", socket);
        done(command.stdin(Stdio::null()).output().unwrap())
    };
    let folder = |name: &str| {
        let path = home.path().join(name);
        std::fs::create_dir(&path).unwrap();
        path
    };
    let two = vec![Held::Ed25519(signing(1)), Held::Sk(signing(2), 1)];
    let fingerprints: Vec<String> = two.iter().map(Held::fingerprint).collect();
    let agent = Agent::new(&folder("two"), two, Signs::Well);
    let several = set("agent", &agent.socket);
    assert_eq!(several.code, 1);
    for fingerprint in &fingerprints {
        assert!(several.stderr.contains(fingerprint), "{}", several.stderr);
    }
    assert_eq!(
        set(&format!("agent:{}", fingerprints[1]), &agent.socket).code,
        0
    );
    let rsa = Held::Other("ssh-rsa");
    let name = format!("agent:{}", rsa.fingerprint());
    let agent = Agent::new(&folder("rsa"), vec![rsa], Signs::Well);
    let other = set(&name, &agent.socket);
    assert!(other.stderr.contains("of type ssh-rsa"), "{}", other.stderr);
    let none = set("agent", &agent.socket);
    assert!(
        none.stderr.contains("holds no Ed25519 key"),
        "{}",
        none.stderr
    );
    let unknown = set(&format!("agent:{}", fingerprints[0]), &agent.socket);
    assert!(
        unknown.stderr.contains("does not hold"),
        "{}",
        unknown.stderr
    );
    let config = std::fs::read_to_string(home.path().join("config.toml")).unwrap();
    assert!(config.contains(&format!("key = \"agent:{}\"", fingerprints[1])));
}

#[test]
fn an_encrypted_key_opens_with_its_passphrase_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("id");
    encrypted_key_file(&path, 1, "correct horse");
    let file = KeyFile::read(&path).unwrap();
    assert!(file.is_encrypted());
    assert_eq!(
        file.unlock(None).unwrap_err(),
        KeyError::Locked(path.clone())
    );
    let wrong = file.unlock(Some(&Secret::new("wrong"))).unwrap_err();
    assert_eq!(wrong, KeyError::Passphrase(path.clone()));
    let key = file.unlock(Some(&Secret::new("correct horse"))).unwrap();
    let made = key.sign(b"a checkpoint").unwrap();
    // Ed25519 signs the same bytes in the same way, whoever writes the envelope.
    assert_eq!(
        made.armoured,
        signature(&person(1), "azir-checkpoint-v1", b"a checkpoint")
    );
    assert_eq!(made.presence, None);
    assert!(!format!("{file:?}{key:?}").contains(&hex::encode([1; 32])));
}

#[test]
#[ignore = "needs script"]
fn a_passphrase_is_asked_for_on_the_terminal_and_never_shown() {
    let azir = Azir::new();
    let key = azir.home.path().join("id");
    encrypted_key_file(&key, 1, "correct horse");
    let typed = |command: &[&str], words: &[&str]| {
        let own = azir.command(command);
        let line = format!("{} {}", env!("CARGO_BIN_EXE_azir"), command.join(" "));
        // A terminal of its own, typed into by this pipe.
        let mut script = Command::new("script");
        script.args(["-qec", &line, "/dev/null"]);
        script.env_clear();
        for (name, value) in own.get_envs() {
            script.env(name, value.unwrap());
        }
        script.env("AZIR_KEY", &key).env("SHELL", "/bin/sh");
        let mut child = script
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut keyboard = child.stdin.take().unwrap();
        let mut screen = child.stdout.take().unwrap();
        let mut shown = Vec::new();
        // What is typed before the question is thrown away, so each answer waits for its own.
        for word in words {
            while !shown.ends_with(b"id: ") {
                let mut byte = [0];
                screen.read_exact(&mut byte).unwrap();
                shown.push(byte[0]);
            }
            shown.push(b'#');
            keyboard.write_all(word.as_bytes()).unwrap();
        }
        screen.read_to_end(&mut shown).unwrap();
        child.wait().unwrap();
        String::from_utf8_lossy(&shown).into_owned()
    };
    // Whoever confirmed beforehand is not kept waiting for a passphrase before the first request.
    let shown = typed(RUN, &[]);
    assert!(shown.contains("unsigned by a person"), "{shown}");
    assert!(!shown.contains("id: "), "{shown}");
    let seal = ["journal", "seal", "last", "--responder", ALICE];
    let shown = typed(&seal, &["wrong\n", "wrong\n", "wrong\n"]);
    assert!(shown.contains("does not open"), "{shown}");
    assert!(shown.contains("unsigned by a person"), "{shown}");
    let shown = typed(&seal, &["wrong\n", "correct horse\n"]);
    assert!(shown.contains("that is not its passphrase"), "{shown}");
    assert!(shown.contains(&format!("signed by {ALICE}")), "{shown}");
    assert!(!shown.contains("horse"), "{shown}");
}

#[test]
#[ignore = "needs ssh-agent"]
fn a_real_agent_signs() {
    let azir = Azir::new();
    let key = azir.home.path().join("id");
    key_file(&key, 1);
    let socket = azir.home.path().join("real");
    let mut agent = Command::new("ssh-agent")
        .args(["-D", "-a"])
        .arg(&socket)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let add = || {
        let mut add = Command::new("ssh-add");
        add.arg(&key).env("SSH_AUTH_SOCK", &socket);
        add.output().unwrap().status.success()
    };
    // It listens as soon as it is up.
    let added = (0..1_000).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(5));
        add()
    });
    let report = added.then(|| run(&azir, "agent", Some(&socket)));
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert_eq!(
        report.unwrap()["journal"]["signed"][0]["principal"],
        json!(ALICE)
    );
}

#[test]
#[ignore = "needs ssh-keygen"]
fn ssh_keygen_accepts_what_a_file_and_an_agent_sign() {
    for name in ["file", "agent"] {
        let azir = Azir::new();
        let key = azir.home.path().join("id");
        key_file(&key, 1);
        let held = vec![Held::Sk(signing(2), 1)];
        let agent = Agent::new(azir.home.path(), held, Signs::Well);
        let named = if name == "file" {
            key.to_str().unwrap()
        } else {
            name
        };
        run(&azir, named, Some(&agent.socket));
        let run_dir = azir.run_dir("IR-1");
        let last = crate::journal_kit::last_checkpoint(&run_dir);
        let mut verify = Command::new("ssh-keygen");
        verify
            .args([
                "-Y",
                "verify",
                "-n",
                "azir-checkpoint-v1",
                "-I",
                ALICE,
                "-f",
            ])
            .arg(run_dir.join("signers"))
            .arg("-s")
            .arg(last.with_extension("human.sig"))
            .stdin(std::fs::File::open(last).unwrap());
        let output = verify.output().unwrap();
        assert!(output.status.success(), "{name}: {output:?}");
    }
}
