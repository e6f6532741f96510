//! The keys of format `azir: v1`, in one table for the parser, its suggestions and the JSON Schema.

/// One key of a map.
pub(crate) struct KeyInfo {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it holds, for the schema.
    pub(crate) shape: Shape,
    /// What it is for, one line.
    pub(crate) help: &'static str,
    /// Whether it must be there.
    pub(crate) required: bool,
}

/// What a key holds.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    /// A template, or plain text.
    Text,
    /// One line of text that says something.
    Line,
    /// A name of a command or parameter.
    Name,
    /// A name that templates speak of.
    Identifier,
    /// Three numbers.
    Version,
    /// A span of time.
    Span,
    /// A method and a path.
    Call,
    /// Text, true or false, a number.
    Scalar,
    /// True or false.
    Bool,
    /// A whole number.
    Int,
    /// A whole number from the first to the second.
    Number(i64, i64),
    /// The name of a member, or true.
    Pages,
    /// A list of texts, or one text.
    Texts,
    /// One of these words.
    Words(&'static [&'static str]),
    /// A map of names to texts.
    TextMap,
    /// A map of names to lists of texts.
    TextsMap,
    /// Any value with templates in it.
    Any,
    /// A map of names to any values.
    AnyMap,
    /// A map of dotted paths to any values.
    Paths,
    /// A map of names that templates speak of to any values.
    Lets,
    /// A map with the keys of this table.
    Table(&'static [KeyInfo]),
    /// A list of such maps.
    Tables(&'static [KeyInfo]),
    /// One such map or a list of them.
    TableOrTables(&'static [KeyInfo]),
    /// The parameters by name.
    Params,
    /// The `undo` of a step: a word or a map.
    Undo,
}

const fn key(name: &'static str, shape: Shape, help: &'static str) -> KeyInfo {
    KeyInfo {
        name,
        shape,
        help,
        required: false,
    }
}

const fn must(name: &'static str, shape: Shape, help: &'static str) -> KeyInfo {
    KeyInfo {
        name,
        shape,
        help,
        required: true,
    }
}

/// The phases in order.
pub(crate) const PHASES: &[&str] = &[
    "inventory",
    "preserve",
    "isolate",
    "identity",
    "tag",
    "export",
    "delete",
];
/// The purposes.
pub(crate) const PURPOSES: &[&str] = &[
    "read",
    "contain",
    "rotate",
    "eradicate",
    "prepare",
    "respond",
];
/// The planes.
pub(crate) const PLANES: &[&str] = &["arm", "graph", "vault", "logs", "blob"];
/// The kinds of step.
pub(crate) const KINDS: &[&str] = &[
    "read", "request", "edit", "collect", "assert", "decide", "manual", "rotate", "run", "wait",
];

/// What a failure can mean.
pub(crate) const OTHERWISE: &[&str] = &["stop", "continue", "gap", "say"];
/// The types of a parameter.
pub(crate) const TYPES: &[&str] = &[
    "string",
    "bool",
    "int",
    "enum",
    "duration",
    "cidr",
    "resource",
    "user",
    "application",
    "device",
    "principal",
    "run",
    "list",
];
/// The types of a list's items.
pub(crate) const LIST_TYPES: &[&str] = &[
    "string",
    "int",
    "enum",
    "duration",
    "cidr",
    "user",
    "application",
    "device",
    "principal",
];
/// Words that an expression reads as something else than a name.
pub(crate) const LANGUAGE: &[&str] = &[
    "and", "else", "false", "if", "in", "is", "none", "not", "or", "true",
];
/// What an undo that is a map says: one of these.
pub(crate) const UNDO_KINDS: &[&str] = &["never", "request", "requests"];

/// Keys at the top of a file.
pub(crate) const TOP: &[KeyInfo] = &[
    must("azir", Shape::Words(&["v1"]), "The version of the format"),
    must(
        "name",
        Shape::Name,
        "The command's name, equal to the file's name",
    ),
    must(
        "version",
        Shape::Version,
        "The runbook's own version, as 1.0.0",
    ),
    must("title", Shape::Line, "One line for help and index"),
    key("about", Shape::Text, "Longer help"),
    must("purpose", Shape::Words(PURPOSES), "What it is for"),
    key(
        "deadline",
        Shape::Span,
        "How long containment may take, as 5m",
    ),
    key(
        "controls",
        Shape::TextsMap,
        "Controls it serves, by framework",
    ),
    key(
        "together",
        Shape::Bool,
        "Whether all targets are read first, then cut in one burst, then collected from",
    ),
    key("params", Shape::Params, "Parameters"),
    key(
        "permissions",
        Shape::Table(PERMISSIONS),
        "What the caller must be allowed to do",
    ),
    must("steps", Shape::Tables(STEP), "Steps in order"),
    key(
        "result",
        Shape::AnyMap,
        "What it hands to a runbook that called it",
    ),
    key(
        "residual",
        Shape::Tables(RESIDUAL),
        "What stays open after a complete run",
    ),
    key(
        "findings",
        Shape::Tables(FINDING),
        "What the run found out, judged when its steps have ended",
    ),
    key("collateral", Shape::Text, "Whom else it touches: a list"),
];

/// Keys of a parameter.
pub(crate) const PARAM: &[KeyInfo] = &[
    must("type", Shape::Words(TYPES), "What it accepts"),
    key(
        "of",
        Shape::Text,
        "The resource type, or the type of a list's items",
    ),
    key("values", Shape::Texts, "The values of an enum"),
    key("min", Shape::Int, "The smallest value"),
    key("max", Shape::Int, "The largest value"),
    key(
        "position",
        Shape::Number(1, 9),
        "Its place among the arguments, from 1",
    ),
    key(
        "many",
        Shape::Bool,
        "Whether it may be given more than once; each is a target",
    ),
    key("required", Shape::Bool, "Whether it must be given"),
    key("default", Shape::Any, "What it is when not given"),
    key("help", Shape::Line, "One line of help"),
];

/// Keys of `permissions`.
pub(crate) const PERMISSIONS: &[KeyInfo] = &[
    key("arm", Shape::Texts, "ARM actions"),
    key(
        "graph",
        Shape::Texts,
        "Microsoft Graph application permissions",
    ),
    key("blob", Shape::Texts, "Data actions of Blob storage"),
    key("vault", Shape::Texts, "Data actions of Key Vault"),
];

/// Keys of a fallback.
pub(crate) const FALLBACK: &[KeyInfo] = &[
    must(
        "of",
        Shape::Identifier,
        "The step whose refused items it takes over",
    ),
    key(
        "price",
        Shape::Text,
        "Who pays for it: said in the plan, where consent is asked for, and in the report",
    ),
    key(
        "lessens",
        Shape::Bool,
        "Whether it only makes things better, so that they stay failed",
    ),
];

/// Keys of a step.
pub(crate) const STEP: &[KeyInfo] = &[
    must(
        "id",
        Shape::Identifier,
        "Its name in the runbook: a-z, 0-9 and _",
    ),
    must("phase", Shape::Words(PHASES), "Where it belongs"),
    must("title", Shape::Text, "What it does, one line"),
    key("after", Shape::Texts, "Steps that must have ended before"),
    key("when", Shape::Text, "Skipped unless true"),
    key("skip_reason", Shape::Text, "What to say when skipped"),
    key("for_each", Shape::Text, "A list; done once for each item"),
    key("as", Shape::Identifier, "The item's name"),
    key("parallel", Shape::Number(1, 256), "How many items at once"),
    key(
        "again",
        Shape::Bool,
        "Whether refused items are tried again after the others",
    ),
    key(
        "fallback",
        Shape::Table(FALLBACK),
        "Taken only where another step could not do its work",
    ),
    key("read", Shape::Table(READ), "Reads"),
    key("request", Shape::Table(REQUEST), "Writes"),
    key(
        "edit",
        Shape::Table(EDIT),
        "Changes named members of a resource",
    ),
    key("collect", Shape::Table(COLLECT), "Pages into evidence"),
    key("assert", Shape::Table(ASSERT), "States what must be so"),
    key("decide", Shape::Table(DECIDE), "Lets the responder choose"),
    key("manual", Shape::Table(MANUAL), "A task for a person"),
    key(
        "rotate",
        Shape::Table(ROTATE),
        "A new secret: made, handed on, seen by nobody",
    ),
    key("run", Shape::Table(RUN), "Another runbook"),
    key("wait", Shape::Table(WAIT), "Waits"),
    key("let", Shape::Lets, "Named results"),
    key(
        "check",
        Shape::TableOrTables(CHECK),
        "What must be read back",
    ),
    key(
        "undo",
        Shape::Undo,
        "How it is undone: restore, ask, {never: why}, or requests",
    ),
    key("lasting", Shape::Line, "Why what it made stays"),
    key(
        "consent",
        Shape::Words(&["explicit"]),
        "Not covered by --yes",
    ),
    key(
        "otherwise",
        Shape::Words(OTHERWISE),
        "What its failure means",
    ),
    key("limit", Shape::Span, "How long one item may take"),
    key("say", Shape::Text, "What to tell when it has ended"),
    key(
        "shared",
        Shape::Text,
        "A key: of all targets the change behind it is made once",
    ),
    key(
        "on",
        Shape::Words(&["run", "undo"]),
        "Whether it belongs to the run or only to its undo",
    ),
];

const ARM_HELP: &str = "METHOD path, on Azure Resource Manager";

/// Keys of a call, by the name of its plane.
pub(crate) const READ: &[KeyInfo] = &[
    key("arm", Shape::Call, ARM_HELP),
    key("graph", Shape::Call, "METHOD path, on Microsoft Graph"),
    key("vault", Shape::Call, "METHOD URL, on Key Vault"),
    key("logs", Shape::Call, "METHOD URL, on Log Analytics"),
    key("blob", Shape::Call, "METHOD URL, on Blob storage"),
    key("api_version", Shape::Text, "The api-version"),
    key("query", Shape::TextMap, "Query parameters"),
    key("headers", Shape::TextMap, "Request headers"),
    key("body", Shape::Any, "The JSON body"),
    key(
        "pages",
        Shape::Pages,
        "The member that holds a page's items",
    ),
    key("missing_ok", Shape::Bool, "Whether 404 is an answer"),
    key(
        "beta",
        Shape::Line,
        "Why it is asked of a version of Graph that may change",
    ),
];

/// Keys of `request`.
pub(crate) const REQUEST: &[KeyInfo] = &[
    key("arm", Shape::Call, ARM_HELP),
    key("graph", Shape::Call, "METHOD path, on Microsoft Graph"),
    key("vault", Shape::Call, "METHOD URL, on Key Vault"),
    key("logs", Shape::Call, "METHOD URL, on Log Analytics"),
    key("blob", Shape::Call, "METHOD URL, on Blob storage"),
    key("api_version", Shape::Text, "The api-version"),
    key("query", Shape::TextMap, "Query parameters"),
    key("headers", Shape::TextMap, "Request headers"),
    key("body", Shape::Any, "The JSON body"),
    key(
        "beta",
        Shape::Line,
        "Why it is asked of a version of Graph that may change",
    ),
    key("before", Shape::Table(READ), "Reads the state before"),
    key("unless", Shape::Text, "If true it is not needed"),
    key(
        "idempotent",
        Shape::Bool,
        "Whether sending it twice does no more",
    ),
];

/// Keys of `edit`.
pub(crate) const EDIT: &[KeyInfo] = &[
    must("arm", Shape::Text, "The resource's id"),
    must("api_version", Shape::Text, "The api-version"),
    must(
        "set",
        Shape::Paths,
        "Dotted member path to new value; null removes",
    ),
    key("if_match", Shape::Bool, "Whether to send the etag"),
];

/// Keys of `collect`.
pub(crate) const COLLECT: &[KeyInfo] = &[
    key("arm", Shape::Call, ARM_HELP),
    key("graph", Shape::Call, "METHOD path, on Microsoft Graph"),
    key("logs", Shape::Call, "METHOD URL, on Log Analytics"),
    key("api_version", Shape::Text, "The api-version"),
    key("query", Shape::TextMap, "Query parameters"),
    key("headers", Shape::TextMap, "Request headers"),
    key("body", Shape::Any, "The JSON body"),
    must(
        "pages",
        Shape::Pages,
        "The member that holds a page's items",
    ),
    key(
        "beta",
        Shape::Line,
        "Why it is asked of a version of Graph that may change",
    ),
    must("name", Shape::Text, "The exhibit's file name"),
    must("description", Shape::Text, "What the exhibit is"),
    key("window", Shape::Table(WINDOW), "The window asked for"),
    key(
        "follow_up",
        Shape::Text,
        "The command for what was not yet there",
    ),
];

/// Keys of `window`.
pub(crate) const WINDOW: &[KeyInfo] = &[
    must("from", Shape::Text, "Its start"),
    must("to", Shape::Text, "Its end"),
];
/// Keys of `assert`.
pub(crate) const ASSERT: &[KeyInfo] = &[
    must("that", Shape::Text, "The condition"),
    must("message", Shape::Text, "What is wrong when it is not so"),
];
/// Keys of `decide`.
pub(crate) const DECIDE: &[KeyInfo] = &[
    must("question", Shape::Text, "The question exactly as shown"),
    must(
        "options",
        Shape::Text,
        "A list of objects with id and label",
    ),
    key(
        "default",
        Shape::Words(&["none", "all"]),
        "What --yes chooses",
    ),
];
/// Keys of `manual`.
pub(crate) const MANUAL: &[KeyInfo] = &[
    must("instruction", Shape::Text, "The exact instruction"),
    must("finding", Shape::Text, "What to report"),
];
/// Keys of `rotate`.
pub(crate) const ROTATE: &[KeyInfo] = &[
    key(
        "generate",
        Shape::Table(GENERATE),
        "Makes the secret here, as {{ secret }} in upstream",
    ),
    must(
        "upstream",
        Shape::Table(UPSTREAM),
        "Where the secret counts",
    ),
    key(
        "vault",
        Shape::Table(READ),
        "Where it is kept; the value is put in by azir",
    ),
    key(
        "discard",
        Shape::Table(READ),
        "Takes back what upstream made if the vault does not take it",
    ),
];
/// Keys of `generate`.
pub(crate) const GENERATE: &[KeyInfo] = &[
    key(
        "length",
        Shape::Number(16, 128),
        "Characters; 32 where nothing is said",
    ),
    key(
        "alphabet",
        Shape::Words(ALPHABETS),
        "Of which kinds of character",
    ),
];
/// What a generated secret is made of.
pub(crate) const ALPHABETS: &[&str] = &["password", "letters"];
/// Keys of `upstream`.
pub(crate) const UPSTREAM: &[KeyInfo] = &[
    key("arm", Shape::Call, ARM_HELP),
    key("graph", Shape::Call, "METHOD path, on Microsoft Graph"),
    key("api_version", Shape::Text, "The api-version"),
    key("query", Shape::TextMap, "Query parameters"),
    key("headers", Shape::TextMap, "Request headers"),
    key("body", Shape::Any, "The JSON body"),
    key(
        "beta",
        Shape::Line,
        "Why it is asked of a version of Graph that may change",
    ),
    key(
        "secret",
        Shape::Text,
        "The member of the answer that is the secret, where upstream makes it",
    ),
];
/// Keys of `run`.
pub(crate) const RUN: &[KeyInfo] = &[
    must("runbook", Shape::Text, "Its name"),
    key("with", Shape::AnyMap, "Its parameters"),
];
/// Keys of `wait`.
pub(crate) const WAIT: &[KeyInfo] = &[
    must("for", Shape::Scalar, "How long"),
    must("why", Shape::Line, "Why"),
];
/// Keys of `check`.
pub(crate) const CHECK: &[KeyInfo] = &[
    must("claim", Shape::Text, "What it claims"),
    key("when", Shape::Text, "Not made unless true"),
    key("get", Shape::Table(READ), "What to read"),
    must("that", Shape::Text, "The condition"),
    key("observed", Shape::Text, "What was seen, for the record"),
    key("within", Shape::Span, "How long to go on reading"),
    key(
        "gate",
        Shape::Bool,
        "Whether it must hold before the next phase",
    ),
    key(
        "otherwise",
        Shape::Words(OTHERWISE),
        "What its failure means",
    ),
];
/// Keys of one request of an `undo`.
pub(crate) const UNDO_REQUEST: &[KeyInfo] = &[
    must("request", Shape::Table(READ), "The write"),
    key(
        "read",
        Shape::Table(READ),
        "Reads the present state as current",
    ),
    key("unless", Shape::Text, "If true there is nothing to undo"),
    key("drift", Shape::Text, "If true somebody changed it since"),
    key(
        "that",
        Shape::Text,
        "What must be true of current afterwards",
    ),
    key(
        "ask",
        Shape::Bool,
        "Whether it waits for a recorded clearance",
    ),
];
/// Keys of `undo` as a map.
pub(crate) const UNDO: &[KeyInfo] = &[
    key("never", Shape::Line, "Why it cannot be undone"),
    key("requests", Shape::Tables(UNDO_REQUEST), "Requests in order"),
    key("request", Shape::Table(READ), "The write"),
    key(
        "read",
        Shape::Table(READ),
        "Reads the present state as current",
    ),
    key("unless", Shape::Text, "If true there is nothing to undo"),
    key("drift", Shape::Text, "If true somebody changed it since"),
    key(
        "that",
        Shape::Text,
        "What must be true of current afterwards",
    ),
    key(
        "ask",
        Shape::Bool,
        "Whether it waits for a recorded clearance",
    ),
];
/// Keys of a residual.
pub(crate) const RESIDUAL: &[KeyInfo] = &[
    key("when", Shape::Text, "Said only if true"),
    must("what", Shape::Text, "What stays open"),
    key("until", Shape::Text, "Until when"),
    key("for_each", Shape::Text, "A list; said once for each item"),
];
/// How bad a finding can be, the worst first.
pub(crate) const SEVERITIES: &[&str] = &["high", "medium", "low", "info"];
/// Keys of a finding.
pub(crate) const FINDING: &[KeyInfo] = &[
    key("when", Shape::Text, "Found only if true"),
    must("what", Shape::Text, "What was found, in one sentence"),
    must(
        "severity",
        Shape::Text,
        "high, medium, low or info: the word, or a template that gives it",
    ),
    key(
        "item",
        Shape::Text,
        "What it was found in: the id to type next",
    ),
    key("for_each", Shape::Text, "A list; found once for each item"),
];
