//! Scenarios: YAML files under `runbooks/drills`, each an attack that can be rehearsed.
//!
//! ```yaml
//! azir: drill-v1
//! name: vm-compromise
//! version: 1.0.0
//! title: A virtual machine is taken over
//! about: |
//!   For the one who leads the drill.
//! rehearses: [isolate-vm]
//! deadlines: {contain: 5m, eradicate: 30m}     # from the finding
//! finding:                                     # what is told when the clock starts
//!   source: Microsoft Defender for Cloud
//!   severity: high
//!   title: "Possible reverse shell on {{ vm | arm_name }}"
//!   text: "..."
//! planted: ["..."]                             # told when it is over; never during a blind drill
//! lab:                                         # what is added to a tenant of the lab, in its own format
//!   base: default
//!   add: {machines: [...]}
//!   names: {vm: /subscriptions/...}
//! tabletop:                                    # what is made in a subscription for exercises, in this order
//!   costs: a machine of the smallest size while the drill lasts
//!   names: {vm: "{{ group }}/providers/Microsoft.Compute/virtualMachines/{{ prefix }}vm"}
//!   planted: ["..."]
//!   build:
//!     - {id: machine, title: Make the machine, request: {arm: "PUT {{ vm }}", api_version: "2024-11-01", body: {...}}}
//! auto:                                        # what --auto does
//!   - {run: isolate-vm, target: "{{ vm }}", choose: {cut_roles_which: ["..."]}}
//! moments:
//!   cut: {write_of: "{{ nics }}", which: first}
//!   captured: {read: {...}, times: "{{ got | pluck('properties.timeCreated') }}", which: last}
//! judge:
//!   contained:
//!     - {id: interfaces, claim: "...", for_each: "{{ nics }}", as: nic, read: {...}, that: "{{ ... }}", otherwise: "...", at: cut, said_by: [{run: isolate-vm, target: "{{ vm }}"}], points: 10}
//!   order:
//!     - {id: captured_first, claim: "...", first: captured, then: cut, points: 5}
//!   unharmed:
//!     - {id: neighbour, claim: "...", read: {...}, same: "{{ got | get('properties.x') }}", points: 5}
//! leaves: ["..."]
//! ```
//!
//! A run of `auto`, a condition, an order and what must be the same may say `only: lab` or `only: tabletop`: elsewhere it
//! is not there.
//!
//! Templates are those of runbooks. They see the `names` of the place, `drill` (`{id, short, incident, started_at,
//! place}`), `profile`, `cloud` (`{vault_suffix}`: an address of a key vault is not the same in every process of a lab),
//! `group` and `prefix` in a tabletop subscription, and what each field's own comment adds. A key that is not known is
//! refused with the line it stands in.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::verdict::Place as Where;
use crate::digest::Digest;
use crate::runbook::model::{Call, Plane};
use crate::runbook::params;
use crate::runbook::place::{Place, Spanned};

/// One scenario.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The format: `drill-v1`.
    pub azir: String,
    /// Its name, equal to the file's stem.
    pub name: String,
    /// Its own version, as `1.0.0`.
    pub version: String,
    /// One line.
    pub title: String,
    /// For the one who leads the drill.
    pub about: String,
    /// The runbooks that it rehearses.
    pub rehearses: Vec<String>,
    /// How long it may take from the finding.
    pub deadlines: Deadlines,
    /// What is told when the clock starts.
    pub finding: Finding,
    /// What was planted, in sentences: templates; hidden while a blind drill runs.
    pub planted: Vec<String>,
    /// The tenant of the lab.
    pub lab: LabPlace,
    /// What is made in a tabletop subscription; absent: it can only be rehearsed in the lab.
    #[serde(default)]
    pub tabletop: Option<Tabletop>,
    /// What `--auto` does, in order.
    pub auto: Vec<AutoRun>,
    /// Points in time that the tenant or the record knows, by name.
    #[serde(default)]
    pub moments: IndexMap<String, Moment>,
    /// What must be true, and what must not have happened.
    pub judge: Judged,
    /// What stays in the tenant after tear-down, in sentences: templates.
    #[serde(default)]
    pub leaves: Vec<String>,
}

/// How long it may take.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deadlines {
    /// To contain.
    #[serde(deserialize_with = "span")]
    pub contain: Duration,
    /// To eradicate.
    #[serde(deserialize_with = "span")]
    pub eradicate: Duration,
}

/// What is told when the clock starts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// Who tells it.
    pub source: String,
    /// `high`, `medium` or `low`.
    pub severity: String,
    /// One line: a template.
    pub title: String,
    /// The rest: a template.
    pub text: String,
}

/// The tenant of the lab.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabPlace {
    /// The built-in lab scenario that is added to.
    pub base: String,
    /// Added to it, in the lab's own format: lists are appended, maps merged.
    #[serde(default)]
    pub add: Map<String, Value>,
    /// What templates see: each a template itself, that sees those before it.
    pub names: IndexMap<String, Value>,
}

/// A tabletop subscription.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tabletop {
    /// What it costs, in words.
    pub costs: String,
    /// What templates see, as in [`LabPlace::names`]. `group` is the id of the drill's own resource group, `prefix` what
    /// the names of its own things begin with, `location` the region, `domain` the tenant's default domain and `caller`
    /// the object id of who builds; the answers of what was built are there by its id, less what they hold of secrets.
    /// Builds alone see `secret`, a password that is made for this drill and written down nowhere, and `ssh_key`, a
    /// public key whose other half nobody has.
    pub names: IndexMap<String, Value>,
    /// What was planted there, in sentences: templates.
    pub planted: Vec<String>,
    /// What stays there after tear-down, in sentences: templates.
    #[serde(default)]
    pub leaves: Vec<String>,
    /// What is made, in order. Each sees the answers of those before it under their ids.
    pub build: Vec<Build>,
}

/// One thing that is made.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    /// Its name: `[a-z][a-z0-9_]*`.
    pub id: String,
    /// What it is, one line, imperative.
    pub title: String,
    /// The write; a GET only looks something up.
    pub request: Asked,
    /// How it is taken away where deleting the resource group does not: a template of a call, that sees the answer as
    /// `made`.
    #[serde(default)]
    pub remove: Option<Asked>,
}

/// One run of `--auto`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoRun {
    /// The runbook.
    pub run: String,
    /// Its target: a template; for a runbook that takes many.
    #[serde(default)]
    pub target: Option<String>,
    /// Its other arguments as they are typed: templates; a switch is `true`.
    #[serde(default)]
    pub with: IndexMap<String, String>,
    /// Decisions by step: `all`, `none`, or ids as templates.
    #[serde(default)]
    pub choose: IndexMap<String, Value>,
    /// Steps whose explicit consent is given.
    #[serde(default)]
    pub accept: Vec<String>,
    /// Steps whose checks are true before they act, and why that is no fault.
    #[serde(default)]
    pub already: BTreeMap<String, String>,
    /// Where it is done alone; absent: everywhere.
    #[serde(default)]
    pub only: Option<Where>,
    /// Why it is not undone with the others, as where it took nothing but what was the attacker's; absent: it is undone.
    #[serde(default)]
    pub lasting: Option<String>,
}

/// A point in time. Exactly one of the ways to know it is given: `write_of`, `audit_of`, `times`, or `call` alone.
///
/// The activity log and the directory's show a thing minutes after it was done, and the record of the runs knows nothing
/// of what was done past azir: what either of them says counts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moment {
    /// A list; it is looked for with each item.
    #[serde(default)]
    pub for_each: Option<String>,
    /// What an item is called in templates.
    #[serde(default = "item", rename = "as")]
    pub as_name: String,
    /// With `for_each`: whether it must have happened with each item, and is the last of the times that `which` gives
    /// with one; else `which` is of all of them.
    #[serde(default)]
    pub every: bool,
    /// What is read first: its answer is `got` and `got_status` in the other templates.
    #[serde(default)]
    pub read: Option<Asked>,
    /// When these resources were written, by the activity log, and by the record where it has a call to one: a template
    /// of an id or a list of ids, in which `*` stands for anything.
    #[serde(default)]
    pub write_of: Option<String>,
    /// With `write_of`: only such operations, as `Microsoft.Network/*/write`: a template of a name or a list of names, in
    /// which `*` stands for anything; absent: whatever writes or deletes.
    #[serde(default)]
    pub operation: Option<String>,
    /// When something was done to these objects, by the directory's audit log: a template of an object id or a list.
    #[serde(default)]
    pub audit_of: Option<String>,
    /// With `audit_of`: only activities whose name begins so.
    #[serde(default)]
    pub activity: Vec<String>,
    /// With `read`, where the tenant itself says when: a template of a time or a list of times.
    #[serde(default)]
    pub times: Option<String>,
    /// When a call was sent that was answered well, by the record of the runs: templates of `METHOD pattern`, `*` standing
    /// for anything, without regard to case. One with a `?` is compared with path and query, whose parameters are
    /// decoded and in the order of their names, as `GET */x?$filter=a eq 'b'&$top=9`; any other with the path alone.
    #[serde(default)]
    pub call: Vec<String>,
    /// With `call`: only those whose item or body, as the record has them, contains each of these, as
    /// `"principalId":"..."`: templates, compared without regard to case.
    #[serde(default)]
    pub naming: Vec<String>,
    /// Which of several.
    pub which: Which,
}

/// Which of several points in time.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// The earliest.
    First,
    /// The latest.
    Last,
}

/// What the judge looks at.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judged {
    /// The attack goes no further.
    pub contained: Vec<Condition>,
    /// Nothing of it is left.
    pub eradicated: Vec<Condition>,
    /// What came before what.
    #[serde(default)]
    pub order: Vec<Order>,
    /// What was kept. Besides these it is always judged whether every exhibit is stored whole and every record verifies.
    #[serde(default)]
    pub evidence: Vec<Condition>,
    /// What must be as it was.
    pub unharmed: Vec<Same>,
    /// After the undo, with `--auto`: what came back, and what must not have.
    #[serde(default)]
    pub undone: Vec<Condition>,
}

/// Something that must be so.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// Its name, unique in the scenario: `[a-z][a-z0-9_]*`.
    pub id: String,
    /// What it claims: a template.
    pub claim: String,
    /// A list; it must be so of each item.
    #[serde(default)]
    pub for_each: Option<String>,
    /// What an item is called in templates.
    #[serde(default = "item", rename = "as")]
    pub as_name: String,
    /// What is read: its answer is `got` and `got_status`.
    #[serde(default)]
    pub read: Option<Asked>,
    /// The condition: a template that sees `got`, `record` ({runs, exhibits}) and the item.
    pub that: String,
    /// Why it is not so, in words: a template as `that`.
    pub otherwise: String,
    /// Since when it is so: a moment.
    #[serde(default)]
    pub at: Option<String>,
    /// What makes it so as well; looked at first.
    #[serde(default, rename = "or")]
    pub instead: Option<Instead>,
    /// Of what the undo puts back: the conditions that must have held before, because what was never so cannot be given
    /// back.
    #[serde(default)]
    pub after: Vec<String>,
    /// The runs that claim it when they end well: one that does so while it is not so says what is not so.
    #[serde(default)]
    pub said_by: Vec<SaidBy>,
    /// Where it is judged alone; absent: everywhere.
    #[serde(default)]
    pub only: Option<Where>,
    /// What it counts.
    pub points: u32,
}

/// What makes a condition true in another way, as a machine that does not run is cut off whatever its rules are.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instead {
    /// What is read: its answer is `got` and `got_status`.
    pub read: Asked,
    /// The condition: a template.
    pub that: String,
    /// Since when it is so: a moment.
    #[serde(default)]
    pub at: Option<String>,
}

/// A run that claims something.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaidBy {
    /// Its runbook.
    pub run: String,
    /// What it was about: a template of a name or a list of names, of which one is its target or stands among its
    /// arguments.
    pub target: String,
    /// Only where this is so: a template that sees its `arguments`.
    #[serde(default)]
    pub when: Option<String>,
}

/// What came before what.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// As in [`Condition::id`].
    pub id: String,
    /// What it claims: a template.
    pub claim: String,
    /// The moment that comes first.
    pub first: String,
    /// The moment that comes after it.
    pub then: String,
    /// Where it is judged alone; absent: everywhere.
    #[serde(default)]
    pub only: Option<Where>,
    /// What it counts.
    pub points: u32,
}

/// Something that must be as it was when the clock started.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Same {
    /// As in [`Condition::id`].
    pub id: String,
    /// What it claims: a template.
    pub claim: String,
    /// A list; it must be so of each item.
    #[serde(default)]
    pub for_each: Option<String>,
    /// What an item is called in templates.
    #[serde(default = "item", rename = "as")]
    pub as_name: String,
    /// What is read.
    pub read: Asked,
    /// What of it must be as it was: a template that sees `got`.
    pub same: String,
    /// Where it is judged alone; absent: everywhere.
    #[serde(default)]
    pub only: Option<Where>,
    /// What it counts.
    pub points: u32,
}

fn item() -> String {
    "item".to_owned()
}

/// One HTTP call, in the shape that runbooks have.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// On Azure Resource Manager: `METHOD path`.
    #[serde(default)]
    pub arm: Option<String>,
    /// On Microsoft Graph: `METHOD path`.
    #[serde(default)]
    pub graph: Option<String>,
    /// On Key Vault: `METHOD url`.
    #[serde(default)]
    pub vault: Option<String>,
    /// On Blob storage: `METHOD url`.
    #[serde(default)]
    pub blob: Option<String>,
    /// The `api-version`.
    #[serde(default)]
    pub api_version: Option<String>,
    /// Query parameters.
    #[serde(default)]
    pub query: IndexMap<String, String>,
    /// Request headers.
    #[serde(default)]
    pub headers: IndexMap<String, String>,
    /// The JSON body.
    #[serde(default)]
    pub body: Option<Value>,
    /// The member that holds the items of a page: the list is read to its end and is `got`.
    #[serde(default)]
    pub pages: Option<String>,
    /// Whether 404 is an answer: `got_status` 404, `got` null.
    #[serde(default)]
    pub missing_ok: bool,
}

impl Asked {
    /// Returns every template in it.
    pub(super) fn texts(&self) -> Vec<&str> {
        let lines = [&self.arm, &self.graph, &self.vault, &self.blob];
        let lines = lines.into_iter().flatten();
        let mut texts: Vec<&str> = lines
            .chain(self.query.values())
            .chain(self.headers.values())
            .map(String::as_str)
            .collect();
        within(self.body.as_ref().unwrap_or(&Value::Null), &mut texts);
        texts
    }

    /// Returns it as a runbook would have it.
    ///
    /// # Errors
    /// No plane, or more than one; no method.
    pub fn call(&self) -> Result<Call, String> {
        let given = [
            (Plane::Arm, &self.arm),
            (Plane::Graph, &self.graph),
            (Plane::Vault, &self.vault),
            (Plane::Blob, &self.blob),
        ];
        let mut given = given
            .into_iter()
            .filter_map(|(plane, line)| Some((plane, line.as_ref()?)));
        let (Some((plane, line)), None) = (given.next(), given.next()) else {
            return Err("a call names exactly one of arm, graph, vault and blob".to_owned());
        };
        let method = line.split(' ').next().unwrap_or_default();
        if !matches!(method, "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE")
            || !line.contains(' ')
        {
            return Err(format!(
                "{line:?} is no call: the method, a space and the path, as GET /subscriptions"
            ));
        }
        if plane == Plane::Arm && self.api_version.is_none() {
            return Err(format!("{line:?} has no api_version"));
        }
        let spanned = |text: &String| Spanned {
            value: text.clone(),
            place: Place::default(),
        };
        let all = |texts: &IndexMap<String, String>| {
            texts
                .iter()
                .map(|(name, text)| (name.clone(), spanned(text)))
                .collect()
        };
        Ok(Call {
            plane,
            line: spanned(line),
            api_version: self.api_version.clone(),
            query: all(&self.query),
            headers: all(&self.headers),
            body: self.body.clone().map(|value| Spanned {
                value,
                place: Place::default(),
            }),
            pages: self.pages.clone(),
            missing_ok: self.missing_ok,
            beta: None,
        })
    }
}

/// Gathers the texts inside of a value.
pub(super) fn within<'a>(value: &'a Value, texts: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(items) => items.iter().for_each(|item| within(item, texts)),
        Value::Object(members) => members.values().for_each(|member| within(member, texts)),
        _ => {}
    }
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// What is wrong with it and where, in one sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let scenario: Self = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        scenario.is_sound()?;
        Ok(scenario)
    }

    /// Returns the tenant of the lab that it is rehearsed in.
    ///
    /// # Errors
    /// What in it cannot be.
    pub fn tenant(&self) -> Result<crate::lab::scenario::Scenario, String> {
        crate::lab::scenario::Scenario::with(&self.lab.base, &self.lab.add)
            .map_err(|why| format!("scenario {}, lab: {why}", self.name))
    }

    /// Returns the digest of a scenario's text.
    pub fn digest(text: &str) -> String {
        Digest::of(text.as_bytes()).to_string()
    }
}

/// Reads a span as `5m`.
fn span<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    params::duration(&text)
        .ok_or_else(|| serde::de::Error::custom(format!("{text:?} is no span such as 5m")))
}

impl Scenario {
    /// Returns the scenario as it is at a place: without what is only for another, and with what was planted there.
    #[must_use]
    pub fn at(mut self, place: Where) -> Self {
        let here = |only: Option<Where>| only.is_none_or(|only| only == place);
        self.auto.retain(|one| here(one.only));
        let judge = &mut self.judge;
        for conditions in [
            &mut judge.contained,
            &mut judge.eradicated,
            &mut judge.evidence,
            &mut judge.undone,
        ] {
            conditions.retain(|one| here(one.only));
        }
        judge.order.retain(|one| here(one.only));
        judge.unharmed.retain(|one| here(one.only));
        // What nobody asks for here need not be there.
        let asked: BTreeSet<String> = self.moments_asked().cloned().collect();
        self.moments.retain(|name, _| asked.contains(name));
        if let (Where::Tabletop, Some(tabletop)) = (place, &self.tabletop) {
            self.planted.clone_from(&tabletop.planted);
            self.leaves.clone_from(&tabletop.leaves);
        }
        self
    }
}
