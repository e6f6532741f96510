//! As much of the tar format as a bag needs (POSIX.1-2001 ustar): regular files with the same owner and mode, so
//! that the same bag is the same bytes.

use std::io::{self, Read, Write};

const BLOCK: usize = 512;

/// A tar that is being written.
pub(super) struct Tar<W> {
    to: W,
    /// The time that every file bears, in seconds since 1970.
    time: u64,
}

impl<W: Write> Tar<W> {
    pub(super) fn new(to: W, time: u64) -> Self {
        Self { to, time }
    }

    /// Adds a file of exactly `size` bytes; a source that ends earlier is an error.
    pub(super) fn add(&mut self, name: &str, size: u64, mut from: impl Read) -> io::Result<()> {
        self.to.write_all(&header(name, size, self.time)?)?;
        let copied = io::copy(&mut from.by_ref().take(size), &mut self.to)?;
        if copied != size {
            let text = format!("{name} ended after {copied} of {size} bytes");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
        let rest = (size % BLOCK as u64) as usize;
        if rest > 0 {
            self.to.write_all(&[0; BLOCK][rest..])?;
        }
        Ok(())
    }

    /// Ends it.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.to.write_all(&[0; 2 * BLOCK])?;
        self.to.flush()
    }
}

fn header(name: &str, size: u64, time: u64) -> io::Result<[u8; BLOCK]> {
    let mut block = [0; BLOCK];
    let (prefix, name) = split(name)
        .ok_or_else(|| io::Error::other(format!("the name {name} is too long for a tar")))?;
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(100, b"0000600\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    if size < 1 << 33 {
        put(124, format!("{size:011o}\0").as_bytes());
    } else {
        // Octal ends at 8 GiB; beyond, the number itself, marked by its first bit, as GNU tar and Python read it.
        let mut wide = [0; 12];
        wide[4..].copy_from_slice(&size.to_be_bytes());
        wide[0] = 0x80;
        put(124, &wide);
    }
    put(
        136,
        format!("{:011o}\0", time.min((1 << 33) - 1)).as_bytes(),
    );
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    put(345, prefix.as_bytes());
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(block)
}

/// Splits a name at a slash into 155 bytes and 100 at most.
fn split(name: &str) -> Option<(&str, &str)> {
    if name.len() <= 100 {
        return Some(("", name));
    }
    name.match_indices('/')
        .map(|(at, _)| (&name[..at], &name[at + 1..]))
        .find(|(prefix, rest)| prefix.len() <= 155 && !rest.is_empty() && rest.len() <= 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_whole_and_a_short_source_is_refused() {
        let mut bytes = Vec::new();
        let mut tar = Tar::new(&mut bytes, 1);
        tar.add("a/b", 3, &b"xyz"[..]).unwrap();
        assert!(tar.add("c", 4, &b"xyz"[..]).is_err());
        let mut bytes = Vec::new();
        let mut tar = Tar::new(&mut bytes, 1);
        tar.add("a/b", 3, &b"xyz and more"[..]).unwrap();
        tar.add("empty", 0, io::empty()).unwrap();
        tar.finish().unwrap();
        assert_eq!(bytes.len(), 5 * BLOCK);
        assert_eq!(&bytes[BLOCK..BLOCK + 4], b"xyz\0");
    }

    #[test]
    fn a_long_name_is_split_at_a_slash() {
        let long = format!("{}/{}", "p".repeat(150), "n".repeat(90));
        assert_eq!(split(&long), Some((&long[..150], &long[151..])));
        assert_eq!(split(&"x".repeat(101)), None);
        assert_eq!(split("a/b"), Some(("", "a/b")));
    }
}
