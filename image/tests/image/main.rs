//! Tests of the image crate from outside.

mod admission;
mod generate;
mod keys;
mod layout;
mod logical;
mod malformed;
mod raw;
mod reading;
mod round_trip;
mod vectors;
