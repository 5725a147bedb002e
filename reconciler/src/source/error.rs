//! What can go wrong on the way to a revision, with the word a condition carries.

use std::path::PathBuf;

use super::{Remote, redacted};

/// Why there is no new revision. The last one stays in force whichever it is.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The address or the branch name cannot be one.
    #[error("`{url}`, branch `{branch}`: {detail}; correct Fleet.spec.url or Fleet.spec.branch")]
    BadAddress {
        /// The address.
        url: String,
        /// The branch.
        branch: String,
        /// What is wrong with it.
        detail: String,
    },
    /// Nothing answers as a Git repository at the address.
    #[error(
        "no Git repository at `{url}`: {detail}; the last good revision stays. Check Fleet.spec.url, or restore the repository"
    )]
    RepositoryMissing {
        /// The address.
        url: String,
        /// What was found instead.
        detail: String,
    },
    /// The repository is there, the branch is not.
    #[error(
        "`{url}` has no branch `{branch}`; the last good revision stays. Push the branch, or correct Fleet.spec.branch"
    )]
    BranchMissing {
        /// The address.
        url: String,
        /// The branch.
        branch: String,
    },
    /// The server refused us.
    #[error("`{url}` refuses these credentials: {detail}; check the Secret that Fleet.spec.secretRef names")]
    Unauthorized {
        /// The address.
        url: String,
        /// What the server said.
        detail: String,
    },
    /// The Secret does not hold what is needed.
    #[error("the credentials cannot be used: {detail}")]
    Credentials {
        /// What is missing or wrong.
        detail: String,
    },
    /// The remote took too long.
    #[error("`{url}` did not answer within {seconds} s; it is asked again")]
    TimedOut {
        /// The address.
        url: String,
        /// The limit, in seconds.
        seconds: u64,
    },
    /// Anything else of the network or of the remote.
    #[error("cannot fetch `{url}`: {detail}; it is tried again")]
    Fetch {
        /// The address.
        url: String,
        /// gix's words.
        detail: String,
    },
    /// A revision that was asked for is not there.
    #[error("no revision `{revision}` in {}: {detail}", path.display())]
    RevisionMissing {
        /// As asked for.
        revision: String,
        /// The repository.
        path: PathBuf,
        /// gix's words.
        detail: String,
    },
    /// The local repository or cache cannot be read or written.
    #[error("{}: {detail}", path.display())]
    Cache {
        /// The folder.
        path: PathBuf,
        /// What happened.
        detail: String,
    },
    /// A commit could not be pushed.
    #[error(
        "cannot push to `{url}`, branch `{branch}`: {detail}; nothing was committed, it is tried again on the next revision"
    )]
    Push {
        /// The address.
        url: String,
        /// The branch.
        branch: String,
        /// git's words.
        detail: String,
    },
}

impl SourceError {
    /// The condition reason: one CamelCase word.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::BadAddress { .. } => "InvalidAddress",
            Self::RepositoryMissing { .. } => "RepositoryMissing",
            Self::BranchMissing { .. } => "BranchMissing",
            Self::Unauthorized { .. } => "AuthenticationFailed",
            Self::Credentials { .. } => "CredentialsInvalid",
            Self::TimedOut { .. } => "TimedOut",
            Self::Fetch { .. } => "FetchFailed",
            Self::RevisionMissing { .. } => "RevisionMissing",
            Self::Cache { .. } => "CacheFailed",
            Self::Push { .. } => "PushFailed",
        }
    }
}

/// Turns gix's one error type into what a person can act on.
pub(super) fn classify(error: gix::Error, remote: &Remote) -> SourceError {
    let url = redacted(&remote.url);
    let words = error.iter_errors().map(ToString::to_string).fold(Vec::<String>::new(), |mut said, word| {
        if !said.iter().any(|s| s.contains(&word)) {
            said.push(word);
        }
        said
    });
    let detail = words.join(": ");
    // Without the addresses in it: a name or a port may hold any of the words and numbers looked for.
    let lower = detail.replace(&remote.url, "").replace(&url, "").to_lowercase();
    let lower = lower.split_whitespace().filter(|word| !word.contains("://")).collect::<Vec<_>>().join(" ");
    let says = |needles: &[&str]| needles.iter().any(|n| lower.contains(n));
    let status = |codes: &[&str]| lower.split(|c: char| !c.is_alphanumeric()).any(|word| codes.contains(&word));
    if error.is_unauthenticated()
        || error.is_permission_denied()
        || says(&["permission denied", "authentication", "credentials"])
        || status(&["401", "403"])
    {
        return SourceError::Unauthorized { url, detail };
    }
    let local_and_gone = super::local_path(&remote.url).is_some_and(|path| !path.exists());
    if local_and_gone
        || says(&[
            "does not appear to be a git repository",
            "not a valid git directory",
            "could not verify that",
            "repository not found",
            "no such file or directory",
        ])
        || status(&["404"])
    {
        return SourceError::RepositoryMissing { url, detail };
    }
    SourceError::Fetch { url, detail }
}
