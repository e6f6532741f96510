//! The segments of a path as a service would read them; a path that can be read in two ways is none.

use percent_encoding::percent_decode_str;
use url::Url;

/// Returns the decoded segments of a path.
///
/// # Errors
/// An empty segment, or one that holds an encoded separator: some services decode twice, and then it is another path.
pub(super) fn segments(url: &Url) -> Result<Vec<String>, String> {
    let path = url.path();
    let path = path.strip_prefix('/').unwrap_or(path);
    // One slash at the end names the same thing; two are an empty segment.
    let path = path.strip_suffix('/').unwrap_or(path);
    path.split('/').map(segment).collect()
}

fn segment(text: &str) -> Result<String, String> {
    let odd = |c: char| c.is_control() || matches!(c, '/' | '\\' | '%' | '?' | '#' | ';');
    let decoded = percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| format!("its segment {text:?} is no text"))?;
    if decoded.contains(odd) || matches!(&*decoded, "" | "." | "..") {
        return Err(format!("its segment {text:?} can be read in two ways"));
    }
    Ok(decoded.into_owned())
}

/// Returns whether the segments from `at` on are these words, in any case.
pub(super) fn continues(segments: &[String], at: usize, words: &[&str]) -> bool {
    segments.len() >= at + words.len()
        && std::iter::zip(&segments[at..], words)
            .all(|(segment, word)| segment.eq_ignore_ascii_case(word))
}
