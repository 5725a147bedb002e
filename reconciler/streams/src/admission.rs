//! Who may speak on a stream that is served to other machines.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;

use crate::token_review::TokenReviews;

/// Who may speak on a stream that is served to other machines.
#[derive(Clone, Debug)]
pub enum Admission {
    /// Users whose bearer token the Kubernetes API knows.
    Tokens(Arc<TokenReviews>),
    /// Holders of a client certificate; for a server without rights at the API.
    Certificates {
        /// The CA certificates (PEM) that sign the callers'; read anew when the file changes.
        ca: PathBuf,
        /// DNS names, one of which a caller's certificate is for. If empty, any certificate of the CA will do: then the CA
        /// must sign for nobody else, servers included.
        names: BTreeSet<String>,
    },
}

/// Why a caller is not let in: the status and the text of the answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    status: StatusCode,
    message: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, message: String) -> Self {
        Self { status, message }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        tracing::debug!(status = %self.status, message = self.message, "a caller is refused");
        let mut response = (self.status, self.message).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl Admission {
    /// Whether the caller with these headers and this certificate, verified by TLS, may speak.
    pub(crate) async fn admit(
        &self,
        headers: &HeaderMap,
        certificate: Option<&CertificateDer<'_>>,
    ) -> Result<(), Refusal> {
        match self {
            Self::Tokens(reviews) => match bearer(headers) {
                Some(token) => reviews.admit(token).await,
                None => Err(Refusal::new(
                    StatusCode::UNAUTHORIZED,
                    format!("show a token of the audience {:?} (--streams-token FILE)", reviews.audience()),
                )),
            },
            Self::Certificates { names, .. } => by_certificate(names, certificate),
        }
    }

    /// The CA of client certificates, if callers are to show one.
    pub(crate) fn client_ca(&self) -> Option<&PathBuf> {
        match self {
            Self::Tokens(_) => None,
            Self::Certificates { ca, .. } => Some(ca),
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn by_certificate(names: &BTreeSet<String>, certificate: Option<&CertificateDer<'_>>) -> Result<(), Refusal> {
    let Some(certificate) = certificate else {
        return Err(Refusal::new(
            StatusCode::UNAUTHORIZED,
            "show a client certificate signed by the CA of --client-ca (--streams-certificate DIR)".to_owned(),
        ));
    };
    if names.is_empty() {
        return Ok(());
    }
    let refused = |why: String| Refusal::new(StatusCode::FORBIDDEN, why);
    let parsed = ParsedCertificate::try_from(certificate)
        .map_err(|error| refused(format!("the client certificate cannot be read: {error}")))?;
    let is_for = |name: &String| {
        let name = ServerName::try_from(name.as_str());
        name.is_ok_and(|name| rustls::client::verify_server_name(&parsed, &name).is_ok())
    };
    if names.iter().any(is_for) {
        return Ok(());
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    Err(refused(format!(
        "the client certificate is for none of the names that are let in here ({}): call with another, or let its name in with --allow",
        names.join(", ")
    )))
}
