//! Which files an application is built from, and which sources are refused; no compiler runs here.

use std::collections::BTreeMap;

use wasmbed_builder::closure::{Entry, EntryKind, File, SourceTree, TreeError};
use wasmbed_builder::{Closure, ClosureError};

/// A repository in memory.
#[derive(Default, Clone)]
struct Tree(BTreeMap<String, Node>);

#[derive(Clone)]
enum Node {
    File(Vec<u8>),
    Link(String),
    Submodule,
}

impl Tree {
    fn file(mut self, path: &str, text: &str) -> Self {
        self.0.insert(path.to_owned(), Node::File(text.as_bytes().to_vec()));
        self
    }

    fn link(mut self, path: &str, target: &str) -> Self {
        self.0.insert(path.to_owned(), Node::Link(target.to_owned()));
        self
    }

    /// A package with a program.
    fn package(self, folder: &str, more: &str) -> Self {
        let name = folder.rsplit('/').next().expect("it has a name");
        let manifest = format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n{more}");
        self.file(&format!("{folder}/Cargo.toml"), &manifest).file(&format!("{folder}/src/main.rs"), "fn main() {}")
    }

    fn closure(&self, path: &str) -> Closure {
        Closure::of(self, path).expect("it is not refused")
    }

    fn paths(&self, path: &str) -> Vec<String> {
        self.closure(path).files().keys().cloned().collect()
    }

    /// The refusals as people read them.
    fn refused(&self, path: &str) -> String {
        match Closure::of(self, path) {
            Err(ClosureError::Refused(refusals)) => {
                refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
            }
            Err(error) => panic!("{error}"),
            Ok(closure) => panic!("it is not refused: {:?}", closure.files().keys()),
        }
    }
}

impl SourceTree for Tree {
    fn entries(&self, path: &str) -> Result<Option<Vec<Entry>>, TreeError> {
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        let mut entries = BTreeMap::new();
        for (place, node) in &self.0 {
            let Some(rest) = place.strip_prefix(&prefix) else { continue };
            let (name, kind) = match rest.split_once('/') {
                Some((folder, _)) => (folder, EntryKind::Folder),
                None => (
                    rest,
                    match node {
                        Node::File(bytes) => EntryKind::File { executable: false, size: Some(bytes.len() as u64) },
                        Node::Link(target) => EntryKind::Symlink { target: target.clone() },
                        Node::Submodule => EntryKind::Submodule,
                    },
                ),
            };
            entries.insert(name.to_owned(), kind);
        }
        let entries: Vec<_> = entries.into_iter().map(|(name, kind)| Entry { name, kind }).collect();
        Ok((!entries.is_empty() || path.is_empty()).then_some(entries))
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, TreeError> {
        Ok(match self.0.get(path) {
            Some(Node::File(bytes)) => Some(bytes.clone()),
            _ => None,
        })
    }
}

#[test]
fn a_package_alone_is_its_own_files_without_its_declaration() {
    let tree = Tree::default()
        .package("apps/hello", "")
        .file("apps/hello/application.yaml", "kind: Application")
        .file("apps/hello/data/words.txt", "hello")
        .package("apps/other", "")
        .file("devices.yaml", "kind: Device");
    assert_eq!(
        tree.paths("apps/hello"),
        ["apps/hello/Cargo.toml", "apps/hello/data/words.txt", "apps/hello/src/main.rs"]
    );
    let closure = tree.closure("./apps//hello/");
    assert_eq!((closure.package(), closure.root(), closure.binary()), ("apps/hello", "apps/hello", "hello"));
    assert!(!closure.needs_registry());
}

#[test]
fn the_digest_follows_what_is_built_and_nothing_else() {
    let tree = Tree::default().package("apps/hello", "").package("apps/other", "");
    let before = tree.closure("apps/hello").digest();
    let elsewhere = tree.clone().file("apps/other/src/main.rs", "changed").file("apps/hello/application.yaml", "new");
    assert_eq!(elsewhere.closure("apps/hello").digest(), before);
    let edited = tree.clone().file("apps/hello/src/main.rs", "fn main() { }");
    assert_ne!(edited.closure("apps/hello").digest(), before);
    let moved = tree.package("apps/moved", "");
    assert_ne!(moved.closure("apps/moved").digest(), before);
}

#[test]
fn path_dependencies_are_followed_wherever_they_are_declared() {
    let tree = Tree::default()
        .package(
            "apps/hello",
            "[dependencies]\na = { path = \"../../libs/a\" }\n[build-dependencies]\nb = { path = \"../../libs/b\" }\n[target.'cfg(unix)'.dependencies]\nc = { path = \"../../libs/c\" }\n[dev-dependencies]\nd = { path = \"../../libs/d\" }\n",
        )
        .package("libs/a", "[dependencies]\ne = { path = \"../e\" }\n")
        .package("libs/b", "")
        .package("libs/c", "")
        .package("libs/d", "")
        .file("libs/d/src/deep.rs", "")
        .package("libs/e", "[dependencies]\na = { path = \"../a\" }\n")
        .package("libs/f", "");
    let closure = tree.closure("apps/hello");
    for name in ["a", "b", "c", "e"] {
        assert!(matches!(closure.files()[&format!("libs/{name}/src/main.rs")], File::Regular { .. }), "{name}");
    }
    // Cargo reads the manifest of what only tests use, and compiles none of it.
    assert_eq!(closure.files()["libs/d/src/main.rs"], File::Placeholder);
    assert!(!closure.files().contains_key("libs/d/src/deep.rs"));
    assert!(!closure.files().contains_key("libs/f/Cargo.toml"));
}

#[test]
fn of_a_workspace_the_manifests_are_there_and_the_other_members_sources_are_not() {
    let tree = Tree::default()
        .file("Cargo.toml", "[workspace]\nmembers = [\"apps/*\", \"tools/one\"]\nexclude = [\"apps/excluded\"]\n")
        .file("Cargo.lock", "version = 4\n")
        .package("apps/hello", "")
        .package("apps/other", "[[bin]]\nname = \"x\"\npath = \"src/x.rs\"\n")
        .file("apps/other/src/x.rs", "code")
        .file("apps/other/src/bin/y.rs", "code")
        .file("apps/other/build.rs", "code")
        .package("apps/excluded", "")
        .file("apps/notes.txt", "no package")
        .package("tools/one", "")
        .package("tools/two", "");
    let closure = tree.closure("apps/hello");
    assert_eq!(closure.root(), "");
    let placeholders: Vec<_> =
        closure.files().iter().filter(|(_, file)| **file == File::Placeholder).map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        placeholders,
        [
            "apps/other/build.rs",
            "apps/other/src/bin/y.rs",
            "apps/other/src/main.rs",
            "apps/other/src/x.rs",
            "tools/one/src/main.rs"
        ]
    );
    let paths: Vec<_> = closure.files().keys().map(String::as_str).collect();
    assert!(paths.contains(&"Cargo.toml") && paths.contains(&"Cargo.lock") && paths.contains(&"tools/one/Cargo.toml"));
    assert!(!paths.iter().any(|path| path.contains("excluded") || path.contains("two") || path.contains("notes")));

    let alone = tree.closure("apps/excluded");
    assert_eq!(alone.root(), "apps/excluded");
    assert!(!alone.files().contains_key("Cargo.toml"));
}

#[test]
fn a_package_may_be_the_root_of_its_workspace() {
    let tree = Tree::default()
        .file("Cargo.toml", "[package]\nname = \"root\"\nversion = \"0.1.0\"\n[workspace]\nmembers = [\"libs/*\"]\n[workspace.dependencies]\na = { path = \"libs/a\" }\n[dependencies]\na.workspace = true\n")
        .file("src/main.rs", "fn main() {}")
        .package("libs/a", "")
        .package("libs/b", "");
    let closure = tree.closure("");
    assert_eq!((closure.package(), closure.root()), ("", ""));
    assert!(matches!(closure.files()["libs/a/src/main.rs"], File::Regular { .. }));
    assert_eq!(closure.files()["libs/b/src/main.rs"], File::Placeholder);
    // And another of its members sees it as such.
    let member = tree.closure("libs/b");
    assert_eq!(member.root(), "");
    assert_eq!(member.files()["src/main.rs"], File::Placeholder);
}

#[test]
fn stack_and_heap_are_asked_for_in_the_manifest() {
    let sized = |text: &str| Tree::default().package("a", &format!("[package.metadata.wasmbed]\n{text}"));
    let memory = sized("stack = \"8K\"\nheap = 100000\n").closure("a").memory();
    assert_eq!((memory.stack, memory.heap), (8192, 100_000));
    let usual = Tree::default().package("a", "").closure("a").memory();
    assert_eq!((usual.stack, usual.heap), (4096, 16384));
    for wrong in ["stack = 10", "heap = \"2G\"", "heap = \"many\"", "stack = \"16M\""] {
        let said = sized(wrong).refused("a");
        assert!(said.starts_with("a/Cargo.toml:6: ") && said.contains("is no size"), "{said}");
    }
    assert!(sized("stak = 10").refused("a").contains("unknown field `stak`"));
}

#[test]
fn what_is_refused_is_named_with_its_file_and_what_to_do() {
    let hello = |more: &str| Tree::default().package("apps/hello", more);
    let dependency = |line: &str| hello(&format!("[dependencies]\n{line}\n"));
    let cases: Vec<(Tree, &str, &str)> = vec![
        (
            hello("").file("apps/hello/.cargo/config.toml", "[build]"),
            "apps/hello/.cargo/config.toml: ",
            "names programs that Cargo runs: remove it",
        ),
        (hello("").file("apps/hello/.cargo/config", "[build]"), "apps/hello/.cargo/config: ", "remove it"),
        (hello("").file(".cargo/config.toml", "[build]"), ".cargo/config.toml: ", "remove it"),
        (hello("").file("apps/.cargo/config", "[build]"), "apps/.cargo/config: ", "remove it"),
        (hello("").link("apps/hello/.cargo", "../x"), "apps/hello/.cargo: ", "remove it"),
        (
            hello("").file("rust-toolchain.toml", ""),
            "rust-toolchain.toml: ",
            "always built with Rust 1.95.0; remove it",
        ),
        (hello("").file("apps/hello/rust-toolchain", ""), "apps/hello/rust-toolchain: ", "remove it"),
        (hello("").link("apps/hello/keys", "../../../../etc"), "apps/hello/keys: ", "points out of the repository"),
        (hello("").link("apps/hello/keys", "/etc/passwd"), "apps/hello/keys: ", "points out of the repository"),
        (
            dependency("x = { git = \"https://example.org/x\" }"),
            "apps/hello/Cargo.toml:6: ",
            "comes from Git (https://example.org/x), which is not fetched",
        ),
        (dependency("x = { git = \"file:///home/me/x\" }"), "apps/hello/Cargo.toml:6: ", "use a released version"),
        (dependency("x = { path = \"/home/me/x\" }"), "apps/hello/Cargo.toml:6: ", "absolute path"),
        (dependency("x = { path = \"../../../x\" }"), "apps/hello/Cargo.toml:6: ", "outside the repository"),
        (dependency("x = { path = \"../x\" }"), "apps/x: ", "there is no `Cargo.toml` here"),
        (
            dependency("x = { version = \"1\", registry = \"mine\" }"),
            "apps/hello/Cargo.toml:6: ",
            "only crates.io is fetched from",
        ),
        (dependency("x = \"1\""), "apps/hello/Cargo.toml:6: ", "run `cargo generate-lockfile` and commit it"),
        (dependency("wasmbed = \"0.1\""), "apps/hello/Cargo.toml:6: ", "needs no dependency: the builder brings it"),
        (
            dependency("x.workspace = true"),
            "apps/hello/Cargo.toml:6: ",
            "has no such entry in `[workspace.dependencies]`",
        ),
        (hello("x y").clone(), "apps/hello/Cargo.toml:5: ", "not a Cargo manifest"),
        (hello("").file("apps/hello/src/bin/second.rs", ""), "apps/hello/Cargo.toml:1: ", "name one as `default-run`"),
        (
            Tree::default()
                .file("apps/hello/Cargo.toml", "[package]\nname = \"hello\"\n")
                .file("apps/hello/src/lib.rs", ""),
            "apps/hello/Cargo.toml:1: ",
            "write `src/main.rs`",
        ),
        (
            Tree::default().file("apps/hello/Cargo.toml", "[workspace]\n"),
            "apps/hello/Cargo.toml:1: ",
            "a workspace and no package",
        ),
        (Tree::default().file("apps/hello/notes.txt", ""), "apps/hello: ", "no `Cargo.toml` and no `src/main.rs`"),
        (Tree::default().file("apps/other", ""), "apps/hello: ", "there is no such folder"),
    ];
    for (tree, place, what) in cases {
        let said = tree.refused("apps/hello");
        assert!(said.starts_with(place) && said.contains(what), "{said}\n(expected {place}...{what})");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let mut submodule = hello("");
    submodule.0.insert("apps/hello/vendor".to_owned(), Node::Submodule);
    assert!(submodule.refused("apps/hello").contains("a Git submodule"));
    for path in ["../x", "/apps/hello", "apps/../../x"] {
        assert!(hello("").refused(path).contains("inside the repository"), "{path}");
    }
}

#[test]
fn a_lock_file_names_only_the_repository_and_crates_io_by_checksum() {
    let locked = |lines: &str| {
        let lock = format!("version = 4\n\n[[package]]\nname = \"x\"\nversion = \"1.0.0\"\n{lines}\n");
        Tree::default().package("a", "[dependencies]\nx = \"1\"\n").file("a/Cargo.lock", &lock)
    };
    let crates_io = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    let good = locked(&format!("{crates_io}\nchecksum = \"{}\"", "0".repeat(64)));
    assert!(good.closure("a").needs_registry());
    for wrong in [
        "source = \"git+https://example.org/x?rev=1#1\"",
        "source = \"registry+file:///tmp/index\"",
        "source = \"sparse+https://example.org/index/\"",
    ] {
        let said = locked(&format!("{wrong}\nchecksum = \"{}\"", "0".repeat(64))).refused("a");
        assert!(said.starts_with("a/Cargo.lock:4: ") && said.contains("is not fetched from"), "{said}");
    }
    assert!(locked(crates_io).refused("a").contains("has no checksum here"));
    let broken = Tree::default().package("a", "").file("a/Cargo.lock", "version = ");
    assert!(broken.refused("a").contains("not a Cargo lock file"));
}

#[test]
fn every_reason_is_given_at_once() {
    let tree = Tree::default()
        .package("a", "[dependencies]\nx = { git = \"https://example.org/x\" }\ny = { path = \"/y\" }\n")
        .file("a/.cargo/config.toml", "")
        .link("a/out", "/etc");
    assert_eq!(tree.refused("a").lines().count(), 4);
    let failure = Closure::of(&tree, "a").expect_err("it is refused").failure();
    assert_eq!(failure.message.lines().count(), 4);
}

#[test]
fn a_package_that_is_too_large_is_refused_without_reading_all_of_it() {
    let mut tree = Tree::default().package("a", "");
    for number in 0..9 {
        tree.0.insert(format!("a/large/{number}"), Node::File(vec![0; 4 << 20]));
    }
    assert!(tree.refused("a").contains("more than 10000 files or 32 MiB"));
}

#[test]
fn a_link_inside_the_repository_is_kept_as_a_link() {
    let tree = Tree::default().package("a", "").link("a/src/words.rs", "../words.rs").file("a/words.rs", "");
    assert_eq!(tree.closure("a").files()["a/src/words.rs"], File::Symlink { target: "../words.rs".to_owned() });
}

#[test]
fn a_program_without_a_manifest_gets_one_that_belongs_to_no_workspace() {
    let tree = Tree::default()
        .file("Cargo.toml", "[workspace]\nmembers = []\n")
        .file("apps/1st hello/src/main.rs", "fn main() {}");
    let closure = tree.closure("apps/1st hello");
    assert_eq!(closure.binary(), "app-1st_hello");
    let File::Regular { bytes, .. } = &closure.files()["apps/1st hello/Cargo.toml"] else { panic!("it is a file") };
    assert!(String::from_utf8_lossy(bytes).contains("[workspace]"));
    assert!(!closure.files().contains_key("Cargo.toml"));
}

proptest::proptest! {
    #[test]
    fn no_manifest_path_or_lock_file_makes_it_panic(manifest: String, path: String, lock: String, target: String) {
        let tree = Tree::default()
            .file("a/Cargo.toml", &manifest)
            .file("a/Cargo.lock", &lock)
            .file("a/src/main.rs", "")
            .link("a/link", &target);
        let _ = Closure::of(&tree, "a");
        let _ = Closure::of(&tree, &path);
        let dependency = Tree::default().package("a", &format!("[dependencies]\nx = {{ path = {path:?} }}\n"));
        let _ = Closure::of(&dependency, "a");
    }
}
