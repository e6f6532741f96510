//! Why a key cannot sign, and what to type next.

use std::path::PathBuf;

/// Why a person's key cannot be had, or did not sign.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyError {
    /// There is no agent to ask.
    #[error("there is no ssh-agent: SSH_AUTH_SOCK is not set")]
    AgentAbsent,
    /// It holds no key that may sign.
    #[error("ssh-agent holds no Ed25519 key{}", others(.0))]
    AgentEmpty(Vec<String>),
    /// It holds several and none was named.
    #[error("ssh-agent holds several Ed25519 keys: {}", .0.join(", "))]
    AgentMany(Vec<String>),
    /// It was reached and did not do what it was asked.
    #[error("ssh-agent {0}")]
    AgentSilent(String),
    /// It holds other keys than the one that was named.
    #[error("ssh-agent does not hold {wanted}{}", others(.held))]
    AgentUnknown {
        /// The fingerprint that was named.
        wanted: String,
        /// The fingerprints that it holds.
        held: Vec<String>,
    },
    /// Others on this machine can read the key.
    #[error("{} can be read by others (mode {mode:03o})", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The key is of a type whose signatures do not count.
    #[error("{what} is a key of type {kind}, and only Ed25519 keys sign the record")]
    Kind {
        /// Which key.
        what: String,
        /// Its type.
        kind: String,
    },
    /// The key is encrypted and its passphrase is not known.
    #[error("{} is encrypted, and nobody was there to type its passphrase", .0.display())]
    Locked(PathBuf),
    /// The words of a configuration name no key.
    #[error("{0:?} names no key: it is neither a file, agent nor agent:SHA256:...")]
    Name(String),
    /// The file holds no private key.
    #[error("{} holds no OpenSSH private key: {why}", path.display())]
    NotAKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The passphrase does not open the key.
    #[error("the passphrase does not open {}", .0.display())]
    Passphrase(PathBuf),
    /// The file is the handle of a security key, which only an agent can use.
    #[error("{} is the handle of a security key, which signs through ssh-agent only", path.display())]
    SecurityKeyFile {
        /// The file.
        path: PathBuf,
        /// The key's fingerprint.
        fingerprint: String,
    },
    /// The file cannot be read.
    #[error("cannot read {}: {message}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        message: String,
    },
    /// The public half of the key is not that of its secret, or is no sound point.
    #[error("the public half of {0} is not one that a signature can be checked with")]
    Unsound(String),
    /// A signature was made that does not fit.
    #[error("what {0} answered is not its signature")]
    WrongSignature(String),
}

impl KeyError {
    /// Returns the next command to type.
    pub fn hint(&self) -> String {
        match self {
            Self::AgentAbsent => "eval \"$(ssh-agent)\" && ssh-add".to_owned(),
            Self::AgentEmpty(_) => "ssh-add ~/.ssh/id_ed25519".to_owned(),
            Self::AgentMany(held) => format!(
                "azir key set agent:{}",
                held.first().map_or("SHA256:...", |one| {
                    one.split(' ').next().unwrap_or_default()
                })
            ),
            Self::AgentSilent(_) => "ssh-add -l".to_owned(),
            Self::AgentUnknown { .. } => "ssh-add -l, then ssh-add FILE".to_owned(),
            Self::Exposed { path, .. } => format!("chmod 600 {}", path.display()),
            Self::Kind { .. } | Self::NotAKey { .. } | Self::Unsound(_) => {
                "ssh-keygen -t ed25519, then azir key set FILE".to_owned()
            }
            Self::Locked(path) | Self::Passphrase(path) => {
                format!("ssh-add {}, then azir key set agent", path.display())
            }
            Self::Name(_) | Self::Unreadable { .. } => {
                "azir key set FILE, or azir key set agent".to_owned()
            }
            Self::SecurityKeyFile { path, fingerprint } => format!(
                "ssh-add {}, then azir key set agent:{fingerprint}",
                path.display()
            ),
            Self::WrongSignature(_) => "azir key".to_owned(),
        }
    }
}

fn others(held: &[String]) -> String {
    if held.is_empty() {
        String::new()
    } else {
        format!(" (it holds {})", held.join(", "))
    }
}
