//! How the reconciler proves to a Git server who it is: what a Secret holds, turned into what gix asks for.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use gix::credentials::helper::Action;
use gix::credentials::protocol::Outcome;

use super::SourceError;

/// What the Secret named by `Fleet.spec.secretRef` holds.
#[derive(Clone, Default)]
pub enum Credentials {
    /// Public or local repositories; for ssh, the keys and agent of whoever runs the process.
    #[default]
    None,
    /// `username` and `password` (a token is a password), for https.
    Password {
        /// The user.
        username: String,
        /// The password or token.
        password: String,
    },
    /// `identity` (a private key) and `known_hosts`, for ssh. Both files' contents.
    Ssh {
        /// The private key, in OpenSSH's format.
        identity: Vec<u8>,
        /// The host keys to accept; no others are.
        known_hosts: Vec<u8>,
    },
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Password { .. } => "Password",
            Self::Ssh { .. } => "Ssh",
        })
    }
}

impl Credentials {
    /// Reads the keys `username`, `password`, `identity` and `known_hosts` of a Secret.
    ///
    /// # Errors
    /// When a pair is incomplete, or none is there.
    pub fn from_secret<'a>(mut key: impl FnMut(&str) -> Option<&'a [u8]>) -> Result<Self, SourceError> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches(['\r', '\n']).to_owned();
        let lacking = |detail: &str| SourceError::Credentials { detail: detail.to_owned() };
        if let Some(identity) = key("identity") {
            let known_hosts = key("known_hosts").ok_or_else(|| {
                lacking("the Secret has `identity` but no `known_hosts`; add the server's host keys (ssh-keyscan prints them)")
            })?;
            return Ok(Self::Ssh { identity: identity.to_owned(), known_hosts: known_hosts.to_owned() });
        }
        match (key("username"), key("password")) {
            (username, Some(password)) => Ok(Self::Password {
                username: username.map_or_else(|| "git".to_owned(), text),
                password: text(password),
            }),
            (Some(_), None) => Err(lacking("the Secret has `username` but no `password` (a token goes there)")),
            (None, None) => Err(lacking(
                "the Secret has neither `username` and `password` (https) nor `identity` and `known_hosts` (ssh)",
            )),
        }
    }

    /// Lays out what one fetch or push from `url` needs; files live until the answer is dropped.
    pub(crate) fn prepare(&self, url: &str) -> Result<Login, SourceError> {
        let host = gix::url::parse(url).ok().and_then(|u| u.host().map(ToOwned::to_owned));
        let mut login = Login {
            account: None,
            host,
            ssh_command: "ssh -o BatchMode=yes -o ConnectTimeout=20 -o ServerAliveInterval=15 -o ServerAliveCountMax=4"
                .to_owned(),
            _files: None,
        };
        match self {
            Self::None => {}
            Self::Password { username, password } => {
                login.account = Some((username.clone(), password.clone()));
            }
            Self::Ssh { identity, known_hosts } => {
                let failed = |e: std::io::Error| SourceError::Credentials {
                    detail: format!("cannot lay out the ssh key for a moment: {e}"),
                };
                let folder = tempfile::Builder::new().prefix("wasmbed-ssh-").tempdir().map_err(failed)?;
                let mut line_ended = identity.clone();
                if !line_ended.ends_with(b"\n") {
                    line_ended.push(b'\n');
                }
                for (name, bytes) in [("identity", &line_ended), ("known_hosts", known_hosts)] {
                    std::fs::OpenOptions::new()
                        .write(true)
                        .create_new(true)
                        .mode(0o600)
                        .open(folder.path().join(name))
                        .and_then(|mut file| file.write_all(bytes))
                        .map_err(failed)?;
                }
                let at = folder.path().display();
                login.ssh_command.push_str(&format!(
                    " -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile={at}/known_hosts -i {at}/identity"
                ));
                login._files = Some(folder);
            }
        }
        Ok(login)
    }
}

/// One use of [`Credentials`].
pub(crate) struct Login {
    account: Option<(String, String)>,
    host: Option<String>,
    ssh_command: String,
    _files: Option<tempfile::TempDir>,
}

impl Login {
    /// Sets what gix reads from its configuration: protocol V2 (V1 may hang), the ssh command.
    pub(crate) fn configure(&self, repo: &mut gix::Repository) -> Result<(), SourceError> {
        let mut config = repo.config_snapshot_mut();
        let set = config
            .set_raw_value("protocol.version", "2")
            .and_then(|_| config.set_raw_value("core.sshCommand", self.ssh_command.as_str()))
            .and_then(|_| config.set_raw_value("ssh.variant", "ssh"))
            .and_then(|_| config.commit().map(drop));
        set.map_err(|e| SourceError::Credentials { detail: e.to_string() })
    }

    /// The ssh command for the `git` program.
    pub(crate) fn ssh_command(&self) -> &str {
        &self.ssh_command
    }

    /// User and password for the `git` program, when there are any.
    pub(crate) fn account(&self) -> Option<(&str, &str)> {
        self.account.as_ref().map(|(user, password)| (user.as_str(), password.as_str()))
    }

    /// Answers gix's question for credentials; only for the host the Fleet names, never for one it was redirected to.
    pub(crate) fn answer(&self, action: Action) -> gix::Result<Option<Outcome>> {
        let Action::Get(context) = action else {
            return Ok(None);
        };
        let same_host = match (&context.host, &self.host) {
            (Some(asked), Some(ours)) => asked.split(':').next() == Some(ours.as_str()),
            _ => true,
        };
        Ok(self.account.as_ref().filter(|_| same_host).map(|(username, password)| Outcome {
            identity: gix::sec::identity::Account {
                username: username.clone(),
                password: password.clone(),
                oauth_refresh_token: None,
            },
            next: context.into(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(pairs: &'static [(&'static str, &'static str)]) -> Result<Credentials, SourceError> {
        Credentials::from_secret(|key| pairs.iter().find(|(k, _)| *k == key).map(|(_, v)| v.as_bytes()))
    }

    #[test]
    fn a_token_alone_is_a_password() {
        let Ok(Credentials::Password { username, password }) = secret(&[("password", "t0ken\n")]) else {
            panic!("a password");
        };
        assert_eq!((username.as_str(), password.as_str()), ("git", "t0ken"));
    }

    #[test]
    fn half_a_pair_names_the_missing_half() {
        let no_hosts = secret(&[("identity", "k")]).map(drop).expect_err("known_hosts is missing");
        assert!(no_hosts.to_string().contains("known_hosts"));
        let no_password = secret(&[("username", "u")]).map(drop).expect_err("password is missing");
        assert!(no_password.to_string().contains("password"));
        assert!(secret(&[]).is_err());
    }

    #[test]
    fn credentials_never_show_in_debug_output() {
        let held = secret(&[("username", "u"), ("password", "hush")]).expect("complete");
        assert!(!format!("{held:?}").contains("hush"));
    }
}
