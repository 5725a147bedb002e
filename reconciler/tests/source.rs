//! Fetching from real repositories.

mod support;

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use support::PATIENCE;
use support::git::Fleet;
use tokio::sync::Notify;
use wasmbed_reconciler::source::{Credentials, FETCH_TIME_LIMIT, Mirror, RefWatch, Remote, SourceError};

struct Followed {
    fleet: Fleet,
    mirror: Mirror,
    _cache: tempfile::TempDir,
}

impl Followed {
    fn new() -> Self {
        let cache = tempfile::tempdir().expect("a folder");
        Self {
            fleet: Fleet::new(),
            mirror: Mirror::open(&cache.path().join("mirror.git")).expect("a mirror"),
            _cache: cache,
        }
    }

    async fn fetch(&self) -> Result<String, SourceError> {
        self.fetch_branch("main").await
    }

    async fn fetch_branch(&self, branch: &str) -> Result<String, SourceError> {
        let remote = Remote { url: self.fleet.url(), branch: branch.to_owned(), credentials: Credentials::None };
        let head = self.mirror.fetch(&remote, FETCH_TIME_LIMIT).await?;
        Ok(head.to_string())
    }
}

#[tokio::test]
async fn a_fetch_gives_the_branch_head_and_its_files() {
    let followed = Followed::new();
    let pushed = followed.fleet.write("fleet/a.yaml", "a: 1\n").push("first");
    assert_eq!(followed.fetch().await.expect("fetched"), pushed);
    let again = followed.fetch().await.expect("nothing new");
    assert_eq!(again, pushed);

    let repository = followed.mirror.repository();
    let revision = repository.resolve(&pushed).expect("there");
    assert_eq!(revision.message.trim(), "first");
    let local = gix::open(repository.path()).expect("opens");
    let entry = repository.entry_at(&local, revision.tree, "fleet/a.yaml").expect("readable").expect("there");
    assert_eq!(repository.blob(&local, entry.id).expect("readable"), b"a: 1\n");
}

#[tokio::test]
async fn a_forced_push_is_followed() {
    let followed = Followed::new();
    followed.fleet.write("a", "1").push("first");
    let abandoned = followed.fleet.write("a", "2").push("second");
    followed.fetch().await.expect("fetched");
    followed.fleet.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    let forced = followed.fleet.write("a", "3").commit("another second");
    followed.fleet.git(&["push", "--quiet", "--force", "origin", "HEAD:main"]);
    assert_eq!(followed.fetch().await.expect("fetched"), forced);
    assert!(followed.mirror.repository().resolve(&abandoned).is_ok(), "the mirror keeps what was abandoned");
}

#[tokio::test]
async fn a_missing_branch_and_a_missing_repository_are_told_apart() {
    let followed = Followed::new();
    followed.fleet.write("a", "1").push("first");
    let missing = followed.fetch_branch("nowhere").await.expect_err("no such branch");
    assert_eq!(missing.reason(), "BranchMissing", "{missing}");
    followed.fetch().await.expect("fetched");
    std::fs::remove_dir_all(followed.fleet.bare()).expect("removed");
    let gone = followed.fetch().await.expect_err("gone");
    assert_eq!(gone.reason(), "RepositoryMissing", "{gone}");
}

#[tokio::test]
async fn an_empty_repository_has_no_branch() {
    let followed = Followed::new();
    let missing = followed.fetch().await.expect_err("nothing pushed yet");
    assert_eq!(missing.reason(), "BranchMissing", "{missing}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_in_time() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let followed = Followed::new();
    let remote = Remote {
        url: format!("http://{}/fleet.git", silent.local_addr().expect("bound")),
        branch: "main".to_owned(),
        credentials: Credentials::None,
    };
    let late = followed.mirror.fetch(&remote, Duration::from_millis(200)).await.expect_err("silence");
    assert_eq!(late.reason(), "TimedOut");
    // The thread that waits for the answer ends with the connection.
    drop(silent);
}

#[tokio::test]
async fn a_damaged_mirror_is_fetched_anew() {
    let followed = Followed::new();
    let pushed = followed.fleet.write("a", "1").push("first");
    let folder = followed.mirror.repository().path().to_owned();
    std::fs::write(folder.join("HEAD"), "damage").expect("written");
    let mirror = Mirror::open(&folder).expect("replaced");
    let remote = Remote { url: followed.fleet.url(), branch: "main".to_owned(), credentials: Credentials::None };
    let head = mirror.fetch(&remote, FETCH_TIME_LIMIT).await.expect("fetched");
    assert_eq!(head.to_string(), pushed);
}

#[tokio::test]
async fn a_push_rings_the_watch() {
    let fleet = Fleet::new();
    fleet.write("a", "1").push("first");
    let changed = Arc::new(Notify::new());
    let watch = RefWatch::start(&fleet.bare(), Arc::clone(&changed)).expect("watched");
    fleet.write("a", "2").push("second");
    tokio::time::timeout(PATIENCE, changed.notified()).await.expect("the push was noticed");
    assert!(watch.is_current());
    std::fs::remove_dir_all(fleet.bare()).expect("removed");
    assert!(!watch.is_current());
}

#[tokio::test]
async fn many_fetches_do_not_leave_many_packs() {
    let followed = Followed::new();
    let mut head = String::new();
    for number in 0..53 {
        head = followed.fleet.write("a", &number.to_string()).push("another");
        followed.fetch().await.expect("fetched");
    }
    let packs = || {
        let folder = std::fs::read_dir(followed.mirror.repository().path().join("objects/pack")).expect("packs");
        folder.flatten().filter(|file| file.path().extension().is_some_and(|extension| extension == "pack")).count()
    };
    // The fetch is answered before the housekeeping ends.
    let few = async {
        while packs() >= 50 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, few).await.is_ok(), "{} packs", packs());
    assert!(followed.mirror.repository().resolve(&head).is_ok(), "and all of it can be read");
}

/// The disk is a small one in memory, which `bwrap` makes for one process: another one of this test.
#[test]
fn a_full_disk_is_told_and_the_next_fetch_goes_on_when_there_is_room() {
    let disk = tempfile::tempdir().expect("a folder");
    let small = |program: &std::ffi::OsStr| {
        let mut command = std::process::Command::new("bwrap");
        command.args(["--dev-bind", "/", "/", "--size", "4194304", "--tmpfs"]).arg(disk.path()).arg(program);
        command
    };
    let sandboxed = small("true".as_ref()).output();
    if !sandboxed.is_ok_and(|output| output.status.success()) {
        let skipped = b"SKIPPED: bwrap makes no small disk here, so a full one is not tried\n";
        return std::io::stderr().write_all(skipped).expect("open");
    }
    let output = small(std::env::current_exe().expect("this test").as_os_str())
        .args(["--exact", "fetch_on_a_small_disk", "--ignored", "--nocapture"])
        .env("SMALL_DISK", disk.path())
        .output()
        .expect("runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("fetched when there was room"), "{said}");
}

/// Writes to a file until nothing more fits.
fn fill(file: &std::path::Path) {
    let mut file = std::fs::File::create(file).expect("made");
    while file.write_all(&[1; 4096]).is_ok() {}
}

#[tokio::test]
#[ignore = "runs on a disk of its own; the test above starts it"]
async fn fetch_on_a_small_disk() {
    let disk = std::path::PathBuf::from(std::env::var_os("SMALL_DISK").expect("the test above sets it"));
    let mirror = Mirror::open(&disk.join("mirror.git")).expect("a mirror");
    let fleet = Fleet::new();
    let remote = Remote { url: fleet.url(), branch: "main".to_owned(), credentials: Credentials::None };
    let first = fleet.write("fleet/a.yaml", "a: 1\n").push("first");
    assert_eq!(mirror.fetch(&remote, FETCH_TIME_LIMIT).await.expect("fetched").to_string(), first);

    let filler = disk.join("filler");
    fill(&filler);
    // What does not compress, so that it needs room.
    let mut state = 1_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        format!("{state:08x}")
    };
    let noise: String = (0..64 * 1024).map(|_| noise()).collect();
    let second = fleet.write("fleet/noise", &noise).push("second");
    let told = mirror.fetch(&remote, FETCH_TIME_LIMIT).await.expect_err("there is no room");
    println!("{}: {told}", told.reason());
    assert!(told.to_string().contains("No space left on device"), "{told}");
    let first = mirror.repository().resolve(&first).expect("what was there is there");
    assert_eq!(first.message.trim(), "first");

    std::fs::remove_file(filler).expect("removed");
    assert_eq!(mirror.fetch(&remote, FETCH_TIME_LIMIT).await.expect("fetched").to_string(), second);
    println!("fetched when there was room");
}
