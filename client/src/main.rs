//! archctl
fn main() {}
