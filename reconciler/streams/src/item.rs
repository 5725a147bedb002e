//! Items of a stream: a CBOR sequence of byte strings, each holding one encoded data item.

use std::marker::PhantomData;

use bytes::{Buf, Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::BoxStream;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use crate::StreamError;

/// The largest item, in bytes: a source closure with room to spare.
pub const MAX_ITEM: usize = 64 * 1024 * 1024;

/// Items under way in one direction before a sender waits.
pub(crate) const IN_FLIGHT: usize = 64;

/// The writing half of a stream. Clones write to the same stream; the stream ends when the last one is dropped.
#[derive(Debug)]
pub struct Sender<T> {
    channel: mpsc::Sender<Bytes>,
    item: PhantomData<fn(T)>,
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self { channel: self.channel.clone(), item: PhantomData }
    }
}

impl<T: Serialize> Sender<T> {
    pub(crate) fn new(channel: mpsc::Sender<Bytes>) -> Self {
        Self { channel, item: PhantomData }
    }

    /// Sends one item; waits while the other side is behind.
    ///
    /// # Errors
    /// [`StreamError::Closed`] once the other side is gone, [`StreamError::TooLarge`] above [`MAX_ITEM`].
    pub async fn send(&self, item: &T) -> Result<(), StreamError> {
        let bytes = encode(item)?;
        self.channel.send(bytes).await.map_err(|_| StreamError::Closed)
    }

    /// Completes when the other side no longer reads.
    pub async fn closed(&self) {
        self.channel.closed().await;
    }
}

/// The reading half of a stream.
pub struct Receiver<T> {
    body: BoxStream<'static, Result<Bytes, StreamError>>,
    buffer: BytesMut,
    item: PhantomData<fn() -> T>,
}

impl<T> std::fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiver").field("buffered", &self.buffer.len()).finish_non_exhaustive()
    }
}

impl<T: DeserializeOwned> Receiver<T> {
    pub(crate) fn new(body: BoxStream<'static, Result<Bytes, StreamError>>) -> Self {
        Self { body, buffer: BytesMut::new(), item: PhantomData }
    }

    /// The next item; `None` when the other side ended the stream between two items.
    pub async fn next(&mut self) -> Option<Result<T, StreamError>> {
        loop {
            match decode(&mut self.buffer) {
                Ok(Some(item)) => return Some(Ok(item)),
                Ok(None) => {}
                Err(error) => return Some(Err(error)),
            }
            match self.body.next().await {
                Some(Ok(bytes)) => self.buffer.extend_from_slice(&bytes),
                Some(Err(error)) => return Some(Err(error)),
                None if self.buffer.is_empty() => return None,
                None => {
                    return Some(Err(StreamError::Malformed("it ends in the middle of an item".to_owned())));
                }
            }
        }
    }
}

/// One item as it stands in the sequence.
pub(crate) fn encode<T: Serialize>(item: &T) -> Result<Bytes, StreamError> {
    let mut payload = Vec::new();
    ciborium::into_writer(item, &mut payload).map_err(|error| StreamError::Malformed(error.to_string()))?;
    if payload.len() > MAX_ITEM {
        return Err(StreamError::TooLarge { size: payload.len() as u64 });
    }
    let mut bytes = Vec::with_capacity(payload.len() + 5);
    match u32::try_from(payload.len()).expect("MAX_ITEM fits in 32 bits") {
        length @ 0..=23 => bytes.push(0x40 | length as u8),
        length @ 24..=0xff => bytes.extend_from_slice(&[0x58, length as u8]),
        length @ 0x100..=0xffff => {
            bytes.push(0x59);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            bytes.push(0x5a);
            bytes.extend_from_slice(&length.to_be_bytes());
        }
    }
    bytes.extend_from_slice(&payload);
    Ok(bytes.into())
}

/// Takes one item off the front of `buffer`, or nothing while it is incomplete.
fn decode<T: DeserializeOwned>(buffer: &mut BytesMut) -> Result<Option<T>, StreamError> {
    let Some((header, length)) = header(buffer)? else {
        return Ok(None);
    };
    if buffer.len() < header + length {
        buffer.reserve(header + length - buffer.len());
        return Ok(None);
    }
    buffer.advance(header);
    let payload = buffer.split_to(length);
    ciborium::from_reader(&payload[..]).map(Some).map_err(|error| StreamError::Malformed(error.to_string()))
}

/// Size of the byte string's head and of its content (RFC 8949, section 3), if the head is there.
fn header(buffer: &[u8]) -> Result<Option<(usize, usize)>, StreamError> {
    let Some(&initial) = buffer.first() else {
        return Ok(None);
    };
    if initial >> 5 != 2 {
        return Err(StreamError::Malformed(format!("it starts with {initial:#04x}, which is no byte string")));
    }
    let wide = match initial & 0x1f {
        small @ 0..=23 => return Ok(Some((1, usize::from(small)))),
        24 => 1,
        25 => 2,
        26 => 4,
        27 => 8,
        _ => {
            return Err(StreamError::Malformed("indefinite lengths are not used here".to_owned()));
        }
    };
    let Some(digits) = buffer.get(1..=wide) else {
        return Ok(None);
    };
    let length = digits.iter().fold(0_u64, |length, &digit| length << 8 | u64::from(digit));
    match usize::try_from(length) {
        Ok(length) if length <= MAX_ITEM => Ok(Some((1 + wide, length))),
        _ => Err(StreamError::TooLarge { size: length }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_item_in_pieces_is_read_once_it_is_whole() {
        let bytes = encode(&("hello", vec![7_u8; 300])).expect("it encodes");
        let mut buffer = BytesMut::new();
        for (at, byte) in bytes.iter().enumerate() {
            assert!(decode::<(String, Vec<u8>)>(&mut buffer).expect("no error yet").is_none(), "at {at}");
            buffer.extend_from_slice(&[*byte]);
        }
        let item: (String, Vec<u8>) = decode(&mut buffer).expect("whole").expect("there");
        assert_eq!(item, ("hello".to_owned(), vec![7; 300]));
        assert!(buffer.is_empty());
    }

    #[test]
    fn an_item_that_claims_to_be_huge_is_refused_before_it_is_read() {
        let mut buffer = BytesMut::from(&[0x5a, 0xff, 0xff, 0xff, 0xff][..]);
        assert!(matches!(decode::<u8>(&mut buffer), Err(StreamError::TooLarge { size: 0xffff_ffff })));
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(bytes: Vec<u8>) {
            let mut buffer = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = decode::<Vec<u16>>(&mut buffer) {}
        }

        #[test]
        fn what_is_sent_is_what_is_read(item: Vec<(u32, String)>) {
            let mut buffer = BytesMut::from(&encode(&item).expect("it encodes")[..]);
            prop_assert_eq!(decode::<Vec<(u32, String)>>(&mut buffer).expect("it decodes"), Some(item));
        }
    }
}
