//! Power that fails at any moment: what a board has confirmed, it has.

use std::time::Duration;

use super::board::{Board, cut_power};
use super::firmware::images;
use super::fleet::{Fleet, application, application_in, prints, ticker};
use super::lines::wait_for;
use super::way::Way;

/// How often the power fails; `WASMBED_POWER_CUTS` says another number.
const CUTS: u32 = 20;
/// The power fails at any moment of this time after a push: while it is built, sent, written, started or confirmed.
const MOMENTS: u64 = 2_500;

#[test]
fn power_that_fails_at_any_moment_loses_nothing_that_was_confirmed() {
    let Some(images) = images("power that fails") else { return };
    let cuts = std::env::var("WASMBED_POWER_CUTS").ok().and_then(|number| number.parse().ok()).unwrap_or(CUTS);
    let fleet = Fleet::start(images, &[], &[]);
    let way = Way::to(&fleet.gateway());
    let board = Board::provision(&fleet.up, fleet.folder().join("board"));
    let declared = format!(
        "apiVersion: wasmbed.github.io/v0\nkind: Device\nmetadata: {{name: board}}\n\
         spec: {{mcuType: Mps2An386, gatewayId: gateway-1, publicKey: {}}}\n",
        board.key
    );
    fleet.repository.write("board.yaml", &declared);
    for (name, word) in [("steady", "steady"), ("changing", "w0")] {
        fleet.write_application(name, &application(name, &["board"], ""), &ticker(word));
    }
    fleet.repository.push("A board and its applications");
    let release = |not: &serde_json::Value| {
        let app =
            fleet.wait_application("board", "changing", |app| app["phase"] == "Running" && app["release"] != *not);
        app["release"].clone()
    };
    let mut running = board.start(images, &[way.address()]);
    let mut confirmed = release(&serde_json::Value::Null);
    fleet.wait_application("board", "steady", |app| app["phase"] == "Running");
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let (mut had_new, mut had_old, mut confirmations) = (0, 0, 0);
    for cut in 1..=cuts {
        let (old, new) = (format!("w{} ", cut - 1), format!("w{cut} "));
        fleet.say("changing", new.trim());
        // Xorshift: the same moments each time, as far as the machine allows.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // Not a wait for something: the moment itself is what is tried.
        std::thread::sleep(Duration::from_millis(random % MOMENTS));
        let said = application_in(&fleet.status("board"), "changing");
        let new_is_confirmed = said["phase"] == "Running" && said["release"] != confirmed;
        cut_power(running);
        // It gets no word of its gateway: what it runs now was in its flash.
        way.carry_only(0);
        running = board.start(images, &[way.address()]);
        let (mut steady, mut changing) = (false, None);
        running.out.next(&format!("both applications after cut {cut}"), |line| {
            steady |= line.contains("steady ");
            for word in [&old, &new] {
                if line.contains(word.as_str()) {
                    changing = Some(word.clone());
                }
            }
            (steady && changing.is_some()).then_some(())
        });
        if new_is_confirmed {
            confirmations += 1;
            assert_eq!(changing.as_ref(), Some(&new), "cut {cut}: the new one was confirmed");
        }
        if changing == Some(new.clone()) {
            had_new += 1
        } else {
            had_old += 1
        }
        way.carry_all();
        prints(&mut running, &new);
        confirmed = release(&confirmed);
    }
    eprintln!(
        "{cuts} cuts: {had_new} times it came back with the new module, which it had confirmed {confirmations} times, and \
         {had_old} times with the old one"
    );
    wait_for("it is in session", || fleet.status("board")["phase"].clone(), |phase| phase == "Connected");
    assert!(running.interrupt(), "`wasmbed emulate` ends well when asked");
    fleet.end();
}
