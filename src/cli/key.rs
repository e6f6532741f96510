//! `azir key`: the responder's own key, which one is in force, whose it is, and how others check what it signs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ArgMatches;
use serde_json::json;

use super::config::{self, Config};
use super::home::Home;
use super::refusal::Refusal;
use super::{Output, out, passphrase, shown};
use crate::clock::{Clock, SystemClock};
use crate::engine::profile::Profile;
use crate::journal::person::{
    Agent, KeyError, KeyFile, KeyName, PATIENCE, PersonKey, PublicKey, signers,
};

/// How long `azir key` waits for an agent to say what it holds.
const LOOK: Duration = Duration::from_secs(5);
/// How often a passphrase may be mistyped.
const TRIES: u32 = 3;

/// What names the key that is in force.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Named {
    /// `agent`, `agent:SHA256:...` or a path.
    pub(super) text: String,
    /// Where that is written.
    pub(super) by: &'static str,
}

/// Returns what names the key in force: the environment before the profile.
pub(super) fn named(profile: &Profile) -> Option<Named> {
    let variable = std::env::var("AZIR_KEY")
        .ok()
        .filter(|text| !text.is_empty());
    variable
        .map(|text| Named {
            text,
            by: "AZIR_KEY",
        })
        .or_else(|| {
            profile.key.clone().map(|text| Named {
                text,
                by: "config.toml",
            })
        })
}

/// Returns the responder's own key, ready to sign; nothing where none is configured. Asks for the passphrase of an
/// encrypted one on the terminal, unless `--no-input` forbids it. An agent is not asked yet.
///
/// # Errors
/// A key that is configured and cannot be had, with the next command to type.
pub(super) fn responder_key(
    own: &ArgMatches,
    profile: &Profile,
) -> Result<Option<PersonKey>, Refusal> {
    let Some(named) = named(profile) else {
        return Ok(None);
    };
    let may_ask = !own.get_flag("no-input");
    open(&named.text, may_ask, PATIENCE)
        .map(Some)
        .map_err(|error| refusal(&error))
}

/// Returns the responder's own key without asking anybody: who confirmed beforehand is not kept waiting.
///
/// # Errors
/// As [`responder_key`], for an encrypted key file too: `azir journal seal` asks for its passphrase later.
pub(super) fn responder_key_at_once(profile: &Profile) -> Result<Option<PersonKey>, Refusal> {
    named(profile)
        .map(|named| open(&named.text, false, PATIENCE))
        .transpose()
        .map_err(|error| refusal(&error))
}

/// Opens the key that `text` names.
fn open(text: &str, may_ask: bool, patience: Duration) -> Result<PersonKey, KeyError> {
    match parse(text)? {
        KeyName::Agent(wanted) => Ok(PersonKey::in_agent(agent(patience)?, wanted)),
        KeyName::File(path) => unlock(&KeyFile::read(&path)?, may_ask),
    }
}

fn parse(text: &str) -> Result<KeyName, KeyError> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    KeyName::parse(text, home.as_deref())
}

fn agent(patience: Duration) -> Result<Agent, KeyError> {
    let socket = std::env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty());
    let socket = socket.ok_or(KeyError::AgentAbsent)?;
    Ok(Agent::new(Path::new(&socket), patience))
}

fn unlock(file: &KeyFile, may_ask: bool) -> Result<PersonKey, KeyError> {
    if !file.is_encrypted() {
        return file.unlock(None);
    }
    let mut tries = 0;
    loop {
        let passphrase = if may_ask {
            passphrase::ask(file.path())
        } else {
            None
        };
        tries += 1;
        match file.unlock(passphrase.as_ref()) {
            Err(KeyError::Passphrase(_)) if tries < TRIES => {
                out::line("azir: that is not its passphrase");
            }
            other => return other,
        }
    }
}

/// Returns the public half of the key that `text` names; no passphrase is needed for that.
fn public(text: &str) -> Result<PublicKey, KeyError> {
    match parse(text)? {
        KeyName::Agent(wanted) => PersonKey::in_agent(agent(LOOK)?, wanted).public().cloned(),
        KeyName::File(path) => Ok(KeyFile::read(&path)?.public().clone()),
    }
}

/// Returns the public half of the key in force, where there is one and it can be had.
pub(super) fn public_in_force(profile: &Profile) -> Option<PublicKey> {
    public(&named(profile)?.text).ok()
}

/// Turns what is wrong with a key into what the responder reads.
pub(super) fn refusal(error: &KeyError) -> Refusal {
    Refusal::failed("key", error.to_string(), error.hint())
}

/// Shows which key is in force.
pub(super) fn show(own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
    let (profile_name, profile) = chosen(own, home)?;
    let human = Output::of(own) == Output::Human;
    let file = home.signers();
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let Some(named) = named(&profile) else {
        if human {
            out::result(&format!(
                "no key: records are unsigned by a person (profile {profile_name})"
            ));
            out::line("next: azir key set ~/.ssh/id_ed25519, or azir key set agent");
        } else {
            out::result(&json!({"schema_version": 1, "key": null, "signers": file}).to_string());
        }
        return Ok(0);
    };
    let found = public(&named.text).map_err(|error| Refusal {
        message: format!("{} (named by {})", error, named.by),
        ..refusal(&error)
    })?;
    let owner = signers::owner(&text, &found);
    if !human {
        let key = json!({
            "named_by": named.by,
            "source": named.text,
            "type": found.kind(),
            "fingerprint": found.fingerprint(),
            "principal": owner,
        });
        out::result(&json!({"schema_version": 1, "key": key, "signers": file}).to_string());
        return Ok(0);
    }
    let whose = owner.map_or_else(
        || {
            format!(
                "nobody's yet in {}; the first run writes its responder there",
                file.display()
            )
        },
        |owner| format!("{owner}, in {}", file.display()),
    );
    let touch = if found.in_security_key() {
        "a security key: it is touched once a session, at its end"
    } else {
        "signs every checkpoint"
    };
    out::result(&shown::block(&format!(
        "key          {} (by {})\nfingerprint  {}\ntype         {}, {touch}\nprincipal    {whose}\n",
        named.text,
        named.by,
        found.fingerprint(),
        found.kind(),
    )));
    hand_out(&file);
    Ok(0)
}

/// Says for `azir doctor` how the key stands: verdict, words, next command.
pub(super) fn diagnosis(profile: &Profile, home: &Home) -> (&'static str, String, String) {
    let Some(named) = named(profile) else {
        return (
            "warn",
            "no key: records are unsigned by a person".to_owned(),
            "azir key set FILE, or azir key set agent".to_owned(),
        );
    };
    match public(&named.text) {
        Err(error) => (
            "warn",
            format!("{error} (named by {})", named.by),
            error.hint(),
        ),
        Ok(found) => {
            let text = std::fs::read_to_string(home.signers()).unwrap_or_default();
            let whose = signers::owner(&text, &found).unwrap_or("nobody yet");
            let text = format!("{} of {whose}, {}", found.fingerprint(), named.text);
            ("ok", text, String::new())
        }
    }
}

/// Makes a key the one in force: in the profile, and as its owner's in the signers file.
pub(super) fn set(own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
    let text = own.get_one::<String>("key").map_or("", String::as_str);
    if own.get_flag("lab") {
        return Err(Refusal::usage(
            "the profile lab is built in and cannot be changed",
            format!("export AZIR_KEY={text}, which holds for the lab too"),
        ));
    }
    let found = public(text).map_err(|error| refusal(&error))?;
    let named = match parse(text).map_err(|error| refusal(&error))? {
        KeyName::Agent(_) => text.to_owned(),
        // What is written is read in another folder.
        KeyName::File(_) if text.starts_with("~/") => text.to_owned(),
        KeyName::File(path) => std::path::absolute(&path)
            .unwrap_or(path)
            .display()
            .to_string(),
    };
    let (profile_name, profile) = chosen(own, home)?;
    let typed = own.get_one::<String>("responder").cloned();
    let owner = typed.or_else(|| profile.responder.clone()).ok_or_else(|| {
        Refusal::usage(
            "nothing says whose key it is",
            format!("azir key set {text} --responder alice@contoso.com"),
        )
    })?;
    if profile
        .responder
        .as_ref()
        .is_some_and(|known| *known != owner)
    {
        return Err(Refusal::usage(
            format!(
                "profile {profile_name} says that {} answers, not {owner}",
                profile.responder.unwrap_or_default()
            ),
            format!(
                "change responder in {}, or name another --profile",
                Config::path(home).display()
            ),
        ));
    }
    home.prepare()?;
    let file = home.signers();
    signers::add(&file, &owner, &found, SystemClock.now()).map_err(|error| {
        Refusal::usage(
            error.to_string(),
            format!("look at {}, or use another key", file.display()),
        )
    })?;
    let path = config::set(
        home,
        own.get_one::<String>("profile").map(String::as_str),
        &[("responder", &owner), ("key", &named)],
    )?;
    out::line(&format!(
        "{} is {owner}'s key ({}); written to {} and {}",
        found.fingerprint(),
        shown::line(&named),
        path.display(),
        file.display()
    ));
    if std::env::var_os("AZIR_KEY").is_some_and(|text| !text.is_empty()) {
        out::line("azir: AZIR_KEY is set and goes before the profile");
    }
    hand_out(&file);
    Ok(0)
}

fn hand_out(file: &Path) {
    out::line(&format!(
        "Give {} to those who will check your records, by another way than the records themselves:",
        file.display()
    ));
    out::line("next: azir journal verify RUN --signers FILE");
}

fn chosen(own: &ArgMatches, home: &Home) -> Result<(String, Profile), Refusal> {
    if own.get_flag("lab") {
        return Ok((config::LAB.to_owned(), config::lab()));
    }
    Config::load(home)?.choose(own.get_one::<String>("profile").map(String::as_str))
}
