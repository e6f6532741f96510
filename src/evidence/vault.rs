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
