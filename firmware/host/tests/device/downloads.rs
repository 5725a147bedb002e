//! Downloads that are cut off: what is in flash already is not fetched again.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::time::Instant;

use nix::sys::signal::Signal;
use wasmbed_protocol::DeviceMessage;
use wasmbed_protocol::limits::CHUNK;
use wasmbed_protocol::message::Fetch;

use crate::child::{PATIENCE, Process, Role};
use crate::fleet::Built;
use crate::server::{BLINKER, Server, built, hellos, printed};

/// A module of many chunks: the blinker, and data that it does not use.
fn large() -> Built {
    let data: String = (0..40_000).map(|n| char::from(b'a' + (n % 23) as u8)).collect();
    let module = BLINKER
        .replace("TEXT", "one!")
        .replace("(func (export", &format!("(data (i32.const 1024) \"{data}\") (func (export"));
    let built = built("blinker", &module);
    assert!(built.module.len() > 16 * CHUNK);
    built
}

fn fetches(heard: &[DeviceMessage]) -> Vec<Fetch> {
    let fetches = heard.iter().filter_map(|message| match message {
        DeviceMessage::Fetch(fetch) => Some(fetch.clone()),
        _ => None,
    });
    fetches.collect()
}

/// Starts the device of the folder again and lets it end its download. It goes on at this offset, or at most a word
/// before it, and asks for nothing that lies before; what it then runs is whole, for its digest is right.
fn goes_on_at(offset: usize, server: &mut Server, dir: &std::path::Path, size: usize) {
    server.current = None;
    server.plan.heard.clear();
    server.plan.tamper = None;
    let _process = Process::start(Role::Device, dir);
    server.until("the output", printed("Hello from one!"));
    // By offset: one whose answer was slow is asked for again.
    let asked: BTreeMap<usize, usize> =
        fetches(&server.plan.heard).iter().map(|fetch| (fetch.offset as usize, fetch.length as usize)).collect();
    let (first, _) = asked.first_key_value().expect("the rest is fetched");
    let word = wasmbed_device::geometry().word as usize;
    assert!(*first > 0 && (offset - word..=offset).contains(first), "{first} instead of {offset}");
    assert_eq!(asked.values().sum::<usize>(), size - first, "the rest, and each byte of it once: {asked:?}");
}

#[test]
fn a_download_cut_off_by_kill_9_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::new();
    server.provision(dir.path());
    let large = large();
    let half = large.module.len() / 2 / CHUNK * CHUNK;
    server.assign(std::slice::from_ref(&large));
    // The gateway gives the first half, and then nothing more.
    server.plan.tamper = Some(Box::new(move |message, answers| {
        if matches!(message, DeviceMessage::Fetch(fetch) if fetch.offset as usize >= half) {
            answers.clear();
        }
    }));
    let process = Process::start(Role::Device, dir.path());
    server.until("that the second half is asked for", |heard| {
        fetches(heard).last().is_some_and(|fetch| fetch.offset as usize == half)
    });
    process.kill();
    goes_on_at(half, &mut server, dir.path(), large.module.len());
}

#[test]
fn a_device_killed_in_the_middle_of_programming_goes_on_with_what_was_programmed() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::new();
    server.provision(dir.path());
    // The flash file is made before the limit counts.
    let process = Process::start(Role::Device, dir.path());
    server.until("a Hello", |heard| hellos(heard) == 1);
    process.kill();
    server.current = None;
    let large = large();
    server.assign(std::slice::from_ref(&large));
    // A place in the middle of a chunk, and of an action that programs it: the kernel writes so far, and kills.
    let place = 8 * CHUNK + CHUNK / 2;
    let limit = wasmbed_device::geometry().modules.address as usize + place;
    let mut process = Process::start_doomed(Role::Device, dir.path(), limit as u64);
    let deadline = Instant::now() + PATIENCE;
    let end = loop {
        if let Some(end) = process.end() {
            break end;
        }
        assert!(Instant::now() < deadline, "it lives on, having asked for {:?}", fetches(&server.plan.heard).last());
        server.serve();
        std::thread::sleep(std::time::Duration::from_millis(1));
    };
    assert_eq!(end.signal(), Some(Signal::SIGXFSZ as i32), "{end}");
    goes_on_at(place, &mut server, dir.path(), large.module.len());
}
