//! What a stranger's sources may not do.

mod support;

use std::net::TcpListener;
use std::time::{Duration, Instant};

use support::{PATIENCE, Sources, Worker};
use wasmbed_builder::FailureReason;
use wasmbed_builder::worker::Sandboxing;

const SEED: &str = r#"pub fn main() { println!("Hello from Wasmbed!"); }"#;

/// A variable in the environment of a worker that holds a secret.
const SECRET: &str = "WASMBED_TEST_SECRET";

/// Sources of an application with a build script.
fn with_build_script(script: &str) -> Sources {
    let sources = Sources::new();
    sources.package("apps/stranger", SEED).write("apps/stranger/build.rs", script);
    sources
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_script_that_minds_its_own_business_is_allowed() {
    let sources = with_build_script(
        r#"fn main() {
            let out = std::env::var("OUT_DIR").unwrap();
            std::fs::write(format!("{out}/made.rs"), "pub const MADE: u32 = 7;").unwrap();
        }"#,
    );
    sources.write(
        "apps/stranger/src/main.rs",
        "include!(concat!(env!(\"OUT_DIR\"), \"/made.rs\"));\nfn main() { println!(\"{}\", MADE); }",
    );
    Worker::start().await.built(&sources.request("apps/stranger")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_constant_is_ended_with_its_reason() {
    let sources = Sources::new();
    let main = "#![allow(long_running_const_eval)]\nconst END: u64 = { let mut n = 0; while n < u64::MAX { n += 1; } n };\nfn main() { println!(\"{}\", END); }";
    sources.package("apps/stranger", main);
    let worker = Worker::start_with(|options| options.limits.wall_clock = Duration::from_secs(4)).await;
    let started = Instant::now();
    let failure = worker.failed(&sources.request("apps/stranger")).await;
    assert_eq!(failure.reason, FailureReason::TimedOut, "{failure}");
    assert!(failure.message.contains("longer than 4 s"), "{failure}");
    assert!(started.elapsed() >= Duration::from_secs(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_build_script_is_ended_and_the_next_build_is_not_hindered() {
    let sources = with_build_script("fn main() { loop { std::hint::spin_loop(); } }");
    let worker = Worker::start_with(|options| options.limits.wall_clock = Duration::from_secs(10)).await;
    let failure = worker.failed(&sources.request("apps/stranger")).await;
    assert_eq!(failure.reason, FailureReason::TimedOut, "{failure}");
    sources.write("apps/stranger/build.rs", "fn main() {}");
    let worker = Worker::start().await;
    worker.built(&sources.request("apps/stranger")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_script_has_no_network() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.set_nonblocking(true).expect("it can be asked without waiting");
    let port = listener.local_addr().expect("it has one").port();
    let sources = with_build_script(&format!(
        "fn main() {{ let _ = std::net::TcpStream::connect((\"127.0.0.1\", {port})).expect(\"no way out\"); }}"
    ));
    let failure = Worker::start().await.failed(&sources.request("apps/stranger")).await;
    assert_eq!(failure.reason, FailureReason::CompileFailed, "{failure}");
    assert!(failure.message.contains("no way out"), "{failure}");
    assert!(listener.accept().is_err(), "nobody came");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_script_cannot_read_keys() {
    // The worker's environment is this process's: the test runs again as a child that has a secret in it.
    if std::env::var_os(SECRET).is_none() {
        let output = std::process::Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "a_build_script_cannot_read_keys", "--nocapture"])
            .env(SECRET, "not for strangers")
            .output()
            .expect("it runs");
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
        return;
    }
    let own = std::fs::read("/proc/self/environ").expect("it can be read");
    assert!(String::from_utf8_lossy(&own).contains(SECRET), "it would be found where it is");
    let worker = Worker::start().await;
    let key = worker.folder.path().join("keys/release.key");
    std::fs::create_dir_all(key.parent().expect("it has one")).expect("folders can be made");
    std::fs::write(&key, [7; 32]).expect("files can be written");
    let home = std::env::var("HOME").expect("there is a home");
    let sources = with_build_script(&format!(
        "fn main() {{
            for place in [{:?}, {:?}, \"/etc/shadow\", \"/etc/passwd\", \"/root\", \"/home\", \"/var\"] {{
                assert!(std::fs::metadata(place).is_err(), \"it sees {{place}}\");
            }}
            assert!(std::env::var_os({SECRET:?}).is_none(), \"it has the worker's environment\");
            for process in std::fs::read_dir(\"/proc\").into_iter().flatten().flatten() {{
                let environment = std::fs::read(process.path().join(\"environ\")).unwrap_or_default();
                assert!(!String::from_utf8_lossy(&environment).contains({SECRET:?}), \"it sees the worker\");
            }}
            std::fs::read({:?}).expect(\"the key is not here\");
        }}",
        key.parent().expect("it has one"),
        home,
        key
    ));
    let failure = worker.failed(&sources.request("apps/stranger")).await;
    assert_eq!(failure.reason, FailureReason::CompileFailed, "{failure}");
    assert!(failure.message.contains("the key is not here"), "{failure}");
    assert!(failure.message.contains("No such file or directory"), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_script_sees_no_other_application_and_cannot_change_its_own_sources_or_the_library() {
    let worker = Worker::start().await;
    let other = Sources::new();
    other.package("apps/other", SEED);
    worker.built(&other.request("apps/other")).await;
    let applications = worker.folder.path().join("builder/applications");
    assert_eq!(std::fs::read_dir(&applications).expect("it is there").count(), 1);
    let sources = with_build_script(&format!(
        "use std::fs;
        fn main() {{
            assert!(fs::read_dir({applications:?}).is_err(), \"it sees the folders of all applications\");
            assert!(fs::metadata(\"/src/apps/other\").is_err(), \"it sees the other application\");
            let apps: Vec<_> = fs::read_dir(\"/src/apps\").unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(apps, [\"stranger\"]);
            for place in [\"/src/apps/stranger/src/main.rs\", \"/src/new\", \"/prepared/new\", \"/toolchain/new\", \"/usr/bin/new\", \"/new\"] {{
                assert!(fs::write(place, \"x\").is_err(), \"it writes {{place}}\");
            }}
            assert!(!std::env::vars().any(|(name, _)| name == \"WASMBED_STATE\" || name == \"CARGO_TARGET_TMPDIR\"));
            panic!(\"all of it was tried\");
        }}"
    ));
    let failure = worker.failed(&sources.request("apps/stranger")).await;
    assert!(failure.message.contains("all of it was tried"), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_a_file_outside_the_closure_fails_instead_of_going_stale() {
    let sources = Sources::new();
    sources.package("apps/stranger", "fn main() { println!(\"{}\", include_str!(\"../../../shared.txt\")); }");
    sources.write("shared.txt", "not part of the application");
    let failure = Worker::start().await.failed(&sources.request("apps/stranger")).await;
    assert_eq!(failure.reason, FailureReason::CompileFailed);
    assert!(failure.message.contains("couldn't read"), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_starts_too_many_processes_is_ended() {
    let sources = with_build_script(
        "fn main() {
            let children: Vec<_> = (0..60).map(|_| std::process::Command::new(\"/usr/bin/sleep\").arg(\"60\").spawn()).collect();
            for mut child in children.into_iter().flatten() { let _ = child.wait(); }
        }",
    );
    let worker = Worker::start_with(|options| options.limits.processes = 40).await;
    let failure = worker.failed(&sources.request("apps/stranger")).await;
    assert_eq!(failure.reason, FailureReason::LimitExceeded, "{failure}");
    assert!(failure.message.contains("40 processes"), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_takes_too_much_memory_does_not_get_it() {
    let sources = with_build_script(
        "fn main() {
            let mut hoard: Vec<Vec<u8>> = Vec::new();
            loop {
                hoard.push(vec![1; 16 << 20]);
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        }",
    );
    let worker = Worker::start_with(|options| options.limits.memory = 1 << 30).await;
    let failure = worker.failed(&sources.request("apps/stranger")).await;
    // Seen in time it is ended; else the allocation fails inside.
    let ended = failure.reason == FailureReason::LimitExceeded && failure.message.contains("1024 MiB of memory");
    let refused = failure.reason == FailureReason::CompileFailed && failure.message.contains("memory allocation");
    assert!(ended || refused, "{}: {failure}", failure.reason);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_fills_the_disk_is_ended() {
    let sources = with_build_script(
        "use std::io::Write;
        fn main() {
            let mut file = std::fs::File::create(format!(\"{}/large\", std::env::var(\"OUT_DIR\").unwrap())).unwrap();
            while file.write_all(&[7; 65536]).is_ok() {}
            panic!(\"no more fits\");
        }",
    );
    let worker = Worker::start_with(|options| options.limits.file = 64 << 20).await;
    let failure = worker.failed(&sources.request("apps/stranger")).await;
    assert_eq!(failure.reason, FailureReason::CompileFailed, "{failure}");
    assert!(failure.message.contains("signal: 25") || failure.message.contains("no more fits"), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_no_device_has_is_refused_with_its_name() {
    let sources = Sources::new();
    let main = r#"
        #[link(wasm_import_module = "env")]
        unsafe extern "C" { safe fn launch(code: i32) -> i32; }
        fn main() { println!("{}", launch(7)); }
    "#;
    sources.package("apps/stranger", main);
    let failure = Worker::start().await.failed(&sources.request("apps/stranger")).await;
    assert_eq!(failure.reason, FailureReason::ModuleRefused);
    assert!(failure.message.contains("imports `env.launch`, which devices do not have"), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_nobody_waits_for_is_given_up_and_leaves_no_process_behind() {
    let sources = with_build_script("fn main() { loop { std::hint::spin_loop(); } }");
    let worker = Worker::start().await;
    let request = sources.request("apps/stranger");
    // At different moments of its start: while the sandbox is made, and when it stands.
    for wait in [0, 5, 10, 20, 40, 400] {
        let (client, request) = (worker.client.clone(), request.clone());
        let (running, mut runs) = tokio::sync::mpsc::unbounded_channel();
        let build = tokio::spawn(async move {
            let heard = |progress| {
                if matches!(progress, wasmbed_builder::Progress::Compiling(_)) {
                    let _ = running.send(());
                }
            };
            client.build(&request, heard).await
        });
        runs.recv().await.expect("it compiles");
        tokio::time::sleep(Duration::from_millis(wait)).await;
        build.abort();
    }
    // The same application's folder is free again as soon as the abandoned builds are gone.
    sources.write("apps/stranger/build.rs", "fn main() {}");
    worker.built(&sources.request("apps/stranger")).await;
    let folder = worker.folder.path().to_str().expect("it is UTF-8").to_owned();
    let deadline = Instant::now() + PATIENCE;
    while let Some(left) = process_that_mentions(&folder) {
        assert!(Instant::now() < deadline, "process {left} is left behind");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A process whose command line names this folder, save this one.
fn process_that_mentions(folder: &str) -> Option<u32> {
    let processes = std::fs::read_dir("/proc").expect("it is there").flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|id| *id != std::process::id()).find(|id| {
        let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(folder)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn without_bubblewrap_nothing_is_built_unless_it_was_asked_for_in_as_many_words() {
    let sources = Sources::new();
    sources.package("apps/hello", SEED);
    let sandboxed = Worker::start().await.built(&sources.request("apps/hello")).await;
    let worker = Worker::start_with(|options| options.sandboxing = Sandboxing::None).await;
    let bare = worker.built(&sources.request("apps/hello")).await;
    assert!(!bare.cached);
    assert_eq!(bare.module.digest(), sandboxed.module.digest());

    let worker = Worker::start_with(|options| options.search = Some("/nowhere".into())).await;
    let failure = worker.failed(&sources.request("apps/hello")).await;
    assert_eq!(failure.reason, FailureReason::NoSandbox, "{failure}");
    assert!(failure.message.contains("install the package `bubblewrap`"), "{failure}");
    assert!(failure.message.contains("--sandbox=none"), "{failure}");
}
