//! Parts that integration tests share, these and those of plumbline-host. Each uses some of it.
#![allow(dead_code)]

pub mod reference;
