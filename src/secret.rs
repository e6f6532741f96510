//! A value that must never be shown, and texts from elsewhere that may hold one.

use zeroize::Zeroizing;

/// A token, password or key: no `Display`, no `Serialize`, `Debug` prints `***`, wiped when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a value into custody.
    pub fn new(value: impl Into<String>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// Returns the value, for the one call that must send it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// Returns a text with what looks like a secret replaced by `***`: what follows a mark as `sig=`, tokens, private keys.
pub fn redact_text(text: &str) -> String {
    // ASCII lower case keeps every byte where it is.
    let lower = text.to_ascii_lowercase();
    let mut secrets = Vec::new();
    for mark in MARKS {
        for (at, _) in lower.match_indices(mark) {
            let start = at + mark.len();
            let ends = |c: char| {
                c.is_whitespace() || matches!(c, '&' | ';' | '"' | '\'' | ',' | '<' | '\\')
            };
            secrets.push(
                start
                    ..text[start..]
                        .find(ends)
                        .map_or(text.len(), |len| start + len),
            );
        }
    }
    for (start, _) in text.match_indices("eyJ") {
        let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let len = text[start..]
            .find(|c| !part(c))
            .unwrap_or(text.len() - start);
        if len >= TOKEN {
            secrets.push(start..start + len);
        }
    }
    for (start, _) in text.match_indices("-----BEGIN ") {
        let label = &text[start
            ..text[start..]
                .find('\n')
                .map_or(text.len(), |len| start + len)];
        if label.contains("PRIVATE KEY") {
            // A key whose end is cut off is a key all the same.
            let end = text[start..]
                .find("-----END ")
                .map_or(text.len(), |len| start + len);
            secrets.push(start..end);
        }
    }
    without(text, secrets)
}

/// Returns `text` with `***` for each of these ranges, which may overlap.
fn without(text: &str, mut secrets: Vec<std::ops::Range<usize>>) -> String {
    secrets.retain(|range| !range.is_empty());
    secrets.sort_by_key(|range| range.start);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for range in secrets {
        if range.end <= at {
            continue;
        }
        if range.start >= at {
            out.push_str(&text[at..range.start]);
            out.push_str("***");
        }
        at = range.end;
    }
    out.push_str(&text[at..]);
    out
}

/// What precedes a secret inside a text, in lower case.
const MARKS: &[&str] = &[
    "sig=",
    "sig%3d",
    "accountkey=",
    "sharedaccesskey=",
    "sharedsecret=",
    "password=",
    "pwd=",
    "bearer ",
    "client_secret=",
    "client_assertion=",
    "refresh_token=",
    "access_token=",
];
/// The shortest run of token characters after `eyJ` that is taken for a token.
const TOKEN: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_does_not_show_the_value() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "***");
    }

    #[test]
    fn every_secret_of_a_text_goes_and_the_rest_stays() {
        let key = "-----BEGIN RSA PRIVATE KEY-----\nCANARY\n-----END RSA PRIVATE KEY-----";
        let text = format!(
            "a {key} b {key} https://x/?SIG=CANARY&se=1 AccountKey=CANARY;EndpointSuffix=y bearer CANARY\nPWD=CANARY c"
        );
        let clean = redact_text(&text);
        assert!(!clean.contains("CANARY"), "{clean}");
        for kept in ["a ", " b ", "&se=1", "EndpointSuffix=y", " c"] {
            assert!(clean.contains(kept), "{kept:?}: {clean}");
        }
        let cut = redact_text("-----BEGIN PRIVATE KEY-----\nCANARY");
        assert!(!cut.contains("CANARY"));
        let public = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----";
        assert_eq!(redact_text(public), public);
    }

    #[test]
    fn odd_texts_are_left_whole() {
        for text in ["", "sig=", "ä sig=ö", "eyJ", "-----BEGIN x", "Bearer "] {
            let clean = redact_text(text);
            assert!(clean.len() <= text.len() + 3, "{text}");
        }
    }
}
