//! Tests of the whole crate, from outside: what honest nodes agree on, what the dishonest can do to them,
//! and the bytes that may never change.

mod attacks;
mod bounds;
mod compat;
mod convergence;
mod epoch;
mod exchange;
mod forgery;
mod fuzz;
mod governance;
mod harness;
mod machines;
mod malicious;
mod model;
mod relative;
mod succession;
mod sync;
mod table;
mod view;
mod votes;
mod workspace;
