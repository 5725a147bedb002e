//! The story of first light, on boards.

use std::collections::BTreeMap;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::firmware::images;
use super::fleet::{Fleet, application, application_in, device, prints, says, says_now, ticker};
use super::lines::wait_for;
use super::running::{Running, signal};

/// Name, board, backend.
const DEVICES: [(&str, &str, &str); 5] = [
    ("host", "Host", "host"),
    ("m3", "Mps2An385", "qemu"),
    ("m4", "Mps2An386", "qemu"),
    ("m7", "Mps2An500", "qemu"),
    ("linked", "Stm32F4Disco", "qemu"),
];
/// Those whose store outlives their power.
const LASTING: [&str; 3] = ["m3", "m4", "m7"];

/// One thing that happens, and what it shows.
type Step = (&'static str, fn(&mut Story));

struct Story {
    fleet: Fleet,
    /// What each device says, as its gateway hears it.
    logs: BTreeMap<&'static str, Running>,
}

#[test]
fn a_push_reaches_boards_and_neither_power_nor_the_gateway_takes_it_back() {
    let Some(images) = images("the story") else { return };
    let devices: Vec<String> = DEVICES.iter().map(|(name, board, backend)| device(name, board, backend)).collect();
    let applications = [
        ("ticker", application("ticker", &[], ""), ticker("one")),
        ("other", application("other", &["m3", "m4"], ""), ticker("neighbour")),
    ];
    let fleet = Fleet::start(images, &devices, &applications);
    let logs = DEVICES.iter().map(|(name, ..)| (*name, fleet.up.logs(name))).collect();
    let mut story = Story { fleet, logs };
    let steps: [Step; 6] = [
        ("every board comes into session and says its first word", Story::every_board_speaks),
        ("a push brings new output", Story::a_push_brings_new_output),
        ("a revert brings the old output back", Story::a_revert_brings_the_old_back),
        ("a compile error leaves the old module running", Story::a_compile_error_changes_nothing),
        ("pruning stops and erases", Story::pruning_stops_and_erases),
        ("power that fails while no gateway is there", Story::power_fails_without_a_gateway),
    ];
    for (what, step) in steps {
        let began = std::time::Instant::now();
        eprintln!("-- {what}");
        step(&mut story);
        eprintln!("   {:.1} s", began.elapsed().as_secs_f32());
    }
    story.logs.clear();
    story.fleet.end();
}

impl Story {
    fn all_say(&mut self, word: &str) {
        for log in self.logs.values_mut() {
            says(log, word);
        }
    }

    fn every_board_speaks(&mut self) {
        self.all_say("one");
        for (name, _, backend) in DEVICES {
            let status = self.fleet.wait_device(name, "Connected");
            let reason = if backend == "qemu" { "Qemu" } else { "HostProcess" };
            let emulated = status["conditions"].as_array().unwrap().iter().find(|it| it["type"] == "Emulated").cloned();
            assert_eq!(emulated.unwrap()["reason"], reason, "{name} is played by what it is declared to be");
        }
    }

    fn a_push_brings_new_output(&mut self) {
        self.fleet.say("ticker", "two");
        self.all_say("two");
    }

    fn a_revert_brings_the_old_back(&mut self) {
        for log in self.logs.values_mut() {
            log.out.skip();
        }
        self.fleet.repository.revert();
        self.all_say("one");
    }

    fn a_compile_error_changes_nothing(&mut self) {
        self.fleet.repository.write("apps/ticker/src/main.rs", "fn main() {\n    let number: u32 = \"text\";\n}\n");
        self.fleet.repository.push("Break it");
        let look = || self.fleet.up.status()["fleets"][0]["status"]["held"].clone();
        wait_for("the application is held", look, |held| held[0]["application"] == "ticker");
        for log in self.logs.values_mut() {
            says_now(log, "one");
        }
        self.fleet.repository.revert();
        let look = || self.fleet.up.status()["fleets"][0]["status"]["held"].clone();
        wait_for("nothing is held any more", look, |held| held.as_array().is_none_or(Vec::is_empty));
    }

    fn pruning_stops_and_erases(&mut self) {
        for name in ["m3", "m4"] {
            self.fleet.wait_application(name, "other", |app| app["phase"] == "Running");
        }
        std::fs::remove_file(self.fleet.repository.copy.join("other.yaml")).unwrap();
        self.fleet.repository.push("No other");
        for name in ["m3", "m4"] {
            let look = || self.fleet.status(name);
            wait_for(&format!("{name} has erased it"), look, |status| {
                status["phase"] == "Connected" && application_in(status, "other") == Value::Null
            });
            says_now(self.logs.get_mut(name).unwrap(), "one");
        }
    }

    /// Without a gateway nothing can be downloaded: what a board runs then was in its flash.
    fn power_fails_without_a_gateway(&mut self) {
        let boards: Vec<&str> = DEVICES.iter().filter(|(_, _, by)| *by == "qemu").map(|(name, ..)| *name).collect();
        let counter = |status: &Value| status["session"]["counter"].as_i64();
        let before: BTreeMap<&str, i64> = DEVICES
            .iter()
            .map(|(name, ..)| (*name, counter(&self.fleet.wait_device(name, "Connected")).unwrap()))
            .collect();
        self.fleet.stop_gateway();
        for (name, ..) in DEVICES {
            self.fleet.wait_device(name, "Disconnected");
        }
        for name in &boards {
            let id = self.fleet.player(name).unwrap_or_else(|| panic!("QEMU plays {name}"));
            signal(id, Signal::SIGKILL);
            let again = || self.fleet.player(name);
            wait_for(&format!("QEMU plays {name} again"), again, |now| now.is_some_and(|now| now != id));
        }
        // From the first moment of the first life; what is looked at is the second.
        let mut uarts: BTreeMap<&str, Running> = boards.iter().map(|name| (*name, self.fleet.uart(name))).collect();
        for uart in uarts.values_mut() {
            prints(uart, "INFO started: ");
            prints(uart, "INFO started: ");
        }
        for name in LASTING {
            prints(uarts.get_mut(name).unwrap(), "OUT ticker: one 0");
        }
        for log in self.logs.values_mut() {
            log.out.skip();
        }
        self.fleet.start_gateway();
        for (name, ..) in DEVICES {
            wait_for(
                &format!("{name} is in a new session"),
                || self.fleet.status(name),
                |status| status["phase"] == "Connected" && counter(status).is_some_and(|now| now > before[name]),
            );
        }
        self.all_say("one");
        // The linked one had nothing to run before its gateway gave it again.
        let mut in_session = false;
        uarts.get_mut("linked").unwrap().out.next("it runs what it downloaded again", |line| {
            in_session |= line.contains("INFO in session");
            assert!(in_session || !line.contains(" OUT "), "its store is volatile: {line}");
            line.contains("OUT ticker: one 0").then_some(())
        });
    }
}
