//! The functions of WASI preview 1 that languages link to print, tell time, sleep, draw random bytes, read arguments and
//! environment, and exit. There are no files: descriptors 1 and 2 are the log, 0 is closed, and nothing is preopened.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::guest::{Answer, Guest, after};
use crate::lines::Stream;
use crate::sdk::fill_with_random;
use crate::session::Session;
use crate::{Errno, Level, Outcome};

/// The most one `fd_write` takes; it answers how much, and the program writes the rest by another.
const WRITE_BYTES: u32 = 4096;
/// The most pieces one `fd_write` looks at.
const WRITE_PIECES: u32 = 16;
/// The most events one `poll_oneoff` waits for.
const SUBSCRIPTIONS: u32 = 16;
const SUBSCRIPTION_BYTES: u32 = 48;
const EVENT_BYTES: usize = 32;
const CLOCK_REALTIME: u32 = 0;
const CLOCK_MONOTONIC: u32 = 1;
const CLOCKS_OF_CPU: core::ops::RangeInclusive<u32> = 2..=3;
const EVENT_CLOCK: u8 = 0;
const CLOCK_ABSOLUTE: u16 = 1;
const CHARACTER_DEVICE: u8 = 2;
const RIGHT_TO_WRITE: u64 = 1 << 6;
/// A descriptor that cannot seek.
const SPIPE: Errno = Errno(70);
/// The name of the program, which WASI programs expect ahead of their arguments.
const PROGRAM: &str = "application";

/// `fd_write(fd, iovs, iovs_len, nwritten) -> errno`
pub(crate) fn fd_write(session: &mut Session, guest: &mut Guest<'_>) -> Answer {
    let answer = (|| {
        let stream = output(guest.u32(0))?;
        let (pieces, count) = (guest.u32(1), guest.u32(2));
        let mut written = 0;
        for index in 0..count.min(WRITE_PIECES) {
            let piece = after(pieces, index * 8)?;
            let (pointer, length) = (guest.read_u32(piece)?, guest.read_u32(after(piece, 4)?)?);
            let taken = length.min(WRITE_BYTES - written);
            session.write(stream, guest.bytes(pointer, taken)?);
            written += taken;
            if taken < length {
                break;
            }
        }
        guest.write(guest.u32(3), &written.to_le_bytes())
    })();
    Answer::errno(answer)
}

/// Where what is written to a descriptor goes.
fn output(descriptor: u32) -> Result<Stream, Errno> {
    match descriptor {
        1 => Ok(Stream::Output),
        2 => Ok(Stream::Log(Level::Error)),
        _ => Err(Errno::BADF),
    }
}

/// `clock_time_get(id, precision, time) -> errno`
pub(crate) fn clock_time_get(session: &mut Session, guest: &mut Guest<'_>) -> Answer {
    let answer =
        clock(session, guest.u32(0)).and_then(|time| guest.write(guest.u32(2), &nanoseconds(time).to_le_bytes()));
    Answer::errno(answer)
}

/// A clock's time; the real time is 1970 while the device does not know it.
fn clock(session: &mut Session, id: u32) -> Result<Duration, Errno> {
    match id {
        CLOCK_REALTIME => Ok(Duration::from_millis(session.host.unix_time_ms().unwrap_or_default())),
        CLOCK_MONOTONIC => Ok(session.host.uptime()),
        id if CLOCKS_OF_CPU.contains(&id) => Ok(session.cpu()),
        _ => Err(Errno::INVAL),
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// One thing `poll_oneoff` waits for.
struct Subscription {
    user_data: u64,
    kind: u8,
    /// How long from now; for a clock.
    wait: Result<Duration, Errno>,
}

/// `poll_oneoff(in, out, nsubscriptions, nevents) -> errno`: sleeps; anything but a clock answers at once that it is not there.
pub(crate) fn poll_oneoff(session: &mut Session, guest: &mut Guest<'_>) -> Answer {
    let subscriptions = match subscriptions(session, guest) {
        Ok(subscriptions) => subscriptions,
        Err(errno) => return Answer::errno(Err(errno)),
    };
    let wait = subscriptions.iter().map(|subscription| subscription.wait.unwrap_or_default()).min().unwrap_or_default();
    if let Answer::Stopped = session.sleep(wait) {
        return Answer::Stopped;
    }
    let mut events = Vec::new();
    for subscription in subscriptions {
        let errno = match subscription.wait {
            Ok(due) if due > wait => continue,
            Ok(_) => 0,
            Err(errno) => errno.0,
        };
        let mut event = [0; EVENT_BYTES];
        event[..8].copy_from_slice(&subscription.user_data.to_le_bytes());
        event[8..10].copy_from_slice(&errno.to_le_bytes());
        event[10] = subscription.kind;
        events.push(event);
    }
    let count = u32::try_from(events.len()).unwrap_or(SUBSCRIPTIONS);
    let answer =
        guest.write(guest.u32(1), events.as_flattened()).and_then(|()| guest.write(guest.u32(3), &count.to_le_bytes()));
    Answer::errno(answer)
}

fn subscriptions(session: &mut Session, guest: &Guest<'_>) -> Result<Vec<Subscription>, Errno> {
    let (base, count) = (guest.u32(0), guest.u32(2));
    if count == 0 || count > SUBSCRIPTIONS {
        return Err(Errno::INVAL);
    }
    (0..count)
        .map(|index| {
            let at = after(base, index * SUBSCRIPTION_BYTES)?;
            guest.bytes(at, SUBSCRIPTION_BYTES)?;
            let kind = guest.bytes(at + 8, 1)?[0];
            let wait = if kind == EVENT_CLOCK {
                let time = Duration::from_nanos(guest.read_u64(at + 24)?);
                let absolute = guest.read_u32(at + 40)? as u16 & CLOCK_ABSOLUTE != 0;
                clock(session, guest.read_u32(at + 16)?)
                    .map(|now| if absolute { time.saturating_sub(now) } else { time })
            } else {
                Err(Errno::BADF)
            };
            Ok(Subscription { user_data: guest.read_u64(at)?, kind, wait })
        })
        .collect()
}

/// `random_get(buf, len) -> errno`
pub(crate) fn random_get(session: &mut Session, guest: &mut Guest<'_>) -> Answer {
    Answer::errno(fill_with_random(session, guest))
}

/// `args_sizes_get(argc, argv_buf_size) -> errno`
pub(crate) fn args_sizes_get(session: &mut Session, guest: &mut Guest<'_>) -> Answer {
    Answer::errno(put_sizes(guest, arguments(session)))
}

/// `args_get(argv, argv_buf) -> errno`
pub(crate) fn args_get(session: &mut Session, guest: &mut Guest<'_>) -> Answer {
    Answer::errno(put_strings(guest, arguments(session)))
}

/// `environ_sizes_get(count, buf_size) -> errno`
pub(crate) fn environ_sizes_get(session: &mut Session, guest: &mut Guest<'_>) -> Answer {
    Answer::errno(put_sizes(guest, environment(session)))
}

/// `environ_get(environ, environ_buf) -> errno`
pub(crate) fn environ_get(session: &mut Session, guest: &mut Guest<'_>) -> Answer {
    Answer::errno(put_strings(guest, environment(session)))
}

/// A string in three parts, so that none has to be put together in the device's own memory.
type Parts<'a> = [&'a str; 3];

fn arguments(session: &Session) -> impl Iterator<Item = Parts<'_>> + Clone {
    core::iter::once(PROGRAM).chain(session.args.iter().map(String::as_str)).map(|argument| [argument, "", ""])
}

fn environment(session: &Session) -> impl Iterator<Item = Parts<'_>> + Clone {
    session.env.iter().map(|(name, value)| [name.as_str(), "=", value.as_str()])
}

/// Writes how many strings there are and how many bytes they take, each with a 0 after it.
fn put_sizes<'a>(guest: &mut Guest<'_>, strings: impl Iterator<Item = Parts<'a>> + Clone) -> Result<(), Errno> {
    let bytes: usize = strings.clone().map(|parts| parts.map(str::len).iter().sum::<usize>() + 1).sum();
    let size = |n: usize| u32::try_from(n).map_err(|_| Errno::MSGSIZE);
    guest.write(guest.u32(0), &size(strings.count())?.to_le_bytes())?;
    guest.write(guest.u32(1), &size(bytes)?.to_le_bytes())
}

/// Writes the strings one after another, and a table of pointers to them.
fn put_strings<'a>(guest: &mut Guest<'_>, strings: impl Iterator<Item = Parts<'a>>) -> Result<(), Errno> {
    let (mut table, mut at) = (guest.u32(0), guest.u32(1));
    for parts in strings {
        guest.write(table, &at.to_le_bytes())?;
        for part in parts {
            guest.write(at, part.as_bytes())?;
            at = after(at, u32::try_from(part.len()).map_err(|_| Errno::MSGSIZE)?)?;
        }
        guest.write(at, &[0])?;
        at = after(at, 1)?;
        table = after(table, 4)?;
    }
    Ok(())
}

/// `proc_exit(code)`
pub(crate) fn proc_exit(_: &mut Session, guest: &mut Guest<'_>) -> Answer {
    Answer::End(Outcome::Exited { code: guest.u32(0) })
}

/// `sched_yield() -> errno`: every application gets its turn anyway.
pub(crate) fn sched_yield(_: &mut Session, _: &mut Guest<'_>) -> Answer {
    Answer::errno(Ok(()))
}

/// `fd_fdstat_get(fd, stat) -> errno`: the log is a terminal's kind of thing, so that C libraries write by lines.
pub(crate) fn fd_fdstat_get(_: &mut Session, guest: &mut Guest<'_>) -> Answer {
    let answer = output(guest.u32(0)).and_then(|_| {
        let mut stat = [0; 24];
        stat[0] = CHARACTER_DEVICE;
        stat[8..16].copy_from_slice(&RIGHT_TO_WRITE.to_le_bytes());
        guest.write(guest.u32(1), &stat)
    });
    Answer::errno(answer)
}

/// `fd_seek(fd, offset, whence, new_offset) -> errno`
pub(crate) fn fd_seek(_: &mut Session, guest: &mut Guest<'_>) -> Answer {
    Answer::errno(output(guest.u32(0)).and(Err(SPIPE)))
}

/// `fd_close(fd) -> errno`: the log stays open.
pub(crate) fn fd_close(_: &mut Session, guest: &mut Guest<'_>) -> Answer {
    Answer::errno(output(guest.u32(0)).map(|_| ()))
}

/// `fd_prestat_get(fd, prestat) -> errno`: nothing is preopened.
pub(crate) fn fd_prestat_get(_: &mut Session, _: &mut Guest<'_>) -> Answer {
    Answer::errno(Err(Errno::BADF))
}

/// `fd_prestat_dir_name(fd, path, len) -> errno`
pub(crate) fn fd_prestat_dir_name(_: &mut Session, _: &mut Guest<'_>) -> Answer {
    Answer::errno(Err(Errno::BADF))
}
