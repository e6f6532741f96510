//! The command line as clap sees it. Runbooks become commands without being parsed; a command's own
//! arguments are made only when that command is the one.

use std::sync::{Arc, OnceLock};

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command, value_parser};

use super::{
    approve, custody_args, drill, globals, handover, help, incident, note, preflight, timeline,
    wait,
};
use crate::runbook::catalogue::{Catalogue, title};
use crate::runbook::model::{Param, ParamKind, Purpose, Runbook};

/// The runbooks, for the functions that clap calls without context.
static CATALOGUE: OnceLock<Arc<Catalogue>> = OnceLock::new();

/// Returns the whole command line.
pub(super) fn root(catalogue: &Arc<Catalogue>) -> Command {
    let _ = CATALOGUE.set(Arc::clone(catalogue));
    let own = own();
    let mut root = Command::new("azir")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Contain an attack on an Azure tenant, prove it, and put back what was changed")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .help_template(help::template(catalogue, &own))
        .args(globals::options());
    for (order, (name, source)) in catalogue.sources().enumerate() {
        root = root.subcommand(
            Command::new(name.to_owned())
                .about(title(&source.text).to_owned())
                .display_order(order)
                .defer(runbook_args),
        );
    }
    root.subcommands(
        own.into_iter()
            .enumerate()
            .map(|(order, command)| command.display_order(100 + order)),
    )
}

fn own() -> Vec<Command> {
    let run = || {
        Arg::new("run")
            .value_name("RUN")
            .help("A run's id, a unique beginning of it, its folder, or last")
            .default_value("last")
    };
    vec![
        Command::new("run")
            .about("Run a runbook by name or file")
            .arg(
                Arg::new("approved")
                    .long("approved")
                    .value_name("FILE")
                    .help("A plan that two persons stand for, carried out as it stands"),
            )
            .arg(
                Arg::new("runbook")
                    .value_name("NAME|FILE")
                    .required_unless_present("approved"),
            )
            .arg(
                Arg::new("rest")
                    .value_name("ARGUMENTS")
                    .num_args(0..)
                    .trailing_var_arg(true)
                    .allow_hyphen_values(true),
            ),
        approve::plan_command(),
        approve::command(),
        preflight::command(),
        Command::new("resume")
            .about("Go on with a run that broke off, where its record ends")
            .arg(
                Arg::new("run")
                    .value_name("RUN")
                    .help("A run's id, a unique beginning of it, its folder, or last; absent: the one that is open"),
            ),
        Command::new("undo")
            .about("Put back what a run changed")
            .arg(run())
            .arg(
                Arg::new("over-drift")
                    .long("over-drift")
                    .action(ArgAction::SetTrue)
                    .help("Overwrite what somebody changed since"),
            )
            .arg(
                Arg::new("clearance")
                    .long("clearance")
                    .value_name("TEXT")
                    .value_parser(clap::builder::NonEmptyStringValueParser::new())
                    .help("Give back what was taken: who cleared it, and on what grounds"),
            ),
        incident::command(),
        note::note_command(),
        note::attach_command(),
        note::manual_command(),
        handover::command(),
        timeline::command(),
        Command::new("list")
            .about("List the runs of every case")
            .arg(
                Arg::new("folder")
                    .value_name("FOLDER")
                    .help("A case's folder, wherever it was copied to"),
            ),
        Command::new("show")
            .about("Show how a run stands, from its journal")
            .arg(run()),
        wait::command(run()),
        incident::status_command(),
        Command::new("journal")
            .about("Read, verify, prove and export the custody record")
            .subcommand_required(true)
            .subcommand(
                Command::new("show")
                    .about("Show the lines of a run's journal")
                    .arg(run()),
            )
            .subcommand(custody_args::verify())
            .subcommand(custody_args::prove())
            .subcommand(custody_args::check_proof())
            .subcommand(custody_args::export())
            .subcommand(
                Command::new("seal")
                    .about("Close a run for good, and ask those who did not vouch for it")
                    .arg(run()),
            )
            .subcommand(
                Command::new("countersign")
                    .about("Sign the last checkpoint of a run that is over")
                    .arg(run())
                    .arg(
                        Arg::new("second")
                            .long("second")
                            .action(ArgAction::SetTrue)
                            .help("Only as second person: refuse if the run is your own"),
                    ),
            ),
        Command::new("key")
            .about("Show your own key, which signs the record")
            .subcommand(
                Command::new("set")
                    .about("Make a key yours: in the profile and in the signers file")
                    .arg(
                        Arg::new("key")
                            .value_name("FILE|agent|agent:SHA256:...")
                            .help("An OpenSSH Ed25519 key file, or such a key in ssh-agent")
                            .required(true),
                    ),
            ),
        Command::new("runbook")
            .about("List, read, check and write runbooks")
            .subcommand_required(true)
            .subcommand(
                Command::new("list").about("List the runbooks").arg(
                    Arg::new("markdown")
                        .long("markdown")
                        .action(ArgAction::SetTrue)
                        .help("As the index in runbooks/README.md"),
                ),
            )
            .subcommand(
                Command::new("show")
                    .about("Read a runbook aloud")
                    .arg(Arg::new("name").value_name("NAME|FILE").required(true)),
            )
            .subcommand(
                Command::new("lint")
                    .about("Check runbooks; without names, all")
                    .arg(Arg::new("name").value_name("NAME|FILE").num_args(0..)),
            )
            .subcommand(
                Command::new("new")
                    .about("Write a new runbook to begin with")
                    .arg(Arg::new("name").value_name("NAME").required(true)),
            )
            .subcommand(
                Command::new("role")
                    .about("Print the Azure role that runs a runbook and does no more")
                    .arg(Arg::new("name").value_name("NAME|FILE").required(true))
                    .arg(
                        Arg::new("scope")
                            .long("scope")
                            .value_name("SCOPE")
                            .action(ArgAction::Append)
                            .help(
                                "Where it may be assigned [default: the profile's subscriptions]",
                            ),
                    ),
            )
            .subcommand(Command::new("schema").about("Print the JSON Schema of the format")),
        drill::command(),
        Command::new("lab")
            .about("The built-in lab: a simulated tenant")
            .subcommand_required(true)
            .subcommand(lab_serve()),
        Command::new("init").about("Write config.toml to begin with"),
        Command::new("doctor").about("Look at cloud, token, clock, home folder and configuration"),
        Command::new("schema")
            .about("Print the JSON Schema of what --output json writes")
            .arg(
                Arg::new("what")
                    .value_parser([
                        "run",
                        "plan",
                        "preflight",
                        "list",
                        "show",
                        "status",
                        "timeline",
                        "approval",
                        "doctor",
                        "drill",
                        "drill-assign",
                        "drill-due",
                        "drill-history",
                        "drill-list",
                        "drill-start",
                        "drill-status",
                        "drill-verdict",
                    ])
                    .required(true),
            ),
        Command::new("completions")
            .about("Print how to complete azir's commands in a shell")
            .arg(
                Arg::new("shell")
                    .value_parser(["bash", "zsh", "fish"])
                    .required(true),
            ),
    ]
}

fn lab_serve() -> Command {
    let number = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("FACTOR")
            .value_parser(globals::factor)
            .help(help)
    };
    Command::new("serve")
        .about("Serve the lab until SIGTERM; print one JSON line when it is ready")
        .arg(
            Arg::new("scenario")
                .long("scenario")
                .value_name("FILE|NAME")
                .default_value("default")
                .help("The tenant"),
        )
        .arg(
            Arg::new("port")
                .long("port")
                .value_name("N")
                .value_parser(value_parser!(u16))
                .default_value("0")
                .help("The port; 0: any"),
        )
        .arg(
            Arg::new("state")
                .long("state")
                .value_name("FILE")
                .help("Keep changes in this file"),
        )
        .arg(number("latency", "Scale how long answers take").default_value("1"))
        .arg(number("lro", "Scale how long operations take").default_value("1"))
        .arg(number("clock-scale", "Let the lab's clock run this much faster").default_value("1"))
        .arg(
            number("replication", "Until reads see a directory write")
                .value_name("SECONDS")
                .default_value("2"),
        )
        .arg(number(
            "throttle",
            "Throttle, with the documented buckets scaled",
        ))
        .arg(
            Arg::new("retry-after")
                .long("retry-after")
                .value_name("SECONDS|none")
                .help("What a 429 asks for"),
        )
        .arg(
            Arg::new("poll-after")
                .long("poll-after")
                .value_name("SECONDS")
                .value_parser(value_parser!(u64))
                .help("What a running operation asks for between polls"),
        )
        .arg(
            Arg::new("page")
                .long("page")
                .value_name("N")
                .value_parser(value_parser!(usize))
                .help("Items on a page"),
        )
        .arg(
            Arg::new("faults")
                .long("faults")
                .value_name("FILE")
                .help("A script of faults"),
        )
        .arg(
            Arg::new("seed")
                .long("seed")
                .value_name("N")
                .value_parser(value_parser!(u64))
                .help("The same ids every time"),
        )
}

/// Adds a runbook's own arguments; called only for the command that is typed.
fn runbook_args(command: Command) -> Command {
    let runbook = CATALOGUE
        .get()
        .and_then(|catalogue| catalogue.load(command.get_name()).ok());
    let Some((runbook, _)) = runbook else {
        // A bad file is reported when the command runs; until then it takes anything.
        return command.arg(
            Arg::new("rest")
                .num_args(0..)
                .trailing_var_arg(true)
                .allow_hyphen_values(true)
                .hide(true),
        );
    };
    let mut command = command.args(parameters(&runbook));
    if let Some(about) = &runbook.about {
        command = command.long_about(format!("{}\n\n{}", runbook.title, about.trim()));
    }
    command
}

/// Returns the arguments of a runbook's parameters, and `--from` where it takes many targets: a file of them, or, where
/// the runbook takes what an earlier run found, that run.
fn parameters(runbook: &Runbook) -> Vec<Arg> {
    let mut all: Vec<Arg> = runbook
        .params
        .iter()
        .map(|(name, param)| argument(name, param))
        .collect();
    all.push(
        Arg::new("key")
            .long("key")
            .value_name("ID")
            .value_parser(clap::builder::NonEmptyStringValueParser::new())
            .help("Do it once, however often this is called: who calls again joins the run"),
    );
    if !runbook.params.values().any(Param::is_target) {
        return all;
    }
    match all.iter_mut().find(|arg| arg.get_id() == "from") {
        Some(from) => {
            *from = from
                .clone()
                .value_name("FILE|RUN")
                .action(ArgAction::Append);
        }
        None => all.push(
            Arg::new("from")
                .long("from")
                .value_name("FILE")
                .help("Read targets from a file, one a line"),
        ),
    }
    all.extend(of_many(runbook));
    all
}

/// Returns the arguments that say something of the targets as a whole.
fn of_many(runbook: &Runbook) -> Vec<Arg> {
    let target = runbook.params.values().find(|param| param.is_target());
    let filter = target.and_then(|param| match &param.kind {
        ParamKind::Resource(_) => Some(
            Arg::new("filter")
                .long("filter")
                .value_name("CONDITION")
                .value_parser(crate::engine::filter::condition)
                .help("Take every such resource that fulfils a condition of Resource Graph, as \"tags.env =~ 'prod'\""),
        ),
        _ => None,
    });
    let most = Arg::new("max-failures")
        .long("max-failures")
        .value_name("N")
        .value_parser(value_parser!(u64).range(1..))
        .help("Begin no further target once N have failed; at most N are under way at once");
    let retry = Arg::new("retry")
        .long("retry")
        .value_name("RUN")
        .value_parser(clap::builder::NonEmptyStringValueParser::new())
        .help("Do it again, with the same arguments, for those targets of a run that failed");
    let watch = Arg::new("watch")
        .long("watch")
        .value_name("DURATION")
        .value_parser(|text: &str| seconds(text))
        .help("After containment, look for so long whether somebody undoes it, as 30m");
    let reapply = Arg::new("reapply")
        .long("reapply")
        .requires("watch")
        .action(ArgAction::SetTrue)
        .help("Do again what somebody undoes during the watch");
    let together = Arg::new("together")
        .long("together")
        .action(ArgAction::SetTrue)
        .help("Cut no target before every one was read and kept, and then all in one burst");
    // Where that is how the runbook works anyway, there is nothing to ask for.
    let together = (!runbook.together && runbook.purpose != Purpose::Read).then_some(together);
    filter
        .into_iter()
        .chain([most, retry])
        .chain(together)
        .chain([watch, reapply])
        .collect()
}

/// Reads a span of at most a day, in seconds.
fn seconds(text: &str) -> Result<u64, String> {
    let value = ParamKind::Duration.parse(text)?;
    let seconds = value
        .as_u64()
        .filter(|seconds| (1..=86_400).contains(seconds));
    seconds.ok_or_else(|| "a watch lasts from a second to a day".to_owned())
}

/// Returns the argument of one parameter. Values are typed later, by the runbook's own rules.
pub(super) fn argument(name: &str, param: &Param) -> Arg {
    let mut arg = Arg::new(name.to_owned()).help(param.help.clone());
    arg = match &param.kind {
        ParamKind::Bool => return arg.long(name.to_owned()).action(ArgAction::SetTrue),
        ParamKind::Enum(values) => arg.value_parser(PossibleValuesParser::new(values.clone())),
        kind => {
            let kind = kind.clone();
            arg.value_parser(move |text: &str| -> Result<String, String> {
                // `-` stands for stdin, whatever the kind.
                if text == "-" {
                    Ok(text.to_owned())
                } else {
                    kind.parse(text).map(|_| text.to_owned())
                }
            })
        }
    };
    let many = param.many || matches!(param.kind, ParamKind::List(_));
    match param.position {
        Some(position) => {
            arg = arg.index(position).value_name(name.to_uppercase());
            // Targets may come from a file instead, so that none may be missing is checked later.
            if many {
                arg.num_args(0..)
            } else {
                arg.num_args(0..=1)
            }
        }
        None => arg
            .long(name.to_owned())
            .value_name(name.to_uppercase())
            .action(if many {
                ArgAction::Append
            } else {
                ArgAction::Set
            }),
    }
}

/// Returns the command line of one runbook given by file: its own arguments and the global ones.
pub(super) fn for_runbook(runbook: &Runbook) -> Command {
    Command::new(runbook.name.value.clone())
        .about(runbook.title.clone())
        .args(globals::options())
        .args(parameters(runbook))
}
