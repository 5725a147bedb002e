//! Anything, in any order. Afterwards, with everything in order again, the device runs what it should.

use proptest::prelude::*;
use wasmbed_agent::{ActionId, ApplicationEvent, Event, FlashError};
use wasmbed_protocol::GatewayMessage;
use wasmbed_protocol::message::Phase;
use wasmbed_protocol::signed::{Entry, RunState};

use crate::bench::Bench;
use crate::fleet::Built;
use crate::life::module;

#[derive(Debug, Clone)]
enum Step {
    /// For two applications: nothing, or one of three releases, whether it runs, and a restart counter.
    Assign([Option<(usize, bool, u64)>; 2]),
    Advance(u64),
    HangUp,
    Online(bool),
    Reboot,
    /// Power goes after so many more actions.
    CutAfter(usize),
    /// One byte of what comes next is changed.
    Noise(usize),
    /// The next chunk is of other bytes.
    Lie,
    /// The oldest run traps.
    Trap,
    /// Events that nobody caused.
    Strange(u32, Vec<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    let entry = prop::option::weighted(0.8, (0..3_usize, prop::bool::weighted(0.8), 0..2_u64));
    prop_oneof![
        4 => [entry.clone(), entry].prop_map(Step::Assign),
        6 => prop_oneof![Just(10), Just(700), Just(5_000), Just(61_000)].prop_map(Step::Advance),
        1 => Just(Step::HangUp),
        1 => any::<bool>().prop_map(Step::Online),
        1 => Just(Step::Reboot),
        2 => (1..60_usize).prop_map(Step::CutAfter),
        1 => (0..600_usize).prop_map(Step::Noise),
        1 => Just(Step::Lie),
        1 => Just(Step::Trap),
        1 => (0..4_u32, prop::collection::vec(any::<u8>(), 0..80)).prop_map(|(n, bytes)| Step::Strange(n, bytes)),
    ]
}

fn apply(bench: &mut Bench, built: &[[Built; 3]; 2], step: &Step) {
    match step {
        Step::Assign(wishes) => {
            let wished = built.iter().zip(wishes);
            bench.plan.entries = wished
                .filter_map(|(releases, wish)| {
                    let (number, run, restart) = (*wish)?;
                    let state = if run { RunState::Run } else { RunState::Suspended };
                    Some(Entry { state, restart, ..releases[number].entry() })
                })
                .collect();
            bench.reassign();
        }
        Step::Advance(ms) => bench.advance(*ms),
        Step::HangUp => bench.hang_up(),
        Step::Online(online) => bench.online = *online,
        Step::Reboot => bench.reboot(),
        Step::CutAfter(steps) => bench.cut_at = Some(bench.steps + steps),
        Step::Noise(place) => {
            let place = *place;
            bench.before_delivery = Some(Box::new(move |mut bytes| {
                if let Some(byte) = bytes.get_mut(place) {
                    *byte ^= 0x21;
                }
                bytes
            }));
            bench.advance(10);
            bench.before_delivery = None;
        }
        Step::Lie => {
            let mut lies = 1;
            bench.plan.tamper = Some(Box::new(move |_, answers| {
                for answer in answers {
                    if let GatewayMessage::Chunk(chunk) = answer
                        && lies > 0
                    {
                        lies -= 1;
                        chunk.bytes.iter_mut().take(3).for_each(|byte| *byte ^= 0x80);
                    }
                }
            }));
        }
        Step::Trap => {
            let run = bench.runs.keys().next().copied();
            if let Some(instance) = run {
                bench.runs.remove(&instance);
                let event = ApplicationEvent::Trapped { reason: "chaos".into() };
                bench.hand(Event::Application { instance, event });
            }
        }
        Step::Strange(number, bytes) => {
            let (connection, instance) = (*number, number + 1_000);
            for event in [
                Event::Sent { connection: connection + 1_000 },
                Event::Received { connection: connection + 1_000, bytes: bytes.clone() },
                Event::Disconnected { connection: connection + 1_000, reason: "strange".into() },
                Event::Connected { connection: connection + 1_000 },
                Event::Flash { id: ActionId(u64::MAX - u64::from(*number)), result: Ok(bytes.clone()) },
                Event::Flash { id: ActionId(0), result: Err(FlashError::WriteFailed) },
                Event::Application { instance, event: ApplicationEvent::Stopped },
                Event::Application { instance, event: ApplicationEvent::Started },
                Event::Tick,
            ] {
                bench.agent.handle(event, bench.now);
            }
            bench.run();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happened_the_device_ends_as_assigned(steps in prop::collection::vec(step(), 1..40)) {
        let built = ["one", "two"].map(|application| {
            [1, 2, 3].map(|n| Built::sized(application, &format!("run {n}"), 1_500 + 700 * n))
        });
        let mut bench = Bench::new();
        built.iter().flatten().for_each(|built| bench.plan.publish(built));
        for step in &steps {
            apply(&mut bench, &built, step);
        }
        bench.cut_at = None;
        bench.online = true;
        bench.plan.tamper = None;
        bench.advance(600_000);
        for releases in &built {
            let application = &releases[0].release.application;
            let running = bench.running(application);
            let Some(entry) = bench.plan.entries.iter().find(|entry| entry.application == *application) else {
                prop_assert!(running.is_empty());
                continue;
            };
            let assigned = releases.iter().find(|built| built.digest() == entry.release).unwrap();
            match bench.phase(application) {
                Some(Phase::Running) => prop_assert_eq!(running, [module(assigned)]),
                Some(Phase::Suspended) => prop_assert!(running.is_empty() && entry.state == RunState::Suspended),
                Some(Phase::FellBack) => {
                    prop_assert_eq!(running.len(), 1);
                    prop_assert_ne!(running[0], module(assigned));
                }
                Some(Phase::Failed) => prop_assert!(running.is_empty()),
                other => prop_assert!(false, "{} ends as {:?}: {:?}", application, other, bench.log),
            }
        }
        let stored = bench.stored();
        prop_assert!(stored.len() <= 2 * bench.plan.entries.len(), "{} modules are kept", stored.len());
    }
}
