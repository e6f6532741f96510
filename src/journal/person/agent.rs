//! A key in ssh-agent: lists what it holds and asks it to sign (draft-ietf-sshm-ssh-agent).
//!
//! Every request is a connection of its own with a limit on how long it may take: an agent that hangs, or a security
//! key that nobody touches, must not hold up anything.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::sign::string;
use super::error::KeyError;
use super::public::Reader;

/// Where an agent listens, and how long it may take to answer.
#[derive(Clone, Debug)]
pub struct Agent {
    socket: PathBuf,
    patience: Duration,
}

/// A key that an agent holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Held {
    pub(super) blob: Vec<u8>,
    pub(super) comment: String,
}

const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
const FAILURE: u8 = 5;
/// The longest message that OpenSSH's agent takes or sends.
const LONGEST: u32 = 256 * 1024;

impl Agent {
    /// Names an agent by its socket, as `SSH_AUTH_SOCK` does.
    pub fn new(socket: &Path, patience: Duration) -> Self {
        Self {
            socket: socket.to_path_buf(),
            patience,
        }
    }

    /// Lists the keys that it holds.
    pub(super) fn held(&self) -> Result<Vec<Held>, KeyError> {
        let answer = self.ask(&[REQUEST_IDENTITIES])?;
        identities(&answer).ok_or_else(|| silent("answered what is no list of keys"))
    }

    /// Asks it to sign; returns the signature as SSH writes it.
    pub(super) fn sign(&self, key: &[u8], data: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut request = vec![SIGN_REQUEST];
        request.extend(string(key));
        request.extend(string(data));
        request.extend(0_u32.to_be_bytes());
        let answer = self.ask(&request)?;
        let mut reader = Reader(&answer);
        match reader.take(1) {
            Some([SIGN_RESPONSE]) => {}
            Some([FAILURE]) => return Err(silent("refused to sign")),
            _ => return Err(silent("answered what is no signature")),
        }
        let signature = reader.string().filter(|_| reader.0.is_empty());
        let signature = signature.ok_or_else(|| silent("answered what is no signature"))?;
        Ok(signature.to_vec())
    }

    #[cfg(unix)]
    fn ask(&self, request: &[u8]) -> Result<Vec<u8>, KeyError> {
        let cannot = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => silent(&format!(
                "did not answer within {} s",
                self.patience.as_secs().max(1)
            )),
            _ => silent(&format!(
                "at {} cannot be asked: {error}",
                self.socket.display()
            )),
        };
        let mut stream = std::os::unix::net::UnixStream::connect(&self.socket).map_err(cannot)?;
        stream
            .set_read_timeout(Some(self.patience))
            .and_then(|()| stream.set_write_timeout(Some(self.patience)))
            .map_err(cannot)?;
        exchange(&mut stream, request).map_err(cannot)
    }

    #[cfg(not(unix))]
    fn ask(&self, _request: &[u8]) -> Result<Vec<u8>, KeyError> {
        Err(silent("can be asked on Unix only; name a key file"))
    }
}

/// Sends one message and reads one.
fn exchange(stream: &mut (impl Read + Write), request: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(&string(request))?;
    let mut len = [0; 4];
    stream.read_exact(&mut len)?;
    let len = u32::from_be_bytes(len);
    if len > LONGEST {
        return Err(std::io::Error::other("its answer is too long"));
    }
    let mut answer = vec![0; len as usize];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

fn identities(answer: &[u8]) -> Option<Vec<Held>> {
    let mut reader = Reader(answer);
    if reader.take(1)? != [IDENTITIES_ANSWER] {
        return None;
    }
    // The count is the agent's word; what is there decides.
    let mut held = Vec::new();
    for _ in 0..reader.u32()? {
        held.push(Held {
            blob: reader.string()?.to_vec(),
            comment: String::from_utf8_lossy(reader.string()?).into_owned(),
        });
    }
    reader.0.is_empty().then_some(held)
}

fn silent(what: &str) -> KeyError {
    KeyError::AgentSilent(what.to_owned())
}
