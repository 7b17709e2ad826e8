//! What several integration tests share. Each uses its own part of it.
#![allow(dead_code)]

pub mod foreign;
pub mod reference;
