//! Serves the embedded API alone: `cargo run -p wasmbed-control-plane --example serve -- FOLDER [CRDS.yaml]`.
//!
//! Writes FOLDER/kubeconfig and serves until it is interrupted. For trying things, and for holding the contract against it.

use std::path::PathBuf;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde::Deserialize as _;
use wasmbed_control_plane::{ControlPlane, Options};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let folder = arguments.next().ok_or("usage: serve FOLDER [CRDS.yaml]")?;
    let mut crds: Vec<CustomResourceDefinition> = Vec::new();
    if let Some(file) = arguments.next() {
        let text = std::fs::read_to_string(file)?;
        for document in serde_yaml::Deserializer::from_str(&text) {
            crds.push(CustomResourceDefinition::deserialize(document)?);
        }
    }
    let control_plane = ControlPlane::open(Options::new(&folder, crds)).await?;
    let served = control_plane.serve("127.0.0.1:0".parse()?).await?;
    let kubeconfig = folder.join("kubeconfig");
    served.write_kubeconfig(&kubeconfig, "default")?;
    println!("export KUBECONFIG={}", kubeconfig.display());
    tokio::signal::ctrl_c().await?;
    control_plane.close().await;
    Ok(())
}
