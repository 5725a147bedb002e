use std::time::Duration;

use wasmbed::network;

pub fn main() {
    let host = wasmbed::config("HOST").unwrap_or_else(|| "127.0.0.1".to_owned());
    let port = wasmbed::config_or("PORT", 7443);
    let interval = Duration::from_secs(wasmbed::config_or("INTERVAL_S", 10));
    loop {
        let answer = network::probe(&host, port, Duration::from_secs(2));
        match answer {
            Ok(round_trip) => println!("{host}:{port} answered in {} us", round_trip.as_micros() as u32),
            Err(error) => wasmbed::warn!("{host}:{port}: {error}"),
        }
        let microseconds = answer.ok().map(|round_trip| round_trip.as_micros() as u32);
        let result =
            wasmbed::map! { "host": host, "port": port, "reachable": answer.is_ok(), "microseconds": microseconds };
        if let Err(error) = wasmbed::publish("network/probe", &result) {
            wasmbed::warn!("not sent: {error}");
        }
        wasmbed::sleep(interval);
    }
}
