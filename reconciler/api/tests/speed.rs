//! Ten thousand declarations are read in a moment.

use std::fmt::Write as _;
use std::time::Instant;

use wasmbed_api::declarations::{Context, check, parse};

#[test]
fn ten_thousand_declarations_are_read_and_checked_in_a_moment() {
    let files: Vec<(String, String)> = (0..10_000)
        .map(|n| {
            let mut file = String::new();
            match n % 100 {
                0 => write!(
                    file,
                    "apiVersion: wasmbed.io/v1\nkind: Gateway\nmetadata:\n  name: gateway-{n}\nspec:\n  endpoint: gw-{n}:8443\n  config:\n    heartbeatInterval: 30s\n"
                ),
                1..10 => write!(
                    file,
                    "apiVersion: wasmbed.github.io/v1alpha1\nkind: Application\nmetadata:\n  name: app-{n}\nspec:\n  source:\n    path: apps/app-{n}\n  targetDevices: [device-{}]\n  config:\n    memoryLimit: 64Ki\n    envVars:\n      INTERVAL: \"10\"\n",
                    n - n % 100 + 50
                ),
                _ => write!(
                    file,
                    "apiVersion: wasmbed.github.io/v0\nkind: Device\nmetadata:\n  name: device-{n}\n  labels:\n    room: kitchen\nspec:\n  architecture: ARM_CORTEX_M\n  mcuType: Nrf52840DK\n  gatewayId: gateway-{}\n  publicKey: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea\n",
                    n - n % 100
                ),
            }
            .expect("a String takes all");
            (format!("{n}.yaml"), file)
        })
        .collect();
    // Keys are unique in a real fleet; here the check of every one is what takes time.
    let started = Instant::now();
    let parsed: Vec<_> = files.iter().map(|(name, file)| (name.as_str(), parse(file.as_bytes()))).collect();
    let parsing = started.elapsed();
    assert!(parsed.iter().all(|(_, parsed)| parsed.is_valid() && parsed.declarations.len() == 1));
    let started = Instant::now();
    let report = check(parsed.iter().map(|(name, parsed)| (*name, parsed)), &Context::default());
    let checking = started.elapsed();
    assert_eq!(report.expect_err("one key for all").errors.len(), 8_999);
    println!("parsed in {parsing:?}, checked in {checking:?}");
    // A bound for the slowest machine and an unoptimised build; the benchmark has the figure.
    assert!((parsing + checking).as_secs() < 30, "{parsing:?} {checking:?}");
}
