//! What a text names: subscriptions and management groups, however they are written, and ids of objects.
//!
//! A resource id can stand anywhere: in a query, in a string inside a string, in a member's name. So the text is read
//! as it stands, and again without its escapes, until nothing is left to unwrap.

use percent_encoding::percent_decode_str;

/// A text that is still wrapped after so many rounds is not written to be read.
const ROUNDS: usize = 6;

/// Returns the first thing that a text names outside of the fence: in words that follow "it names".
pub(super) fn foreign(text: &str, is_own: &dyn Fn(&str) -> bool) -> Option<String> {
    let mut text = text.to_ascii_lowercase();
    for _ in 0..ROUNDS {
        if let Some(found) = foreign_as_it_stands(&text, is_own) {
            return Some(found);
        }
        let plain = unwrapped(&text);
        if plain == text {
            return None;
        }
        text = plain;
    }
    Some("what is wrapped too often to be read".to_owned())
}

fn foreign_as_it_stands(text: &str, is_own: &dyn Fn(&str) -> bool) -> Option<String> {
    if named(text, "managementgroups").next().is_some() {
        return Some("a management group".to_owned());
    }
    let id = named(text, "subscriptions").find(|id| !is_own(id))?;
    Some(if id.is_empty() {
        "a subscription that is put together elsewhere".to_owned()
    } else {
        format!("subscription {}", cut(id))
    })
}

/// Returns what follows each `word/` of a text in lower case, up to the next character that no id has.
fn named<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = &'a str> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    text.match_indices(word).filter_map(move |(at, _)| {
        let after = &text[at + word.len()..];
        let rest = after.trim_start_matches('/');
        let is_whole = !text[..at].ends_with(is_of_name);
        let end = rest.find(|c| !is_of_name(c)).unwrap_or(rest.len());
        // A collection alone, or a member of that name, names nobody.
        (is_whole && rest.len() < after.len()).then(|| &rest[..end])
    })
}

/// Takes one layer of escapes away: percent signs, and those of JSON.
fn unwrapped(text: &str) -> String {
    let text = percent_decode_str(text).decode_utf8_lossy();
    let mut plain = String::with_capacity(text.len());
    let mut rest = &*text;
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        let escape = &rest[at + 1..];
        let (c, length) = match escape.as_bytes().first() {
            Some(b'u') => match escape.get(1..5).map(|hex| u32::from_str_radix(hex, 16)) {
                // Half of a pair is no letter of an id.
                Some(Ok(code)) => (char::from_u32(code).unwrap_or('?'), 5),
                _ => ('u', 1),
            },
            Some(b'n' | b'r' | b't' | b'b' | b'f') => (' ', 1),
            Some(_) => {
                let c = escape.chars().next().unwrap_or(' ');
                (c, c.len_utf8())
            }
            None => (' ', 0),
        };
        plain.push(c.to_ascii_lowercase());
        rest = &escape[length..];
    }
    plain.push_str(rest);
    plain.to_ascii_lowercase()
}

/// Returns the ids (UUIDs) that a text holds, wherever they stand.
pub(super) fn ids(text: &str) -> impl Iterator<Item = &str> {
    const LENGTH: usize = 36;
    let is_id = |at: usize| {
        let candidate = text.get(at..at + LENGTH)?;
        let fits = candidate.bytes().enumerate().all(|(n, byte)| match n {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
        fits.then_some(candidate)
    };
    (0..text.len().saturating_sub(LENGTH - 1)).filter_map(is_id)
}

/// Cuts what a refusal repeats of somebody's text.
pub(super) fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "33333333-3333-4333-8333-333333333333";
    const OTHER: &str = "22222222-2222-4222-8222-222222222222";

    fn is_foreign(text: &str) -> bool {
        foreign(text, &|id| id == OWN).is_some()
    }

    #[test]
    fn another_subscription_is_found_however_it_is_written() {
        for text in [
            format!("/subscriptions/{OTHER}"),
            format!("/SUBSCRIPTIONS/{OTHER}/x"),
            format!("subscriptions//{OTHER}"),
            format!("\"x\": \"\\/subscriptions\\/{OTHER}\""),
            format!("\\u002fsubscriptions\\u002f{OTHER}"),
            format!("\\u0073ubscriptions/{OTHER}"),
            format!("\\\\u0073ubscriptions/{OTHER}"),
            format!("%2Fsubscriptions%2F{OTHER}"),
            format!("%252Fsubscriptions%252F{OTHER}"),
            format!("/subscriptions/{OWN}/x, /subscriptions/{OTHER}/y"),
            format!("/subscriptions/{OWN}0"),
            format!("https://management.azure.com/subscriptions/{OTHER}/x?y"),
            format!("Resources | where id startswith '/subscriptions/{OTHER}'"),
            "concat('/subscriptions/', parameters('s'))".to_owned(),
            "/providers/Microsoft.Management/managementGroups/top".to_owned(),
            format!("%{}2f", "25".repeat(9)),
        ] {
            assert!(is_foreign(&text), "{text}");
        }
    }

    #[test]
    fn what_lies_inside_or_names_nobody_is_no_foreigner() {
        for text in [
            "",
            &format!("/subscriptions/{OWN}/resourceGroups/g"),
            &format!("\\/subscriptions\\/{}", OWN.to_uppercase()),
            "{\"subscriptions\": []}",
            "/resourcesubscriptions/x",
            "100% of it, C:\\temp\\new, \\",
            "/providers/Microsoft.Authorization/roleDefinitions/b24988ac",
        ] {
            assert!(!is_foreign(text), "{text}");
        }
    }

    #[test]
    fn ids_are_found_inside_of_longer_words() {
        let text = format!("https://graph.microsoft.com/v1.0/users/{OTHER}x é {OWN}");
        assert_eq!(ids(&text).collect::<Vec<_>>(), [OTHER, OWN]);
        assert_eq!(ids("2222").count(), 0);
    }
}
