//! One commit on top of the head, pushed only if the head is still there. gix makes the commit; the `git` program pushes it.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use gix::ObjectId;
use gix::bstr::ByteSlice;

use super::{Mirror, Remote, SourceError, redacted};

/// How long a push may take.
const PUSH_TIME_LIMIT: Duration = Duration::from_secs(60);
/// Who commits.
const AUTHOR: (&str, &str) = ("wasmbed-reconciler", "wasmbed@localhost");

impl Mirror {
    /// Makes a commit on `head` in which these files have this content. No reference moves.
    ///
    /// # Errors
    /// When a file is not in the tree, or the cache cannot be written.
    pub fn commit(
        &self,
        head: ObjectId,
        files: &BTreeMap<String, Vec<u8>>,
        message: &str,
    ) -> Result<ObjectId, SourceError> {
        let repo = self.repository().local();
        let revision = self.repository().revision(head)?;
        let failed = |detail: String| SourceError::Cache { path: self.repository().path().to_owned(), detail };
        let mut tree = revision.tree;
        for (path, content) in files {
            let blob = repo.write_blob(content).map_err(|e| failed(e.to_string()))?.detach();
            let parts: Vec<&str> = path.split('/').collect();
            tree = replace(&repo, tree, &parts, blob)
                .map_err(|e| failed(e.to_string()))?
                .ok_or_else(|| failed(format!("there is no file {path} in {head}")))?;
        }
        let time = gix::date::Time::now_utc().to_string();
        let signature = gix::actor::SignatureRef { name: AUTHOR.0.into(), email: AUTHOR.1.into(), time: &time };
        let commit =
            repo.new_commit_as(signature, signature, message, tree, [head]).map_err(|e| failed(e.to_string()))?;
        Ok(commit.id)
    }

    /// Pushes `commit`, made on `head`, to the branch; only if the branch still is at `head`.
    ///
    /// # Errors
    /// When the branch moved, the server refuses, or there is no `git` program.
    pub async fn push(&self, remote: &Remote, head: ObjectId, commit: ObjectId) -> Result<(), SourceError> {
        let login = remote.credentials.prepare(&remote.url)?;
        let failed =
            |detail: String| SourceError::Push { url: redacted(&remote.url), branch: remote.branch.clone(), detail };
        let mut git = tokio::process::Command::new("git");
        git.arg("-C")
            .arg(self.repository().path())
            .args(["-c", "credential.helper="])
            .args(["-c", "credential.helper=!f() { test \"$1\" = get && printf 'username=%s\\npassword=%s\\n' \"$WASMBED_USERNAME\" \"$WASMBED_PASSWORD\"; }; f"])
            .args(["push", "--quiet", "--porcelain"])
            .arg(format!("--force-with-lease=refs/heads/{}:{head}", remote.branch))
            .arg(&remote.url)
            .arg(format!("{commit}:refs/heads/{}", remote.branch))
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_SSH_COMMAND", login.ssh_command())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if let Some((username, password)) = login.account() {
            git.env("WASMBED_USERNAME", username).env("WASMBED_PASSWORD", password);
        }
        let output = tokio::time::timeout(PUSH_TIME_LIMIT, git.output())
            .await
            .map_err(|_| failed(format!("no end within {} s", PUSH_TIME_LIMIT.as_secs())))?
            .map_err(|e| failed(format!("the git program cannot be run ({e}); install git")))?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stderr, output.stdout].concat();
        Err(failed(String::from_utf8_lossy(&said).trim().replace('\n', "; ")))
    }
}

/// The tree with another blob at a path; `None` when there is no file.
fn replace(repo: &gix::Repository, tree: ObjectId, parts: &[&str], blob: ObjectId) -> gix::Result<Option<ObjectId>> {
    let Some((first, rest)) = parts.split_first() else { return Ok(None) };
    let mut owned: gix::objs::Tree = repo.find_tree(tree)?.decode()?.into();
    let Some(entry) = owned.entries.iter_mut().find(|entry| entry.filename == first.as_bytes().as_bstr()) else {
        return Ok(None);
    };
    entry.oid = match (rest.is_empty(), entry.mode.is_tree()) {
        (true, false) => blob,
        (false, true) => match replace(repo, entry.oid, rest, blob)? {
            Some(id) => id,
            None => return Ok(None),
        },
        _ => return Ok(None),
    };
    Ok(Some(repo.write_object(owned)?.detach()))
}
