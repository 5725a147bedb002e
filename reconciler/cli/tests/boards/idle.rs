//! A board that has nothing to say for longer than its TCP waits to hear of its gateway.

use jiff::{SignedDuration, Timestamp};

use super::firmware::images;
use super::fleet::{Fleet, application, device, ticker};
use super::lines::wait_for;

/// Longer than the 20 s after which a connection ends that is not kept alive, and shorter than a heartbeat.
const LONG: SignedDuration = SignedDuration::from_secs(25);

#[test]
fn an_idle_board_stays_in_its_session_between_two_slow_heartbeats() {
    let Some(images) = images("an idle board") else { return };
    let fleet = Fleet::start_with_heartbeat(images, "30s", &[device("idle", "Mps2An386", "qemu")], &[]);
    let session = fleet.wait_device("idle", "Connected")["session"].clone();
    let until = Timestamp::now() + LONG;
    // It is the silence itself that is tried.
    wait_for("it is silent for long", Timestamp::now, |now| *now > until);
    // What comes then finds it where it was.
    fleet.write_application("late", &application("late", &["idle"], ""), &ticker("late"));
    fleet.repository.push("Something to do");
    fleet.wait_application("idle", "late", |app| app["phase"] == "Running");
    assert_eq!(fleet.wait_device("idle", "Connected")["session"], session, "the board stayed in its session");
    fleet.end();
}
