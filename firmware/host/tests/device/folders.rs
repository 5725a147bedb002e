use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::sys::signal::Signal;
use wasmbed_device::{DeviceError, Options, Swarm, run};

use crate::child::{Process, Role};
use crate::fleet::{Fleet, key};

/// A folder of a device whose gateway does not exist.
pub(crate) fn provision(dir: &Path) {
    let mut provisioning = Fleet::default().provisioning(&key(9));
    provisioning.gateways = vec!["127.0.0.1:1".into()];
    fs::write(dir.join("provisioning.cbor"), provisioning.encode().unwrap()).unwrap();
    fs::set_permissions(dir.join("provisioning.cbor"), fs::Permissions::from_mode(0o600)).unwrap();
}

fn error_of(dir: &Path) -> String {
    run(Options { dir: dir.to_owned(), with_parent: false }).expect_err("it cannot run").to_string()
}

#[test]
fn two_processes_cannot_share_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    provision(dir.path());
    let mut process = Process::start(Role::Device, dir.path());
    process.line_with("begins");
    // Trying for the lock before it has it would take it away from the child.
    crate::child::eventually("it says that it started", || {
        fs::read_to_string(dir.path().join("stderr")).is_ok_and(|log| log.contains("started in"))
    });
    let error = error_of(dir.path());
    assert!(error.contains(&process.pid().to_string()), "{error}");
    assert!(error.contains("running already") && error.contains("use another folder"), "{error}");
    // Killed without a chance to clean up, it does not keep the folder.
    process.kill();
    Swarm::new().unwrap().add(dir.path()).expect("the folder is free");
}

#[test]
fn a_device_ends_well_on_sigterm_and_when_its_parent_is_gone() {
    for farewell in ["SIGTERM", "SIGINT", "parent"] {
        let dir = tempfile::tempdir().unwrap();
        provision(dir.path());
        let mut process = Process::start(Role::Device, dir.path());
        process.line_with("begins");
        crate::child::eventually("it says that it started", || {
            fs::read_to_string(dir.path().join("stderr")).is_ok_and(|log| log.contains("started in"))
        });
        match farewell {
            "SIGTERM" => process.signal(Signal::SIGTERM),
            "SIGINT" => process.signal(Signal::SIGINT),
            _ => process.leave(),
        }
        let (told, well) = process.wait();
        assert!(well && told.iter().any(|line| line.contains("ended Ok(())")), "{farewell}: {told:?}");
    }
}

#[test]
fn a_folder_without_identity_says_how_to_make_one() {
    let dir = tempfile::tempdir().unwrap();
    let error = error_of(dir.path());
    assert!(error.contains("provisioning.cbor does not exist") && error.contains("wasmbed provision"), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing was made");
    let error = error_of(&dir.path().join("no/such/folder"));
    assert!(error.contains("no/such/folder/provisioning.cbor does not exist"), "{error}");
}

#[test]
fn bad_provisioning_is_refused_with_its_place_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    provision(dir.path());
    let path = dir.path().join("provisioning.cbor");
    let good = fs::read(&path).unwrap();
    let cases: [(&str, Vec<u8>); 4] = [
        ("empty", Vec::new()),
        ("cut short", good[..good.len() - 1].to_vec()),
        ("something else", b"gateways: [localhost:4433]\n".to_vec()),
        ("endless", vec![0xA1; 1 << 20]),
    ];
    for (what, bytes) in cases {
        fs::write(&path, bytes).unwrap();
        let error = error_of(dir.path());
        assert!(error.contains(&path.display().to_string()), "{what}: {error}");
        assert!(error.contains("wasmbed provision") || error.contains("more than"), "{what}: {error}");
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let error = error_of(dir.path());
    assert!(error.contains(&path.display().to_string()), "{error}");
}

#[test]
fn a_flash_file_of_another_size_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    provision(dir.path());
    let path = dir.path().join("flash.bin");
    fs::write(&path, b"precious").unwrap();
    let error = error_of(dir.path());
    assert!(error.contains("has 8 bytes") && error.contains("move it away"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"precious");
}

#[test]
fn a_disk_without_room_for_the_flash_is_told() {
    let dir = tempfile::tempdir().unwrap();
    provision(dir.path());
    let process = Process::start_limited(Role::Device, dir.path(), 1024 * 1024);
    let (told, _) = process.wait();
    let error = told.iter().find(|line| line.starts_with("ended")).unwrap();
    assert!(error.contains("flash.bin") && error.contains("make"), "{error}");
}

#[test]
fn the_error_of_a_swarm_names_the_folder_and_spares_the_others() {
    let (good, bad) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    provision(good.path());
    let mut swarm = Swarm::new().unwrap();
    swarm.add(good.path()).unwrap();
    assert!(matches!(swarm.add(bad.path()), Err(DeviceError::NotProvisioned { .. })));
    swarm.stopper().stop();
    swarm.run().unwrap();
}
