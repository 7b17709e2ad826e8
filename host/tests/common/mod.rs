//! Parts that several integration tests share. Each uses its own of them.
#![allow(dead_code)]

pub mod foreign;
#[path = "../../nets/tests/common/reference.rs"]
pub mod reference;
pub mod refusal;
