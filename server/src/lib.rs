//! archd
