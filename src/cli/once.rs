//! `--key ID`: however often a command is called with the same key, it is done once.
//!
//! The first line of a run names the key that started it, and nothing else is needed to know whether it was used. So
//! that two calls in the same instant do not both begin, each holds the lock of a file named by the key while it finds
//! out and until its run is over; a process that dies gives it up, and leaves nothing behind that would have to be
//! cleared away. The scope is the cases of one home.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::PathBuf;
use std::time::Duration;

use clap::ArgMatches;
use serde_json::json;

use super::home::Home;
use super::meaning::{self, Asked};
use super::refusal::Refusal;
use super::{out, shown};
use crate::digest::Digest;
use crate::engine::Once;
use crate::report::cases;
use crate::report::run::{short, started};

/// How often the lock of a key is asked for.
const OFTEN: Duration = Duration::from_millis(100);

/// Whose it is to carry out what a key stands for.
pub(super) enum Claim {
    /// This process's: nobody else does as long as the file is open.
    Ours(Once, File),
    /// A run's that is there already.
    Theirs(PathBuf),
}

/// Finds out what a key stands for, where one was given; waits while another process carries it out.
pub(super) fn claim(
    own: &ArgMatches,
    runbook: &str,
    asked: &Asked,
    home: &Home,
) -> Result<Option<Claim>, Refusal> {
    let Some(key) = own.try_get_one::<String>("key").ok().flatten() else {
        return Ok(None);
    };
    if own.get_flag("plan") {
        return Err(Refusal::usage(
            "--key and --plan contradict each other: looking does nothing that could be done twice",
            "leave one of them out",
        ));
    }
    let once = Once {
        key: key.clone(),
        asks: asks(own, runbook, asked),
        words: words(runbook, asked),
    };
    let lock = lock(&once, home)?;
    let Some(run_dir) = used(&once, home)? else {
        return Ok(Some(Claim::Ours(once, lock)));
    };
    Ok(Some(Claim::Theirs(run_dir)))
}

/// Takes the lock of a key, when nobody else has it any more.
fn lock(once: &Once, home: &Home) -> Result<File, Refusal> {
    let folder = home.root.join("keys");
    let path = folder.join(once.digest());
    let refuse = |error: std::io::Error| {
        Refusal::record(
            format!("the key cannot be kept in {}: {error}", path.display()),
            "export AZIR_HOME=/path/to/a/writable/folder",
        )
    };
    std::fs::create_dir_all(&folder).map_err(refuse)?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let file = options.open(&path).map_err(refuse)?;
    let mut said = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(refuse(error)),
        }
        if !said {
            let key = shown::line(&once.key);
            out::line(&format!(
                "azir: key {key} is being carried out; waiting for its end"
            ));
            said = true;
        }
        std::thread::sleep(OFTEN);
    }
}

/// Returns the run that a key started, if it has; one that was asked for something else is refused.
fn used(once: &Once, home: &Home) -> Result<Option<PathBuf>, Refusal> {
    let digest = once.digest();
    let before = cases::folders(&home.cases()).into_iter().find_map(|path| {
        let start = started(&path).ok()?;
        let before = start.once.clone()?;
        (before.key == digest).then_some((path, start, before))
    });
    let Some((path, start, before)) = before else {
        return Ok(None);
    };
    if before.asks != once.asks {
        return Err(Refusal::usage(
            format!(
                "--key {} stands for {:?} already, by run {} of {}, and this is {:?}",
                once.key, before.words, start.run, start.incident, once.words
            ),
            format!("another --key, or azir show {}", short(&start.run)),
        ));
    }
    out::line(&format!(
        "azir: key {} started run {} at {}; nothing is done again",
        shown::line(&once.key),
        start.run,
        start.time
    ));
    Ok(Some(path))
}

/// Returns the digest of all that decides what a run does.
fn asks(own: &ArgMatches, runbook: &str, asked: &Asked) -> String {
    let word = |name: &str| own.get_one::<String>(name).cloned();
    let choose: Vec<&String> = own.get_many("choose").into_iter().flatten().collect();
    let all = json!([
        runbook,
        asked.targets,
        asked.bulk.filter,
        asked.bulk.retries,
        asked.bulk.max_failures,
        asked.bulk.together,
        asked
            .bulk
            .watch
            .map(|watch| (watch.span.as_secs(), watch.reapply)),
        asked.arguments,
        choose,
        meaning::accepted(own),
        word("incident"),
        word("profile"),
        word("cloud"),
        own.get_flag("lab"),
    ]);
    Digest::of(all.to_string().as_bytes()).to_string()
}

/// Returns what is asked for in words, as far as a person needs them to tell one call from another.
fn words(runbook: &str, asked: &Asked) -> String {
    let filter = asked
        .bulk
        .filter
        .iter()
        .map(|text| format!("--filter {text:?}"));
    let given = asked.arguments.iter();
    let given = given.map(|(name, value)| match value.as_str() {
        Some(text) => format!("--{name} {text}"),
        None => format!("--{name} {value}"),
    });
    let all = std::iter::once(runbook.to_owned())
        .chain(asked.targets.iter().cloned())
        .chain(filter)
        .chain(given);
    let text = all.collect::<Vec<_>>().join(" ");
    if text.chars().count() <= 200 {
        return text;
    }
    let cut: String = text.chars().take(197).collect();
    format!("{cut}...")
}
