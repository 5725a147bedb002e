//! The embedded API: in this process for the components, over HTTPS on loopback for the signer and `kubectl`.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use kube::Client;
use wasmbed_control_plane::{ControlPlane, Options, Served};

use crate::arguments::Up;
use crate::state_folder::StateFolder;

/// The running API.
pub(super) struct ApiServer {
    /// In-process, with all rights, in the fleet's namespace.
    pub client: Client,
    served: Served,
    _control_plane: ControlPlane,
}

impl ApiServer {
    /// `https://...`.
    pub(super) fn address(&self) -> String {
        format!("https://{}", self.served.address())
    }
}

/// Opens the data, serves it, and writes the kubeconfig.
///
/// # Errors
/// When the data is damaged, the port is taken, or a file cannot be written.
pub(super) async fn start(state: &StateFolder, arguments: &Up) -> Result<ApiServer> {
    let options = Options::new(state.api_data(), wasmbed_api::crds()).namespace(&arguments.fleet);
    let control_plane = ControlPlane::open(options).await?;
    let port_file = state.path().join("api-port");
    let last = std::fs::read_to_string(&port_file).ok().and_then(|port| port.trim().parse().ok());
    let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let served = match (arguments.api_port, last) {
        (Some(port), _) => control_plane.serve(at(port)).await.with_context(|| format!("--api-port {port}"))?,
        (None, Some(port)) => match control_plane.serve(at(port)).await {
            Ok(served) => served,
            // Another program took the port in the meantime; the kubeconfig names the new one.
            Err(_) => control_plane.serve(at(0)).await?,
        },
        (None, None) => control_plane.serve(at(0)).await?,
    };
    std::fs::write(&port_file, served.address().port().to_string())?;
    served.write_kubeconfig(&state.kubeconfig(), &arguments.fleet)?;
    Ok(ApiServer { client: control_plane.client(&arguments.fleet), served, _control_plane: control_plane })
}
