//! Fetching over http and ssh, from git's own servers.

mod support;

use std::os::unix::fs::PermissionsExt;

use support::git::Fleet;
use support::http::serve;
use wasmbed_reconciler::source::{Credentials, FETCH_TIME_LIMIT, Mirror, Remote, SourceError};

async fn fetch(url: &str, credentials: Credentials) -> Result<String, SourceError> {
    let cache = tempfile::tempdir().expect("a folder");
    let mirror = Mirror::open(&cache.path().join("mirror.git")).expect("a mirror");
    let remote = Remote { url: url.to_owned(), branch: "main".to_owned(), credentials };
    let head = mirror.fetch(&remote, FETCH_TIME_LIMIT).await?;
    mirror.repository().revision(head).expect("the objects came too");
    Ok(head.to_string())
}

#[tokio::test]
async fn a_fetch_over_http_gives_the_head() {
    let fleet = Fleet::new();
    let head = fleet.write("a", "1").push("first");
    let url = format!("http://{}/fleet.git", serve(fleet.bare(), false).await);
    assert_eq!(fetch(&url, Credentials::None).await.expect("let in"), head);
    // What the address says of itself is no answer: a port may hold 401 as well.
    for name in ["nothing.git", "401.git", "credentials/403.git"] {
        let missing = fetch(&url.replace("fleet.git", name), Credentials::None).await.expect_err("not there");
        assert_eq!(missing.reason(), "RepositoryMissing", "{missing}");
    }
}

#[tokio::test]
async fn a_password_is_asked_for_and_never_sent_in_clear_text() {
    let fleet = Fleet::new();
    fleet.write("a", "1").push("first");
    let url = format!("http://{}/fleet.git", serve(fleet.bare(), true).await);
    let none = fetch(&url, Credentials::None).await.expect_err("a password is wanted");
    assert_eq!(none.reason(), "AuthenticationFailed", "{none}");
    let password = Credentials::Password { username: "fleet".to_owned(), password: "hush".to_owned() };
    let clear = fetch(&url, password).await.expect_err("not over http");
    assert_eq!(clear.reason(), "AuthenticationFailed", "{clear}");
    assert!(clear.to_string().contains("clear text") && !clear.to_string().contains("hush"), "{clear}");
}

#[tokio::test]
async fn https_to_what_speaks_no_tls_is_an_error_like_any_other() {
    let fleet = Fleet::new();
    let url = format!("https://{}/fleet.git", serve(fleet.bare(), false).await);
    let failed = fetch(&url, Credentials::None).await.expect_err("no TLS there");
    assert_eq!(failed.reason(), "FetchFailed", "{failed}");
}

#[tokio::test]
async fn an_address_that_makes_no_sense_is_told() {
    for url in ["ssh:///nowhere", "https://", "gopher://example.org/x", "ssh://-oProxyCommand=x/y", "\u{0}"] {
        let told = fetch(url, Credentials::None).await.expect_err(url);
        assert!(!told.to_string().is_empty(), "{url}");
    }
}

/// ssh itself is not what is tested: a program of that name runs the command on this machine, and writes down how it was called.
#[test]
fn ssh_is_called_with_the_key_and_the_hosts_of_the_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let ssh = folder.path().join("ssh");
    let called = folder.path().join("called");
    let script = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$@\" > {0}\nwhile [ \"$1\" != git@fleet.example ]; do case $1 in -i) cat \"$2\" >> {0}; stat -c mode=%a \"$2\" >> {0};; esac; shift; done\nshift\nexec sh -c \"$*\"\n",
        called.display()
    );
    std::fs::write(&ssh, script).expect("written");
    std::fs::set_permissions(&ssh, std::fs::Permissions::from_mode(0o755)).expect("executable");
    let fleet = Fleet::new();
    let head = fleet.write("a", "1").push("first");
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").expect("a path"));
    let output = std::process::Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "fetch_over_ssh", "--ignored", "--nocapture"])
        .env("PATH", path)
        .env("FLEET_URL", format!("ssh://git@fleet.example{}", fleet.bare().display()))
        .output()
        .expect("runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains(&format!("fetched {head}")), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let called = std::fs::read_to_string(called).expect("called");
    for word in [
        "git@fleet.example",
        "BatchMode=yes",
        "IdentitiesOnly=yes",
        "StrictHostKeyChecking=yes",
        "SendEnv=GIT_PROTOCOL",
    ] {
        assert!(called.contains(word), "{word} in {called}");
    }
    assert!(called.contains("THE KEY\n") && called.contains("mode=600"), "{called}");
}

#[tokio::test]
#[ignore = "runs as a process of its own, with another PATH; the test above starts it"]
async fn fetch_over_ssh() {
    let url = std::env::var("FLEET_URL").expect("the test above sets it");
    let credentials = Credentials::Ssh { identity: b"THE KEY".to_vec(), known_hosts: b"THE HOSTS".to_vec() };
    println!("fetched {}", fetch(&url, credentials).await.expect("fetched"));
}
