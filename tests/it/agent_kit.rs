//! An ssh-agent that holds what a test gives it, security keys included, and keys in files of every kind.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use ed25519_dalek::{Signer as _, SigningKey};
use sha2::{Digest as _, Sha256};
use ssh_key::{Cipher, Kdf, LineEnding, PrivateKey};

use crate::journal_kit::person;

/// A key in the agent.
pub(crate) enum Held {
    /// An Ed25519 key.
    Ed25519(SigningKey),
    /// Such a key in a security key, which sets these flags: 1 touch, 4 PIN.
    Sk(SigningKey, u8),
    /// A key of another type.
    Other(&'static str),
}

const SK: &[u8] = b"sk-ssh-ed25519@openssh.com";

impl Held {
    fn blob(&self) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => [
                string(b"ssh-ed25519"),
                string(key.verifying_key().as_bytes()),
            ]
            .concat(),
            Self::Sk(key, _) => [
                string(SK),
                string(key.verifying_key().as_bytes()),
                string(b"ssh:"),
            ]
            .concat(),
            Self::Other(kind) => [string(kind.as_bytes()), string(&[3; 64])].concat(),
        }
    }

    fn sign(&self, data: &[u8]) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => {
                [string(b"ssh-ed25519"), string(&key.sign(data).to_bytes())].concat()
            }
            Self::Sk(key, flags) => {
                let counter = [0, 0, 0, 7];
                let signed = [
                    &Sha256::digest(b"ssh:")[..],
                    &[*flags],
                    &counter,
                    &Sha256::digest(data)[..],
                ]
                .concat();
                let raw = key.sign(&signed).to_bytes();
                [string(SK), string(&raw), vec![*flags], counter.to_vec()].concat()
            }
            Self::Other(_) => Vec::new(),
        }
    }

    /// Returns the fingerprint, as `ssh-keygen -l` shows it.
    pub(crate) fn fingerprint(&self) -> String {
        let digest = Sha256::digest(self.blob());
        let base64 = base64::engine::general_purpose::STANDARD_NO_PAD.encode(digest);
        format!("SHA256:{base64}")
    }
}

/// What an agent does when it is asked to sign.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Signs {
    /// It does.
    Well,
    /// It answers a signature over something else.
    Wrongly,
    /// It says no.
    Never,
}

/// An agent that listens as long as the process lives.
pub(crate) struct Agent {
    pub(crate) socket: PathBuf,
    /// How many signatures it was asked for.
    pub(crate) asked: Arc<Mutex<u32>>,
}

impl Agent {
    pub(crate) fn new(folder: &Path, held: Vec<Held>, signs: Signs) -> Self {
        let socket = folder.join("agent");
        let listener = UnixListener::bind(&socket).unwrap();
        let asked = Arc::new(Mutex::new(0));
        let count = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), &held, signs, &count);
            }
        });
        Self { socket, asked }
    }
}

fn serve(mut stream: UnixStream, held: &[Held], signs: Signs, asked: &Mutex<u32>) {
    while let Some(request) = message(&mut stream) {
        let answer = match request[0] {
            11 => {
                let mut list = vec![12];
                list.extend(u32::try_from(held.len()).unwrap().to_be_bytes());
                for (number, key) in held.iter().enumerate() {
                    list.extend(string(&key.blob()));
                    list.extend(string(format!("key {number}").as_bytes()));
                }
                list
            }
            13 => {
                *asked.lock().unwrap() += 1;
                let len = u32::from_be_bytes(request[1..5].try_into().unwrap()) as usize;
                let blob = &request[5..5 + len];
                let data = &request[9 + len..request.len() - 4];
                let key = held.iter().find(|key| key.blob() == blob).unwrap();
                match signs {
                    Signs::Well => [vec![14], string(&key.sign(data))].concat(),
                    Signs::Wrongly => [vec![14], string(&key.sign(b"something else"))].concat(),
                    Signs::Never => vec![5],
                }
            }
            _ => vec![5],
        };
        stream.write_all(&string(&answer)).unwrap();
    }
}

fn message(stream: &mut UnixStream) -> Option<Vec<u8>> {
    let mut len = [0; 4];
    stream.read_exact(&mut len).ok()?;
    let mut bytes = vec![0; u32::from_be_bytes(len) as usize];
    stream.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

pub(crate) fn string(bytes: &[u8]) -> Vec<u8> {
    let len = u32::try_from(bytes.len()).unwrap();
    [&len.to_be_bytes()[..], bytes].concat()
}

/// The key of `person(seed)`, for an agent.
pub(crate) fn signing(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

/// Writes a file that only its owner can read.
pub(crate) fn private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    mode(path, 0o600);
}

pub(crate) fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Writes the key of `person(seed)` as `ssh-keygen` does.
pub(crate) fn key_file(path: &Path, seed: u8) {
    write_key(path, &person(seed));
}

/// Writes the key of `person(seed)`, encrypted with as little work as the format allows.
pub(crate) fn encrypted_key_file(path: &Path, seed: u8, passphrase: &str) {
    let kdf = Kdf::Bcrypt {
        salt: vec![7; 16],
        rounds: 1,
    };
    let key = person(seed)
        .encrypt_with(Cipher::Aes256Ctr, kdf, 42, passphrase)
        .unwrap();
    write_key(path, &key);
}

fn write_key(path: &Path, key: &PrivateKey) {
    private(path, &key.to_openssh(LineEnding::LF).unwrap());
}

/// Writes a key file whose public half is `blob`; nothing behind that is ever read.
pub(crate) fn foreign_key_file(path: &Path, blob: &[u8]) {
    let mut bytes = b"openssh-key-v1\0".to_vec();
    for part in [&b"none"[..], b"none", b""] {
        bytes.extend(string(part));
    }
    bytes.extend(1_u32.to_be_bytes());
    bytes.extend(string(blob));
    bytes.extend(string(&[0; 64]));
    let base64 = base64::engine::general_purpose::STANDARD.encode(bytes);
    private(
        path,
        &format!(
            "-----BEGIN OPENSSH PRIVATE KEY-----\n{base64}\n-----END OPENSSH PRIVATE KEY-----\n"
        ),
    );
}

/// The public half of a security key.
pub(crate) fn sk_blob(seed: u8) -> Vec<u8> {
    Held::Sk(signing(seed), 0).blob()
}
