//! What a runbook says, as types: format `azir: v1`.
//!
//! A runbook is data. Every string that can hold `{{ expression }}` is a *template*: one that is
//! exactly one expression keeps its JSON type, any other becomes text. Names reachable in a template:
//! the parameters (dashes become underscores), earlier steps by id (also as `steps.<id>`), `run`,
//! `profile`, the item of a `for_each` under its `as` name, and what the field's own comment adds.

use indexmap::IndexMap;
use serde_json::Value;

use super::place::Spanned;

/// A template that becomes text, or keeps the type of its only expression; with where it stands.
pub type Template = Spanned<String>;

/// One runbook file.
#[derive(Clone, Debug)]
pub struct Runbook {
    /// The command's name, equal to the file's stem.
    pub name: Spanned<String>,
    /// The runbook's own version, as `1.0.0`.
    pub version: String,
    /// One line for help and index, imperative, no period.
    pub title: String,
    /// Longer help, in plain paragraphs.
    pub about: Option<String>,
    /// What it is for.
    pub purpose: Purpose,
    /// How long containment may take from the start of the run.
    pub deadline: Option<std::time::Duration>,
    /// Whether no target is written to before all were read, and none is collected from before all were written to:
    /// an attacker who sees the first one cut has no time for the others.
    pub together: bool,
    /// Controls it serves, by framework.
    pub controls: IndexMap<String, Vec<String>>,
    /// Parameters in the order of the file.
    pub params: IndexMap<String, Param>,
    /// What the caller must be allowed to do.
    pub permissions: Permissions,
    /// Steps in order.
    pub steps: Vec<Step>,
    /// What the run hands to a runbook that called it, evaluated when its steps have ended.
    pub result: IndexMap<String, Spanned<Value>>,
    /// What stays open after a complete run, to be said with a clock.
    pub residual: Vec<Residual>,
    /// What the run found out, judged when its steps have ended.
    pub findings: Vec<Finding>,
    /// Whom else the plan touches: a template giving a list of sentences.
    pub collateral: Option<Template>,
}

/// What a runbook is for.
#[derive(
    Clone, Copy, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Reads only; its result is evidence.
    Read,
    /// Keeps an attacker from going on.
    Contain,
    /// Replaces credentials.
    Rotate,
    /// Removes what an attacker left.
    Eradicate,
    /// Makes the tenant ready.
    Prepare,
    /// Guides a whole response.
    Respond,
}

/// One parameter: a flag, or a position on the command line.
#[derive(Clone, Debug)]
pub struct Param {
    /// What it accepts.
    pub kind: ParamKind,
    /// Its place among the positional arguments, from 1; absent: a flag.
    pub position: Option<usize>,
    /// Whether it may be given more than once; on the first position each value is a target.
    pub many: bool,
    /// Whether it must be given; a parameter without default and not required is absent when not given (`null`).
    pub required: bool,
    /// What it is when it is not given, already of its type.
    pub default: Option<Value>,
    /// One line of help.
    pub help: String,
}

impl Param {
    /// Returns whether each of its values is a target of the run.
    #[must_use]
    pub fn is_target(&self) -> bool {
        self.many && self.position.is_some()
    }
}

/// What a parameter accepts, and the JSON it becomes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ParamKind {
    /// Any text; a string.
    String,
    /// A switch; a boolean.
    Bool,
    /// A whole number; a number.
    Int {
        /// Smallest value accepted.
        min: Option<i64>,
        /// Largest value accepted.
        max: Option<i64>,
    },
    /// One of the values listed; a string.
    Enum(Vec<String>),
    /// A span as `90s`, `5m`, `24h`, `7d`; a number of seconds.
    Duration,
    /// An address range as `10.99.0.0/24`; a string in canonical form.
    Cidr,
    /// An Azure resource of this type, by name or id; resolved to `{id, name, location, resource_group, subscription}`.
    Resource(String),
    /// An earlier run, by id or `last`; becomes `{id, runbook, incident, results}`, a result for each of its targets.
    Run,
    /// An object of the directory; resolved before the run to what [`ObjectKind`] says.
    Object(ObjectKind),
    /// A list of such values, comma-separated or repeated; an array.
    List(Box<Self>),
}

/// What kind of object of the directory a parameter means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ObjectKind {
    /// By principal name or object id: `{id, name, upn, display_name, user_type, synced, enabled}`.
    User,
    /// By appId, the object id of the application or its service principal, or exact name:
    /// `{id, name, app_id, application_id, kind, home_tenant}`, `id` being the service principal's.
    Application,
    /// By object id, deviceId or exact name: `{id, name, device_id}`.
    Device,
    /// A user, service principal or group, by principal name, object id or exact name: `{id, name, kind}`.
    Principal,
}

impl ObjectKind {
    /// Returns the kind that a runbook calls so.
    pub(crate) fn of(word: &str) -> Option<Self> {
        Some(match word {
            "user" => Self::User,
            "application" => Self::Application,
            "device" => Self::Device,
            "principal" => Self::Principal,
            _ => return None,
        })
    }

    /// Returns what a person calls it.
    pub fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Application => "application",
            Self::Device => "device",
            Self::Principal => "principal",
        }
    }

    /// Returns the members that templates see.
    pub(crate) fn members(self) -> &'static [&'static str] {
        match self {
            Self::User => &[
                "id",
                "name",
                "upn",
                "display_name",
                "user_type",
                "synced",
                "enabled",
            ],
            Self::Application => &[
                "id",
                "name",
                "app_id",
                "application_id",
                "kind",
                "home_tenant",
            ],
            Self::Device => &["id", "name", "device_id"],
            Self::Principal => &["id", "name", "kind"],
        }
    }

    /// Returns a command that lists such objects.
    pub(crate) fn list_command(self) -> &'static str {
        match self {
            Self::User => "az ad user list --query '[].userPrincipalName'",
            Self::Application => "az ad sp list --all --query '[].[displayName,appId]'",
            Self::Device => {
                "az rest --url 'https://graph.microsoft.com/v1.0/devices?$select=id,displayName'"
            }
            Self::Principal => "az ad group list --query '[].[displayName,id]'",
        }
    }
}

/// Permissions, by plane, as the provider names them.
#[derive(Clone, Debug, Default)]
pub struct Permissions {
    /// ARM actions, as `Microsoft.Compute/snapshots/write`.
    pub arm: Vec<String>,
    /// Microsoft Graph application permissions, as `User.Read.All`.
    pub graph: Vec<String>,
    /// Data actions of Blob storage, as `Microsoft.Storage/.../blobs/write`.
    pub blob: Vec<String>,
    /// Data actions of Key Vault, as `Microsoft.KeyVault/vaults/secrets/setSecret/action`.
    pub vault: Vec<String>,
}

/// Where in a run a step belongs; a run never goes back to an earlier phase.
#[derive(
    Clone,
    Copy,
    Debug,
    Eq,
    Ord,
    PartialEq,
    PartialOrd,
    serde::Deserialize,
    serde::Serialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Reading what there is.
    Inventory,
    /// Keeping state that the cut would lose.
    Preserve,
    /// Cutting the network.
    Isolate,
    /// Cutting identities.
    Identity,
    /// Marking what was done.
    Tag,
    /// Storing evidence outside.
    Export,
    /// Deleting, last.
    Delete,
}

/// One step.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its name in the runbook: `[a-z][a-z0-9_]*`.
    pub id: Spanned<String>,
    /// Where it belongs.
    pub phase: Phase,
    /// What it does, one line, imperative; a template.
    pub title: Template,
    /// Steps that must have ended before this one starts, besides those that its templates name.
    pub after: Vec<Spanned<String>>,
    /// Skipped unless true.
    pub when: Option<Template>,
    /// What to say when `when` is false.
    pub skip_reason: Option<Template>,
    /// A template giving a list; the step is done once for each item.
    pub for_each: Option<Template>,
    /// The item's name in templates; default `item`.
    pub as_name: String,
    /// How many items at once; default 1.
    pub parallel: usize,
    /// What it does.
    pub action: Action,
    /// Named results, evaluated in order when the action has ended; each sees those before it, and
    /// for calls `body`, `status`, `headers`, for pages `items` (all of them; of a `collect` those that it
    /// keeps in memory, and only where a `let` asks for them).
    /// Reached as `<step>.<name>`; with `for_each` as `<step>.each`, a list of objects with
    /// these names and `item`.
    pub lets: IndexMap<String, Spanned<Value>>,
    /// What must be read back.
    pub checks: Vec<Check>,
    /// How it is undone; every write has this or `lasting`.
    pub undo: Option<Undo>,
    /// Why what it made stays.
    pub lasting: Option<String>,
    /// Whether `--yes` does not cover it.
    pub consent_explicit: bool,
    /// What its failure means.
    pub otherwise: Otherwise,
    /// Whether items that the service refuses are tried again after the others, as long as a pass gets somewhere:
    /// for an order that only the service knows.
    pub again: bool,
    /// How long one item may take; longer is a failure whose effect is unknown.
    pub limit: Option<std::time::Duration>,
    /// What to tell when it has ended; a template that sees its results; nothing if it is empty.
    pub say: Option<Template>,
    /// A key, as a template: of all targets of a run, the change behind one key is made once for all
    /// who asked before it started.
    pub shared: Option<Template>,
    /// Whether it belongs to the run or only to its undo.
    pub on: On,
    /// What it is a fallback for; absent: it is taken in its own right.
    pub fallback: Option<Fallback>,
}

/// A step that takes over what an earlier one could not do, at a price.
///
/// It is taken only where items of that step failed and no fallback before it has covered them; its templates see
/// them as `left`. Done, it covers its own item, or without `for_each` all that are left, and what it covered no longer
/// counts as failed.
#[derive(Clone, Debug)]
pub struct Fallback {
    /// The step that may fail; it goes on when items of it do.
    pub of: Spanned<String>,
    /// Who pays, as a template: in the plan, where consent is asked for, and as collateral of the run.
    pub price: Option<Template>,
    /// Whether it only makes things better: it covers nothing.
    pub lessens: bool,
}

/// When a step is taken.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// In the run.
    #[default]
    Run,
    /// Only when the run is undone, at its place in reverse order.
    Undo,
}

/// What a failure means for the target.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Otherwise {
    /// The target stops: no later step starts.
    #[default]
    Stop,
    /// The step has failed, which the run does not forget, and the rest of the target is done all the same.
    Continue,
    /// The run goes on; the failure is a named gap in the evidence or the check.
    Gap,
    /// The run goes on; what could not be found out is said among what stays open.
    Say,
}

/// What a step does: a closed set.
#[derive(Clone, Debug)]
pub enum Action {
    /// Reads; may run as soon as the steps it names have ended.
    Read(Call),
    /// Any write.
    Request(Request),
    /// Changes named members of a resource and leaves the others alone.
    Edit(Edit),
    /// Pages into evidence.
    Collect(Collect),
    /// States what must be so.
    Assert(Assert),
    /// Lets the responder choose from what was found; the choice is `<step>.chosen`.
    Decide(Decide),
    /// A task for a person.
    Manual(Manual),
    /// A new secret, made, handed on and seen by nobody.
    Rotate(Box<Rotate>),
    /// Another runbook in the same run and journal; its results are `<step>.<name>`.
    Run(RunOther),
    /// Waits.
    Wait(Wait),
}

/// A service family with its own host and token.
#[derive(
    Clone,
    Copy,
    Debug,
    Eq,
    Hash,
    PartialEq,
    serde::Deserialize,
    serde::Serialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Plane {
    /// Azure Resource Manager.
    Arm,
    /// Microsoft Graph.
    Graph,
    /// Key Vault.
    Vault,
    /// Log Analytics.
    Logs,
    /// Blob storage.
    Blob,
}

/// One HTTP call, before its templates are filled in.
#[derive(Clone, Debug)]
pub struct Call {
    /// Which host and token.
    pub plane: Plane,
    /// `METHOD path` with a path from the root of the plane: in it a value is percent-encoded as one
    /// segment; at its start it is an ARM id, which becomes a path. On the vault, logs and blob planes a full
    /// URL, which may begin with an address that was read from a resource, followed by `/`.
    pub line: Template,
    /// The `api-version`; ARM requires it.
    pub api_version: Option<String>,
    /// Query parameters; in `$filter` and its like interpolated text becomes an `OData` literal, so it is not
    /// quoted by hand (a moment as `2026-05-23T10:00:00Z` becomes a moment); in `$search` it stands inside double quotes, as `"displayName:{{ name }}"`.
    pub query: IndexMap<String, Template>,
    /// Request headers; never credentials.
    pub headers: IndexMap<String, Template>,
    /// The JSON body; in a member `query` of Resource Graph, Log Analytics and hunting a value becomes a KQL literal.
    pub body: Option<Spanned<Value>>,
    /// The member that holds the items of a page, for a list to be read to its end; `value` for ARM and Graph.
    pub pages: Option<String>,
    /// Whether 404 is an answer (`status` 404, `body` null) and no failure.
    pub missing_ok: bool,
    /// Why it is asked of Graph's beta version, which Microsoft may change from one day to the next.
    pub beta: Option<String>,
}

/// A write, with what was there before.
#[derive(Clone, Debug)]
pub struct Request {
    /// The write.
    pub call: Call,
    /// Reads the pre-image; reached as `before` in undo templates.
    pub before: Option<Call>,
    /// If true after `before` was read, the write is not needed and not sent.
    pub unless: Option<Template>,
    /// Whether sending it twice does no more than sending it once. Default: PUT, PATCH and DELETE yes, POST no.
    pub idempotent: Option<bool>,
}

impl Request {
    /// Returns whether sending it twice does no more than sending it once.
    pub fn is_idempotent(&self) -> bool {
        let method = self.call.line.value.split(' ').next();
        self.idempotent.unwrap_or(method != Some("POST"))
    }
}

/// A change of named members.
#[derive(Clone, Debug)]
pub struct Edit {
    /// The resource's ARM id.
    pub arm: Template,
    /// The `api-version`.
    pub api_version: String,
    /// Dotted member path -> new value; null removes the member.
    pub set: IndexMap<String, Spanned<Value>>,
    /// Whether the service honours `If-Match` with the body's or header's etag here (arm.md says where).
    pub if_match: bool,
}

/// A list read to its end into evidence.
#[derive(Clone, Debug)]
pub struct Collect {
    /// The call; `pages` is set.
    pub call: Call,
    /// The exhibit's file name.
    pub name: Template,
    /// What the exhibit is.
    pub description: Template,
    /// The window asked for, as `{from, to}`.
    pub window: Option<(Template, Template)>,
    /// The command that collects what the source had not yet written.
    pub follow_up: Option<Template>,
}

/// Something that must be so.
#[derive(Clone, Debug)]
pub struct Assert {
    /// The condition.
    pub that: Template,
    /// What is wrong when it is not so.
    pub message: Template,
}

/// A choice.
#[derive(Clone, Debug)]
pub struct Decide {
    /// The question exactly as shown.
    pub question: Template,
    /// A template giving a list of objects with `id` and `label`, or of texts.
    pub options: Template,
    /// What `--yes` chooses.
    pub default: DecideDefault,
}

/// What a decision is when nobody makes it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DecideDefault {
    /// Nothing.
    #[default]
    None,
    /// Everything.
    All,
}

/// A task for a person.
#[derive(Clone, Debug)]
pub struct Manual {
    /// The exact instruction.
    pub instruction: Template,
    /// What the person is asked to report.
    pub finding: Template,
}

/// A new secret: made here or upstream, put where it counts and then into a vault. Its value is in no template, no
/// record and no argument list; templates see `upstream` (the answer without the secret) and, of the vault,
/// `version` (the id of the new version).
#[derive(Clone, Debug)]
pub struct Rotate {
    /// How it is made here; absent: upstream makes it.
    pub generate: Option<Generate>,
    /// The write that makes it count; where it is made here its body holds `{{ secret }}`.
    pub upstream: Call,
    /// The member of upstream's answer that is the secret, as a dotted path.
    pub secret: Option<String>,
    /// The write that keeps it, whose body azir gives the value and the tags `azir-run` and `azir-step`.
    pub vault: Option<Call>,
    /// Takes back what upstream made, if the vault does not take it.
    pub discard: Option<Call>,
}

/// A secret that is made here.
#[derive(Clone, Copy, Debug)]
pub struct Generate {
    /// Characters.
    pub length: usize,
    /// Of which kinds.
    pub alphabet: Alphabet,
}

/// Kinds of character.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Alphabet {
    /// Letters, digits and marks; at least one of each kind, as directories ask of a password.
    Password,
    /// Letters and digits.
    Letters,
}

/// Another runbook.
#[derive(Clone, Debug)]
pub struct RunOther {
    /// Its name.
    pub runbook: Spanned<String>,
    /// Its parameters.
    pub with: IndexMap<String, Spanned<Value>>,
}

/// A pause.
#[derive(Clone, Debug)]
pub struct Wait {
    /// How long, as a template giving seconds or a span.
    pub how_long: Template,
    /// Why.
    pub why: String,
}

/// Something that must be read back from the cloud.
#[derive(Clone, Debug)]
pub struct Check {
    /// What it claims, one line; a template.
    pub claim: Template,
    /// Not made unless true.
    pub when: Option<Template>,
    /// What to read; reached as `got`, its status as `got_status`. Absent: `that` speaks of what the step itself read.
    pub get: Option<Call>,
    /// The condition.
    pub that: Template,
    /// What was seen, for the record: a template, or absent.
    pub observed: Option<Template>,
    /// How long to go on reading until it holds.
    pub within: std::time::Duration,
    /// Whether it must hold before the next phase.
    pub gate: bool,
    /// What its failure means.
    pub otherwise: Otherwise,
}

/// How a write is undone.
#[derive(Clone, Debug)]
pub enum Undo {
    /// Put the members that an `edit` changed back as they were.
    Restore,
    /// As `Restore`, only after a recorded clearance: it may give the attacker back what was taken.
    Ask,
    /// Cannot be undone, for this reason.
    Never(String),
    /// By requests of its own, in order.
    Requests(Vec<UndoRequest>),
}

/// One request of an undo. Its templates see what the step saw, `before` (the pre-image),
/// `after` (what the write answered) and `current` (what `read` finds now).
#[derive(Clone, Debug)]
pub struct UndoRequest {
    /// The write.
    pub call: Call,
    /// Reads the present state as `current`.
    pub read: Option<Call>,
    /// If true there is nothing to undo.
    pub unless: Option<Template>,
    /// If true somebody changed it since: refused unless `--over-drift`.
    pub drift: Option<Template>,
    /// What must be true of `current`, read again after the write.
    pub that: Option<Template>,
    /// Whether it may give the attacker back what was taken, and so waits for a recorded clearance.
    pub ask: bool,
}

/// What stays open after a complete run.
#[derive(Clone, Debug)]
pub struct Residual {
    /// Said only if true.
    pub when: Option<Template>,
    /// What stays open.
    pub what: Template,
    /// Until when, as a time or words.
    pub until: Option<Template>,
    /// A template giving a list; said once for each item (`item`).
    pub for_each: Option<Template>,
}

/// What a run found out: told in its summary, its JSON and an exhibit of its own. A finding is an answer, no
/// failure: it changes no exit code.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Found only if true.
    pub when: Option<Template>,
    /// What was found, in one sentence.
    pub what: Template,
    /// How bad it is: `high`, `medium`, `low` or `info`, as a word or a template.
    pub severity: Template,
    /// What it was found in, as the id to type next.
    pub item: Option<Template>,
    /// A template giving a list; found once for each item (`item`).
    pub for_each: Option<Template>,
}
