//! Everything `archd` is made of.

pub mod seeder;
