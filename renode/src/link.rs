//! The host's end of a guest's UART link.

use std::future::pending;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixListener;
use wasmbed_api::Endpoint;
use wasmbed_link::{Event, Gateway, Options, Port};

use crate::process::open_output;
use crate::qemu::gateway_address;

/// After an accept that failed, which happens when this process has too many files open.
const AGAIN: Duration = Duration::from_secs(1);
/// The speed of a pseudo-terminal, which has none.
const BAUD: u32 = 115_200;

/// Serves the link of a QEMU that connects to `listener`: one after the other, as QEMU is started again.
pub(crate) async fn serve_socket(listener: UnixListener, options: Options) {
    loop {
        match listener.accept().await {
            Ok((line, _)) => {
                if let Err(error) = wasmbed_link::serve(line, &options, pending()).await {
                    tracing::debug!(%error, "the line of a UART link ended");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the line of a UART link cannot be accepted");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

/// Serves the link on a pseudo-terminal that Renode makes, and makes again when it is started again.
pub(crate) async fn serve_terminal(path: PathBuf, options: Options) {
    if let Err(error) = wasmbed_link::run(&Port { path, baud: BAUD }, &options, pending()).await {
        tracing::error!(%error, "a UART link cannot be served");
    }
}

/// What the guest `name` may reach: its gateways, by the addresses that it is provisioned with. `log` keeps what it logs over the
/// link, where it has no other UART for that.
pub(crate) fn options(name: &str, gateways: &[Endpoint], log: Option<PathBuf>) -> Options {
    let gateway =
        |(index, gateway): (u8, &Endpoint)| Gateway { named: gateway_address(index), address: gateway.to_string() };
    let device = name.to_owned();
    Options {
        gateways: (0..).zip(gateways).map(gateway).collect(),
        observer: Arc::new(move |event| tell(&device, &event, log.as_deref())),
    }
}

fn tell(device: &str, event: &Event, log: Option<&Path>) {
    match event {
        Event::Refused { address, reason } => {
            tracing::warn!(device, ?address, ?reason, "a device was not connected over its link");
        }
        Event::Log { text, .. } => {
            // Without one, its log is on a UART of its own, too.
            let Some(log) = log else { return };
            if let Err(error) = open_output(log).and_then(|mut log| writeln!(log, "{text}")) {
                tracing::warn!(device, %error, log = %log.display(), "what a device logged cannot be kept");
            }
        }
        event => tracing::debug!(device, ?event, "a UART link"),
    }
}
