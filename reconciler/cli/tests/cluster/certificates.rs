//! The certificates of the streams between components, as an operator brings them: a CA for servers, another for the builder's callers.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};

use crate::chart::SYSTEM;
use crate::pods::Pods;

/// Signs certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Authority {
    /// A new one, of this name.
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// Writes its certificate into a Secret, as `ca.crt`.
    async fn publish(&self, admin: &Client, secret: &str) {
        write(admin, secret, "Opaque", &[("ca.crt", &self.certificate)]).await;
    }

    /// Writes a certificate for a name, and for an address, and its key into a Secret.
    async fn issue(&self, admin: &Client, secret: &str, name: &str, address: Option<IpAddr>) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.subject_alt_names.extend(address.map(SanType::IpAddress));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        write(admin, secret, "kubernetes.io/tls", &[("tls.crt", &certificate), ("tls.key", &key.serialize_pem())])
            .await;
    }
}

/// Makes all that the chart's pods of these tenants need; gives the CA certificate by which servers are known.
pub async fn of_streams(admin: &Client, pods: &Pods, tenants: &[&str]) -> String {
    let (servers, callers) = (Authority::new("servers"), Authority::new("callers"));
    servers.publish(admin, "streams-ca").await;
    callers.publish(admin, "callers-ca").await;
    let signers = tenants.iter().map(|tenant| format!("wasmbed-signer-{tenant}"));
    for name in signers.chain(["wasmbed-builder".to_owned()]) {
        servers.issue(admin, &format!("{name}-tls"), &name, Some(pods.service(&name).ip())).await;
    }
    for tenant in tenants {
        servers
            .issue(admin, &format!("wasmbed-live-{tenant}-tls"), &format!("wasmbed-live-{tenant}.{SYSTEM}.svc"), None)
            .await;
        let reconciler = format!("wasmbed-reconciler-{tenant}");
        callers.issue(admin, &format!("{reconciler}-tls"), &reconciler, None).await;
    }
    servers.certificate
}

async fn write(admin: &Client, name: &str, kind: &str, entries: &[(&str, &str)]) {
    let data = entries.iter().map(|(entry, text)| ((*entry).to_owned(), (*text).to_owned())).collect();
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    let secret = Secret { metadata, type_: Some(kind.to_owned()), string_data: Some(data), ..Secret::default() };
    Api::<Secret>::namespaced(admin.clone(), SYSTEM).create(&PostParams::default(), &secret).await.unwrap();
}
