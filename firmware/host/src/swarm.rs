use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token, Waker};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::device::Device;
use crate::error::DeviceError;
use crate::post::{Letter, Post};

const WAKER: Token = Token(usize::MAX);
const SIGNALS: Token = Token(usize::MAX - 1);

/// Devices that share one process and one thread. Each has its own folder, key, flash, connection and applications.
pub struct Swarm {
    poll: Poll,
    post: Post,
    letters: Receiver<(usize, Letter)>,
    devices: Vec<Device>,
    /// Readable once a signal asked the process to end.
    signals: Option<mio::net::UnixStream>,
    started: Instant,
}

/// Ends a swarm from another thread.
#[derive(Clone, Debug)]
pub struct Stopper(Post);

impl Stopper {
    /// Asks the swarm to end, as a signal would.
    pub fn stop(&self) {
        self.0.send(Letter::Stop);
    }
}

impl Swarm {
    /// A swarm without devices.
    ///
    /// # Errors
    /// The system gives no event loop.
    pub fn new() -> Result<Swarm, DeviceError> {
        let poll = Poll::new().map_err(DeviceError::EventLoop)?;
        let waker = Waker::new(poll.registry(), WAKER).map_err(DeviceError::EventLoop)?;
        let (sender, letters) = mpsc::channel();
        let post = Post::new(sender, Arc::new(waker));
        Ok(Swarm { poll, post, letters, devices: Vec::new(), signals: None, started: Instant::now() })
    }

    /// Ends on SIGTERM and SIGINT from now on.
    ///
    /// # Errors
    /// The system does not let the process hear of them.
    pub fn stop_on_signals(&mut self) -> Result<(), DeviceError> {
        let (here, there) = UnixStream::pair().map_err(DeviceError::EventLoop)?;
        here.set_nonblocking(true).map_err(DeviceError::EventLoop)?;
        for signal in [SIGTERM, SIGINT] {
            let there = there.try_clone().map_err(DeviceError::EventLoop)?;
            signal_hook::low_level::pipe::register(signal, there).map_err(DeviceError::EventLoop)?;
        }
        let mut here = mio::net::UnixStream::from_std(here);
        self.poll.registry().register(&mut here, SIGNALS, Interest::READABLE).map_err(DeviceError::EventLoop)?;
        self.signals = Some(here);
        Ok(())
    }

    /// Ends when standard input ends: when the process that started this one is gone, or closes it.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn stop_with_parent(&mut self) -> Result<(), DeviceError> {
        let post = self.post.clone();
        // A thread, for standard input may be of a kind that cannot be waited for.
        let wait = move || {
            let _ = io::copy(&mut io::stdin(), &mut io::sink());
            post.send(Letter::Stop);
        };
        std::thread::Builder::new().name("parent".into()).spawn(wait).map_err(DeviceError::EventLoop)?;
        Ok(())
    }

    /// Adds a device; it begins with [`run`](Swarm::run).
    ///
    /// # Errors
    /// Its folder cannot be used; the others are not touched by that.
    pub fn add(&mut self, dir: &Path) -> Result<(), DeviceError> {
        let number = self.devices.len();
        self.devices.push(Device::open(dir, self.post.of(number), Token(number), self.now())?);
        Ok(())
    }

    /// A way to end it from another thread.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(self.post.clone())
    }

    /// Runs all devices until the process is asked to end.
    ///
    /// # Errors
    /// The event loop fails.
    pub fn run(mut self) -> Result<(), DeviceError> {
        let why = self.serve()?;
        for device in &mut self.devices {
            device.end(why);
        }
        Ok(())
    }

    /// Serves all devices; returns why it should end.
    fn serve(&mut self) -> Result<&'static str, DeviceError> {
        let mut events = Events::with_capacity(64);
        loop {
            let now = self.now();
            for device in &mut self.devices {
                device.advance(now);
            }
            match self.poll.poll(&mut events, self.patience()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result.map_err(DeviceError::EventLoop)?,
            }
            let now = self.now();
            for event in &events {
                match event.token() {
                    WAKER => {}
                    SIGNALS => return Ok("a signal asked the process to"),
                    Token(number) => self.devices[number].ready(now),
                }
            }
            while let Ok((number, letter)) = self.letters.try_recv() {
                match letter {
                    Letter::Stop => return Ok("it was asked to"),
                    letter => self.devices[number].take(letter, self.poll.registry(), now),
                }
            }
        }
    }

    /// Milliseconds since the swarm began.
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// How long nothing has to be done unless something happens.
    fn patience(&self) -> Option<Duration> {
        let now = self.now();
        let next = self.devices.iter().filter_map(|device| device.next_deadline(now)).min()?;
        Some(Duration::from_millis(next.saturating_sub(now)))
    }
}
