//! The UART link: its rules one by one, a line with everything that can go wrong on one, frozen bytes, and figures.
#![allow(clippy::unwrap_used)]

mod figures;
mod line;
mod rules;
mod trouble;
mod vectors;
