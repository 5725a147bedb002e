//! `wasmbed link`.

use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use wasmbed_link::{Event, Gateway, Options, Port};

use crate::arguments::{Link, Output};
use crate::up::signals;
use crate::{print, provision};

/// Events that may wait to be printed. Whoever reads them more slowly than they come misses some; the board is not kept waiting.
const WAITING: usize = 1024;

/// Connects a board to its gateway until SIGTERM or Ctrl-C, and prints what it logs.
///
/// # Errors
/// When the port is none, or no gateway is known. A port that is not there or is lost is waited for.
pub(crate) async fn run(arguments: Link, output: Output) -> Result<()> {
    let allowed = if arguments.gateway.is_empty() {
        provision::known_gateways(&arguments.api).await.context("name the board's gateway with --gateway")?
    } else {
        arguments.gateway
    };
    let (sender, mut events) = mpsc::channel(WAITING);
    let options = Options {
        gateways: allowed.iter().map(|address| Gateway::at(address)).collect(),
        observer: Arc::new(move |event| drop(sender.try_send(event))),
    };
    print::progress(&format!("{} may reach {}", arguments.port.display(), allowed.join(", ")));
    let port = Port { path: arguments.port, baud: arguments.baud };
    let end = signals()?;
    // A task of its own: printing may wait for whoever reads.
    let serving = tokio::spawn(async move { wasmbed_link::run(&port, &options, end).await });
    // The options, and with them the sender, go when it ends.
    while let Some(event) = events.recv().await {
        show(&event, output)?;
    }
    Ok(serving.await.context("the link")??)
}

fn show(event: &Event, output: Output) -> Result<()> {
    if output == Output::Json {
        return print::json(&document(event));
    }
    match event {
        Event::Log { text, after_gap } => {
            if *after_gap {
                print::line("(lines are missing here)")?;
            }
            return print::line(text);
        }
        Event::PortOpened => print::progress("the port is open"),
        Event::PortLost { error, again } => {
            tracing::warn!("{error}; it is tried again in {} ms", again.as_millis());
        }
        Event::Opened { address } => print::progress(&format!("connected to {}", print::harmless(address))),
        Event::Refused { address, reason } => {
            tracing::warn!("the board asked for {}: {reason}", print::harmless(address));
        }
        Event::Ended { address, reason, up, down } => {
            let address = print::harmless(address);
            print::progress(&format!("the connection to {address} ended: {reason} ({up} bytes up, {down} down)"));
        }
    }
    Ok(())
}

fn document(event: &Event) -> Value {
    match event {
        Event::PortOpened => json!({ "event": "portOpened" }),
        Event::PortLost { error, again } => {
            json!({ "event": "portLost", "error": error, "againMs": u64::try_from(again.as_millis()).ok() })
        }
        Event::Opened { address } => json!({ "event": "opened", "address": address }),
        Event::Refused { address, reason } => json!({ "event": "refused", "address": address, "reason": reason }),
        Event::Ended { address, reason, up, down } => {
            json!({ "event": "ended", "address": address, "reason": reason, "up": up, "down": down })
        }
        Event::Log { text, after_gap } => json!({ "event": "log", "text": text, "afterGap": after_gap }),
    }
}
