//! Where a component serves its streams.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The most bytes of a Unix socket's path (unix(7): 108, its end included).
const LONGEST_PATH: usize = 107;

/// Where a component serves its streams: a Unix socket of this machine, or a port that speaks TLS.
///
/// As text: `unix:/path/to.sock`, also the bare path, or `https://host:port`.
#[derive(Clone, Debug, Eq, PartialEq, Hash)]
pub enum Endpoint {
    /// A Unix socket: whoever may open it may speak.
    Unix(PathBuf),
    /// HTTP/2 over TLS 1.3.
    Https {
        /// A DNS name or an IP address, without brackets; the server's certificate is for it.
        host: String,
        /// The TCP port; not 0.
        port: u16,
    },
}

/// Why a text is no [`Endpoint`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?} is no endpoint of streams: {reason}; write unix:/path/to.sock or https://host:port")]
pub struct EndpointError {
    text: String,
    reason: &'static str,
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let refused = |reason| EndpointError { text: text.to_owned(), reason };
        if let Some(rest) = text.strip_prefix("https://") {
            return https(rest).map_err(refused);
        }
        if text.contains("://") {
            return Err(refused("streams are spoken over https or a Unix socket only"));
        }
        let path = match text.strip_prefix("unix:") {
            Some("") => return Err(refused("the path of the socket is missing")),
            Some(path) => path,
            None if text.contains('/') => text,
            None => return Err(refused("a path has a slash in it, and a host has https:// before it")),
        };
        match path {
            path if path.contains('\0') => Err(refused("there is a zero byte in the path")),
            path if path.len() > LONGEST_PATH => Err(refused("a socket's path has at most 107 bytes")),
            path => Ok(Self::Unix(PathBuf::from(path))),
        }
    }
}

fn https(rest: &str) -> Result<Endpoint, &'static str> {
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#']) {
        return Err("only a host and a port follow https://");
    }
    let authority: http::uri::Authority = authority.parse().map_err(|_| "this is no host and port")?;
    if authority.as_str().contains('@') {
        return Err("a user has no place here; a token shows who calls");
    }
    let host = authority.host();
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if rustls::pki_types::ServerName::try_from(host).is_err() {
        return Err("the host is neither a DNS name nor an IP address");
    }
    match authority.port_u16() {
        Some(port) if port > 0 => Ok(Endpoint::Https { host: host.to_owned(), port }),
        _ => Err("the port is missing, or none between 1 and 65535"),
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Https { host, port } if host.contains(':') => write!(f, "https://[{host}]:{port}"),
            Self::Https { host, port } => write!(f, "https://{host}:{port}"),
        }
    }
}

impl From<&Path> for Endpoint {
    fn from(path: &Path) -> Self {
        Self::Unix(path.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_with_and_without_its_scheme_is_a_socket() {
        let socket = Endpoint::Unix("/run/signer.sock".into());
        assert_eq!("unix:/run/signer.sock".parse(), Ok(socket.clone()));
        assert_eq!("/run/signer.sock".parse(), Ok(socket));
        assert_eq!("./signer.sock".parse(), Ok(Endpoint::Unix("./signer.sock".into())));
    }

    #[test]
    fn a_host_and_a_port_are_an_address() {
        let read = |text: &str| text.parse::<Endpoint>().expect("an endpoint").to_string();
        assert_eq!(read("https://signer.wasmbed-system.svc:8443"), "https://signer.wasmbed-system.svc:8443");
        assert_eq!(read("https://127.0.0.1:1/"), "https://127.0.0.1:1");
        assert_eq!(read("https://[::1]:8443"), "https://[::1]:8443");
        assert_eq!("https://[::1]:8443".parse(), Ok(Endpoint::Https { host: "::1".into(), port: 8443 }));
    }

    #[test]
    fn what_is_wrong_is_said_with_what_is_right() {
        let why = |text: &str| text.parse::<Endpoint>().expect_err("no endpoint").to_string();
        for (text, reason) in [
            ("", "https:// before it"),
            ("signer:8443", "https:// before it"),
            ("unix:", "path of the socket is missing"),
            ("http://signer:8443", "over https"),
            ("https://signer", "the port is missing"),
            ("https://signer:0", "the port is missing"),
            ("https://signer:99999", "the port is missing"),
            ("https://signer:8443/v1", "only a host and a port"),
            ("https://me@signer:8443", "a token shows who calls"),
            ("https://:8443", "neither a DNS name nor an IP address"),
            (&format!("unix:/{}", "a".repeat(107)), "at most 107 bytes"),
        ] {
            let why = why(text);
            assert!(why.contains(reason) && why.contains("https://host:port"), "{text}: {why}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text: String) {
            if let Ok(endpoint) = text.parse::<Endpoint>() {
                prop_assert_eq!(endpoint.to_string().parse(), Ok(endpoint));
            }
        }

        #[test]
        fn what_is_printed_is_what_is_read(host in "[a-z]([a-z0-9-]{0,10}[a-z0-9])?(\\.[a-z]{1,9})?", port in 1_u16..) {
            let endpoint = Endpoint::Https { host, port };
            prop_assert_eq!(endpoint.to_string().parse(), Ok(endpoint));
        }
    }
}
