//! Secrets put wherever a cloud has them are nowhere in what azir writes: no file, stream, argument list or core.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use azir::lab::scenario::Scenario;
use base64::Engine as _;
use serde_json::{Value, json};

use crate::support::{Azir, SUB};

/// What every token of the lab begins with: `{"typ":"JWT","alg":"HS256"}`.
const TOKEN: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.";
/// What the lab signs the address of an operation with.
const SIGNED: &str = "qXf7Lw0-aV3_sKe9qXf7Lw0-aV3_sKe9";

/// A secret that stands in one place alone; with characters that URLs and base64 spell differently.
fn canary(place: &str) -> String {
    format!("cAnArY+{place}/9f3b?51c7=")
}

/// Every spelling under which a secret could lie somewhere.
fn spellings(secret: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::from([secret.to_owned()]);
    for (upper, text) in [
        (false, hex::encode(secret)),
        (true, hex::encode_upper(secret)),
    ] {
        found.insert(text);
        for every in [false, true] {
            let mut encoded = String::new();
            for byte in secret.bytes() {
                if byte.is_ascii_alphanumeric() && !every {
                    encoded.push(char::from(byte));
                } else if upper {
                    write!(encoded, "%{byte:02X}").unwrap();
                } else {
                    write!(encoded, "%{byte:02x}").unwrap();
                }
            }
            found.insert(encoded);
        }
    }
    for skip in 0..3 {
        // Wherever it begins in what was encoded, the groups that hold nothing but the secret are the same.
        let whole = &secret.as_bytes()[skip..];
        let whole = &whole[..whole.len() / 3 * 3];
        found.insert(base64::engine::general_purpose::STANDARD.encode(whole));
        found.insert(base64::engine::general_purpose::URL_SAFE.encode(whole));
    }
    // As a JSON text inside a JSON text, and as Rust would print it.
    found.insert(json!(secret).to_string().trim_matches('"').to_owned());
    found.insert(format!("{secret:?}").trim_matches('"').to_owned());
    found
}

/// What of the secrets is in `bytes`.
fn hits(bytes: &[u8], secrets: &[String]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let spelled = secrets.iter().flat_map(|secret| {
        spellings(secret)
            .into_iter()
            .map(move |spelling| (secret, spelling))
    });
    spelled
        .filter(|(_, spelling)| text.contains(spelling.as_str()))
        .map(|(secret, spelling)| format!("{secret} as {spelling}"))
        .collect()
}

#[test]
fn a_secret_is_recognized_however_it_is_spelled() {
    let secret = canary("x");
    let b64 = |text: String| base64::engine::general_purpose::STANDARD.encode(text);
    for hidden in [
        format!("a{secret}b"),
        b64(format!("a{secret}b")),
        b64(format!("ab{secret}b")),
        b64(format!("abc{secret}b")),
        hex::encode(&secret),
        hex::encode_upper(&secret),
        url::form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
        percent_encoding::utf8_percent_encode(&secret, percent_encoding::NON_ALPHANUMERIC)
            .to_string(),
    ] {
        assert!(
            !hits(hidden.as_bytes(), std::slice::from_ref(&secret)).is_empty(),
            "{hidden}"
        );
    }
}

/// Puts a secret of its own into every place of the tenant that can hold one; returns them.
fn planted(azir: &Azir) -> Vec<String> {
    let mut secrets = vec![
        TOKEN.to_owned(),
        SIGNED.to_owned(),
        azir.lab.ready().client_secret.clone(),
    ];
    let mut fresh = |place: &str| {
        secrets.push(canary(place));
        canary(place)
    };
    let of_group = |group: &str, kind: &str, name: &str| {
        format!("{SUB}/resourceGroups/{group}/providers/{kind}/{name}")
    };
    let machine = of_group(
        "rg-hard-prod",
        "Microsoft.Compute/virtualMachines",
        "vm-hard-01",
    );
    let connection = |key: String| {
        format!(
            "DefaultEndpointsProtocol=https;AccountName=x;AccountKey={key};EndpointSuffix=core.windows.net"
        )
    };
    let encoded = base64::engine::general_purpose::STANDARD
        .encode(format!("#!/bin/sh\nexport KEY={}\n", fresh("in-userdata")));
    let settings = json!({
        "protectedSettings": {"commandToExecute": fresh("command"), "storageAccountKey": fresh("extension-key")},
        "settings": {"connectionString": connection(fresh("extension-connection")), "script": format!("curl https://x/y?sv=1&sig={}", fresh("extension-sas"))},
    });
    let properties = json!({
        "userData": encoded,
        "osProfile": {
            "adminPassword": fresh("admin-password"),
            "customData": fresh("custom-data"),
            "secrets": [{"vaultCertificates": [{"certificateUrl": format!("https://kv.vault.localhost/secrets/c?sig={}", fresh("certificate-url"))}]}],
            "windowsConfiguration": {"additionalUnattendContent": [{"password": fresh("unattend")}]},
        },
        "diagnosticsProfile": {"bootDiagnostics": {"storageUri": format!("https://x.blob.localhost/?sv=1&sig={}&se=2", fresh("boot-sas"))}},
        "applicationConnectionString": connection(fresh("connection")),
    });
    azir.lab.tamper(&machine, |value| {
        for (name, member) in properties.as_object().unwrap() {
            value["properties"][name] = member.clone();
        }
        value["resources"] = json!([{"name": "script", "properties": settings.clone()}]);
        value["tags"]["deploy"] = json!(connection(fresh("tag")));
    });
    for (group, kind, name) in [
        (
            "rg-hard-prod",
            "Microsoft.Network/networkInterfaces",
            "hard-nic-1",
        ),
        (
            "rg-hard-prod",
            "Microsoft.Network/networkInterfaces",
            "hard-nic-2",
        ),
        (
            "rg-hard-prod",
            "Microsoft.Compute/disks",
            "vm-hard-01_OsDisk",
        ),
        ("rg-hard-prod", "Microsoft.Compute/disks", "hard-data-1"),
        (
            "rg-hard-prod",
            "Microsoft.Network/networkSecurityGroups",
            "nsg-hard",
        ),
        (
            "rg-security-prod",
            "Microsoft.Network/networkSecurityGroups",
            "nsg-ir-quarantine-westeurope",
        ),
        (
            "rg-hard-prod",
            "Microsoft.ManagedIdentity/userAssignedIdentities",
            "id-hard",
        ),
        ("rg-hard-prod", "Microsoft.KeyVault/vaults", "kv-hard"),
        (
            "rg-forensic-prod",
            "Microsoft.Storage/storageAccounts",
            "stforensicirprodweu",
        ),
    ] {
        azir.lab.tamper(&of_group(group, kind, name), |value| {
            value["tags"]["hook"] = json!(format!(
                "https://x/hook?sig={}",
                fresh(&format!("hook-{name}"))
            ));
            // What azir writes back whole must be what the service takes.
            if !kind.starts_with("Microsoft.Network/") {
                value["properties"]["accessSAS"] = json!(fresh(&format!("sas-{name}")));
                value["properties"]["securityDataAccessSAS"] =
                    json!(fresh(&format!("data-sas-{name}")));
                value["properties"]["primaryConnectionString"] =
                    json!(fresh(&format!("connection-{name}")));
                value["properties"]["keys"] =
                    json!([{"keyName": "key1", "value": fresh(&format!("key-{name}"))}]);
            }
        });
    }
    secrets
}

/// Errors that repeat the token, on reads that are asked again and on writes that then are left undone.
const ECHOES: &str = "faults:
- {method: GET, path: '/virtualMachines/vm-hard-01', nth: 2, do: echo, status: 503}
- {method: GET, path: '/networkInterfaces/', nth: 2, do: echo, status: 502}
- {method: PUT, path: '/snapshots/', nth: 2, do: echo, status: 400}
- {method: PUT, path: '/securityRules/', nth: 1, do: echo, status: 403}
- {method: PATCH, path: '/tags/default', nth: 1, do: echo, status: 409}
- {method: PUT, path: '/ir-evidence/', nth: 1, do: echo, status: 403}
- {method: GET, path: '/eventtypes/management/values', nth: 1, do: echo, status: 500}
";

/// The lab's usual tenant, with a client secret that is a canary and an activity log that holds others.
fn lab(faults: &str) -> (Azir, Vec<String>) {
    let text = include_str!("../../src/lab/scenarios/default.yaml").replace(
        "lab-secret-of-the-responder",
        &format!("'{}'", canary("client-secret")),
    );
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let at = chrono::Utc::now() - chrono::Duration::hours(1);
    let machine = format!(
        "{SUB}/resourceGroups/rg-hard-prod/providers/Microsoft.Compute/virtualMachines/vm-hard-01"
    );
    let body = json!({"properties": {"osProfile": {"adminPassword": canary("event-password")}, "protectedSettings": {"k": canary("event-settings")}}});
    let event = json!({
        "resourceGroupName": "rg-hard-prod", "resourceId": machine, "subscriptionId": SUB.rsplit('/').next().unwrap(),
        "eventTimestamp": at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true), "caller": "mallory@contoso.com",
        "properties": {"requestbody": body.to_string(), "responseBody": format!("bearer {}", canary("event-bearer"))},
    });
    let azir = Azir::with(faults, |options| {
        options.scenario = Scenario::load(&text).unwrap();
        options.state = Some(state.clone());
    });
    // What an earlier lab left is read at the start: the event goes into the file, and a second lab reads it.
    drop(azir);
    let mut kept = std::fs::read_to_string(&state).unwrap();
    writeln!(
        kept,
        "{}",
        json!({"what": "event", "key": "", "value": event})
    )
    .unwrap();
    std::fs::write(&state, kept).unwrap();
    let azir = Azir::with(faults, |options| {
        options.scenario = Scenario::load(&text).unwrap();
        options.state = Some(state);
    });
    let mut secrets = planted(&azir);
    secrets.extend(["event-password", "event-settings", "event-bearer"].map(canary));
    // The lab has its state open; the folder may go.
    drop(folder);
    (azir, secrets)
}

/// Everything below a folder, but what the lab keeps there.
fn read_all(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            read_all(&path, found);
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
}

/// Runs azir, and looks meanwhile at what it and its children were called with.
fn watched(azir: &Azir, args: &[&str], found: &mut Vec<(String, Vec<u8>)>) -> i32 {
    let child = azir
        .command(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id();
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut seen = BTreeSet::new();
            while !ended.load(Ordering::SeqCst) {
                let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
                let children = children.unwrap_or_default();
                for pid in children
                    .split_whitespace()
                    .chain([pid.to_string().as_str()])
                {
                    if let Ok(words) = std::fs::read(format!("/proc/{pid}/cmdline")) {
                        seen.insert(words);
                    }
                }
                std::thread::yield_now();
            }
            seen
        });
        let output = child.wait_with_output().unwrap();
        ended.store(true, Ordering::SeqCst);
        let name = args.join(" ");
        for words in watcher.join().unwrap() {
            found.push((format!("arguments during {name}"), words));
        }
        found.push((format!("stdout of {name}"), output.stdout));
        found.push((format!("stderr of {name}"), output.stderr));
        output.status.code().unwrap_or(-1)
    })
}

#[test]
fn no_secret_of_any_plane_is_in_a_file_a_stream_or_an_argument() {
    let (mut bytes, mut places, mut looked, mut replaced) = (0, 0, 0, 0);
    for (faults, output) in [
        ("faults: []", "human"),
        (ECHOES, "human"),
        (ECHOES, "json"),
        (ECHOES, "ndjson"),
    ] {
        let (azir, secrets) = lab(faults);
        let mut found = Vec::new();
        let with = |words: &[&'static str]| [words, &["-v", "-v", "--output", output][..]].concat();
        let choice = ["--yes", "--choose", "cut_roles_which=all"];
        let run = [
            &["isolate-vm", "vm-hard-01", "--incident", "IR-1"],
            &choice[..],
        ]
        .concat();
        let code = watched(&azir, &with(&run), &mut found);
        assert!(matches!(code, 0 | 3 | 4), "{output}: {code}");
        let code = watched(&azir, &with(&["undo", "last", "--yes"]), &mut found);
        assert!(matches!(code, 0 | 3 | 4 | 5), "{output}: {code}");
        for words in [
            &["show", "last"][..],
            &["journal", "show", "last"],
            &["journal", "export", "last"],
        ] {
            let mut words = words.to_vec();
            if words[1] != "export" {
                words.extend(["--output", output]);
            }
            watched(&azir, &words, &mut found);
        }
        read_all(&azir.home.path().join("cases"), &mut found);
        let evidence = found
            .iter()
            .filter(|(name, _)| name.contains("/evidence/"))
            .count();
        assert!(evidence > 10, "only {evidence} exhibits");
        for (name, content) in &found {
            let hits = hits(content, &secrets);
            assert!(
                hits.is_empty(),
                "{name}: {hits:#?}\n{}",
                String::from_utf8_lossy(content)
            );
            bytes += content.len();
        }
        replaced += found
            .iter()
            .filter(|(_, content)| String::from_utf8_lossy(content).contains("$redacted"))
            .count();
        places += found.len();
        looked = secrets.len();
    }
    // The search had something to find: what was replaced says so.
    assert!(replaced >= 8, "only {replaced} files have had a secret");
    println!(
        "canaries: {looked} secrets, {} spellings each, {places} files, streams and argument lists, {bytes} bytes, no hit",
        spellings(TOKEN).len()
    );
}

#[test]
fn a_dying_azir_leaves_no_core() {
    use std::io::{BufRead as _, BufReader};
    use std::os::unix::process::ExitStatusExt as _;

    let folder = tempfile::tempdir().unwrap();
    // As many bytes of core as the system allows, for whoever wants one.
    let unlimited = |words: &[&str]| {
        let mut command = Command::new("sh");
        command
            .args(["-c", "ulimit -c unlimited 2>/dev/null; exec \"$@\"", "sh"])
            .args(words)
            .env("AZIR_HOME", folder.path())
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        command
    };
    let abort = |pid: u32| {
        let pid = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::ABORT).unwrap();
    };
    let azir = [env!("CARGO_BIN_EXE_azir"), "lab", "serve"];
    let mut child = unlimited(&azir).stdout(Stdio::piped()).spawn().unwrap();
    let mut ready = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut ready)
        .unwrap();
    let said: Value = serde_json::from_str(&ready).unwrap_or_default();
    assert!(ready.contains("127.0.0.1") || said.is_object(), "{ready}");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    let cores = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    let words: Vec<&str> = cores.split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"], "{cores}");
    abort(child.id());
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(6));
    assert!(!status.core_dumped());
    // The same end of another program, to say whether this machine makes cores at all.
    let mut other = unlimited(&["sleep", "600"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while std::fs::read(format!("/proc/{}/cmdline", other.id())).unwrap() != b"sleep\x00600\x00" {
        std::thread::yield_now();
    }
    abort(other.id());
    let made = other.wait().unwrap().core_dumped();
    println!(
        "core of azir: none; of another program on this machine: {}",
        if made { "made" } else { "none" }
    );
}
