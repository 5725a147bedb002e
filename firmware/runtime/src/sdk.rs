//! The imports of the Wasmbed SDK, module `wasmbed`. A negative result is a negated error number.

use core::time::Duration;

use crate::guest::{Answer, Guest};
use crate::handles::Opened;
use crate::lines::Stream;
use crate::session::Session;
use crate::{Errno, Level, PAYLOAD_BYTES, PROBE_TIMEOUT, PinMode, TOPIC_BYTES};

/// The most text one call may log. More is dropped, and counted.
const LOG_CALL_BYTES: u32 = 16 * 1024;
/// Longest name of a pin, an input, a key or a peer.
const NAME_BYTES: usize = 253;

/// `log(level, ptr, len)`
pub(crate) fn log(session: &mut Session, guest: &mut Guest<'_>) -> Answer {
    let (level, pointer, length) = (guest.u32(0), guest.u32(1), guest.u32(2));
    if length > LOG_CALL_BYTES {
        session.drop_text();
    }
    let Ok(bytes) = guest.bytes(pointer, length.min(LOG_CALL_BYTES)) else {
        session.drop_text();
        return Answer::Nothing;
    };
    // A level of a later SDK is better shown than lost.
    let stream = Stream::of_number(level).unwrap_or(Stream::Log(Level::Debug));
    session.write(stream, bytes);
    Answer::Nothing
}

/// `uptime_ms() -> i64`
pub(crate) fn uptime_ms(session: &mut Session, _: &mut Guest<'_>) -> Answer {
    Answer::I64(milliseconds(session.host.uptime()))
}

/// `time_ms() -> i64`: Unix time, 0 if unknown.
pub(crate) fn time_ms(session: &mut Session, _: &mut Guest<'_>) -> Answer {
    let time = session.host.unix_time_ms().unwrap_or_default();
    Answer::I64(i64::try_from(time).unwrap_or(i64::MAX))
}

/// `sleep_ms(ms)`
pub(crate) fn sleep_ms(session: &mut Session, guest: &mut Guest<'_>) -> Answer {
    session.sleep(Duration::from_millis(u64::from(guest.u32(0))))
}

/// `publish(topic_ptr, topic_len, ptr, len) -> i32`
pub(crate) fn publish(session: &mut Session, guest: &mut Guest<'_>) -> Answer {
    let answer = (|| {
        let topic = guest.text(0, TOPIC_BYTES)?;
        let payload = guest.bytes(guest.u32(2), guest.u32(3))?;
        if payload.len() > PAYLOAD_BYTES {
            return Err(Errno::MSGSIZE);
        }
        if topic.is_empty() || topic.chars().any(char::is_control) {
            return Err(Errno::INVAL);
        }
        if !session.grants.allow_topic(topic) {
            return Err(Errno::NOTCAPABLE);
        }
        let now = session.host.uptime();
        if !(session.publish_rate.take(1, now) && session.publish_bytes_rate.take(payload.len(), now)) {
            session.count_message(false);
            return Err(Errno::AGAIN);
        }
        session.host.publish(topic, payload)?;
        session.count_message(true);
        Ok(0)
    })();
    answer.into()
}

/// `config(key_ptr, key_len, buf_ptr, buf_len) -> i32`
pub(crate) fn config(session: &mut Session, guest: &mut Guest<'_>) -> Answer {
    let value = guest.text(0, NAME_BYTES).and_then(|key| {
        let entry = session.env.iter().find(|(name, _)| name == key);
        entry.map(|(_, value)| value).ok_or(Errno::NOENT)
    });
    value.and_then(|value| guest.fill(2, value.as_bytes())).into()
}

/// `arg(index, buf_ptr, buf_len) -> i32`
pub(crate) fn arg(session: &mut Session, guest: &mut Guest<'_>) -> Answer {
    let value = session.args.get(guest.u32(0) as usize).ok_or(Errno::NOENT);
    value.and_then(|value| guest.fill(1, value.as_bytes())).into()
}

/// `gpio_open(name_ptr, name_len, mode) -> i32`
pub(crate) fn gpio_open(session: &mut Session, guest: &mut Guest<'_>) -> Answer {
    let answer = (|| {
        let name = guest.text(0, NAME_BYTES)?;
        let mode = match guest.u32(2) {
            0 => PinMode::Input,
            1 => PinMode::Output,
            _ => return Err(Errno::INVAL),
        };
        if !session.grants.gpio.iter().any(|granted| granted == name) {
            return Err(Errno::NOTCAPABLE);
        }
        let host = &mut session.host;
        session.handles.open(name, Opened::Pin(mode), |name| host.gpio_open(name, mode))
    })();
    answer.into()
}

/// `gpio_write(handle, level) -> i32`
pub(crate) fn gpio_write(session: &mut Session, guest: &mut Guest<'_>) -> Answer {
    let answer = match session.handles.number(guest.u32(0)) {
        Ok((pin, Opened::Pin(PinMode::Output))) => session.host.gpio_write(pin, guest.u32(1) != 0).map(|()| 0),
        Ok(_) => Err(Errno::INVAL),
        Err(errno) => Err(errno),
    };
    answer.into()
}

/// `gpio_read(handle) -> i32`
pub(crate) fn gpio_read(session: &mut Session, guest: &mut Guest<'_>) -> Answer {
    let answer = match session.handles.number(guest.u32(0)) {
        Ok((pin, Opened::Pin(_))) => session.host.gpio_read(pin).map(i32::from),
        Ok(_) => Err(Errno::INVAL),
        Err(errno) => Err(errno),
    };
    answer.into()
}

/// `adc_open(name_ptr, name_len) -> i32`
pub(crate) fn adc_open(session: &mut Session, guest: &mut Guest<'_>) -> Answer {
    let answer = (|| {
        let name = guest.text(0, NAME_BYTES)?;
        if !session.grants.adc.iter().any(|granted| granted == name) {
            return Err(Errno::NOTCAPABLE);
        }
        let host = &mut session.host;
        session.handles.open(name, Opened::Adc, |name| host.adc_open(name))
    })();
    answer.into()
}

/// `adc_read(handle) -> i32` in millivolts
pub(crate) fn adc_read(session: &mut Session, guest: &mut Guest<'_>) -> Answer {
    let answer = match session.handles.number(guest.u32(0)) {
        Ok((input, Opened::Adc)) => {
            session.host.adc_read(input).and_then(|millivolts| i32::try_from(millivolts).map_err(|_| Errno::IO))
        }
        Ok(_) => Err(Errno::INVAL),
        Err(errno) => Err(errno),
    };
    answer.into()
}

/// `net_probe(host_ptr, host_len, port, timeout_ms) -> i64` in microseconds
pub(crate) fn net_probe(session: &mut Session, guest: &mut Guest<'_>) -> Answer {
    let answer = (|| {
        let host = guest.text(0, NAME_BYTES)?;
        let port = guest.u16(2)?;
        let timeout = Duration::from_millis(u64::from(guest.u32(3))).min(PROBE_TIMEOUT);
        if !session.grants.allow_peer(host, port) {
            return Err(Errno::NOTCAPABLE);
        }
        if !session.probe_rate.take(1, session.host.uptime()) {
            return Err(Errno::AGAIN);
        }
        let round_trip = session.host.net_probe(host, port, timeout)?;
        Ok(i64::try_from(round_trip.as_micros()).unwrap_or(i64::MAX))
    })();
    Answer::I64(answer.unwrap_or_else(|errno| -i64::from(errno.0)))
}

/// `random(buf_ptr, len) -> i32`
pub(crate) fn random(session: &mut Session, guest: &mut Guest<'_>) -> Answer {
    fill_with_random(session, guest).map(|()| 0).into()
}

/// Fills the buffer whose pointer and length are the first two parameters.
pub(crate) fn fill_with_random(session: &mut Session, guest: &mut Guest<'_>) -> Result<(), Errno> {
    let bytes = guest.bytes_mut(guest.u32(0), guest.u32(1))?;
    session.host.random(bytes)
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
