//! The kubeconfig: where the API is, and who one is there.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

/// A kubeconfig with one cluster, one user and one context, all named `wasmbed`.
pub(super) fn kubeconfig(address: SocketAddr, ca: &str, certificate: &str, key: &str, namespace: &str) -> String {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "wasmbed", "cluster": {
            "server": format!("https://{address}"),
            "certificate-authority-data": STANDARD.encode(ca),
        }}],
        "users": [{"name": "wasmbed", "user": {
            "client-certificate-data": STANDARD.encode(certificate),
            "client-key-data": STANDARD.encode(key),
        }}],
        "contexts": [{"name": "wasmbed", "context": {"cluster": "wasmbed", "user": "wasmbed", "namespace": namespace}}],
        "current-context": "wasmbed",
    });
    serde_yaml::to_string(&config).expect("maps of text are YAML")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn kube_rs_reads_it_and_finds_the_namespace() {
        let text = kubeconfig("127.0.0.1:6443".parse().unwrap(), "ca", "certificate", "key", "fleet");
        let config: kube::config::Kubeconfig = serde_yaml::from_str(&text).unwrap();
        let context = config.contexts[0].context.as_ref().unwrap();
        assert_eq!(context.namespace.as_deref(), Some("fleet"));
        let cluster = config.clusters[0].cluster.as_ref().unwrap();
        assert_eq!(cluster.server.as_deref(), Some("https://127.0.0.1:6443"));
    }
}
