//! A scanner that accepts one spelling of a JSON value only: the canonical one, with the keys and numbers of a line.
//!
//! It makes no tree. What must be known is noted on the way: where members of an object stand, and what cites
//! evidence. Its input is UTF-8 already.

use std::ops::Range;

use super::format;

/// Why a text is not canonical, in words that follow "it".
pub(super) type Why = &'static str;

/// One member of an object: where its key (without quotes) and its value stand.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) key: Range<usize>,
    pub(super) value: Range<usize>,
}

/// An object that has both `sha256` and `size`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Cite {
    /// It names a digest and a size, and says whether an object `stored` stands beside them.
    Good {
        digest: [u8; 32],
        size: u64,
        stored: bool,
    },
    /// One of them is not of its form.
    Bad,
}

/// The scanner.
pub(super) struct Scanner<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    /// Citations found below an object scanned with `citing`.
    pub(super) cites: Vec<Cite>,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            cites: Vec::new(),
        }
    }

    pub(super) fn peek(&self) -> u8 {
        // A NUL never stands in canonical JSON, so it can mean the end.
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    /// Steps over exactly these bytes.
    pub(super) fn expect(&mut self, text: &[u8], why: Why) -> Result<(), Why> {
        let found = self.bytes.get(self.at..self.at + text.len()) == Some(text);
        self.at += text.len();
        if found { Ok(()) } else { Err(why) }
    }

    /// Steps over one value that stands at `level`; members of objects within are noted as citations when `citing`.
    pub(super) fn value(&mut self, level: usize, citing: bool) -> Result<Range<usize>, Why> {
        let start = self.at;
        match self.peek() {
            b'{' => self.object(level, citing, None)?,
            b'[' => self.array(level, citing)?,
            b'"' => {
                self.string()?;
            }
            b'-' | b'0'..=b'9' => self.number()?,
            b't' => self.expect(b"true", NOT_JSON)?,
            b'f' => self.expect(b"false", NOT_JSON)?,
            b'n' => self.expect(b"null", NOT_JSON)?,
            _ => return Err(NOT_JSON),
        }
        Ok(start..self.at)
    }

    /// Steps over an object; its own members go to `members`.
    pub(super) fn object(
        &mut self,
        level: usize,
        citing: bool,
        mut members: Option<&mut Vec<Member>>,
    ) -> Result<(), Why> {
        if level > format::MAX_DEPTH {
            return Err("is nested too deeply");
        }
        self.expect(b"{", NOT_JSON)?;
        if self.peek() == b'}' {
            self.at += 1;
            return Ok(());
        }
        let mut last: Range<usize> = 0..0;
        let (mut digest, mut size, mut stored) = (None, None, false);
        loop {
            let key = self.key()?;
            if self.bytes[last] >= self.bytes[key.clone()] {
                return Err("has keys out of order, or twice");
            }
            self.expect(b":", NOT_JSON)?;
            let value = self.value(level + 1, citing)?;
            if citing {
                match &self.bytes[key.clone()] {
                    b"sha256" => digest = Some(value.clone()),
                    b"size" => size = Some(value.clone()),
                    b"stored" => stored = self.bytes[value.start] == b'{',
                    _ => {}
                }
            }
            last = key.clone();
            if let Some(members) = &mut members {
                members.push(Member { key, value });
            }
            match self.peek() {
                b',' => self.at += 1,
                b'}' => break,
                _ => return Err(NOT_JSON),
            }
        }
        self.at += 1;
        if let (Some(digest), Some(size)) = (digest, size) {
            self.cites
                .push(cite(&self.bytes[digest], &self.bytes[size], stored));
        }
        Ok(())
    }

    fn array(&mut self, level: usize, citing: bool) -> Result<(), Why> {
        if level > format::MAX_DEPTH {
            return Err("is nested too deeply");
        }
        self.at += 1;
        if self.peek() == b']' {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(level + 1, citing)?;
            match self.peek() {
                b',' => self.at += 1,
                b']' => break,
                _ => return Err(NOT_JSON),
            }
        }
        self.at += 1;
        Ok(())
    }

    /// Steps over a key; returns where it stands without its quotes.
    fn key(&mut self) -> Result<Range<usize>, Why> {
        self.expect(b"\"", NOT_JSON)?;
        let start = self.at;
        while matches!(self.peek(), b'a'..=b'z' | b'0'..=b'9' | b'_') {
            self.at += 1;
        }
        let key = start..self.at;
        if !self.bytes.get(start).is_some_and(u8::is_ascii_lowercase) || self.peek() != b'"' {
            return Err("has a key that is not of the form [a-z][a-z0-9_]*");
        }
        self.at += 1;
        Ok(key)
    }

    /// Steps over a string; returns where it stands without its quotes.
    pub(super) fn string(&mut self) -> Result<Range<usize>, Why> {
        self.expect(b"\"", NOT_JSON)?;
        let start = self.at;
        loop {
            self.at += plain(&self.bytes[self.at.min(self.bytes.len())..]);
            match self.peek() {
                b'"' => break,
                b'\\' => self.escape()?,
                _ => return Err("has a string with a raw control character, or without its end"),
            }
        }
        self.at += 1;
        Ok(start..self.at - 1)
    }

    /// RFC 8785 section 3.2.2.2: short escapes where there is one, else \u00xx in lower case, for controls alone.
    fn escape(&mut self) -> Result<(), Why> {
        const WHY: Why = "has an escape that is not the canonical one";
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                match self.bytes.get(self.at + 2..self.at + 6) {
                    Some(
                        [b'0', b'0', b'0', b'0'..=b'7' | b'b' | b'e' | b'f']
                        | [b'0', b'0', b'1', b'0'..=b'9' | b'a'..=b'f'],
                    ) => {}
                    _ => return Err(WHY),
                }
                self.at += 6;
            }
            _ => return Err(WHY),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), Why> {
        let start = self.at;
        self.at += usize::from(self.peek() == b'-');
        let digits = self.at;
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        if matches!(self.peek(), b'.' | b'e' | b'E') {
            return Err("has a number that is no integer");
        }
        let text = &self.bytes[digits..self.at];
        let zero_first = text.first() == Some(&b'0') && (text.len() > 1 || digits > start);
        if text.is_empty() || zero_first || magnitude(text).is_none() {
            return Err("has a number that is not canonical, or beyond 2^53-1");
        }
        Ok(())
    }
}

const NOT_JSON: Why = "is not JSON in canonical form";
const MAX_EXACT: u64 = (1 << 53) - 1;

fn magnitude(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    let value = digits.iter().try_fold(0, |value: u64, byte| {
        byte.is_ascii_digit()
            .then(|| value * 10 + u64::from(byte - b'0'))
    })?;
    (value <= MAX_EXACT).then_some(value)
}

/// Reads a value that was scanned as a whole number from 0.
pub(super) fn whole(value: &[u8]) -> Option<u64> {
    magnitude(value)
}

/// Reads a value that was scanned as a string without escapes; `None` for any other.
pub(super) fn word(value: &[u8]) -> Option<&[u8]> {
    let inner = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    (!inner.contains(&b'\\')).then_some(inner)
}

/// Reads 64 lower-case hex digits.
pub(super) fn digest(text: &[u8]) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex(text, &mut bytes).then_some(bytes)
}

/// Reads exactly as many lower-case hex digits as fill `out`.
pub(super) fn hex(text: &[u8], out: &mut [u8]) -> bool {
    if text.len() != out.len() * 2 {
        return false;
    }
    let mut bad = 0;
    for (byte, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
        let (high, low) = (NIBBLES[usize::from(pair[0])], NIBBLES[usize::from(pair[1])]);
        bad |= high | low;
        *byte = (high << 4) | (low & 15);
    }
    bad < 16
}

/// The value of each lower-case hex digit; 255 for every other byte.
const NIBBLES: [u8; 256] = {
    let mut table = [255; 256];
    let mut n = 0;
    while n < 16 {
        table[b"0123456789abcdef"[n] as usize] = n as u8;
        n += 1;
    }
    table
};

fn cite(sha256: &[u8], size: &[u8], stored: bool) -> Cite {
    match (word(sha256).and_then(digest), whole(size)) {
        (Some(digest), Some(size)) => Cite::Good {
            digest,
            size,
            stored,
        },
        _ => Cite::Bad,
    }
}

/// Returns how many bytes at the start are neither quote, backslash nor control: eight at a time.
fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let mut at = 0;
    for chunk in bytes.chunks_exact(8) {
        let mut eight = [0; 8];
        eight.copy_from_slice(chunk);
        let word = u64::from_le_bytes(eight);
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let found = zero(word ^ (ONES * 0x22)) | zero(word ^ (ONES * 0x5c)) | control;
        if found != 0 {
            // The lowest bit found is exact; borrows can only disturb bytes above it.
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = bytes[at..]
        .iter()
        .position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
    rest.map_or(bytes.len(), |rest| at + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(text: &str) -> Result<Vec<Cite>, Why> {
        let mut scanner = Scanner::new(text.as_bytes());
        scanner.value(1, true)?;
        if scanner.at == text.len() {
            Ok(scanner.cites)
        } else {
            Err("has more")
        }
    }

    #[test]
    fn canonical_values_pass() {
        for good in [
            "{}",
            "[]",
            "0",
            "-1",
            "9007199254740991",
            "-9007199254740991",
            "null",
            "true",
            "false",
            "\"\"",
            "\"\\u0000\\u001f\\b\\t\\n\\f\\r\\\"\\\\/ \u{7f}\u{2028}ä😀\"",
            "{\"a\":[1,{\"b\":null}],\"a1\":2,\"a_\":3,\"aa\":4}",
            "\"a text longer than eight bytes, with \\\"quotes\\\"\"",
        ] {
            assert!(scan(good).is_ok(), "{good}: {:?}", scan(good));
        }
    }

    #[test]
    fn every_other_spelling_is_refused() {
        for bad in [
            "",
            "{",
            "[",
            "\"",
            " 1",
            "1 ",
            "-",
            "-0",
            "00",
            "01",
            "1.0",
            "1e3",
            "9007199254740992",
            "-9007199254740992",
            "99999999999999999999",
            "\"\\/\"",
            "\"\\u0008\"",
            "\"\\u001F\"",
            "\"\\u0041\"",
            "\"\\ud800\"",
            "\"\\x\"",
            "\"\n\"",
            "\"\u{1}\"",
            "tru",
            "nul",
            "NaN",
            "{\"b\":1,\"a\":2}",
            "{\"a\":1,\"a\":1}",
            "{\"A\":1}",
            "{\"\":1}",
            "{\"1a\":1}",
            "{\"a b\":1}",
            "{\"a\" :1}",
            "{\"a\": 1}",
            "{\"a\":1,}",
            "[1,]",
            "[1 ,2]",
            "{\"\\u0061\":1}",
            "{a:1}",
            "[1}",
            "{\"a\":1]",
        ] {
            assert!(scan(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn nesting_stops_at_level_32() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(scan(&nested(32)).is_ok());
        assert!(scan(&nested(33)).is_err());
        assert!(scan(&nested(100_000)).is_err());
    }

    #[test]
    fn citations_are_found_at_any_depth() {
        let hex = "ab".repeat(32);
        let text = format!(
            "{{\"x\":[{{\"sha256\":\"{hex}\",\"size\":3}}],\"y\":{{\"sha256\":\"{hex}\",\"size\":4,\"stored\":{{}}}},\"z\":{{\"sha256\":1,\"size\":2}}}}"
        );
        let digest = [0xab; 32];
        let expected = [
            Cite::Good {
                digest,
                size: 3,
                stored: false,
            },
            Cite::Good {
                digest,
                size: 4,
                stored: true,
            },
            Cite::Bad,
        ];
        assert_eq!(scan(&text).unwrap(), expected);
    }

    #[test]
    fn plain_stops_at_the_first_byte_that_is_not() {
        for len in 0..40 {
            for stop in [b'"', b'\\', 0, 0x1f] {
                let mut bytes = vec![b'a'; 40];
                bytes[20] = 0x80;
                bytes[21] = 0xff;
                bytes[len] = stop;
                assert_eq!(plain(&bytes), len);
            }
        }
        assert_eq!(plain(&[b' '; 23]), 23);
    }
}
