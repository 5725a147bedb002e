//! A repository behind HTTP, as a forge has it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, Method, Response, StatusCode, Uri, header};
use tokio::io::AsyncWriteExt;

/// `git http-backend`, as a forge would have it; or a door that asks for a password.
pub async fn serve(bare: PathBuf, asks: bool) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let router = Router::new().fallback(answer).with_state(Arc::new((bare, asks)));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn answer(
    State(served): State<Arc<(PathBuf, bool)>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<axum::body::Body> {
    let (bare, asks) = &*served;
    let header = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if *asks {
        return Response::builder()
            .status(StatusCode::UNAUTHORIZED)
            .header(header::WWW_AUTHENTICATE, "Basic realm=\"fleet\"")
            .body(axum::body::Body::empty())
            .expect("a response");
    }
    let mut backend = tokio::process::Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", bare.parent().expect("a folder"))
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_PROTOCOL", header(HeaderName::from_static("git-protocol")))
        .env("REQUEST_METHOD", method.as_str())
        .env("PATH_INFO", uri.path())
        .env("QUERY_STRING", uri.query().unwrap_or_default())
        .env("CONTENT_TYPE", header(header::CONTENT_TYPE))
        .env("HTTP_CONTENT_ENCODING", header(header::CONTENT_ENCODING))
        .env("REMOTE_USER", "fleet")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("git http-backend");
    let mut input = backend.stdin.take().expect("piped");
    // It may answer and end without having read all of it.
    if let Err(error) = input.write_all(&body).await {
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe, "{error}");
    }
    drop(input);
    let output = backend.wait_with_output().await.expect("it ends").stdout;
    let end = output.windows(4).position(|four| four == b"\r\n\r\n").expect("headers");
    let said: HashMap<String, String> = String::from_utf8_lossy(&output[..end])
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(key, value)| (key.to_lowercase(), value.to_owned()))
        .collect();
    let status = said.get("status").and_then(|status| status.split(' ').next()?.parse::<u16>().ok()).unwrap_or(200);
    let mut response = Response::builder().status(status);
    for (key, value) in said.iter().filter(|(key, _)| *key != "status") {
        response = response.header(key, value);
    }
    response.body(output[end + 4..].to_vec().into()).expect("a response")
}
