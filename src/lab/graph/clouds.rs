//! What a national cloud's Graph does not know at all (section 5.6, by its metadata).

/// Returns the segment that Graph of this cloud does not know in a path below the version.
pub(super) fn absent<'a>(cloud: &str, path: &[&'a str]) -> Option<&'a str> {
    let lower: Vec<String> = path.iter().map(|part| part.to_ascii_lowercase()).collect();
    let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
    let at = match (cloud, lower.as_slice()) {
        ("AzureChinaCloud", ["identityprotection", ..]) => 0,
        ("AzureChinaCloud", ["security", "incidents" | "runhuntingquery", ..]) => 1,
        ("AzureChinaCloud" | "AzureUSGovernment", ["security", "auditlog", ..]) => 1,
        _ => return None,
    };
    path.get(at).copied()
}
