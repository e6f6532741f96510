//! How sentences look on a terminal: wrapped at words, ids by their names, times as a tired person reads them.

use std::borrow::Cow;

use chrono::{DateTime, FixedOffset, SecondsFormat, Utc};

/// Who reads: when, in which time zone, and how wide the screen is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader {
    pub(super) now: DateTime<Utc>,
    pub(super) zone: FixedOffset,
    /// Columns; absent in a pipe, where nothing is wrapped.
    pub(super) width: Option<usize>,
}

impl Reader {
    /// Returns `text` in lines of the screen: the first begins with `first`, the others stand below its words.
    pub(super) fn wrapped(&self, first: &str, text: &str) -> String {
        let Some(width) = self.width.filter(|width| *width > first.len() + 20) else {
            return format!("{first}{text}\n");
        };
        let indent = first.chars().count();
        let mut out = first.to_owned();
        let mut column = indent;
        for (number, word) in text.split(' ').enumerate() {
            let length = word.chars().count();
            if number > 0 && column + 1 + length >= width {
                out.push('\n');
                out.extend(std::iter::repeat_n(' ', indent));
                column = indent;
            } else if number > 0 {
                out.push(' ');
                column += 1;
            }
            out.push_str(word);
            column += length;
        }
        out.push('\n');
        out
    }

    /// Tells until when: a time in UTC, on this machine's clock, and from now; other words as they are.
    pub(super) fn until(&self, until: &str) -> String {
        let Ok(at) = DateTime::parse_from_rfc3339(until) else {
            return format!("until {until}");
        };
        let utc = at.with_timezone(&Utc);
        let left = utc - self.now;
        let from_now = if left.num_seconds() <= 0 {
            "that is over".to_owned()
        } else {
            format!("in {}", long(left.num_minutes()))
        };
        let here = at.with_timezone(&self.zone);
        let local = if self.zone.local_minus_utc() == 0 {
            String::new()
        } else if here.date_naive() == utc.date_naive() {
            format!("{} here, ", here.format("%H:%M"))
        } else {
            format!("{} here, ", here.format("%Y-%m-%d %H:%M"))
        };
        format!(
            "until {} UTC, {local}{from_now}",
            utc.format("%Y-%m-%d %H:%M")
        )
    }

    /// Tells when, in UTC and on this machine's clock.
    pub(super) fn at(&self, time: &str) -> String {
        let Ok(at) = DateTime::parse_from_rfc3339(time) else {
            return time.to_owned();
        };
        let utc = at
            .with_timezone(&Utc)
            .to_rfc3339_opts(SecondsFormat::Secs, true);
        if self.zone.local_minus_utc() == 0 {
            return utc;
        }
        format!(
            "{utc} ({} here)",
            at.with_timezone(&self.zone).format("%H:%M:%S")
        )
    }
}

fn long(minutes: i64) -> String {
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes:02} min"),
    }
}

/// Returns a number with its noun: `1 request`, `3 requests`.
pub(super) fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// Returns `text` with each resource id told by its type and name; JSON and the journal have the whole ids.
pub(super) fn brief(text: &str) -> Cow<'_, str> {
    const BEGINS: &str = "/subscriptions/";
    if !text.contains(BEGINS) {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(BEGINS) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let ends = |c: char| c.is_whitespace() || matches!(c, '\'' | '"' | ',' | ';' | ':' | '?');
        let id = &from[..from.find(ends).unwrap_or(from.len())];
        let id = id.trim_end_matches(['.', ')']);
        out.push_str(&told(id));
        rest = &from[id.len()..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Tells an id: `networkInterfaces/nic-1`, `resource group rg-a`, `subscription 2222`.
fn told(id: &str) -> String {
    let parts: Vec<&str> = id.split('/').skip(1).collect();
    let provider = parts
        .iter()
        .rposition(|part| part.eq_ignore_ascii_case("providers"));
    match (provider, parts.as_slice()) {
        (Some(at), _) if parts.len() > at + 3 => parts[at + 2..].join("/"),
        (None, [_, _, _, group]) => format!("resource group {group}"),
        (None, [_, subscription]) => format!("subscription {subscription}"),
        _ => id.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(hours: i32, width: Option<usize>) -> Reader {
        Reader {
            now: "2026-11-25T02:18:22Z".parse().unwrap(),
            zone: FixedOffset::east_opt(hours * 3600).unwrap(),
            width,
        }
    }

    #[test]
    fn a_sentence_is_broken_between_words_and_stands_below_its_beginning() {
        assert_eq!(
            reader(0, Some(30)).wrapped("  - ", "the metadata service still answers the machine"),
            "  - the metadata service\n    still answers the machine\n"
        );
        assert_eq!(
            reader(0, None).wrapped("  - ", "the metadata service still answers"),
            "  - the metadata service still answers\n"
        );
    }

    #[test]
    fn a_time_is_told_in_utc_here_and_from_now() {
        let at = "2026-11-26T02:18:22Z";
        assert_eq!(
            reader(0, None).until(at),
            "until 2026-11-26 02:18 UTC, in 24 h"
        );
        assert_eq!(
            reader(1, None).until(at),
            "until 2026-11-26 02:18 UTC, 03:18 here, in 24 h"
        );
        assert_eq!(
            reader(-5, None).until(at),
            "until 2026-11-26 02:18 UTC, 2026-11-25 21:18 here, in 24 h"
        );
        assert_eq!(
            reader(0, None).until("2026-11-25T02:00:00Z"),
            "until 2026-11-25 02:00 UTC, that is over"
        );
        assert_eq!(
            reader(0, None).until("the case is closed"),
            "until the case is closed"
        );
        assert_eq!(
            reader(1, None).at("2026-11-25T02:21:37.422942Z"),
            "2026-11-25T02:21:37Z (03:21:37 here)"
        );
    }

    #[test]
    fn ids_are_told_by_their_names() {
        for (text, told) in [
            (
                "The scope '/subscriptions/s/resourceGroups/rg-locked/providers/Microsoft.Network/networkInterfaces/n' is locked: '/subscriptions/s/resourceGroups/rg-locked'.",
                "The scope 'networkInterfaces/n' is locked: 'resource group rg-locked'.",
            ),
            ("in /subscriptions/s", "in subscription s"),
            ("no id", "no id"),
        ] {
            assert_eq!(brief(text), told);
        }
    }

    #[test]
    fn one_is_not_many() {
        assert_eq!(count(1, "request"), "1 request");
        assert_eq!(count(0, "request"), "0 requests");
    }
}
