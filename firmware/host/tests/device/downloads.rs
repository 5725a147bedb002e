//! Downloads that are cut off: what is in flash already is not fetched again.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use nix::sys::signal::Signal;
use wasmbed_protocol::DeviceMessage;
use wasmbed_protocol::limits::CHUNK;
use wasmbed_protocol::message::Fetch;

use crate::child::{Process, Role, eventually};
use crate::fleet::Built;
use crate::server::{BLINKER, Server, built, printed};

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
fn goes_on_at(offset: usize, server: &mut Server, dir: &Path, size: usize) {
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

/// Has a device that is killed fetch so many bytes, and no more.
fn fetch_until_killed(server: &mut Server, dir: &Path, bytes: usize) {
    // The gateway gives so many, and then nothing.
    server.plan.tamper = Some(Box::new(move |message, answers| {
        if matches!(message, DeviceMessage::Fetch(fetch) if fetch.offset as usize >= bytes) {
            answers.clear();
        }
    }));
    let process = Process::start(Role::Device, dir);
    server.until("that what follows is asked for", |heard| {
        fetches(heard).last().is_some_and(|fetch| fetch.offset as usize == bytes)
    });
    process.kill();
    server.current = None;
    server.plan.tamper = None;
    server.plan.heard.clear();
}

#[test]
fn a_download_cut_off_by_kill_9_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::new();
    server.provision(dir.path());
    let large = large();
    let half = large.module.len() / 2 / CHUNK * CHUNK;
    server.assign(std::slice::from_ref(&large));
    fetch_until_killed(&mut server, dir.path(), half);
    goes_on_at(half, &mut server, dir.path(), large.module.len());
}

#[test]
fn a_device_killed_in_the_middle_of_programming_goes_on_with_what_was_programmed() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::new();
    server.provision(dir.path());
    let large = large();
    server.assign(std::slice::from_ref(&large));
    // Its place is erased before the first byte comes: what is cut off below is programming.
    fetch_until_killed(&mut server, dir.path(), 4 * CHUNK);
    // A place in the middle of a chunk, and of the action that programs it: the kernel writes so far, and kills. The module
    // is the first, and lies at the start of its area.
    let place = 8 * CHUNK + CHUNK / 2;
    let limit = wasmbed_device::geometry().modules.address as usize + place;
    let mut process = Process::start_doomed(Role::Device, dir.path(), limit as u64);
    let mut end = None;
    eventually("the kernel kills it", || {
        server.serve();
        end = process.end();
        end.is_some()
    });
    assert_eq!(end.unwrap().signal(), Some(Signal::SIGXFSZ as i32));
    server.current = None;
    server.plan.heard.clear();
    goes_on_at(place, &mut server, dir.path(), large.module.len());
}
