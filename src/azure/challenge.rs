//! What a key vault answers to who comes with the wrong token: whose directory it trusts, and for which resource a
//! token must be (graph-and-data-planes.md section 6, "Challenge auth").
//!
//! A server chooses these words, so they are believed only where the resource is a suffix of the server's own name:
//! else any server could ask for a token to another one.

use url::Url;

use super::error::Error;

/// Returns the scope of the token that a vault asks for, if its answer says so.
///
/// # Errors
/// A resource that the vault's own name does not end with.
pub(crate) fn scope<'a>(
    mut headers: impl Iterator<Item = &'a str>,
    asked: &Url,
) -> Result<Option<String>, Error> {
    let Some(resource) = headers.find_map(resource) else {
        return Ok(None);
    };
    let foreign = || Error::ForeignOrigin {
        origin: resource.to_owned(),
        from: "a vault's challenge",
    };
    let wanted = Url::parse(resource).map_err(|_| foreign())?;
    let (host, own) = (wanted.host_str(), asked.host_str());
    let (Some(host), Some(own)) = (host, own) else {
        return Err(foreign());
    };
    let under = own
        .to_ascii_lowercase()
        .ends_with(&format!(".{}", host.to_ascii_lowercase()));
    let port = wanted.port_or_known_default() == asked.port_or_known_default();
    if !under || !port || wanted.scheme() != asked.scheme() || !host.contains('.') {
        return Err(foreign());
    }
    Ok(Some(format!("{}/.default", resource.trim_end_matches('/'))))
}

/// Returns the resource, or the scope without its end, that a challenge names.
fn resource(header: &str) -> Option<&str> {
    if !header
        .trim_start()
        .to_ascii_lowercase()
        .starts_with("bearer")
        || header.contains("insufficient_claims")
    {
        return None;
    }
    let value = |name: &str| {
        let at = header.find(&format!("{name}=\""))? + name.len() + 2;
        header[at..]
            .split('"')
            .next()
            .filter(|value| !value.is_empty())
    };
    value("resource").or_else(|| value("scope").map(|scope| scope.trim_end_matches("/.default")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(header: &str, asked: &str) -> Result<Option<String>, Error> {
        scope([header].into_iter(), &Url::parse(asked).unwrap())
    }

    #[test]
    fn a_vault_may_ask_for_a_token_to_vaults_and_to_nothing_else() {
        let vault = "https://kv-shop.vault.azure.net/secrets/x";
        let asks = |resource: &str| {
            format!(
                "Bearer authorization=\"https://login.microsoftonline.com/t\", resource=\"{resource}\""
            )
        };
        assert_eq!(
            of(&asks("https://vault.azure.net"), vault)
                .unwrap()
                .as_deref(),
            Some("https://vault.azure.net/.default")
        );
        for foreign in [
            "https://management.azure.com",
            "https://graph.microsoft.com",
            "https://xvault.azure.net",
            "https://net",
            "http://vault.azure.net",
            "https://vault.azure.net:444",
            "https://kv-shop.vault.azure.net.evil.example",
            "no address",
        ] {
            assert!(of(&asks(foreign), vault).is_err(), "{foreign}");
        }
        assert_eq!(of("Bearer realm=\"x\"", vault).unwrap(), None);
        assert_eq!(
            of(
                "Bearer error=\"insufficient_claims\", resource=\"https://evil.example\"",
                vault
            )
            .unwrap(),
            None
        );
        let scope = "Bearer authorization_uri=\"https://login.microsoftonline.com/t\", scope=\"https://vault.azure.net/.default\"";
        assert_eq!(
            of(scope, vault).unwrap().as_deref(),
            Some("https://vault.azure.net/.default")
        );
    }
}
