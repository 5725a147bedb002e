//! Registers by offset, and the bits that are used (SMSC LAN9118 data sheet, chapter 5).

pub(crate) const RX_DATA_FIFO: u32 = 0x00;
pub(crate) const TX_DATA_FIFO: u32 = 0x20;
pub(crate) const RX_STATUS_FIFO: u32 = 0x40;
pub(crate) const TX_STATUS_FIFO: u32 = 0x48;
pub(crate) const IRQ_CFG: u32 = 0x54;
pub(crate) const INT_STS: u32 = 0x58;
pub(crate) const INT_EN: u32 = 0x5C;
pub(crate) const BYTE_TEST: u32 = 0x64;
pub(crate) const FIFO_INT: u32 = 0x68;
pub(crate) const RX_CFG: u32 = 0x6C;
pub(crate) const TX_CFG: u32 = 0x70;
pub(crate) const HW_CFG: u32 = 0x74;
pub(crate) const RX_FIFO_INF: u32 = 0x7C;
pub(crate) const TX_FIFO_INF: u32 = 0x80;
pub(crate) const PMT_CTRL: u32 = 0x84;
pub(crate) const MAC_CSR_CMD: u32 = 0xA4;
pub(crate) const MAC_CSR_DATA: u32 = 0xA8;
pub(crate) const AFC_CFG: u32 = 0xAC;

/// What `BYTE_TEST` always reads.
pub(crate) const BYTE_TEST_VALUE: u32 = 0x8765_4321;
pub(crate) const PMT_READY: u32 = 1;
pub(crate) const HW_SOFT_RESET: u32 = 1;
/// Bit 20 must be written as 1.
pub(crate) const HW_MUST_BE_ONE: u32 = 1 << 20;
/// 5 KiB of the 16 KiB for frames to send.
pub(crate) const HW_TX_FIFO_5K: u32 = 5 << 16;
/// Flow control as the data sheet recommends it.
pub(crate) const AFC_DEFAULT: u32 = 0x006E_3740;
pub(crate) const IRQ_ENABLE: u32 = 1 << 8;
pub(crate) const IRQ_ACTIVE_HIGH: u32 = 1 << 4;
pub(crate) const IRQ_PUSH_PULL: u32 = 1;
/// There is something in the FIFO of received frames' status.
pub(crate) const INT_RX_STATUS: u32 = 1 << 3;
/// The levels at which FIFOs interrupt: the status of received frames from one on, the others never.
pub(crate) const FIFO_INT_EVERY_FRAME: u32 = 0xFF00_0000;
pub(crate) const TX_ON: u32 = 1 << 1;
/// Command A of a frame to send: its first and its last piece in one.
pub(crate) const TX_FIRST_AND_LAST: u32 = 1 << 13 | 1 << 12;
/// The summary of what can be wrong with a received frame.
pub(crate) const RX_ERROR: u32 = 1 << 15;

/// Registers of the MAC, reached through `MAC_CSR_CMD`.
pub(crate) const MAC_CR: u32 = 1;
pub(crate) const MAC_ADDRH: u32 = 2;
pub(crate) const MAC_ADDRL: u32 = 3;
pub(crate) const MAC_CSR_BUSY: u32 = 1 << 31;
pub(crate) const MAC_FULL_DUPLEX: u32 = 1 << 20;
pub(crate) const MAC_TX: u32 = 1 << 3;
pub(crate) const MAC_RX: u32 = 1 << 2;
