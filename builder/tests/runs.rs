//! What is built here runs on the devices' own runtime: the SDK's words are what the host hears.

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ciborium::Value;
use support::{Sources, Worker, skipped};
use wasmbed_builder::{Profile, Target, template};
use wasmbed_runtime::{Application, Errno, Grants, Host, Level, Limits, Line, Origin, Outcome, PinMode, start};

/// What a device heard.
#[derive(Debug, Default)]
struct Heard {
    lines: Vec<(Level, Origin, String)>,
    messages: Vec<(String, Vec<u8>)>,
    pins: Vec<(u32, bool)>,
}

/// A device that records. After `patience` messages or pin changes it takes no more, which ends an endless program.
struct Recorder {
    heard: Arc<Mutex<Heard>>,
    patience: usize,
}

impl Recorder {
    fn heard(&self) -> std::sync::MutexGuard<'_, Heard> {
        self.heard.lock().expect("nobody panics with it")
    }
}

impl Host for Recorder {
    fn log(&mut self, line: Line<'_>) {
        self.heard().lines.push((line.level, line.origin, line.text.to_owned()));
    }

    fn publish(&mut self, topic: &str, payload: &[u8]) -> Result<(), Errno> {
        self.heard().messages.push((topic.to_owned(), payload.to_vec()));
        Ok(())
    }

    fn uptime(&mut self) -> Duration {
        Duration::from_millis(1500)
    }

    fn unix_time_ms(&mut self) -> Option<u64> {
        Some(1_700_000_000_123)
    }

    fn random(&mut self, bytes: &mut [u8]) -> Result<(), Errno> {
        bytes.fill(1);
        Ok(())
    }

    fn gpio_open(&mut self, name: &str, mode: PinMode) -> Result<u32, Errno> {
        if name == "led0" && mode == PinMode::Output { Ok(3) } else { Err(Errno::NOENT) }
    }

    fn gpio_write(&mut self, pin: u32, high: bool) -> Result<(), Errno> {
        let mut heard = self.heard();
        if heard.pins.len() >= self.patience {
            return Err(Errno::BUSY);
        }
        heard.pins.push((pin, high));
        Ok(())
    }

    fn adc_open(&mut self, name: &str) -> Result<u32, Errno> {
        if name == "adc0" { Ok(0) } else { Err(Errno::NOENT) }
    }

    fn adc_read(&mut self, _: u32) -> Result<u32, Errno> {
        if self.heard().messages.len() >= self.patience { Err(Errno::BUSY) } else { Ok(1650) }
    }

    fn net_probe(&mut self, host: &str, port: u16, _: Duration) -> Result<Duration, Errno> {
        if (host, port) == ("near", 80) { Ok(Duration::from_micros(1234)) } else { Err(Errno::CONNREFUSED) }
    }
}

/// Runs a program to its end.
fn run(module: &[u8], patience: usize, change: impl FnOnce(&mut Application<'_>)) -> (Outcome, Heard) {
    let heard = Arc::new(Mutex::new(Heard::default()));
    let mut application = Application::new(module);
    application.limits = Limits { publish_per_s: 1000, publish_bytes_per_s: 100_000, ..Limits::default() };
    application.grants = Grants {
        publish: vec!["*".to_owned(), "room/*".to_owned(), "sensors/*".to_owned(), "network/*".to_owned()],
        gpio: vec!["led0".to_owned(), "missing".to_owned()],
        adc: vec!["adc0".to_owned()],
        network: vec!["near:80".to_owned(), "far:80".to_owned()],
    };
    change(&mut application);
    let host = Box::new(Recorder { heard: Arc::clone(&heard), patience });
    let running = start(&application, host, |_, _| ()).expect("the module starts");
    let (outcome, _) = running.wait();
    let heard = std::mem::take(&mut *heard.lock().expect("nobody panics with it"));
    (outcome, heard)
}

fn output(heard: &Heard) -> Vec<&str> {
    heard.lines.iter().filter(|(_, origin, _)| *origin == Origin::Output).map(|(_, _, text)| text.as_str()).collect()
}

async fn built(main: &str, profile: Profile, target: Target) -> Vec<u8> {
    let sources = Sources::new();
    sources.package("apps/try", main);
    let mut request = sources.request("apps/try");
    request.profile = profile;
    request.target = target;
    Worker::start().await.built(&request).await.module.into_bytes()
}

async fn released(main: &str) -> Vec<u8> {
    built(main, Profile::Release, Target::Wasm32UnknownUnknown).await
}

#[test]
fn the_builder_takes_the_imports_that_the_runtime_has() {
    let letters = |types: &[wasmparser::ValType]| -> String {
        types.iter().map(|kind| if *kind == wasmparser::ValType::I64 { 'I' } else { 'i' }).collect()
    };
    let mut ours: Vec<_> = wasmbed_builder::imports::IMPORTS
        .iter()
        .map(|import| {
            let signature = format!("({}){}", letters(import.parameters), letters(import.results));
            (import.module, import.name, signature)
        })
        .collect();
    let mut theirs: Vec<_> = wasmbed_runtime::IMPORTS
        .iter()
        .map(|import| (import.module, import.name, import.signature.to_owned()))
        .collect();
    ours.sort();
    theirs.sort();
    assert_eq!(ours, theirs);
}

/// The interpreter of a host has pointers of twice the size, so it is no measure to a byte; the boards' tests are. It shows that
/// nothing is forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_module_is_said_to_take_is_what_the_interpreter_takes() {
    let worker = Worker::start().await;
    let with_data =
        "static DATA: [u8; 20_000] = [7; 20_000];\nfn main() { println!(\"{}\", DATA[wasmbed::args().count()]); }\n";
    for template in template::names().chain(["data"]) {
        let sources = Sources::new();
        match template {
            "data" => drop(sources.package("apps/try", with_data)),
            _ => {
                for (path, text) in template::render(template, "try").expect("it is a template") {
                    sources.write(&format!("apps/try/{path}"), &text);
                }
            }
        }
        let built = worker.built(&sources.request("apps/try")).await;
        let limits = Limits::default();
        let said = built.module.needs().footprint.total() + u64::from(limits.stack);
        let budget = wasmbed_runtime::Budget::new(limits.memory);
        let loaded = wasmbed_runtime::Loaded::load(built.module.bytes(), limits, &budget).expect("it loads");
        let taken = budget.peak();
        drop(loaded);
        assert!(taken <= said + said / 8 && said <= taken + taken / 4, "{template}: {said} said, {taken} taken");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seed_example_says_hello() {
    let module = released(r#"pub fn main() { println!("Hello from Wasmbed!"); }"#).await;
    let (outcome, heard) = run(&module, 0, |_| ());
    assert_eq!(outcome, Outcome::Returned);
    assert_eq!(output(&heard), ["Hello from Wasmbed!"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_prints_is_heard_in_its_order_and_at_its_level() {
    let module = released(
        r#"
        use std::io::Write as _;
        fn main() {
            let number = std::hint::black_box(7);
            print!("a");
            println!("b {number} {:>6.2}|{:?}", 1.5, "x");
            write!(std::io::stdout(), "c").unwrap();
            println!();
            println!("{}", "long-".repeat(40));
            eprintln!("e {number}");
            wasmbed::error!("f");
            wasmbed::warn!("g {number}");
            wasmbed::info!("h");
            wasmbed::debug!("i {}", number);
        }
        "#,
    )
    .await;
    let (outcome, heard) = run(&module, 0, |_| ());
    assert_eq!(outcome, Outcome::Returned);
    assert_eq!(output(&heard), ["ab 7   1.50|\"x\"", "c", &"long-".repeat(40)]);
    let logged: Vec<_> = heard
        .lines
        .iter()
        .filter(|(_, origin, _)| *origin == Origin::Log)
        .map(|(level, _, text)| (*level, text.as_str()))
        .collect();
    assert_eq!(
        logged,
        [(Level::Error, "e 7"), (Level::Error, "f"), (Level::Warn, "g 7"), (Level::Info, "h"), (Level::Debug, "i 7"),]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_is_heard_as_it_speaks() {
    let module = released(
        r#"
        use std::time::Duration;
        use wasmbed::{Error, adc, cbor::Bytes, gpio, network, random};

        fn main() {
            println!("{:?} {:?}", wasmbed::uptime(), wasmbed::unix_time().map(|time| time.as_millis() as u64));
            wasmbed::sleep(Duration::from_micros(1));
            println!("{:?} {:?}", wasmbed::config("NAME"), wasmbed::config("OTHER"));
            println!("{} {} {}", wasmbed::config_or("N", 5), wasmbed::config_or("WRONG", 5), wasmbed::config_or("NONE", true));
            println!("{:?} {:?}", wasmbed::args().collect::<Vec<_>>(), wasmbed::arg(9));
            println!("{:?}", random::number());
            println!("{:?} {:?}", gpio::Output::open("led1").err(), gpio::Output::open("missing").err());
            println!("{:?} {:?}", gpio::Output::open("led0").map(|led| led.set(true)), adc::Input::open("adc0").and_then(|input| input.millivolts()));
            println!("{:?}", network::probe("near", 80, Duration::from_secs(1)));
            println!("{:?} {:?}", network::probe("far", 80, Duration::from_secs(1)), network::probe("near", 81, Duration::from_secs(1)));
            let value = wasmbed::map! {
                "bool": true, "small": 7u8, "large": 1_000_000_000_000u64, "negative": -300, "float": 21.5, "exact": 0.1,
                "text": "grüße", "list": [1, 2, 3], "none": None::<u32>, "bytes": Bytes(&[1, 2]),
                "inner": wasmbed::map! { "x": 1 },
            };
            println!("{:?}", wasmbed::publish("room/climate", &value));
            println!("{:?}", wasmbed::publish("secret", &1));
            println!("{:?}", wasmbed::publish("room/large", &Bytes(&[0; 1100])) == Err(Error::TooLarge));
        }
        "#,
    )
    .await;
    let (outcome, heard) = run(&module, 10, |application| {
        application.env =
            [("NAME", "attic"), ("N", "42"), ("WRONG", "many")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        application.args = vec!["one".to_owned(), "two".to_owned()];
        application.grants.publish = vec!["room/*".to_owned()];
    });
    assert_eq!(outcome, Outcome::Returned, "{heard:?}");
    assert_eq!(
        output(&heard),
        [
            "1.5s Some(1700000000123)",
            "Some(\"attic\") None",
            "42 5 true",
            "[\"one\", \"two\"] None",
            "Ok(16843009)",
            "Some(NotGranted) Some(NotFound)",
            "Ok(Ok(())) Ok(1650)",
            "Ok(1.234ms)",
            "Err(Refused) Err(NotGranted)",
            "Ok(())",
            "Err(NotGranted)",
            "true",
        ]
    );
    assert!(heard.lines.iter().any(|(level, _, text)| *level == Level::Warn && text.contains("the value of WRONG")));
    assert_eq!(heard.pins, [(3, true)]);
    let [(topic, payload)] = &heard.messages[..] else { panic!("one message: {heard:?}") };
    assert_eq!(topic, "room/climate");
    let text = |text: &str| Value::Text(text.to_owned());
    let value: Value = ciborium::from_reader(&payload[..]).expect("it is CBOR");
    assert_eq!(
        value,
        Value::Map(vec![
            (text("bool"), Value::Bool(true)),
            (text("small"), Value::Integer(7.into())),
            (text("large"), Value::Integer(1_000_000_000_000_u64.into())),
            (text("negative"), Value::Integer((-300).into())),
            (text("float"), Value::Float(21.5)),
            (text("exact"), Value::Float(0.1)),
            (text("text"), text("grüße")),
            (text("list"), Value::Array([1, 2, 3].map(|number| Value::Integer(number.into())).into())),
            (text("none"), Value::Null),
            (text("bytes"), Value::Bytes(vec![1, 2])),
            (text("inner"), Value::Map(vec![(text("x"), Value::Integer(1.into()))])),
        ])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_heap_gives_takes_back_and_ends() {
    let module = released(
        r#"
        fn main() {
            // Far more than the heap, in all, in blocks of odd sizes that live for different times.
            let mut kept: Vec<(u8, Vec<u8>)> = Vec::new();
            let mut state = 12345_u32;
            for round in 0..3000_u32 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let size = (state >> 16) as usize % 300 + 1;
                let mut block = vec![round as u8; size / 2];
                block.resize(size, round as u8);
                kept.push((round as u8, block));
                if kept.len() > 20 {
                    let (mark, block) = kept.swap_remove((state >> 8) as usize % kept.len());
                    assert!(block.iter().all(|byte| *byte == mark));
                }
                for (mark, block) in &kept { assert!(block.iter().all(|byte| byte == mark)); }
            }
            drop(kept);
            // All of it came back as one piece.
            let whole: Vec<u8> = Vec::with_capacity(15_000);
            println!("whole {}", whole.capacity());
            drop(whole);
            let mut hoard = Vec::new();
            while hoard.try_reserve_exact(hoard.capacity() + 512).is_ok() { hoard.resize(hoard.capacity(), 1_u8); }
            println!("full at {}", hoard.len());
            #[repr(align(64))]
            struct Aligned(u8);
            let aligned = Box::new(Aligned(7));
            println!("aligned {} {}", &raw const *aligned as usize % 64, aligned.0);
        }
        "#,
    )
    .await;
    let (outcome, heard) = run(&module, 0, |_| ());
    assert_eq!(outcome, Outcome::Returned, "{heard:?}");
    let lines = output(&heard);
    assert_eq!((lines[0], lines[2]), ("whole 15000", "aligned 0 7"));
    let full: usize = lines[1].strip_prefix("full at ").and_then(|bytes| bytes.parse().ok()).expect("a number");
    assert!((14_000..16_384).contains(&full), "{full}");
    let said: Vec<_> = heard.lines.iter().filter(|(level, ..)| *level == Level::Error).collect();
    assert!(said.len() == 1 && said[0].2.starts_with("the heap is full; `heap` in"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_says_its_message_in_the_dev_profile() {
    let main = "fn main() { let tank = wasmbed::config(\"TANK\"); println!(\"before\"); tank.expect(\"the tank is missing\"); }";
    let dev = built(main, Profile::Dev, Target::Wasm32UnknownUnknown).await;
    let (outcome, heard) = run(&dev, 0, |_| ());
    assert!(matches!(outcome, Outcome::Trapped { .. }), "{outcome}");
    let said: Vec<_> = heard.lines.iter().map(|(_, _, text)| text.as_str()).collect();
    assert!(said.iter().any(|line| line.contains("panicked at src/main.rs:1:")), "{said:?}");
    assert!(said.iter().any(|line| line.contains("the tank is missing")), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_from_main_is_said_and_is_an_exit_code() {
    let module =
        released("fn main() -> Result<(), wasmbed::Error> { wasmbed::gpio::Output::open(\"missing\").map(drop) }")
            .await;
    let (outcome, heard) = run(&module, 0, |_| ());
    assert_eq!(outcome, Outcome::Exited { code: 1 });
    assert_eq!(heard.lines, [(Level::Error, Origin::Log, "Error: NotFound".to_owned())]);
    let module = released("fn main() { if wasmbed::config(\"X\").is_none() { std::process::exit(7); } }").await;
    assert_eq!(run(&module, 0, |_| ()).0, Outcome::Exited { code: 7 });
}

#[tokio::test(flavor = "multi_thread")]
async fn the_templates_do_what_they_say() {
    let worker = Worker::start().await;
    let mut modules = Vec::new();
    for name in template::names() {
        let sources = Sources::new();
        for (path, text) in template::render(name, name).expect("it is a template") {
            sources.write(&format!("apps/{name}/{path}"), &text);
        }
        modules.push(worker.built(&sources.request(&format!("apps/{name}"))).await.module.into_bytes());
    }
    let quick = |key: &str| vec![(key.to_owned(), "2".to_owned())];

    let (outcome, heard) = run(&modules[0], 0, |_| ());
    assert_eq!((outcome, output(&heard)), (Outcome::Returned, vec!["Hello from Wasmbed!"]));

    let (outcome, heard) = run(&modules[1], 4, |application| application.env = quick("PERIOD_MS"));
    assert_eq!(outcome, Outcome::Exited { code: 1 }, "its pin failed at last");
    assert_eq!(output(&heard), ["blinking led0 every 2 ms"]);
    assert_eq!(heard.pins, [(3, true), (3, false), (3, true), (3, false)]);

    let (outcome, heard) = run(&modules[2], 2, |application| application.env = quick("INTERVAL_MS"));
    assert_eq!(outcome, Outcome::Exited { code: 1 }, "its sensor failed at last");
    assert_eq!(output(&heard), ["1650 mV, mean 1650 mV"; 2]);
    let (topic, payload) = &heard.messages[0];
    assert_eq!(topic, "sensors/voltage");
    let value: Value = ciborium::from_reader(&payload[..]).expect("it is CBOR");
    assert_eq!(
        value.as_map().expect("it is a map")[0],
        (Value::Text("millivolts".into()), Value::Integer(1650.into()))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_wasi_program_runs() {
    let main = "fn main() { println!(\"{:?} {:?}\", std::env::args().nth(1), std::env::var(\"KEY\").ok()); }";
    let sources = Sources::new();
    sources.package("apps/try", main);
    let mut request = sources.request("apps/try");
    request.target = Target::Wasm32Wasip1;
    let module = match Worker::start().await.build(&request).await {
        wasmbed_builder::BuildOutcome::Built(built) => built.module.into_bytes(),
        wasmbed_builder::BuildOutcome::Failed(failure)
            if failure.reason == wasmbed_builder::FailureReason::NoToolchain =>
        {
            return skipped("a_plain_wasi_program_runs", &failure);
        }
        wasmbed_builder::BuildOutcome::Failed(failure) => panic!("{failure}"),
    };
    let (outcome, heard) = run(&module, 0, |application| {
        application.args = vec!["one".to_owned()];
        application.env = vec![("KEY".to_owned(), "value".to_owned())];
        application.limits.memory = 4 << 20;
    });
    assert_eq!(outcome, Outcome::Returned, "{heard:?}");
    assert_eq!(output(&heard), ["Some(\"one\") Some(\"value\")"]);
}
