//! `azir lab serve`: the simulated tenant for other clients, until it is told to stop.

use std::sync::Arc;

use clap::ArgMatches;

use super::out;
use super::refusal::Refusal;
use crate::clock::SystemClock;
use crate::lab::{Faults, Lab, Options, ScaledClock, scenario::Scenario};
use crate::random::{Random, SeededRandom, SystemRandom};

/// Serves until SIGTERM or ctrl-C.
pub(super) fn serve(own: &ArgMatches) -> Result<u8, Refusal> {
    let usage = |message: String| Refusal::usage(message, "azir lab serve --help");
    let text = |name: &str| own.get_one::<String>(name);
    let name = text("scenario").map_or("default", String::as_str);
    let scenario = match std::fs::read_to_string(name) {
        Ok(yaml) => Scenario::load(&format!("{yaml}\n")),
        Err(_) => Scenario::load(name),
    }
    .map_err(usage)?;
    let faults = match text("faults") {
        None => Faults::default(),
        Some(path) => {
            let script =
                std::fs::read_to_string(path).map_err(|error| usage(format!("{path}: {error}")))?;
            Faults::parse(&script).map_err(|error| usage(format!("{path}: {error}")))?
        }
    };
    let retry_after = match text("retry-after").map(String::as_str) {
        None => None,
        Some("none") => Some(None),
        Some(seconds) => Some(Some(seconds.parse().map_err(|_| {
            usage(format!(
                "--retry-after {seconds} is neither seconds nor none"
            ))
        })?)),
    };
    let random: Arc<dyn Random> = match own.get_one::<u64>("seed") {
        Some(seed) => Arc::new(SeededRandom::new(*seed)),
        None => Arc::new(SystemRandom),
    };
    let options = Options {
        scenario,
        port: own.get_one::<u16>("port").copied().unwrap_or(0),
        state: text("state").map(Into::into),
        latency: own.get_one::<f64>("latency").copied().unwrap_or(1.0),
        lro: own.get_one::<f64>("lro").copied().unwrap_or(1.0),
        throttle: own.get_one::<f64>("throttle").copied(),
        retry_after,
        poll_after: own.get_one::<u64>("poll-after").copied(),
        bodies: false,
        page: own.get_one::<usize>("page").copied(),
        replication: std::time::Duration::try_from_secs_f64(
            own.get_one::<f64>("replication").copied().unwrap_or(2.0),
        )
        .map_err(|error| usage(format!("--replication: {error}")))?,
        faults,
        folder: std::env::temp_dir().join(format!("azir-lab-{}", std::process::id())),
        clock: Arc::new(ScaledClock::new(
            Arc::new(SystemClock),
            own.get_one::<f64>("clock-scale").copied().unwrap_or(1.0),
        )),
        random,
    };
    let folder = options.folder.clone();
    let lab = Lab::start(options)
        .map_err(|error| Refusal::failed("lab", error.to_string(), "azir lab serve --port 0"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    // Whoever reads the line may send the signal at once, so the signal is listened for before.
    let waited = runtime.map(|runtime| {
        runtime.block_on(async {
            let stop = stopped();
            out::raw(&serde_json::to_string(lab.ready()).unwrap_or_default());
            stop.await;
        });
    });
    drop(lab);
    // Only the certificate was in it, and that went with the lab.
    let _ = std::fs::remove_dir(folder);
    waited
        .map(|()| 0)
        .map_err(|error| Refusal::failed("lab", error.to_string(), "azir lab serve"))
}

/// Listens for SIGTERM and ctrl-C from now on; the future ends with the first of them.
pub(super) fn stopped() -> impl Future<Output = ()> {
    #[cfg(unix)]
    let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
    async move {
        #[cfg(unix)]
        if let Ok(mut terminate) = terminate {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
        // Without a signal to wait for, the terminal's is all there is.
        let _ = tokio::signal::ctrl_c().await;
    }
}
