//! Faults of a service as rows of a table: each tried on a read, an idempotent write and an action, and told in a line.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use azir::azure::{Error, Http, OutcomeKind, Patience, Response};

use super::azure_server::{Bench, Reply, Server, answer, error};

pub(crate) const VM: &str =
    "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/v";

/// A fault and how the service is told to show it.
pub(crate) struct Row {
    /// What goes wrong.
    pub(crate) fault: &'static str,
    /// The replies, in order; `{evil}` stands for an address outside of the cloud. After the last all is well.
    pub(crate) script: fn() -> Vec<Reply>,
}

/// The three kinds of request: what each may cost differs.
pub(crate) const KINDS: [(&str, bool); 3] = [("GET", true), ("PUT", true), ("POST", false)];

/// Returns a reply as often as anybody could ask.
pub(crate) fn many(reply: impl Fn() -> Reply) -> Vec<Reply> {
    (0..60).map(|_| reply()).collect()
}

/// Returns a 429 that says how long.
pub(crate) fn throttled(name: &str, value: &str) -> Reply {
    error(429, "TooManyRequests", &[(name, value)])
}

/// Returns what a portal or a proxy says in the place of a service.
pub(crate) fn page(status: u16) -> Reply {
    let html = [("content-type", "text/html")];
    let words = "<html><body>Welcome to the hotel</body></html>";
    answer(status, &html, words)
}

/// What one request came to.
pub(crate) struct Told {
    pub(crate) result: Result<Response, Error>,
    pub(crate) kinds: Vec<OutcomeKind>,
    pub(crate) settled: usize,
    pub(crate) sent: usize,
    pub(crate) waited: Duration,
    pub(crate) tokens: usize,
}

/// Patience for tests: what the network does not do within this, it does not do.
pub(crate) fn hasty() -> Patience {
    let soon = Duration::from_secs(1);
    Patience {
        connecting: Duration::from_secs(5),
        thinking: soon,
        querying: soon,
        signing_in: soon,
        stalled: soon,
        arriving: soon,
    }
}

/// Makes one request of a service that follows the script, and then is well.
async fn told(script: Vec<Reply>, method: &str, idempotent: bool) -> Told {
    let stalls = script
        .iter()
        .any(|reply| matches!(reply, Reply::Stall(_) | Reply::Creep));
    let mut replies = script;
    replies.extend((0..3).map(|_| answer(200, &[], r#"{"name":"v"}"#)));
    let server = Server::start(replies).await;
    let patience = if stalls { hasty() } else { Patience::default() };
    let http = Http::with_patience(None, patience).unwrap();
    let bench = Bench::at(&server.base, http);
    let told = of(&bench, method, idempotent).await;
    Told {
        sent: server.seen().len(),
        ..told
    }
}

/// Makes one request at a bench; the request that reached nobody counts as not sent.
pub(crate) async fn of(bench: &Bench, method: &str, idempotent: bool) -> Told {
    let answered = async {
        match method {
            "GET" => bench.get(VM).await,
            _ => bench.write(method, VM, idempotent).await,
        }
    };
    // Nothing here takes real time but what is cut off after a moment.
    let result = tokio::time::timeout(Duration::from_secs(30), answered)
        .await
        .expect("a request must end by itself");
    let kinds = bench.told.kinds();
    Told {
        result,
        settled: bench.told.settled.lock().unwrap().len(),
        sent: kinds.len(),
        kinds,
        waited: bench.waited(),
        tokens: bench.tokens.given(),
    }
}

impl Told {
    /// Holds what must hold whatever happens.
    pub(crate) fn sound(&self, fault: &str, method: &str) {
        let unknown = |kind: &OutcomeKind| *kind == OutcomeKind::Unknown;
        let attempts = self.kinds.len();
        if method == "POST" {
            let before_last = &self.kinds[..attempts.saturating_sub(1)];
            assert!(
                !before_last.iter().any(unknown),
                "{fault}: an action was sent again that may have happened"
            );
        }
        match &self.result {
            Ok(_) => {
                let open = self.kinds.iter().filter(|kind| unknown(kind)).count();
                assert_eq!(open, self.settled, "{fault}: {method}: left unsettled");
            }
            Err(error) if method != "GET" && self.kinds.iter().any(unknown) => {
                assert!(error.is_unknown(), "{fault}: {method}: {error}");
            }
            Err(error) => {
                let length = error.to_string().len();
                assert!(length < 5_000, "{fault}: {method}: {length} bytes of words");
            }
        }
        assert!(
            self.tokens <= 2,
            "{fault}: {method}: {} tokens",
            self.tokens
        );
        assert!(
            self.waited <= Duration::from_secs(3_600),
            "{fault}: {method}: {:?}",
            self.waited
        );
    }

    /// Says it in a cell of the table.
    pub(crate) fn cell(&self) -> String {
        let mut text = match self.sent {
            0 => "not sent".to_owned(),
            1 => "sent once".to_owned(),
            more => format!("sent {more} times"),
        };
        if self.waited >= Duration::from_millis(1) {
            write!(text, " over {:.1} s", self.waited.as_secs_f64()).unwrap();
        }
        text += ": ";
        text += &words(&self.kinds);
        if self.settled > 0 {
            text += ", settled";
        }
        match &self.result {
            Ok(_) => {}
            Err(error) => write!(text, "; `{}`", error.code()).unwrap(),
        }
        text
    }
}

/// Returns the journal's words, repeated ones counted.
fn words(kinds: &[OutcomeKind]) -> String {
    let runs = kinds.chunk_by(|a, b| a == b);
    let word = |run: &[OutcomeKind]| match run.len() {
        1 => run[0].word().to_owned(),
        many => format!("{} {many}×", run[0].word()),
    };
    runs.map(word).collect::<Vec<_>>().join(", ")
}

/// Tries a script on each of the kinds of request, side by side; returns the row.
pub(crate) async fn row(
    fault: &str,
    kinds: &[(&'static str, bool)],
    script: impl Fn() -> Vec<Reply>,
) -> String {
    let tried = kinds.iter().map(|(method, idempotent)| {
        let told = told(script(), method, *idempotent);
        async move {
            let told = told.await;
            told.sound(fault, method);
            told.cell()
        }
    });
    line(fault, &futures_util::future::join_all(tried).await)
}

/// Returns the row of a table.
pub(crate) fn line(fault: &str, cells: &[String]) -> String {
    format!("| {fault} | {} |\n", cells.join(" | "))
}

/// Holds a part of the document of faults against what was seen. `AZIR_TABLES=write` writes it instead.
pub(crate) fn hold(part: &str, rows: &str) {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/azure/FAULTS.md");
    let text = std::fs::read_to_string(path).unwrap();
    let begin = format!("<!-- {part} -->\n");
    let end = format!("<!-- end of {part} -->\n");
    let from = text.find(&begin).unwrap() + begin.len();
    let to = text.find(&end).unwrap();
    if text[from..to] == *rows {
        return;
    }
    if std::env::var("AZIR_TABLES").as_deref() == Ok("write") {
        let now = [&text[..from], rows, &text[to..]].concat();
        std::fs::write(path, now).unwrap();
        return;
    }
    panic!("the table of {part} in src/azure/FAULTS.md is not true any more; it is now:\n{rows}");
}
