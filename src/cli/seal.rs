//! `azir journal seal` and `azir journal countersign`: what a record still lacks when its run is over.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ArgMatches;
use serde_json::{Value, json};

use super::acted::keep_apart;
use super::acting::Acting;
use super::config::{self, Config};
use super::connect::{Connection, Place, connect};
use super::exit::Exit;
use super::home::Home;
use super::refusal::Refusal;
use super::vouched::person_words;
use super::{Output, key, meaning, out, outside, shown, witnesses};
use crate::clock::{Clock, SystemClock};
use crate::engine::production::keep_out;
use crate::engine::profile::Profile;
use crate::engine::witness::{Witness, WitnessKind, absent};
use crate::engine::{Missing, SealDeps, SealRequest, Sealed, last_responder, seal};
use crate::journal::format::checkpoint_name;
use crate::journal::person::{NotCountersigned, countersign, signers};
use crate::journal::reader::unsigned;
use crate::journal::verify::{Level, verify};
use crate::random::{Random, SystemRandom};
use crate::report::run::started;

/// Seals a run that did not seal itself, and asks those who did not vouch for it.
pub(super) fn seal_run(own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
    let (run_dir, profile, _acting) = chosen(own, home, "journal seal")?;
    unchanged(home, &run_dir)?;
    let sealed_before = last_line_is_seal(&run_dir);
    let mine = whose(own, &profile, home);
    let responder = if sealed_before {
        // Nobody opens a session: the signature that is missing is that of the last one's responder.
        last_responder(&run_dir)?
    } else {
        mine.clone()
    };
    let by = (mine == responder).then(|| responder.clone());
    let (clock, random): (Arc<dyn Clock>, Arc<dyn Random>) =
        (Arc::new(SystemClock), Arc::new(SystemRandom));
    let request = SealRequest {
        run_dir: run_dir.clone(),
        responder,
        host: meaning::hostname(),
        yes: own.get_flag("yes"),
    };
    let sealed = runtime()?.block_on(async {
        let place = (own, &profile, home, &*run_dir);
        // The connection lives as long as those who vouch through it.
        let (mut witnesses, _connection) =
            everybody(place, by.as_deref(), &clock, &random).await?;
        if by.is_none() && key::public_in_force(&profile).is_some() && is_unsigned(&run_dir) {
            let why = format!(
                "the key in force is {mine}'s, and {} answers for this session (next: {} types azir journal countersign RUN)",
                request.responder, request.responder
            );
            witnesses.push(absent(WitnessKind::Person, why));
        }
        let deps = SealDeps {
            clock: Arc::clone(&clock),
            random: Arc::clone(&random),
            witnesses: &witnesses,
            tell: &|ask| out::line(&format!("azir: {}", shown::line(ask))),
        };
        seal(request, deps).await.map_err(Refusal::from)
    })?;
    let report = crate::report::run::report(&run_dir, &outside::of(home, &run_dir))
        .map_err(|error| Refusal::integrity(&error))?;
    if Output::of(own) != Output::Human {
        let value = json!({
            "schema_version": 1,
            "run": report.run,
            "already_sealed": sealed.already,
            "entries": sealed.entries,
            "open_intents": sealed.open.iter().map(|intent| intent.seq).collect::<Vec<_>>(),
            "missing": sealed.missing.iter().map(missing_json).collect::<Vec<_>>(),
            "journal": report.journal,
        });
        out::result(&value.to_string());
        return Ok(code(&sealed));
    }
    let mut text = if sealed.already {
        format!(
            "The run was sealed before, with {} entries.\n",
            sealed.entries
        )
    } else {
        format!(
            "Sealed with {} entries: nothing can be added.\n",
            sealed.entries
        )
    };
    for intent in &sealed.open {
        text.push_str(&format!(
            "  sealed over an open intent: line {}, {} {} ({})\n",
            intent.seq, intent.method, intent.target, intent.effect
        ));
    }
    for gap in &sealed.missing {
        text.push_str(&format!("  {}\n", missing_words(gap)));
    }
    text.push_str(&format!(
        "Record: {}\n",
        super::vouched::record_words(&report.journal)
    ));
    out::result(&shown::block(&text));
    if !sealed.missing.is_empty() {
        out::line(&format!(
            "next: azir journal seal {}, to ask them again",
            report.run
        ));
    }
    Ok(code(&sealed))
}

/// Returns all who can vouch, and the connection to the cloud that some of them need.
///
/// Without a cloud the record is sealed all the same, and who could not be asked is missing.
async fn everybody(
    (own, profile, home, run_dir): (&ArgMatches, &Profile, &Home, &Path),
    by: Option<&str>,
    clock: &Arc<dyn Clock>,
    random: &Arc<dyn Random>,
) -> Result<(Vec<Arc<dyn Witness>>, Option<Connection>), Refusal> {
    // A signature is asked of nobody but the person whose it is.
    let own_alone =
        |witness: &Arc<dyn Witness>| by.is_some() || witness.kind() != WitnessKind::Person;
    let name = by.unwrap_or_default();
    if profile.vault.is_none() && profile.time_stamps.is_empty() {
        let key = by.and_then(|by| witnesses::key_of(own, profile, home, by));
        return Ok((key.into_iter().collect(), None));
    }
    let case = run_dir
        .parent()
        .map_or_else(|| home.cases(), Path::to_path_buf);
    let start = started(run_dir).map_err(|error| Refusal::integrity(&error))?;
    match connect(&Place::of_run(own, &start, "journal seal")?, home, &case).await {
        Ok(connection) => {
            keep_out(
                start.drill,
                (&connection.profile_name, &connection.profile),
                connection.client.cloud(),
                &connection.production,
            )?;
            let deps = (clock, random);
            let mut all = witnesses::witnesses(own, &connection, home, name, deps, false)?;
            all.retain(own_alone);
            Ok((all, Some(connection)))
        }
        Err(refusal) => {
            let mut all = witnesses::at_the_desk(own, profile, home, name, clock, random)?;
            all.retain(own_alone);
            if profile.vault.is_some() {
                all.push(absent(WitnessKind::Worm, refusal.message));
            }
            Ok((all, None))
        }
    }
}

/// What is still missing is a gap of the record.
fn code(sealed: &Sealed) -> u8 {
    if sealed.missing.is_empty() {
        Exit::Done.code()
    } else {
        Exit::Unproved.code()
    }
}

/// Signs the last checkpoint of a run, as its responder or as second person.
pub(super) fn countersign_run(own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
    let (run_dir, profile, _acting) = chosen(own, home, "journal countersign")?;
    let Some(key) = key::responder_key(own, &profile)? else {
        return Err(Refusal::usage(
            "there is no key to sign with",
            "azir key set FILE, or AZIR_KEY=FILE azir journal countersign RUN",
        ));
    };
    let public = key.public().map_err(|error| key::refusal(&error))?;
    let owner = owner(own, &profile, home, Some(public)).ok_or_else(|| {
        Refusal::usage(
            "nothing says whose key it is",
            "azir key set FILE --responder alice@contoso.com",
        )
    })?;
    if public.in_security_key() {
        out::line("azir: touch your security key to sign the record");
    }
    unchanged(home, &run_dir)?;
    let second = own.get_flag("second");
    let done = countersign(&run_dir, &key, &owner, second, &home.signers())
        .map_err(|error| refusal(&error))?;
    let verified = verify(&run_dir, &outside::of(home, &run_dir));
    let pending = verified
        .findings
        .iter()
        .any(|finding| finding.code == "transfer-pending");
    let transfer = match (done.transfers, pending) {
        (0, _) => None,
        (_, true) => Some("pending"),
        (_, false) => Some("complete"),
    };
    if Output::of(own) != Output::Human {
        let value = json!({
            "schema_version": 1,
            "checkpoint": done.checkpoint,
            "entries": done.entries,
            "of": done.of,
            "principal": owner,
            "role": if done.second { "second" } else { "responder" },
            "touch": done.presence.map(|presence| presence.touch),
            "pin": done.presence.map(|presence| presence.pin),
            "transfer": transfer,
        });
        out::result(&value.to_string());
        return Ok(0);
    }
    let role = if done.second {
        "as second person"
    } else {
        "as the responder"
    };
    let presence = done.presence.map(|presence| (presence.touch, presence.pin));
    let mut text = format!(
        "Signed {role} by {}: checkpoint {}, {} of {} entries.\n",
        person_words(&owner, presence),
        done.checkpoint,
        done.entries,
        done.of
    );
    match transfer {
        Some("pending") => text.push_str(
            "The transfer is pending: it is complete when the responder and a second person have signed one checkpoint over it.\n",
        ),
        Some(_) => text.push_str("The transfer is complete: both persons have signed.\n"),
        None => {}
    }
    out::result(&shown::block(&text));
    Ok(0)
}

fn refusal(error: &NotCountersigned) -> Refusal {
    match error {
        NotCountersigned::Key(error) => key::refusal(error),
        NotCountersigned::Held { .. } => Refusal::record(
            error.to_string(),
            "wait for it to end, or stop it with ctrl-C",
        ),
        NotCountersigned::Journal(error) => Refusal::integrity(error),
        NotCountersigned::Already { .. } => {
            Refusal::usage(error.to_string(), "azir journal verify RUN")
        }
        NotCountersigned::NoCheckpoint => {
            Refusal::usage(error.to_string(), "azir journal seal RUN")
        }
        NotCountersigned::SameKey
        | NotCountersigned::SamePerson(_)
        | NotCountersigned::Signers(_) => Refusal::usage(
            error.to_string(),
            "let another person sign: AZIR_KEY=FILE azir journal countersign RUN --second --responder bob@contoso.com",
        ),
    }
}

/// Returns the run that was named, the profile that is in force, and what keeps a drill from being ended meanwhile.
fn chosen(
    own: &ArgMatches,
    home: &Home,
    command: &str,
) -> Result<(PathBuf, Profile, Acting), Refusal> {
    let run_dir = home.run(own.get_one::<String>("run").map_or("last", String::as_str))?;
    // One whose first line cannot be read does not verify, and is refused for that.
    if let Ok(start) = started(&run_dir) {
        keep_apart(&start, home, command)?;
    }
    let acting = home.act(command)?;
    let typed = own.value_source("profile") == Some(clap::parser::ValueSource::CommandLine);
    let named = own.get_one::<String>("profile").cloned();
    // What vouches for a run is what its own profile names, not whatever profile is in force now.
    let recorded = started(&run_dir)
        .map(|start| start.profile)
        .unwrap_or_default();
    let profile = match recorded.as_str() {
        _ if own.get_flag("lab") => config::lab(),
        config::LAB if !typed => config::lab(),
        config::NO_PROFILE if !typed => Profile::default(),
        "" => Config::load(home)?.choose(named.as_deref())?.1,
        _ if typed => Config::load(home)?.choose(named.as_deref())?.1,
        recorded => Config::load(home)?.choose(Some(recorded))?.1,
    };
    Ok((run_dir, profile, acting))
}

/// Returns who is named: by the flag, by the signers file as the owner of the key, by the profile.
fn owner(
    own: &ArgMatches,
    profile: &Profile,
    home: &Home,
    key: Option<&crate::journal::person::PublicKey>,
) -> Option<String> {
    let text = std::fs::read_to_string(home.signers()).unwrap_or_default();
    own.get_one::<String>("responder")
        .cloned()
        .or_else(|| signers::owner(&text, key?).map(str::to_owned))
        .or_else(|| profile.responder.clone())
}

/// Returns who answers for the session that seals; a person at this machine where nothing names one.
pub(super) fn whose(own: &ArgMatches, profile: &Profile, home: &Home) -> String {
    let public = key::public_in_force(profile);
    owner(own, profile, home, public.as_ref())
        .unwrap_or_else(|| meaning::responder(own, profile, None).upn)
}

/// Refuses a record that does not verify: nobody is to put a name under it, and a seal would close it as it is.
fn unchanged(home: &Home, run_dir: &Path) -> Result<(), Refusal> {
    let report = verify(run_dir, &outside::of(home, run_dir));
    if !matches!(report.exit_code, 1 | 4) {
        return Ok(());
    }
    let first = report
        .findings
        .iter()
        .find(|finding| finding.level == Level::Error);
    let why = first.map_or("it cannot be read", |finding| finding.text.as_str());
    Err(Refusal {
        hint: format!("azir journal verify {}", run_dir.display()),
        ..Refusal::integrity(&format!("the record does not verify: {why}"))
    })
}

/// Returns whether the last checkpoint lacks the signature of the responder.
fn is_unsigned(run_dir: &Path) -> bool {
    let lacking = unsigned(run_dir, "human.sig").unwrap_or_default();
    lacking.last().is_some_and(|last| {
        let next = checkpoint_name(last.number + 1, "cp");
        !run_dir.join("cp").join(next).exists()
    })
}

fn last_line_is_seal(run_dir: &Path) -> bool {
    let mut sealed = false;
    let read = crate::journal::reader::each(run_dir, |line, _, _| sealed = line.kind == "seal");
    read.is_ok() && sealed
}

/// Says who does not vouch, since when and why.
pub(super) fn missing_words(gap: &Missing) -> String {
    super::vouched::gap_words(gap.kind.word(), &crate::clock::seconds(gap.since), &gap.why)
}

fn missing_json(gap: &Missing) -> Value {
    json!({"witness": gap.kind.word(), "since": crate::clock::seconds(gap.since), "why": gap.why})
}

fn runtime() -> Result<tokio::runtime::Runtime, Refusal> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Refusal::failed("runtime", error.to_string(), "azir doctor"))
}
