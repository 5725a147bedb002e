//! Thirty boards at once.

use super::firmware::images;
use super::fleet::{Fleet, application, device, says, ticker};
use super::lines::wait_for;

const BOARDS: usize = 30;

#[test]
#[ignore = "takes all of two cores, so `make test` runs it by itself, after the others"]
fn thirty_boards_deploy_revert_and_survive_a_gateway() {
    let Some(images) = images("a fleet of thirty") else { return };
    let names: Vec<String> = (0..BOARDS).map(|number| format!("board-{number}")).collect();
    let kinds = ["Mps2An385", "Mps2An386", "Mps2An500"];
    let devices: Vec<String> =
        names.iter().enumerate().map(|(at, name)| device(name, kinds[at % kinds.len()], "qemu")).collect();
    let fleet = Fleet::start(images, &devices, &[("ticker", application("ticker", &[], ""), ticker("one"))]);
    let mut logs: Vec<_> = names.iter().map(|name| fleet.up.logs(name)).collect();
    let began = std::time::Instant::now();
    let took = |what: &str| eprintln!("-- {what}, after {:.0} s", began.elapsed().as_secs_f32());
    logs.iter_mut().for_each(|log| says(log, "one"));
    took("all run");
    fleet.say("ticker", "two");
    logs.iter_mut().for_each(|log| says(log, "two"));
    took("all have the new one");
    logs.iter_mut().for_each(|log| log.out.skip());
    fleet.repository.revert();
    logs.iter_mut().for_each(|log| says(log, "one"));
    took("all have the old one again");
    let counters: Vec<i64> =
        names.iter().map(|name| fleet.wait_device(name, "Connected")["session"]["counter"].as_i64().unwrap()).collect();
    fleet.stop_gateway();
    names.iter().for_each(|name| drop(fleet.wait_device(name, "Disconnected")));
    took("the gateway is gone");
    logs.iter_mut().for_each(|log| log.out.skip());
    fleet.start_gateway();
    for (name, before) in names.iter().zip(counters) {
        wait_for(
            &format!("{name} is in a new session"),
            || fleet.status(name),
            |status| {
                status["phase"] == "Connected" && status["session"]["counter"].as_i64().is_some_and(|now| now > before)
            },
        );
    }
    logs.iter_mut().for_each(|log| says(log, "one"));
    took("all are back");
    drop(logs);
    fleet.end();
}
