//! Applications that do all they can against a board and its other applications.

use serde_json::Value;

use super::count::Count;
use super::firmware::images;
use super::fleet::{Fleet, application, device, says, says_now, ticker};
use super::running::text;

const BOARD: &str = "board";

/// Calls itself until its stack is gone.
const RECURSION: &str = "\
fn deeper(number: u32) -> u32 {
    let here = core::hint::black_box(number);
    if here == u32::MAX { 0 } else { deeper(here + 1).wrapping_mul(3) + core::hint::black_box(here) }
}

fn main() {
    println!(\"{}\", deeper(0));
}
";
/// Takes memory until there is none.
const HOG: &str = "\
fn main() {
    let mut all: Vec<Vec<u8>> = Vec::new();
    loop {
        all.push(core::hint::black_box(vec![1; 1024]));
    }
}
";
const FLOOD: &str = "\
fn main() {
    for number in 0u32.. {
        println!(\"flood {number}\");
    }
}
";
const LOOP: &str = "\
fn main() {
    let mut number = 0u32;
    loop {
        number = core::hint::black_box(number.wrapping_add(1));
    }
}
";
const TRAP: &str = "\
fn main() {
    let none: Option<u32> = core::hint::black_box(None);
    println!(\"{}\", none.unwrap());
}
";

#[test]
fn hostile_applications_end_or_are_held_back_and_nobody_else_notices() {
    let Some(images) = images("what hostile applications do") else { return };
    let one = |name, source: &str| (name, application(name, &[BOARD], ""), source.to_owned());
    let applications = [one("neighbour", &ticker("here"))];
    let fleet = Fleet::start(images, &[device(BOARD, "Mps2An386", "qemu")], &applications);
    let mut log = fleet.up.logs(BOARD);
    says(&mut log, "here");
    let mut count = Count::of("here", &mut log.out);
    let session = fleet.wait_device(BOARD, "Connected")["session"].clone();

    let hostile = [("recursion", RECURSION), ("hog", HOG), ("flood", FLOOD), ("endless", LOOP), ("trap", TRAP)];
    for (name, source) in hostile {
        let more = match name {
            // Beside an endless loop the flood alone does not get far enough to exceed the usual limit.
            "flood" => "  config: {ioLimit: {logBytesPerSecond: 256}}\n",
            "endless" => "  config: {cpuTimeLimit: 200m}\n",
            _ => "",
        };
        fleet.write_application(name, &application(name, &[BOARD], more), source);
    }
    fleet.repository.push("Hostile ones");

    // Those that end do so with their reason.
    let error = |name| {
        let app = fleet.wait_application(BOARD, name, |app| app["error"].is_string());
        app["error"].as_str().unwrap().to_owned()
    };
    let is_one_of = |error: &str, wanted: &[&str]| assert!(wanted.iter().any(|it| error.contains(it)), "{error}");
    is_one_of(&error("recursion"), &["called too deeply", "out of bounds"]);
    is_one_of(&error("hog"), &["ran into `unreachable`", "ran out of memory"]);
    is_one_of(&error("trap"), &["ran into `unreachable`"]);
    // Those that do not end are held back.
    for (name, by) in [("flood", "Log"), ("endless", "CpuTime")] {
        let runs = |app: &Value| app["phase"] == "Running" && app["error"] == Value::Null;
        fleet.wait_application(BOARD, name, |app| runs(app) && app["throttled"] == by);
    }
    let (mut dropped, mut full) = (false, false);
    log.out.next("the flood's dropped lines are counted, and the hog is told why it ended", |line| {
        let text = text(line)?;
        dropped |= text.contains("log lines dropped");
        full |= text.starts_with("the heap is full");
        (dropped && full).then_some(())
    });
    // Beside all of them the neighbour counts on, and in the same instance: it never begins anew.
    count.goes_on(&mut log.out);
    assert_eq!(fleet.wait_device(BOARD, "Connected")["session"], session, "the board stayed in its session");
    let neighbour = fleet.wait_application(BOARD, "neighbour", |app| app["phase"] == "Running");
    assert_eq!(neighbour["throttled"], Value::Null, "{neighbour}");
    assert!(neighbour["restarts"].as_u64().is_none_or(|restarts| restarts == 0), "{neighbour}");

    // An endless loop is stopped and erased as anything else.
    std::fs::remove_file(fleet.repository.copy.join("endless.yaml")).unwrap();
    fleet.repository.push("No endless one");
    fleet.wait_application(BOARD, "endless", Value::is_null);
    says_now(&mut log, "here");
    drop(log);
    fleet.end();
}
