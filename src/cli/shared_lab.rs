//! The lab of a case, of which there is one however many commands use it at once: whoever comes first starts it in its
//! own process, others come in through the same door, and the first leaves last. Two labs over one state would each
//! undo what the other did.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::refusal::Refusal;
use super::{out, tenant};
use crate::lab::{Lab, Options, Ready};

/// How long a lab that somebody else has locked may take to open its door.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(50);

/// A lab that answers as long as this lives.
pub(super) struct SharedLab {
    ready: Ready,
    /// The lab, where it runs in this process, with the lock that says so.
    own: Option<(Lab, File)>,
    /// Held in part by every guest, and as a whole by an owner who leaves.
    guests: File,
}

impl SharedLab {
    /// Starts the lab of a folder at a port that it had before, if it can, or comes into the one that runs there.
    pub(super) fn enter(folder: &Path, options: impl Fn(u16) -> Options) -> Result<Self, Refusal> {
        std::fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
        let (lock, guests) = (
            opened(&folder.join("lock"))?,
            opened(&folder.join("guests"))?,
        );
        let tries = PATIENCE.as_millis() / PAUSE.as_millis();
        for _ in 0..tries {
            match lock.try_lock() {
                Ok(()) => return Self::start(folder, &options, lock, guests),
                Err(TryLockError::Error(error)) => return Err(unwritable(folder, &error)),
                Err(TryLockError::WouldBlock) => {}
            }
            // An owner who leaves has all of it: then there is soon no owner.
            if guests.try_lock_shared().is_ok() {
                if let Some(ready) = running(folder, &options) {
                    return Ok(Self {
                        ready,
                        own: None,
                        guests,
                    });
                }
                let _ = guests.unlock();
            }
            std::thread::sleep(PAUSE);
        }
        Err(Refusal::record(
            format!(
                "the lab in {} is in use by another azir, which does not answer",
                folder.display()
            ),
            "wait for it to end",
        ))
    }

    fn start(
        folder: &Path,
        options: &impl Fn(u16) -> Options,
        lock: File,
        guests: File,
    ) -> Result<Self, Refusal> {
        // What an earlier run wrote down names hosts with their port, and an undo goes there. Until the lab answers
        // nobody is shown a door: behind the one of a lab that was killed there is nobody, or somebody else.
        let door = door(folder);
        let before = port(&door);
        match std::fs::remove_file(&door) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(unwritable(&door, &error));
            }
            _ => {}
        }
        let again = before.and_then(|port| Lab::start(options(port)).ok());
        let lab = match again {
            Some(lab) => lab,
            None => Lab::start(options(0)).map_err(|error| {
                Refusal::record(
                    error.to_string(),
                    "export AZIR_HOME=/path/to/a/writable/folder",
                )
            })?,
        };
        let ready = lab.ready().clone();
        let port = ready.arm.rsplit(':').next().unwrap_or_default();
        let unnamed = folder.join("port.new");
        std::fs::write(&unnamed, port)
            .and_then(|()| std::fs::rename(&unnamed, &door))
            .map_err(|error| unwritable(&door, &error))?;
        Ok(Self {
            ready,
            own: Some((lab, lock)),
            guests,
        })
    }

    /// Returns what a client needs to know.
    pub(super) fn ready(&self) -> &Ready {
        &self.ready
    }
}

impl Drop for SharedLab {
    fn drop(&mut self) {
        if self.own.is_none() {
            return;
        }
        if matches!(self.guests.try_lock(), Err(TryLockError::WouldBlock)) {
            out::line(
                "azir: done; the lab waits for other commands that use it (ctrl-C: they lose it)",
            );
            self.wait_for_guests();
        }
        // The lab goes first, then its lock, and whoever waits starts it anew.
        self.own = None;
    }
}

impl SharedLab {
    /// Waits until the last guest has left, or somebody wants this process to end.
    fn wait_for_guests(&self) {
        let (sender, stop) = std::sync::mpsc::channel();
        // The handlers that the run had set up stay, and here nobody else listens to them.
        let listening = std::thread::Builder::new().spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            if let Ok(runtime) = runtime {
                runtime.block_on(async { tenant::stopped().await });
                // Where nobody waits any more there is nothing to stop.
                let _ = sender.send(());
            }
        });
        while matches!(self.guests.try_lock(), Err(TryLockError::WouldBlock)) {
            let stopped = if listening.is_ok() {
                stop.recv_timeout(PAUSE).is_ok()
            } else {
                std::thread::sleep(PAUSE);
                false
            };
            if stopped {
                return;
            }
        }
    }
}

/// Returns what a client needs to know of a lab that runs in another process, if it answers.
fn running(folder: &Path, options: &impl Fn(u16) -> Options) -> Option<Ready> {
    let port = port(&door(folder))?;
    let ca = folder.join(format!("lab-{port}-ca.pem"));
    let address = std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, port));
    if !ca.is_file() || std::net::TcpStream::connect_timeout(&address, PAUSE).is_err() {
        return None;
    }
    let scenario = options(port).scenario;
    let (caller, subscription) = (scenario.callers.first()?, scenario.subscriptions.first()?);
    Some(Ready {
        arm: format!("https://127.0.0.1:{port}"),
        ca,
        tenant_id: scenario.tenant.clone(),
        client_id: caller.client_id.clone(),
        client_secret: caller.client_secret.clone(),
        subscription_id: subscription.id.clone(),
        pid: std::process::id(),
    })
}

fn door(folder: &Path) -> PathBuf {
    folder.join("port")
}

fn port(door: &Path) -> Option<u16> {
    std::fs::read_to_string(door).ok()?.trim().parse().ok()
}

fn opened(path: &Path) -> Result<File, Refusal> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path);
    file.map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Refusal {
    Refusal::record(
        format!("{}: {error}", path.display()),
        "export AZIR_HOME=/path/to/a/writable/folder",
    )
}
