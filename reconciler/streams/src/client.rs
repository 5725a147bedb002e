//! Opening a stream.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http::{Request, header};
use http_body_util::{BodyDataStream, BodyExt, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::StreamError;
use crate::connector::Connector;
use crate::endpoint::Endpoint;
use crate::item::{IN_FLIGHT, Receiver, Sender};
use crate::server::{CONTENT_TYPE, KEEP_ALIVE, KEEP_ALIVE_PATIENCE};

/// How long another machine may take to answer, a question of its own to the API included.
const ANSWER: Duration = Duration::from_secs(30);

/// Opens a stream in both directions.
///
/// `to` is a [`Connector`], or the path of a Unix socket; `path` is the HTTP path, with its query, for example
/// `/v1/sessions`.
///
/// # Errors
/// When nobody serves `to`, or the other side refuses the caller or the path.
pub async fn open<Out, In>(to: impl Into<Connector>, path: &str) -> Result<(Sender<Out>, Receiver<In>), StreamError>
where
    Out: Serialize,
    In: DeserializeOwned,
{
    let (sender, outgoing) = mpsc::channel::<Bytes>(IN_FLIGHT);
    let body = StreamBody::new(
        ReceiverStream::new(outgoing).map(|bytes| Ok::<_, std::convert::Infallible>(Frame::data(bytes))),
    );
    let to = to.into();
    let request = Request::post(address(&to, path))
        .header(header::CONTENT_TYPE, CONTENT_TYPE)
        .body(BodyExt::boxed(body))
        .map_err(|error| StreamError::Http(error.to_string()))?;
    let incoming = exchange(&to, request).await?;
    Ok((Sender::new(sender), Receiver::new(incoming)))
}

/// Opens a stream that only the other side writes (`GET path`).
///
/// # Errors
/// As [`open`].
pub async fn read<In: DeserializeOwned>(to: impl Into<Connector>, path: &str) -> Result<Receiver<In>, StreamError> {
    let to = to.into();
    let request = Request::get(address(&to, path))
        .body(BodyExt::boxed(http_body_util::Empty::new()))
        .map_err(|error| StreamError::Http(error.to_string()))?;
    Ok(Receiver::new(exchange(&to, request).await?))
}

type Outgoing = http_body_util::combinators::BoxBody<Bytes, std::convert::Infallible>;

fn address(to: &Connector, path: &str) -> String {
    match to.endpoint() {
        Endpoint::Unix(_) => format!("http://localhost{path}"),
        https => format!("{https}{path}"),
    }
}

async fn exchange(
    to: &Connector,
    mut request: Request<Outgoing>,
) -> Result<futures::stream::BoxStream<'static, Result<Bytes, StreamError>>, StreamError> {
    if let Some(value) = to.authorization()? {
        request.headers_mut().insert(header::AUTHORIZATION, value);
    }
    let is_remote = matches!(to.endpoint(), Endpoint::Https { .. });
    let stream = to.connect().await?;
    let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(1 << 20);
    if is_remote {
        // A machine that is gone says nothing: it is asked.
        builder.timer(TokioTimer::new()).keep_alive_interval(KEEP_ALIVE).keep_alive_timeout(KEEP_ALIVE_PATIENCE);
    }
    let (mut requests, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(http)?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a stream's connection ended");
        }
    });
    let answer = requests.send_request(request);
    let response = if is_remote {
        let late = |_| StreamError::Http(format!("no answer within {} s", ANSWER.as_secs()));
        tokio::time::timeout(ANSWER, answer).await.map_err(late)?
    } else {
        answer.await
    }
    .map_err(http)?;
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
