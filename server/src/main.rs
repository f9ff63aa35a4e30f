//! archd
fn main(){}
