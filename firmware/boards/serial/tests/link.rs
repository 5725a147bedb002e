//! The network of a board on a UART, against the host's end of the link, over a line in memory that loses bytes.
#![allow(clippy::unwrap_used, missing_docs)]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use embassy_time::{Duration, Instant, MockDriver};
use embedded_io_async::{ErrorType, Read, Write};
use wasmbed_board::console::Console;
use wasmbed_board::network::{Network, Setup};
use wasmbed_board::port::{News, Order, Port, What};
use wasmbed_board::probe::Probes;
use wasmbed_protocol::link::{FrameBuffer, HostLink, HostState, Reason};
use wasmbed_serial::{LinkLog, SerialLink};

/// One direction of the line.
#[derive(Clone, Default)]
struct Line(Rc<RefCell<VecDeque<u8>>>);

struct Receiver(Line);
struct Sender(Line);

impl ErrorType for Receiver {
    type Error = Infallible;
}

impl ErrorType for Sender {
    type Error = Infallible;
}

impl Read for Receiver {
    async fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Infallible> {
        std::future::poll_fn(|_| {
            let mut line = self.0.0.borrow_mut();
            let count = line.len().min(bytes.len());
            bytes.iter_mut().zip(line.drain(..count)).for_each(|(place, byte)| *place = byte);
            if count == 0 { Poll::Pending } else { Poll::Ready(Ok(count)) }
        })
        .await
    }
}

impl Write for Sender {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        // In pieces, as a UART takes them.
        let count = bytes.len().min(48);
        self.0.0.borrow_mut().extend(&bytes[..count]);
        Ok(count)
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Both ends, a step a millisecond. Every test has the clock of its own process to itself by [`CLOCK`].
struct Bench {
    to_host: Line,
    to_device: Line,
    host: HostLink,
    frame: FrameBuffer,
    /// Every so many bytes one is lost; 0 for none.
    loses: usize,
    passed: usize,
    news: Vec<What>,
    log: Vec<u8>,
    arrived: Vec<u8>,
}

impl Bench {
    fn new(loses: usize) -> Self {
        Self {
            to_host: Line::default(),
            to_device: Line::default(),
            host: HostLink::new(77),
            frame: FrameBuffer::new(),
            loses,
            passed: 0,
            news: Vec::new(),
            log: Vec::new(),
            arrived: Vec::new(),
        }
    }

    fn pass(&mut self, bytes: impl Iterator<Item = u8>) -> Vec<u8> {
        bytes
            .filter(|_| {
                self.passed += 1;
                self.loses == 0 || !self.passed.is_multiple_of(self.loses)
            })
            .collect()
    }

    /// Runs both ends until `done`, a minute of their time at most.
    fn run(
        &mut self,
        mut device: Pin<&mut impl Future<Output = Infallible>>,
        port: &Port,
        mut done: impl FnMut(&mut Self) -> bool,
    ) {
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..60_000 {
            for _ in 0..4 {
                assert!(device.as_mut().poll(&mut context).is_pending());
                while let Poll::Ready(News { connection, what }) = pin!(port.news()).poll(&mut context) {
                    assert_eq!(connection, 1);
                    self.news.push(what);
                }
            }
            let now = Instant::now().as_millis();
            let bytes: Vec<u8> = self.to_host.0.borrow_mut().drain(..).collect();
            let bytes = self.pass(bytes.into_iter());
            self.host.receive(&bytes, now);
            let came = self.host.received().to_vec();
            self.host.consume(came.len());
            self.arrived.extend(came);
            let text = self.host.log().to_vec();
            self.host.consume_log(text.len());
            self.log.extend(text);
            while let Some(frame) = self.host.transmit(now, &mut self.frame) {
                let frame = frame.to_vec();
                let bytes = self.pass(frame.into_iter());
                self.to_device.0.borrow_mut().extend(bytes);
            }
            if done(self) {
                return;
            }
            MockDriver::get().advance(Duration::from_millis(1));
        }
        panic!("it took more than a minute: {:?}, {} bytes arrived", self.news, self.arrived.len());
    }

    fn heard(&self) -> Vec<u8> {
        let pieces = self.news.iter().filter_map(|what| match what {
            What::Received(bytes) => Some(bytes.as_slice()),
            _ => None,
        });
        pieces.flatten().copied().collect()
    }
}

/// The clock is one for all tests of this process.
static CLOCK: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn setup() -> Setup {
    Setup { hardware_address: [2, 0, 0, 0, 0, 1], address: None, random: 0x1234_5678_9ABC_DEF0 }
}

fn order(port: &Port, order: Order) {
    let mut context = Context::from_waker(Waker::noop());
    assert!(pin!(port.order(order)).poll(&mut context).is_ready());
}

fn open(bench: &mut Bench, device: Pin<&mut impl Future<Output = Infallible>>, port: &Port) {
    order(port, Order::Open { connection: 1, address: "gateway:4433".into() });
    bench.run(device, port, |bench| {
        if let HostState::Asked(id) = bench.host.state() {
            assert_eq!(bench.host.address(), "gateway:4433");
            bench.host.accept(id);
        }
        matches!(bench.news[..], [What::Opened])
    });
}

#[test]
fn bytes_go_both_ways_over_a_line_that_loses_some() {
    let _clock = CLOCK.lock().unwrap_or_else(|poison| poison.into_inner());
    for loses in [0, 997] {
        let (port, probes) = (Port::new(), Probes::new());
        let mut bench = Bench::new(loses);
        let link = SerialLink::new(Receiver(bench.to_device.clone()), Sender(bench.to_host.clone()));
        let mut device = pin!(link.serve(setup(), &port, &probes));
        open(&mut bench, device.as_mut(), &port);
        let up: Vec<u8> = (0..10_000_u32).map(|at| (at * 7) as u8).collect();
        let down: Vec<u8> = (0..10_000_u32).map(|at| (at * 11) as u8).collect();
        order(&port, Order::Send { connection: 1, bytes: up.clone() });
        let mut given = 0;
        bench.run(device.as_mut(), &port, |bench| {
            given += bench.host.send(&down[given..]);
            bench.arrived.len() == up.len() && bench.heard().len() == down.len()
        });
        assert!(bench.arrived == up && bench.heard() == down);
        assert_eq!(bench.news.iter().filter(|what| matches!(what, What::Sent)).count(), 1);
    }
}

#[test]
fn what_was_given_before_a_close_arrives_and_nothing_is_heard_after_it() {
    let _clock = CLOCK.lock().unwrap_or_else(|poison| poison.into_inner());
    let (port, probes) = (Port::new(), Probes::new());
    let mut bench = Bench::new(0);
    let link = SerialLink::new(Receiver(bench.to_device.clone()), Sender(bench.to_host.clone()));
    let mut device = pin!(link.serve(setup(), &port, &probes));
    open(&mut bench, device.as_mut(), &port);
    // More than the link holds at once.
    let last: Vec<u8> = (0..5_000_u32).map(|at| at as u8).collect();
    order(&port, Order::Send { connection: 1, bytes: last.clone() });
    order(&port, Order::Close { connection: 1 });
    bench.run(device.as_mut(), &port, |bench| {
        matches!(bench.host.state(), HostState::Ended(..)) && bench.arrived.len() == last.len()
    });
    assert_eq!(bench.arrived, last);
    assert!(!bench.news.iter().any(|what| matches!(what, What::Ended(_))));
}

#[test]
fn a_gateway_that_cannot_be_reached_is_told_with_the_reason() {
    let _clock = CLOCK.lock().unwrap_or_else(|poison| poison.into_inner());
    let (port, probes) = (Port::new(), Probes::new());
    let mut bench = Bench::new(0);
    let link = SerialLink::new(Receiver(bench.to_device.clone()), Sender(bench.to_host.clone()));
    let mut device = pin!(link.serve(setup(), &port, &probes));
    order(&port, Order::Open { connection: 1, address: "gateway:4433".into() });
    bench.run(device.as_mut(), &port, |bench| {
        if let HostState::Asked(id) = bench.host.state() {
            bench.host.refuse(id, Reason::Unreachable);
        }
        !bench.news.is_empty()
    });
    assert!(
        matches!(&bench.news[..], [What::Ended(reason)] if reason == "the gateway cannot be reached"),
        "{:?}",
        bench.news
    );
}

#[test]
fn an_address_that_no_frame_holds_is_refused_at_once() {
    let _clock = CLOCK.lock().unwrap_or_else(|poison| poison.into_inner());
    let (port, probes) = (Port::new(), Probes::new());
    let mut bench = Bench::new(0);
    let link = SerialLink::new(Receiver(bench.to_device.clone()), Sender(bench.to_host.clone()));
    let mut device = pin!(link.serve(setup(), &port, &probes));
    order(&port, Order::Open { connection: 1, address: String::new() });
    bench.run(device.as_mut(), &port, |bench| !bench.news.is_empty());
    assert!(matches!(&bench.news[..], [What::Ended(_)]), "{:?}", bench.news);
}

#[test]
fn the_log_goes_over_the_link_whole_even_without_a_stream() {
    static LOG: LinkLog = LinkLog::new();
    let _clock = CLOCK.lock().unwrap_or_else(|poison| poison.into_inner());
    let (port, probes) = (Port::new(), Probes::new());
    let mut bench = Bench::new(0);
    let link = SerialLink::new(Receiver(bench.to_device.clone()), Sender(bench.to_host.clone())).with_log(&LOG);
    let mut device = pin!(link.serve(setup(), &port, &probes));
    let text: Vec<u8> = (0..40).flat_map(|line| format!("line {line} of the log\r\n").into_bytes()).collect();
    let mut written = 0;
    bench.run(device.as_mut(), &port, |bench| {
        // As the executor's passes do it: as much as is taken.
        while written < text.len() && (&LOG).write(text[written]) {
            written += 1;
        }
        bench.log.len() >= text.len()
    });
    assert_eq!(bench.log, text);
}
