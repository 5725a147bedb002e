//! Between the device loop and its way to gateways: a byte stream opens, carries bytes, and ends with a reason.
//!
//! Both ends run on one executor. Nothing here knows whether it is TCP or a link over a UART.

use alloc::string::String;
use alloc::vec::Vec;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::channel::Channel;
use wasmbed_agent::Connection;

/// Orders that wait. The agent gives one `Send` at a time, and a `Close` with it: there are never as many.
const ORDERS: usize = 6;
/// Pieces of news that wait. While they do, nothing more is read: a gateway that never stops sending fills no memory.
const NEWS: usize = 2;
/// Most bytes in one piece of news.
pub const PIECE: usize = 1_024;

/// What the device wants of its network.
#[derive(Debug)]
pub enum Order {
    /// Open a byte stream to `host:port`.
    Open {
        /// Names the attempt.
        connection: Connection,
        /// `host:port`.
        address: String,
    },
    /// Send bytes, after those given before.
    Send {
        /// The connection.
        connection: Connection,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// End it, after the bytes given before; or give up opening it.
    Close {
        /// The connection.
        connection: Connection,
    },
}

/// What the network has to tell.
#[derive(Debug)]
pub struct News {
    /// The connection it is about.
    pub connection: Connection,
    /// What happened.
    pub what: What,
}

/// What happened to a connection.
#[derive(Debug)]
pub enum What {
    /// It is open.
    Opened,
    /// Bytes came, at most [`PIECE`].
    Received(Vec<u8>),
    /// The bytes of the last order to send were taken.
    Sent,
    /// It could not be opened, or ended, and not because of an order to close it.
    Ended(String),
}

/// The two queues.
pub struct Port {
    orders: Channel<NoopRawMutex, Order, ORDERS>,
    news: Channel<NoopRawMutex, News, NEWS>,
}

impl Port {
    /// A port with nothing in it.
    #[must_use]
    pub const fn new() -> Self {
        Self { orders: Channel::new(), news: Channel::new() }
    }

    /// The device's side: gives an order.
    pub async fn order(&self, order: Order) {
        self.orders.send(order).await;
    }

    /// The device's side: waits for news.
    pub async fn news(&self) -> News {
        self.news.receive().await
    }

    /// The network's side: waits for an order.
    pub async fn next_order(&self) -> Order {
        self.orders.receive().await
    }

    /// The network's side: waits until there is room for news.
    pub async fn room(&self) {
        core::future::poll_fn(|context| self.news.poll_ready_to_send(context)).await;
    }

    /// The network's side: tells something.
    pub async fn tell(&self, connection: Connection, what: What) {
        self.news.send(News { connection, what }).await;
    }
}

impl Default for Port {
    fn default() -> Self {
        Self::new()
    }
}
