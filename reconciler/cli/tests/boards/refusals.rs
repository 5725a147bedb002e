//! Whom a board does not speak to, and who is not let in.

use std::net::TcpListener;

use serde_json::Value;

use super::board::Board;
use super::firmware::images;
use super::fleet::{Fleet, prints};
use super::lines::wait_for;
use super::running::Up;

fn pending(up: &Up) -> Vec<Value> {
    let output = up.command(&["enroll", "--output", "json"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice::<Value>(&output.stdout).unwrap().as_array().unwrap().clone()
}

fn is_pending(up: &Up, key: &str) -> bool {
    pending(up).iter().any(|entry| entry["pending"]["publicKey"] == key)
}

/// A gateway that takes connections and does nothing with them, or closes them at once; lives as long as this process.
fn bad_gateway(closes: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming().flatten() {
            if !closes {
                held.push(stream);
            }
        }
    });
    address
}

#[test]
fn a_board_nobody_knows_waits_and_one_of_another_fleet_says_nothing() {
    let Some(images) = images("whom a board refuses") else { return };
    let fleet = Fleet::start(images, &[], &[]);
    let gateway = fleet.gateway();

    // Gateways that close, that are silent, that are not there: it goes on to the right one, where nobody knows it.
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let unknown = Board::provision(&fleet.up, fleet.folder().join("unknown"));
    let mut running = unknown.start(images, &[&bad_gateway(true), &bad_gateway(false), &unused, &gateway]);
    wait_for("its key is pending", || is_pending(&fleet.up, &unknown.key), |pending| *pending);
    prints(&mut running, "waiting to be enrolled: this key is not known");
    // A commit lets it in.
    let declared = format!(
        "apiVersion: wasmbed.github.io/v0\nkind: Device\nmetadata: {{name: known}}\n\
         spec: {{mcuType: Mps2An386, gatewayId: gateway-1, publicKey: {}}}\n",
        unknown.key
    );
    fleet.repository.write("known.yaml", &declared);
    fleet.repository.push("Let it in");
    fleet.wait_device("known", "Connected");
    assert!(running.interrupt());

    // Of another fleet, so with another root key: it hears this gateway's first frame, and does not say `Hello` to it.
    let elsewhere = Fleet::start(images, &[], &[]);
    let stranger = Board::provision(&elsewhere.up, elsewhere.folder().join("stranger"));
    let mut running = stranger.start(images, &[&gateway]);
    prints(&mut running, "not signed as a KeySet by a key that may");
    assert!(!is_pending(&fleet.up, &stranger.key), "a gateway that cannot be believed is told nothing");
    assert!(running.interrupt());
    elsewhere.end();
    fleet.end();
}
