//! A passphrase, asked for on the terminal itself and not shown while it is typed.

use std::io::{Read, Write};
use std::path::Path;

use zeroize::{Zeroize, Zeroizing};

use crate::secret::Secret;

/// The longest passphrase that is read; what is typed beyond it is no passphrase.
const LONGEST: usize = 1024;

/// Asks for the passphrase of a key file; nothing where there is no terminal, or the person typed none.
pub(super) fn ask(path: &Path) -> Option<Secret> {
    let terminal = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/tty")
        .ok()?;
    let silenced = Silenced::new(&terminal)?;
    let prompt = format!("Passphrase of {}: ", path.display());
    (&terminal)
        .write_all(super::out::marked(&super::shown::line(&prompt)).as_bytes())
        .ok()?;
    let typed = typed(&mut &terminal);
    drop(silenced);
    // The line feed that was typed was not shown.
    let _ = (&terminal).write_all(b"\n");
    typed
}

/// Reads what is typed until the line ends; ctrl-C and ctrl-D end it with nothing.
fn typed(input: &mut impl Read) -> Option<Secret> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST));
    let mut one = Zeroizing::new([0_u8]);
    loop {
        if input.read(&mut one[..]).ok()? == 0 {
            return None;
        }
        match one[0] {
            b'\r' | b'\n' => break,
            // Backspace takes back a whole character, ctrl-U all of them.
            0x08 | 0x7f => while bytes.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
            0x15 => bytes.clear(),
            0x03 | 0x04 => return None,
            _ if bytes.len() == LONGEST => return None,
            byte => bytes.push(byte),
        }
    }
    if bytes.is_empty() {
        return None;
    }
    let text = match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => text,
        Err(error) => {
            error.into_bytes().zeroize();
            return None;
        }
    };
    Some(Secret::new(text))
}

/// A terminal that shows nothing and sends no signals, until this is dropped: ctrl-C must not leave it so.
struct Silenced<'a> {
    terminal: &'a std::fs::File,
    before: rustix::termios::Termios,
}

impl<'a> Silenced<'a> {
    fn new(terminal: &'a std::fs::File) -> Option<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let before = tcgetattr(terminal).ok()?;
        let mut silent = before.clone();
        silent
            .local_modes
            .remove(LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(terminal, OptionalActions::Flush, &silent).ok()?;
        Some(Self { terminal, before })
    }
}

impl Drop for Silenced<'_> {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        // There is nothing else to be done about a terminal that is gone.
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8]) -> Option<String> {
        typed(&mut &*input).map(|secret| secret.reveal().to_owned())
    }

    #[test]
    fn a_passphrase_is_what_stands_on_the_line_when_it_ends() {
        assert_eq!(read(b"correct horse\n").as_deref(), Some("correct horse"));
        assert_eq!(read(b"wrong\x15right\r").as_deref(), Some("right"));
        assert_eq!(read("aü\x7fb\x08c\n".as_bytes()).as_deref(), Some("ac"));
        for none in [
            &b"\n"[..],
            b"",
            b"cut off",
            b"regret\x03\n",
            b"\x04",
            b"\xff\n",
            &[b'a'; LONGEST + 2],
        ] {
            assert_eq!(read(none), None, "{none:?}");
        }
    }
}
