//! The certificates of the streams between components, as an operator brings them: a CA for servers, another for the builder's callers.

use std::net::{IpAddr, Ipv4Addr};

use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};

use crate::chart::SYSTEM;

/// Signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Authority {
    /// A new one, of this name.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// Writes its certificate into a Secret, as `ca.crt`.
    pub async fn publish(&self, admin: &Client, secret: &str) {
        write(admin, secret, "Opaque", &[("ca.crt", &self.certificate)]).await;
    }

    /// Writes a certificate for a name, and for an address, and its key into a Secret.
    pub async fn issue(&self, admin: &Client, secret: &str, name: &str, address: Option<Ipv4Addr>) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.subject_alt_names.extend(address.map(|address| SanType::IpAddress(IpAddr::V4(address))));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        write(admin, secret, "kubernetes.io/tls", &[("tls.crt", &certificate), ("tls.key", &key.serialize_pem())])
            .await;
    }
}

async fn write(admin: &Client, name: &str, kind: &str, entries: &[(&str, &str)]) {
    let data = entries.iter().map(|(entry, text)| ((*entry).to_owned(), (*text).to_owned())).collect();
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    let secret = Secret { metadata, type_: Some(kind.to_owned()), string_data: Some(data), ..Secret::default() };
    Api::<Secret>::namespaced(admin.clone(), SYSTEM).create(&PostParams::default(), &secret).await.unwrap();
}
