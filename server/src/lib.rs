//! archd

pub mod seeder;
