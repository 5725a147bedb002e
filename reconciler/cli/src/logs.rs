//! `wasmbed logs`, and what it shares with `wasmbed results`: how live events are printed.

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use serde_json::json;
use wasmbed_emulator::Tail;
use wasmbed_streams::live::{LiveEvent, LiveFilter, LiveKind};

use crate::arguments::{Logs, Output};
use crate::live::each;
use crate::print;
use crate::state_folder::StateFolder;

/// Prints what devices and applications log.
///
/// # Errors
/// When there is nobody to read from: `wasmbed up`, or a gateway that is named.
pub(crate) async fn run(arguments: &Logs, output: Output) -> Result<()> {
    if let Some(device) = &arguments.uart {
        return uart(device, arguments, output).await;
    }
    // A name is a device's or an application's; both are asked for and told apart here.
    let kind = (!arguments.phases).then(|| "log".to_owned());
    let filter = LiveFilter { kind, follow: arguments.follow, ..LiveFilter::default() };
    let wanted = arguments.name.as_deref();
    let wants = |event: &LiveEvent| {
        let is_shown = match event.kind {
            LiveKind::Log { .. } => true,
            LiveKind::Phase { .. } => arguments.phases,
            _ => false,
        };
        is_shown && wanted.is_none_or(|name| event.device == name || event.application.as_deref() == Some(name))
    };
    each(&arguments.from, &filter, |event| if wants(&event) { show(&event, output) } else { Ok(()) }).await
}

/// Prints what a device printed on its UART, as its emulator kept it: that of an ordinary process, if it is one.
async fn uart(device: &str, arguments: &Logs, output: Output) -> Result<()> {
    let path = StateFolder::named_by(&arguments.from.state)?.log(&format!("device-{device}"));
    if device.contains('/') || !path.exists() {
        bail!("{device} has printed nothing: is it an emulated device? ({} is not there)", path.display());
    }
    let show = |line: &str| match output {
        Output::Json => print::json(&json!({ "device": device, "text": line })),
        Output::Text => print::line(line),
    };
    let mut tail = Tail::from_start(&path);
    let what = || format!("cannot read {}", path.display());
    for line in tail.lines().with_context(what)? {
        show(&line)?;
    }
    if !arguments.follow {
        return if tail.rest().is_empty() { Ok(()) } else { show(&tail.rest()) };
    }
    loop {
        for line in tail.next_lines().await.with_context(what)? {
            show(&line)?;
        }
    }
}

/// The moment of an event, in this machine's time zone.
#[must_use]
pub(crate) fn clock(event: &LiveEvent) -> String {
    let at = Timestamp::from_millisecond(i64::try_from(event.time_ms).unwrap_or(i64::MAX)).unwrap_or(Timestamp::MAX);
    at.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S%.3f").to_string()
}

fn show(event: &LiveEvent, output: Output) -> Result<()> {
    if output == Output::Json {
        return print::json(event);
    }
    let what = match &event.kind {
        LiveKind::Log { level, text } if level == "output" => printable(text),
        LiveKind::Log { level, text } => format!("{level}: {}", printable(text)),
        LiveKind::Phase { phase, reason: None } => format!("is {phase}"),
        LiveKind::Phase { phase, reason: Some(reason) } => format!("is {phase}: {}", printable(reason)),
        _ => return Ok(()),
    };
    let whose =
        event.application.as_deref().map_or_else(|| event.device.clone(), |app| format!("{}/{app}", event.device));
    print::line(format_args!("{} {whose} {what}", clock(event)))
}

/// A device's text on one line.
#[must_use]
pub(crate) fn printable(text: &str) -> String {
    text.replace('\n', "\u{fffd}")
}
