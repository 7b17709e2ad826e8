//! Parts that integration tests share.

pub mod reference;
