//! Which Releases a device should run, and how an application's devices move from its stable Release to its
//! candidate. Everything here is a pure function of its arguments: the reconciler calls it to decide, the signer to
//! tell devices, and both see the same.
//!
//! An application has at most two Releases under way: the *stable* one and a *candidate*. Where its devices are
//! between them is one number, a [`Position`]: a bound over a hash of each device's name and the stable Release. A
//! device below the bound runs the candidate. So a million devices need no list, a device that is added later has its
//! place already, and each rollout moves the devices in another order.

mod assignment;
mod position;
mod state;

pub use assignment::{Entry, Intent, assignment};
pub use position::Position;
pub use state::{Observed, Offer, State};
