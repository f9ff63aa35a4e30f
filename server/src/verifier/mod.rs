//! The verifier: compares the live orders with the archive, and finds what each of them is that has
//! no counterpart.
//!
//! A [`pass::Pass`] is what runs: whoever holds a verification makes one, advances it step by step,
//! saves its progress after each, and concludes it. It reads by a [`ComparisonReader`] alone, and
//! writes nothing but the differences of its verification.
//!
//! [`ComparisonReader`]: crate::store::verify::reader::ComparisonReader

mod changes;
mod compared;
mod comparer;
pub mod conclude;
mod evidence;
mod lone_documents;
mod lone_orders;
pub mod pace;
mod pairs;
mod parts;
pub mod pass;
mod settle;
