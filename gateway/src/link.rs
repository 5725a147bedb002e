//! A TLS stream as frames, read and written by one task with one future. Idle, it holds no buffer of its own.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wasmbed_protocol::{FrameDecoder, FrameError};

/// Bytes taken from TLS at once: on the stack, while the stream is being read.
const READ: usize = 2048;

/// What a stream did.
#[derive(Debug)]
pub(crate) enum Progress {
    /// Bytes came; there may be frames.
    Read,
    /// Bytes went.
    Wrote,
    /// The peer ended the stream.
    Ended,
    /// The peer sends what no frame begins with.
    Garbage(FrameError),
    /// The connection is gone.
    Broken(io::Error),
}

/// A TLS stream as frames.
#[derive(Debug)]
pub(crate) struct Link<S> {
    stream: S,
    decoder: FrameDecoder,
    frames: VecDeque<Vec<u8>>,
    out: BytesMut,
    unflushed: bool,
    /// Since when a frame is incomplete, or bytes wait to be taken by the peer.
    reading_since: Option<Instant>,
    writing_since: Option<Instant>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            decoder: FrameDecoder::new(),
            frames: VecDeque::new(),
            out: BytesMut::new(),
            unflushed: false,
            reading_since: None,
            writing_since: None,
        }
    }

    /// The stream under the frames.
    pub(crate) fn stream(&self) -> &S {
        &self.stream
    }

    /// The next frame that has come whole.
    pub(crate) fn next_frame(&mut self) -> Option<Vec<u8>> {
        self.frames.pop_front()
    }

    /// Whether a frame waits to be taken.
    pub(crate) fn has_frame(&self) -> bool {
        !self.frames.is_empty()
    }

    /// Bytes that wait to be written.
    pub(crate) fn waiting(&self) -> usize {
        self.out.len()
    }

    /// Puts a whole frame in the line of what is to be written.
    pub(crate) fn send(&mut self, frame: &[u8]) {
        self.out.extend_from_slice(frame);
        self.writing_since.get_or_insert_with(Instant::now);
    }

    /// When the peer will have kept us waiting for `patience`, if it keeps us waiting at all.
    pub(crate) fn stalled_at(&self, patience: Duration) -> Option<Instant> {
        self.reading_since.into_iter().chain(self.writing_since).min().map(|since| since + patience)
    }

    /// Waits until the stream has done something. Nothing is read unless `reading`.
    pub(crate) async fn progress(&mut self, reading: bool) -> Progress {
        if !reading && self.reading_since.is_some() {
            // The peer is not to blame for what we do not take.
            self.reading_since = Some(Instant::now());
        }
        let progress = poll_fn(|cx| {
            if let Poll::Ready(wrote) = self.poll_write(cx) {
                return Poll::Ready(wrote.map(|()| Progress::Wrote));
            }
            if reading { self.poll_read(cx) } else { Poll::Pending }
        });
        progress.await.unwrap_or_else(Progress::Broken)
    }

    /// Writes what waits and says goodbye, for at most `patience`.
    pub(crate) async fn finish(mut self, patience: Duration) {
        let goodbye = async {
            while !self.out.is_empty() || self.unflushed {
                if poll_fn(|cx| self.poll_write(cx)).await.is_err() {
                    return;
                }
            }
            // Who is gone does not hear a goodbye.
            let _ = poll_fn(|cx| Pin::new(&mut self.stream).poll_shutdown(cx)).await;
        };
        let _ = tokio::time::timeout(patience, goodbye).await;
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.out.is_empty() {
            let count = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.out))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out.advance(count);
            self.unflushed = true;
            self.writing_since = Some(Instant::now());
            if self.out.is_empty() {
                self.out = BytesMut::new();
            }
            return Poll::Ready(Ok(()));
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.unflushed = false;
            self.writing_since = None;
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Progress>> {
        let mut space = [MaybeUninit::uninit(); READ];
        let mut buffer = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        let mut input = buffer.filled();
        if input.is_empty() {
            return Poll::Ready(Ok(Progress::Ended));
        }
        let mut whole = false;
        loop {
            match self.decoder.next(&mut input) {
                Ok(Some(frame)) => {
                    whole = true;
                    self.frames.push_back(frame);
                }
                Ok(None) => break,
                Err(error) => return Poll::Ready(Ok(Progress::Garbage(error))),
            }
        }
        if self.decoder.is_between_frames() {
            self.reading_since = None;
        } else if whole || self.reading_since.is_none() {
            self.reading_since = Some(Instant::now());
        }
        Poll::Ready(Ok(Progress::Read))
    }
}
