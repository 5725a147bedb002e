use crate::cbor::{Encode, Writer};
use crate::{Error, host};

/// The longest topic, in bytes.
pub const TOPIC_BYTES: usize = 64;
/// The largest message, in bytes of CBOR.
pub const PAYLOAD_BYTES: usize = 1024;

/// Sends a value to everyone who follows this application's results.
///
/// `topic` is a path such as `room/climate`, at most [`TOPIC_BYTES`] long, which the declaration grants in
/// `capabilities.publish`. The value is at most [`PAYLOAD_BYTES`] of CBOR, and stands on the stack while it is sent.
///
/// # Errors
/// [`Error::NotGranted`] for a topic the declaration does not name, [`Error::TooLarge`], and [`Error::Busy`] when more is sent
/// than `config.ioLimit` allows.
pub fn publish(topic: &str, value: &(impl Encode + ?Sized)) -> Result<(), Error> {
    let mut payload = [0; PAYLOAD_BYTES];
    let mut writer = Writer::new(&mut payload);
    value.encode(&mut writer)?;
    send(topic, writer.written())
}

fn send(topic: &str, payload: &[u8]) -> Result<(), Error> {
    // SAFETY: the host reads both and keeps nothing.
    let answer = unsafe { host::publish(topic.as_ptr(), topic.len(), payload.as_ptr(), payload.len()) };
    Error::check(answer).map(drop)
}
