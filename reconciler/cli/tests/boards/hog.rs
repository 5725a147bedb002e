//! An endless loop on every core: it costs its neighbour and its device nothing.

use nix::sys::signal::Signal;
use serde_json::Value;

use super::count::Count;
use super::firmware::images;
use super::fleet::{Fleet, application, device, says, ticker};
use super::lines::wait_for;
use super::running::{Running, signal, text};

/// Devices and their boards.
const BOARDS: [(&str, &str); 3] = [("m3", "Mps2An385"), ("m4", "Mps2An386"), ("m7", "Mps2An500")];

const ENDLESS: &str = "fn main() {\n    loop {\n        std::hint::spin_loop();\n    }\n}\n";

#[test]
fn boards_run_what_is_pushed_beside_a_hog_and_go_on_after_power_loss() {
    let Some(images) = images("a hog") else { return };
    let devices: Vec<String> = BOARDS.iter().map(|(name, board)| device(name, board, "qemu")).collect();
    let applications = [
        ("ticker", application("ticker", &[], ""), ticker("one")),
        ("endless", application("endless", &[], ""), ENDLESS.to_owned()),
    ];
    let fleet = Fleet::start(images, &devices, &applications);
    let mut logs: Vec<Running> = BOARDS.iter().map(|(name, _)| fleet.up.logs(name)).collect();
    let say = |logs: &mut [Running], word: &str| logs.iter_mut().for_each(|log| says(log, word));
    say(&mut logs, "one");
    fleet.say("ticker", "two");
    say(&mut logs, "two");
    fleet.repository.revert();
    say(&mut logs, "one");
    let mut count = Count::of("one", &mut logs[0].out);
    count.goes_on(&mut logs[0].out);

    // The end of an emulator is loss of power: what runs stands in flash, and runs before anybody is asked.
    for (name, _) in BOARDS {
        let player = wait_for(&format!("{name} is played"), || fleet.player(name), Option::is_some).unwrap();
        signal(player, Signal::SIGKILL);
    }
    for log in &mut logs {
        log.out.next("it begins anew", |line| (text(line)? == "one 0").then_some(()));
    }
    for (name, _) in BOARDS {
        wait_for(
            &format!("{name} is in session and runs both"),
            || fleet.status(name),
            |status| {
                let applications = status["applications"].as_array();
                let both = applications.is_some_and(|all| all.len() == 2 && all.iter().all(is_running));
                status["phase"] == "Connected" && both
            },
        );
    }
    drop(logs);
    fleet.end();
}

fn is_running(application: &Value) -> bool {
    application["phase"] == "Running"
}
