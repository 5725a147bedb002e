//! A gateway whose words are cut off, changed or held back at every place of the handshake and of the first messages.

use std::time::Duration;

use super::board::Board;
use super::firmware::images;
use super::fleet::{Fleet, application, prints, ticker};
use super::liar::{Fate, Liar};
use super::running::Running;

/// About what a gateway says to a board until it has its first Assignment; in session it is after 750 bytes.
const SAID: usize = 1_100;
/// From one place to the next: a prime, so that no structure of the messages hides between them.
const STEP: usize = 31;
/// A board has as many addresses, and waits longer before an attempt when all of them failed once.
const ADDRESSES: usize = 8;
/// More than the interval between two heartbeats, the first of which forgets the failures before.
const A_HEARTBEAT: Duration = Duration::from_millis(1_300);

/// A board whose gateway is behind a liar.
struct Lied {
    board: Running,
    liar: Liar,
    /// The last number that its application said. It counts on as long as nothing resets the board.
    number: u32,
    failures: usize,
}

impl Lied {
    /// Starts the board, and waits until its application runs.
    fn start(images: &std::path::Path, board: &Board, gateway: &str) -> Self {
        let liar = Liar::before(gateway);
        liar.next(Fate::Whole);
        let running = board.start(images, &[liar.address(); ADDRESSES]);
        let mut lied = Self { board: running, liar, number: 0, failures: 0 };
        prints(&mut lied.board, "steady 1");
        lied.liar.close();
        lied.down();
        lied
    }

    /// Waits until the connection of now has ended, and says whether it had come to a session.
    fn down(&mut self) -> bool {
        let mut came = false;
        let number = &mut self.number;
        self.board.out.next("the connection has ended", |line| {
            look(line, number);
            came |= line.contains("in session as");
            line.contains("no session: ").then_some(())
        });
        came
    }

    /// Waits until the application has said something in a session.
    fn up(&mut self) {
        let mut came = false;
        let number = &mut self.number;
        self.board.out.next("in session, with its application", |line| {
            look(line, number);
            came |= line.contains("in session as");
            (came && line.contains("steady ")).then_some(())
        });
    }

    /// The next connection has this fate; whether it came to a session.
    fn meets(&mut self, fate: Fate) -> bool {
        if self.failures == ADDRESSES {
            // Whoever had a session for a while tries again soon.
            self.liar.next(Fate::Whole);
            self.up();
            std::thread::sleep(A_HEARTBEAT);
            self.liar.close();
            self.down();
            self.failures = 0;
        }
        self.failures += 1;
        self.liar.next(fate);
        self.down()
    }

    /// Let alone, it is in session, and its application has run all the time.
    fn end(mut self) {
        self.liar.next(Fate::Whole);
        self.up();
        assert!(self.number > 1);
        assert!(self.board.interrupt());
    }
}

/// A line of a board that was never reset, and whose application was never started again.
fn look(line: &str, number: &mut u32) {
    for word in ["ERROR", "started: ", "before its last reset"] {
        assert!(!line.contains(word), "{line}");
    }
    if let Some(said) = line.split_once("steady ").and_then(|(_, rest)| rest.trim().parse().ok()) {
        assert!(said >= *number, "the application was started again: {said} after {number}");
        *number = said;
    }
}

#[test]
fn what_a_gateway_says_is_cut_off_changed_or_held_back_at_every_place() {
    let Some(images) = images("a gateway that lies") else { return };
    let fleet = Fleet::start_with_heartbeat(images, "1s", &[], &[]);
    let boards = ["spoiled", "waiting"].map(|name| {
        let board = Board::provision(&fleet.up, fleet.folder().join(name));
        let declared = format!(
            "apiVersion: wasmbed.github.io/v0\nkind: Device\nmetadata: {{name: {name}}}\n\
             spec: {{mcuType: Mps2An386, gatewayId: gateway-1, publicKey: {}}}\n",
            board.key
        );
        fleet.repository.write(&format!("{name}.yaml"), &declared);
        board
    });
    fleet.write_application("steady", &application("steady", &["spoiled", "waiting"], ""), &ticker("steady"));
    fleet.repository.push("Two boards and their application");
    let gateway = fleet.gateway();
    let [mut spoiled, mut waiting] = boards.each_ref().map(|board| Lied::start(images, board, &gateway));

    std::thread::scope(|scope| {
        // The patience of the two ends: half a minute at most until a session, two heartbeats in it.
        scope.spawn(move || {
            assert!(!waiting.meets(Fate::Still(300)), "a session came of half a handshake");
            assert!(waiting.meets(Fate::Still(SAID)), "a session comes of {SAID} bytes");
            waiting.end();
        });
        // What came to no session when it was cut off there is needed for one.
        let mut needed = 0;
        for at in (0..SAID).step_by(STEP) {
            if !spoiled.meets(Fate::Closed(at)) {
                needed = at;
            }
        }
        assert!(needed > 600, "a session came of {needed} bytes");
        for at in (0..SAID).step_by(STEP) {
            let came = spoiled.meets(Fate::Changed(at));
            assert!(!came || at >= needed, "a session came although byte {at} was changed, of {needed} that it needs");
        }
        eprintln!("a session needs more than {needed} bytes of the gateway");
        spoiled.end();
    });
    fleet.end();
}
