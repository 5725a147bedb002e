//! Names and passwords as `docker login` and Secrets of type `kubernetes.io/dockerconfigjson` keep them.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci_client::secrets::RegistryAuth;
use serde::Deserialize;

/// A configuration larger than this is none.
const MAX_FILE: u64 = 1 << 20;

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
}

/// What the file has for a registry; anonymous if it has nothing.
///
/// # Errors
/// What is wrong with the file.
pub(crate) async fn of(file: Option<&Path>, registry: &str) -> Result<RegistryAuth, String> {
    let Some(path) = file else { return Ok(RegistryAuth::Anonymous) };
    let why = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    if tokio::fs::metadata(path).await.map_err(why)?.len() > MAX_FILE {
        return Err(format!("{} is larger than a docker configuration can be", path.display()));
    }
    let bytes = tokio::fs::read(path).await.map_err(why)?;
    find(&bytes, registry).map_err(|wrong| format!("{}: {wrong}", path.display()))
}

fn find(file: &[u8], registry: &str) -> Result<RegistryAuth, String> {
    // Not the error itself, which may quote what is secret.
    let file: File = serde_json::from_slice(file)
        .map_err(|error| format!("is no docker configuration (line {}, column {})", error.line(), error.column()))?;
    let Some((_, entry)) = file.auths.into_iter().find(|(name, _)| host(name) == registry) else {
        return Ok(RegistryAuth::Anonymous);
    };
    let pair = match (entry.auth.filter(|auth| !auth.is_empty()), entry.username, entry.password) {
        (Some(auth), _, _) => {
            let pair = STANDARD.decode(auth).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            pair.and_then(|pair| pair.split_once(':').map(|(name, word)| (name.to_owned(), word.to_owned())))
        }
        (None, Some(name), Some(word)) => Some((name, word)),
        _ => None,
    };
    let (name, word) = pair.ok_or_else(|| {
        format!(
            "the entry auths.{registry} holds neither `auth` (base64 of name:password) nor `username` and `password`"
        )
    })?;
    Ok(RegistryAuth::Basic(name, word))
}

/// The registry of an entry: older ones are written as `https://HOST/v1/`.
fn host(entry: &str) -> &str {
    let rest = entry.strip_prefix("https://").or_else(|| entry.strip_prefix("http://")).unwrap_or(entry);
    rest.split('/').next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(name: &str, word: &str) -> RegistryAuth {
        RegistryAuth::Basic(name.to_owned(), word.to_owned())
    }

    #[test]
    fn credentials_are_found_by_the_registry_in_each_form() {
        let file = br#"{"auths": {
            "https://one.example/v1/": {"auth": "bmFtZTp3b3Jk"},
            "two.example:5000": {"username": "n", "password": "a:b", "auth": ""}
        }, "credsStore": "x"}"#;
        assert_eq!(find(file, "one.example"), Ok(basic("name", "word")));
        assert_eq!(find(file, "two.example:5000"), Ok(basic("n", "a:b")));
        assert_eq!(find(file, "two.example"), Ok(RegistryAuth::Anonymous));
        assert_eq!(find(b"{}", "one.example"), Ok(RegistryAuth::Anonymous));
    }

    #[test]
    fn what_is_wrong_is_said_and_nothing_secret_with_it() {
        let wrong = |file: &str| find(file.as_bytes(), "a").expect_err("refused");
        assert!(wrong(r#"{"auths": {"a": {"auth": "c2VjcmV0"}}}"#).contains("auths.a holds neither"));
        assert!(wrong(r#"{"auths": {"a": {}}}"#).contains("auths.a holds neither"));
        let said = wrong(r#"{"auths": {"a": "s3cret"}}"#);
        assert!(said.contains("is no docker configuration (line 1") && !said.contains("s3cret"), "{said}");
    }
}
