//! A person's key, wherever it lies, and what it signs.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use ed25519_dalek::SigningKey;

use super::super::format::{NAMESPACE, PLAN_NAMESPACE};
use super::super::sign;
use super::agent::{Agent, Held};
use super::error::KeyError;
pub use super::public::Presence;
use super::public::{NotCounted, PublicKey, fingerprint};

/// A person's key, ready to sign. What is secret in it is wiped when it is dropped.
pub struct PersonKey {
    how: How,
    /// Which key it is; an agent is asked once.
    public: OnceLock<PublicKey>,
    source: String,
}

enum How {
    Held(Box<SigningKey>),
    Agent {
        agent: Agent,
        wanted: Option<String>,
    },
}

/// A signature by a person.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Signature {
    /// The SSHSIG, armoured.
    pub armoured: String,
    /// What a security key says of the person before it; absent for other keys.
    pub presence: Option<Presence>,
}

/// Which key a configuration names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeyName {
    /// A key in ssh-agent: the one with this fingerprint, or the only one.
    Agent(Option<String>),
    /// A key file.
    File(PathBuf),
}

impl KeyName {
    /// Reads `agent`, `agent:SHA256:...` or a path; `~/` is the folder `home`.
    ///
    /// # Errors
    /// Words that name none.
    pub fn parse(text: &str, home: Option<&Path>) -> Result<Self, KeyError> {
        if text == "agent" {
            return Ok(Self::Agent(None));
        }
        if let Some(wanted) = text.strip_prefix("agent:") {
            let shaped = wanted
                .strip_prefix("SHA256:")
                .is_some_and(|digest| digest.len() == 43 && !digest.contains(char::is_whitespace));
            return if shaped {
                Ok(Self::Agent(Some(wanted.to_owned())))
            } else {
                Err(KeyError::Name(text.to_owned()))
            };
        }
        match (text.strip_prefix("~/"), home) {
            (Some(rest), Some(home)) => Ok(Self::File(home.join(rest))),
            _ if text.is_empty() => Err(KeyError::Name(text.to_owned())),
            _ => Ok(Self::File(PathBuf::from(text))),
        }
    }
}

impl PersonKey {
    pub(super) fn held(key: SigningKey, public: PublicKey, source: String) -> Self {
        Self {
            how: How::Held(Box::new(key)),
            public: OnceLock::from(public),
            source,
        }
    }

    /// Names a key in an agent, which is not asked before the key is needed.
    pub fn in_agent(agent: Agent, wanted: Option<String>) -> Self {
        let source = match &wanted {
            Some(fingerprint) => format!("ssh-agent, {fingerprint}"),
            None => "ssh-agent".to_owned(),
        };
        Self {
            how: How::Agent { agent, wanted },
            public: OnceLock::new(),
            source,
        }
    }

    /// Returns where the key lies, in words.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Returns its public half. For a key in an agent the first call asks, and may wait.
    ///
    /// # Errors
    /// An agent that cannot be asked, or does not hold it.
    pub fn public(&self) -> Result<&PublicKey, KeyError> {
        if let Some(known) = self.public.get() {
            return Ok(known);
        }
        let How::Agent { agent, wanted } = &self.how else {
            return Err(KeyError::Unsound(self.source.clone()));
        };
        let found = choose(&agent.held()?, wanted.as_deref())?;
        Ok(self.public.get_or_init(|| found))
    }

    /// Returns its public half where that is known already.
    pub fn known(&self) -> Option<&PublicKey> {
        self.public.get()
    }

    /// Signs the bytes of a checkpoint. Waits for an agent, and for the person whom a security key wants touched by.
    ///
    /// # Errors
    /// An agent that does not sign, or answers what is no signature of this key.
    pub fn sign(&self, message: &[u8]) -> Result<Signature, KeyError> {
        self.sign_as(NAMESPACE, message)
    }

    /// Signs what somebody plans or approves; waits as [`Self::sign`] does.
    ///
    /// # Errors
    /// As [`Self::sign`].
    pub fn sign_plan(&self, message: &[u8]) -> Result<Signature, KeyError> {
        self.sign_as(PLAN_NAMESPACE, message)
    }

    fn sign_as(&self, namespace: &str, message: &[u8]) -> Result<Signature, KeyError> {
        let public = self.public()?;
        let raw = match &self.how {
            How::Held(key) => sign::raw(key, namespace, message),
            How::Agent { agent, .. } => {
                agent.sign(public.blob(), &sign::signed_bytes(namespace, message))?
            }
        };
        let presence = public
            .check(namespace, message, &raw)
            .ok_or_else(|| KeyError::WrongSignature(self.source.clone()))?;
        Ok(Signature {
            armoured: sign::envelope(namespace, public.blob(), &raw),
            presence,
        })
    }
}

impl std::fmt::Debug for PersonKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PersonKey")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// Returns the key that is wanted of those that an agent holds; without a wish, the only one that may sign.
fn choose(held: &[Held], wanted: Option<&str>) -> Result<PublicKey, KeyError> {
    let named = |key: &Held| format!("{} {}", fingerprint(&key.blob), key.comment);
    let all = || held.iter().map(named).collect::<Vec<_>>();
    if let Some(wanted) = wanted {
        let found = held.iter().find(|key| fingerprint(&key.blob) == wanted);
        let found = found.ok_or_else(|| KeyError::AgentUnknown {
            wanted: wanted.to_owned(),
            held: all(),
        })?;
        return PublicKey::parse(&found.blob).map_err(|why| match why {
            NotCounted::Kind(kind) => KeyError::Kind {
                what: wanted.to_owned(),
                kind,
            },
            NotCounted::Unsound => KeyError::Unsound(wanted.to_owned()),
        });
    }
    let mut counted: Vec<(&Held, PublicKey)> = held
        .iter()
        .filter_map(|key| Some((key, PublicKey::parse(&key.blob).ok()?)))
        .collect();
    match counted.len() {
        1 => Ok(counted.remove(0).1),
        0 => Err(KeyError::AgentEmpty(all())),
        _ => Err(KeyError::AgentMany(
            counted.iter().map(|(key, _)| named(key)).collect(),
        )),
    }
}

/// How long a person is given to touch a security key, and an agent to answer.
pub const PATIENCE: Duration = Duration::from_secs(15);
