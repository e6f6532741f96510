//! As much of DER as a time-stamp reply needs: definite lengths in their shortest form, nothing left over.

/// What is left of a sequence of values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Der<'a>(pub(super) &'a [u8]);

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const NULL: u8 = 0x05;
pub(super) const OBJECT_ID: u8 = 0x06;
pub(super) const UTF8_STRING: u8 = 0x0c;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// Returns the tag of a constructed, context-specific value.
pub(super) const fn context(number: u8) -> u8 {
    0xa0 | number
}

impl<'a> Der<'a> {
    /// Takes the next value if it has this tag; returns its content.
    pub(super) fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (content, rest) = value(self.0, tag)?;
        self.0 = rest;
        Some(content)
    }

    /// Takes the next value if it has this tag and there is one.
    pub(super) fn optional(&mut self, tag: u8) -> Option<Option<&'a [u8]>> {
        if self.0.first() == Some(&tag) {
            self.take(tag).map(Some)
        } else {
            Some(None)
        }
    }

    /// Returns whether nothing is left.
    pub(super) fn ended(&self) -> bool {
        self.0.is_empty()
    }
}

fn value(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first()?;
    if *first != tag {
        return None;
    }
    if *length < 0x80 {
        return rest.split_at_checked(usize::from(*length));
    }
    let count = usize::from(*length & 0x7f);
    let (digits, rest) = rest
        .split_at_checked(count)
        .filter(|_| (1..=4).contains(&count))?;
    let length = digits
        .iter()
        .fold(0_usize, |length, digit| (length << 8) | usize::from(*digit));
    // The shortest form is the only one.
    let shortest = digits[0] != 0 && length >= 0x80;
    if shortest {
        rest.split_at_checked(length)
    } else {
        None
    }
}
