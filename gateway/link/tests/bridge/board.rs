//! A board's side of the line: the device's end of the link, driven as firmware drives it, on a line that can be noisy.

use std::future::pending;
use std::io;
use std::time::Duration;

use rand::Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use wasmbed_protocol::link::{DeviceEvent, DeviceLink, FrameBuffer};

use crate::watcher::PATIENCE;

/// Bytes that a UART holds while nobody reads it.
const FIFO: usize = 16;

pub(crate) struct Board {
    pub(crate) link: DeviceLink,
    line: UnixStream,
    started: Instant,
    /// Of a million bytes so many are flipped, and so many lost, in each direction.
    pub(crate) noise: u32,
}

impl Board {
    pub(crate) fn new(line: UnixStream) -> Self {
        Self { link: DeviceLink::new(rand::random()), line, started: Instant::now(), noise: 0 }
    }

    pub(crate) fn now(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// Sends what is to be sent; then waits until the line brings something, or it is time.
    pub(crate) async fn step(&mut self) -> io::Result<()> {
        let mut frame = FrameBuffer::new();
        while let Some(bytes) = self.link.transmit(self.now(), &mut frame) {
            let bytes = spoil(self.noise, bytes);
            self.line.write_all(&bytes).await?;
        }
        let deadline = self.link.next_deadline(self.now()).map(|at| self.started + Duration::from_millis(at));
        let mut bytes = [0; 1024];
        let time = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => pending().await,
            }
        };
        tokio::select! {
            read = self.line.read(&mut bytes) => match read? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.link.receive(&spoil(self.noise, &bytes[..count]), self.now()),
            },
            () = time => {}
        }
        Ok(())
    }

    /// Does nothing, as while flash is erased: all that comes is lost but what the UART holds.
    pub(crate) async fn pause(&mut self, time: Duration) {
        let mut fifo = Vec::new();
        let line = &mut self.line;
        let losing = async {
            let mut bytes = [0; 1024];
            while let Ok(count @ 1..) = line.read(&mut bytes).await {
                fifo.extend_from_slice(&bytes[..count]);
                fifo.truncate(FIFO);
            }
        };
        tokio::select! {
            () = losing => {}
            () = sleep(time) => {}
        }
        self.link.receive(&fifo, self.now());
    }

    pub(crate) async fn event(&mut self) -> DeviceEvent {
        let waiting = async {
            loop {
                if let Some(event) = self.link.next_event() {
                    return event;
                }
                self.step().await.unwrap();
            }
        };
        timeout(PATIENCE, waiting).await.expect("something happens on the link")
    }

    pub(crate) async fn open(&mut self, address: &str) -> DeviceEvent {
        self.link.open(address, self.now()).unwrap();
        self.event().await
    }
}

fn spoil(per_million: u32, bytes: &[u8]) -> Vec<u8> {
    let mut dice = rand::rng();
    let mut spoilt = Vec::with_capacity(bytes.len());
    for &byte in bytes {
        match dice.random_range(0..1_000_000) {
            roll if roll < per_million => spoilt.push(byte ^ 1 << dice.random_range(0..8)),
            roll if roll < 2 * per_million => {}
            _ => spoilt.push(byte),
        }
    }
    spoilt
}
