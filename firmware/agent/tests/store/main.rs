//! The store, through its public door: beside a pure model, with the power cut everywhere, on damaged and failing
//! flash.
#![allow(clippy::unwrap_used)]

mod damage;
mod failures;
mod model;
mod power;
mod refusals;
mod rig;
mod sequences;
