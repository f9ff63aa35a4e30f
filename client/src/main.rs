//! archctl
fn main(){}
