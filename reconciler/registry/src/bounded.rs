//! Bytes in memory, and no more of them than there may be.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;

/// Takes in up to `most` bytes, and fails at the next.
#[derive(Debug)]
pub(crate) struct Bounded {
    bytes: Vec<u8>,
    most: usize,
}

impl Bounded {
    pub(crate) fn new(most: usize) -> Self {
        Self { bytes: Vec::new(), most }
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, more: &[u8]) -> Poll<io::Result<usize>> {
        if more.len() > self.most - self.bytes.len() {
            let most = self.most;
            return Poll::Ready(Err(io::Error::other(format!("it has more than {most} bytes"))));
        }
        self.bytes.extend_from_slice(more);
        Poll::Ready(Ok(more.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn it_takes_what_there_may_be_and_fails_at_the_next_byte() {
        let mut bounded = Bounded::new(5);
        bounded.write_all(b"abc").await.expect("room");
        bounded.write_all(b"de").await.expect("room");
        let error = bounded.write_all(b"f").await.expect_err("no room");
        assert_eq!(error.to_string(), "it has more than 5 bytes");
        assert_eq!(bounded.into_bytes(), b"abcde");
    }
}
