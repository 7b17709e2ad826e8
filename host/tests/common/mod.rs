//! What several integration tests share. Each uses its own part of it.
#![allow(dead_code)]

pub mod foreign;
#[path = "../../nets/tests/common/reference.rs"]
pub mod reference;
pub mod refusal;
