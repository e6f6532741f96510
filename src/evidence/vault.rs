//! What the vault is asked: create once, never overwrite (graph-and-data-planes.md section 8).

use crate::digest::Digest;

/// Returns the name of an exhibit's blob: `<incident>/<run>/<digest>-<name>`.
pub fn blob_name(incident: &str, run: &str, digest: Digest, name: &str) -> String {
    let safe: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') {
                c
            } else {
                '-'
            }
        })
        .take(120)
        .collect();
    format!("{incident}/{run}/{digest}-{safe}")
}

/// Returns the headers that create a blob and refuse to replace one. All metadata must be in this request: under an
/// immutability policy nothing can be added later.
pub fn create_headers() -> Vec<(String, String)> {
    [
        ("x-ms-blob-type", "BlockBlob"),
        ("If-None-Match", "*"),
        ("Content-Type", "application/octet-stream"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

/// Returns the folder of a run's anchors: `<incident>/<run>/anchor`. No exhibit lies there: their names begin with a digest.
pub fn anchor_folder(incident: &str, run: &str) -> String {
    format!("{incident}/{run}/anchor")
}

/// Returns the headers that create an empty append blob and refuse to replace one.
pub fn append_blob_headers() -> Vec<(String, String)> {
    [
        ("x-ms-blob-type", "AppendBlob"),
        ("If-None-Match", "*"),
        ("x-ms-blob-content-type", "application/octet-stream"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

/// Returns the header by which an append takes effect only at this position.
pub fn append_headers(position: u64) -> Vec<(String, String)> {
    vec![(
        "x-ms-blob-condition-appendpos".to_owned(),
        position.to_string(),
    )]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_name_holds_no_path_of_its_own() {
        let name = blob_name("IR-1", "r", Digest::of(b""), "../a b/ä.jsonl");
        assert!(name.ends_with("-..-a-b--.jsonl"), "{name}");
        assert_eq!(name.matches('/').count(), 2);
    }
}
