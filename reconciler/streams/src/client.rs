//! Opening a stream.

use std::path::Path;

use bytes::Bytes;
use futures::StreamExt;
use http::{Request, header};
use http_body_util::{BodyDataStream, BodyExt, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::StreamError;
use crate::item::{IN_FLIGHT, Receiver, Sender};
use crate::server::CONTENT_TYPE;

/// Opens a stream in both directions.
///
/// `path` is the HTTP path, with its query, for example `/v1/sessions`.
///
/// # Errors
/// When nobody serves `socket`, or the other side refuses the path.
pub async fn open<Out, In>(socket: &Path, path: &str) -> Result<(Sender<Out>, Receiver<In>), StreamError>
where
    Out: Serialize,
    In: DeserializeOwned,
{
    let (sender, outgoing) = mpsc::channel::<Bytes>(IN_FLIGHT);
    let body = StreamBody::new(
        ReceiverStream::new(outgoing).map(|bytes| Ok::<_, std::convert::Infallible>(Frame::data(bytes))),
    );
    let request = Request::post(format!("http://localhost{path}"))
        .header(header::CONTENT_TYPE, CONTENT_TYPE)
        .body(BodyExt::boxed(body))
        .map_err(|error| StreamError::Http(error.to_string()))?;
    let incoming = exchange(socket, request).await?;
    Ok((Sender::new(sender), Receiver::new(incoming)))
}

/// Opens a stream that only the other side writes (`GET path`).
///
/// # Errors
/// As [`open`].
pub async fn read<In: DeserializeOwned>(socket: &Path, path: &str) -> Result<Receiver<In>, StreamError> {
    let request = Request::get(format!("http://localhost{path}"))
        .body(BodyExt::boxed(http_body_util::Empty::new()))
        .map_err(|error| StreamError::Http(error.to_string()))?;
    Ok(Receiver::new(exchange(socket, request).await?))
}

type Outgoing = http_body_util::combinators::BoxBody<Bytes, std::convert::Infallible>;

async fn exchange(
    socket: &Path,
    request: Request<Outgoing>,
) -> Result<futures::stream::BoxStream<'static, Result<Bytes, StreamError>>, StreamError> {
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|source| StreamError::Connect { socket: socket.to_owned(), source })?;
    let (mut requests, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(1 << 20)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(http)?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a stream's connection ended");
        }
    });
    let response = requests.send_request(request).await.map_err(http)?;
    let status = response.status();
    if !status.is_success() {
        let message = Limited::new(response.into_body(), 1024)
            .collect()
            .await
            .map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned())
            .unwrap_or_default();
        return Err(StreamError::Refused { status: status.as_u16(), message });
    }
    Ok(data(response.into_body()))
}

fn data(body: Incoming) -> futures::stream::BoxStream<'static, Result<Bytes, StreamError>> {
    StreamExt::boxed(StreamExt::map(BodyDataStream::new(body), |data| data.map_err(http)))
}

fn http(error: hyper::Error) -> StreamError {
    StreamError::Http(error.to_string())
}
