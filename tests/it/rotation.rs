//! Rotation: the new secret is where it counts and in the vault, and nowhere else; what is old is gone when it should be.

use serde_json::{Value, json};

use crate::support::{Azir, each};

const SHOP: &str = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaa01";
const VAULT: &str = "/subscriptions/22222222-2222-4222-8222-222222222222/resourceGroups/rg-workload-prod/providers/Microsoft.KeyVault/vaults/kv-shop";
const OLD_ONE: &str = "lab-secret-of-the-shop-1";

fn versions<'a>(state: &'a Value, name: &str) -> Vec<&'a Value> {
    let mut found: Vec<&Value> = each(state, "vaultSecrets")
        .into_iter()
        .filter(|one| one["name"] == name)
        .collect();
    found.sort_by_key(|one| one["number"].as_u64());
    found
}

fn passwords(state: &Value) -> Vec<Value> {
    state["directory"]["applications"][SHOP]["passwordCredentials"]
        .as_array()
        .unwrap()
        .clone()
}

fn open(report: &Value) -> String {
    let items = report["residual"].as_array().unwrap().iter();
    let all: Vec<&str> = items.map(|item| item["what"].as_str().unwrap()).collect();
    all.join("\n")
}

/// Every byte that azir left anywhere: its home, and what it printed.
pub(crate) fn left_behind(azir: &Azir) -> Vec<u8> {
    fn read(folder: &std::path::Path, all: &mut Vec<u8>) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                read(&path, all);
            } else {
                all.extend(std::fs::read(path).unwrap());
            }
        }
    }
    let mut all = Vec::new();
    read(azir.home.path(), &mut all);
    all
}

/// Whether any run of characters as long as the secret, anywhere in what was left, is the secret.
pub(crate) fn holds(left: &[u8], sha256: &str, length: usize) -> bool {
    use sha2::{Digest as _, Sha256};
    let plain = |byte: &u8| byte.is_ascii_graphic() && *byte != b'"' && *byte != b'\\';
    let mut words = left
        .split(|byte| !plain(byte))
        .filter(|word| word.len() >= length);
    words.any(|word| {
        word.windows(length)
            .any(|part| hex::encode(Sha256::digest(part)) == sha256)
    })
}

#[test]
fn an_applications_new_secret_is_in_the_vault_and_nowhere_else_and_the_old_ones_are_gone() {
    let azir = Azir::new();
    let before = passwords(&azir.lab.state());
    let words = [
        "rotate-app-secret",
        "shop-backend",
        "--vault",
        VAULT,
        "--secret",
        "shop-backend-secret",
        "--mode",
        "cut",
        "--incident",
        "IR-1",
        "--yes",
    ];
    let done = azir.run(&words);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let state = azir.lab.state();
    let now = passwords(&state);
    assert_eq!(now.len(), 1, "{now:?}");
    assert!(before.iter().all(|old| old["keyId"] != now[0]["keyId"]));
    let kept = versions(&state, "shop-backend-secret");
    assert_eq!(kept.len(), 2);
    let newest = kept[1];
    assert_eq!(
        newest["__sha256"], now[0]["__sha256"],
        "what the vault keeps is what the directory made"
    );
    assert_eq!(
        newest["tags"]["azir-upstream"],
        format!("application/{SHOP}")
    );
    assert_eq!(newest["tags"]["azir-key-id"], now[0]["keyId"]);
    let mut left = left_behind(&azir);
    left.extend(done.stdout.bytes());
    left.extend(done.stderr.bytes());
    // Thirty bytes in base64 are forty characters.
    assert!(!holds(&left, newest["__sha256"].as_str().unwrap(), 40));
    assert!(
        holds(
            OLD_ONE.as_bytes(),
            kept[0]["__sha256"].as_str().unwrap(),
            OLD_ONE.len()
        ),
        "the search finds what is there"
    );
    // Old ones go only when the new one is confirmed in both places.
    let asked = azir.lab.requests();
    let place = |part: &str| {
        asked
            .iter()
            .position(|request| request.path.contains(part))
            .unwrap()
    };
    assert!(place("/addPassword") < place("/versions"));
    assert!(place("/versions") < place("/removePassword"));
    assert_eq!(azir.run(&["journal", "verify", "last"]).code, 2);
    let (code, undone) = azir.json(&["undo", "last", "--yes"]);
    assert_eq!(code, 0, "{undone}");
    assert!(
        passwords(&azir.lab.state()).is_empty(),
        "the new one is taken back, an old one cannot come back"
    );
}

#[test]
fn gracefully_old_secrets_stay_until_they_are_chosen() {
    let azir = Azir::new();
    let words = [
        "rotate-app-secret",
        "shop-backend",
        "--vault",
        VAULT,
        "--incident",
        "IR-1",
        "--yes",
    ];
    let (code, report) = azir.json(&words);
    assert_eq!(code, 0, "{report}");
    assert_eq!(passwords(&azir.lab.state()).len(), 3);
    assert!(open(&report).contains("--mode end"), "{report}");
    let newest =
        versions(&azir.lab.state(), "shop-backend-secret")[1]["tags"]["azir-key-id"].clone();
    let end = |vault: &str| {
        let words = [
            "rotate-app-secret",
            "shop-backend",
            "--vault",
            vault,
            "--mode",
            "end",
        ];
        let mut words = words.to_vec();
        words.extend(["--incident", "IR-1", "--yes"]);
        azir.run(&words)
    };
    let other = end("kv-policy");
    assert_eq!(other.code, 5, "{}", other.stderr);
    assert!(other.stderr.contains("holds no secret"), "{}", other.stderr);
    assert_eq!(passwords(&azir.lab.state()).len(), 3);
    let done = end("kv-shop");
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let left = passwords(&azir.lab.state());
    assert_eq!(left.len(), 1, "what the vault holds stays: {left:?}");
    assert_eq!(left[0]["keyId"], newest);
    assert!(!done.stdout.contains("--mode end"), "{}", done.stdout);
}

#[test]
fn the_applications_of_a_compromised_user_get_new_secrets_each_of_its_own() {
    let azir = Azir::new();
    let cut = [
        "revoke-user",
        "heidi@contoso.com",
        "--incident",
        "IR-1",
        "--yes",
    ];
    let (code, cut) = azir.json(&cut);
    assert_eq!(code, 0, "{cut}");
    let run = cut["run"].as_str().unwrap();
    let rotate = |more: &[&str]| {
        let mut words = vec!["rotate-app-secret", "--from", run, "--vault", VAULT];
        words.extend(more);
        words.extend(["--incident", "IR-1", "--yes"]);
        azir.run(&words)
    };
    let one_name = rotate(&["--secret", "one-for-all"]);
    assert_eq!(one_name.code, 5, "{}", one_name.stderr);
    assert!(
        one_name.stderr.contains("leave it out"),
        "{}",
        one_name.stderr
    );
    let before = azir.lab.state();
    let done = rotate(&[]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let after = azir.lab.state();
    let mut fresh = 0;
    for (id, application) in after["directory"]["applications"].as_object().unwrap() {
        let count = |state: &Value| {
            let all = &state["directory"]["applications"][id]["passwordCredentials"];
            all.as_array().map_or(0, Vec::len)
        };
        let more = count(&after) - count(&before);
        if more == 0 {
            continue;
        }
        assert_eq!(more, 1, "{application}");
        fresh += 1;
        let kept = each(&after, "vaultSecrets");
        let upstream = format!("application/{id}");
        assert!(
            kept.iter()
                .any(|one| one["tags"]["azir-upstream"] == upstream),
            "{application}"
        );
    }
    assert_eq!(fresh, 2, "both applications that heidi owns have secrets");
    let empty = [
        "rotate-app-secret",
        "--vault",
        VAULT,
        "--from",
        "last",
        "--yes",
    ];
    let done = azir.run(&empty);
    assert_eq!(done.code, 2, "{}", done.stderr);
}

#[test]
fn a_secret_that_the_vault_does_not_take_is_taken_back_upstream() {
    for fault in [
        "{method: PUT, path: '/secrets/', do: status, status: 403}",
        "{method: PUT, path: '/secrets/', do: reset-before, times: 9}",
    ] {
        let azir = Azir::with(&format!("faults: [{fault}]"), |_| {});
        let before = passwords(&azir.lab.state());
        let words = [
            "rotate-app-secret",
            "shop-backend",
            "--vault",
            VAULT,
            "--mode",
            "cut",
            "--incident",
            "IR-1",
            "--yes",
        ];
        let done = azir.run(&words);
        assert_ne!(done.code, 0, "{fault}: {}", done.stdout);
        assert_eq!(
            passwords(&azir.lab.state()),
            before,
            "{fault}: nothing of it stays, and no old one is gone"
        );
    }
}

#[test]
fn a_vault_that_took_it_without_saying_so_is_asked() {
    let azir = Azir::with(
        "faults: [{method: PUT, path: '/secrets/', do: reset-after}]",
        |_| {},
    );
    let words = [
        "rotate-app-secret",
        "shop-backend",
        "--vault",
        VAULT,
        "--secret",
        "shop-backend-secret",
        "--mode",
        "cut",
        "--incident",
        "IR-1",
        "--yes",
    ];
    let (code, report) = azir.json(&words);
    assert_eq!(code, 0, "{report}");
    let state = azir.lab.state();
    assert_eq!(
        versions(&state, "shop-backend-secret").len(),
        2,
        "one version was made, and no second"
    );
    assert_eq!(passwords(&state).len(), 1);
}

#[test]
fn what_a_compromised_user_could_read_is_rotated_where_its_upstream_is_known() {
    let azir = Azir::new();
    let (code, cut) = azir.json(&[
        "revoke-user",
        "heidi@contoso.com",
        "--incident",
        "IR-1",
        "--yes",
    ]);
    assert_eq!(code, 0, "{cut}");
    let run = cut["run"].as_str().unwrap();
    let words = [
        "rotate-vault-secrets",
        "--from",
        run,
        "--mode",
        "cut",
        "--incident",
        "IR-1",
        "--yes",
    ];
    let (code, report) = azir.json(&words);
    // Three are for a person to rotate, and nobody was there.
    assert_eq!(code, 3, "{report}");
    let state = azir.lab.state();
    let kept = versions(&state, "shop-backend-secret");
    assert_eq!(kept.len(), 2);
    assert_eq!(
        (
            &kept[0]["attributes"]["enabled"],
            &kept[1]["attributes"]["enabled"]
        ),
        (&json!(false), &json!(true))
    );
    let now = passwords(&state);
    assert_eq!(now.len(), 1);
    assert_eq!(kept[1]["__sha256"], now[0]["__sha256"]);
    for untouched in ["disk-key-01", "shop-tls"] {
        assert_eq!(versions(&state, untouched).len(), 1, "{untouched}");
        assert_eq!(
            versions(&state, untouched)[0]["attributes"]["enabled"],
            true
        );
    }
    assert_eq!(
        versions(&state, "shop-db").len(),
        2,
        "nobody guesses where a password comes from"
    );
    let text = open(&report);
    for what in [
        "disk-key-01 was not touched: it encrypts a disk",
        "shop-tls was not touched: it belongs to a certificate",
        "shop-db is as the attacker may have read it",
        "legacy-api is as the attacker may have read it",
    ] {
        assert!(text.contains(what), "{what}: {text}");
    }
}

#[test]
fn an_upstream_may_be_named_and_a_vault_that_is_none_is_refused() {
    let azir = Azir::new();
    let upstream = format!("shop-db=application/{SHOP}");
    let words = [
        "rotate-vault-secrets",
        "kv-shop",
        "--only",
        "shop-db",
        "--upstream",
        &upstream,
        "--incident",
        "IR-1",
        "--yes",
    ];
    let (code, report) = azir.json(&words);
    assert_eq!(code, 0, "{report}");
    let state = azir.lab.state();
    let kept = versions(&state, "shop-db");
    assert_eq!(kept.len(), 3);
    assert!(
        kept[..2]
            .iter()
            .all(|old| old["attributes"]["enabled"] == false)
    );
    for words in [
        &["rotate-vault-secrets", "kv-nowhere"][..],
        &["rotate-vault-secrets"],
        &["rotate-vault-secrets", "--from", "no-run"],
    ] {
        let mut all = words.to_vec();
        all.extend(["--incident", "IR-1", "--yes"]);
        let done = azir.run(&all);
        assert!(
            matches!(done.code, 2 | 5),
            "{words:?}: {} {}",
            done.code,
            done.stderr
        );
    }
}

#[test]
fn a_password_goes_to_nobody_or_into_the_vault() {
    let azir = Azir::new();
    let (code, report) = azir.json(&[
        "reset-password",
        "alice@contoso.com",
        "--incident",
        "IR-1",
        "--yes",
    ]);
    assert_eq!(code, 0, "{report}");
    let alice = "88888888-8888-4888-8888-888888888801";
    let first = azir.lab.state()["directory"]["users"][alice]["__password_sha256"].clone();
    assert!(first.is_string());
    assert!(!holds(&left_behind(&azir), first.as_str().unwrap(), 32));
    let (code, report) = azir.json(&[
        "reset-password",
        "bob@contoso.com",
        "--vault",
        VAULT,
        "--incident",
        "IR-1",
        "--yes",
    ]);
    assert_eq!(code, 0, "{report}");
    let bob = "88888888-8888-4888-8888-888888888809";
    let state = azir.lab.state();
    let second = &state["directory"]["users"][bob]["__password_sha256"];
    let kept = versions(&state, &format!("password-{bob}"));
    assert_eq!(&kept[0]["__sha256"], second);
    assert!(!holds(&left_behind(&azir), second.as_str().unwrap(), 32));
    for (user, why) in [
        ("sam@contoso.com", "mastered on premises"),
        (
            "gary_partner.example#EXT#@contoso.onmicrosoft.com",
            "home tenant",
        ),
    ] {
        let done = azir.run(&["reset-password", user, "--incident", "IR-1", "--yes"]);
        assert_eq!(done.code, 5, "{}", done.stderr);
        assert!(done.stderr.contains(why), "{}", done.stderr);
    }
}

#[test]
fn azirs_own_old_secret_is_not_removed_while_azir_signs_in_with_it() {
    let azir = Azir::new();
    let words = [
        "rotate-app-secret",
        "responder",
        "--vault",
        VAULT,
        "--choose",
        "old_which=all",
        "--incident",
        "IR-1",
        "--yes",
    ];
    let done = azir.run(&words);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let asked = azir.lab.requests();
    let removed = |part: &str| asked.iter().any(|request| request.path.ends_with(part));
    assert!(removed("/addPassword") && !removed("/removePassword"));
    let told = format!("{}{}", done.stdout, done.stderr);
    assert!(told.contains("azir signs in with"), "{told}");
    let again = azir.run(&[
        "check-user",
        "alice@contoso.com",
        "--incident",
        "IR-1",
        "--yes",
    ]);
    assert_eq!(again.code, 0, "{}", again.stderr);
}
