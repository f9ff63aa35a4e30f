//! archd
fn main() {}
