//! Reading the films that wait: a bounded pool of processes beside the receivers. A reader that
//! panics, hangs or is killed costs a second try, then one film.

mod bell;
mod pool;
mod worker;

pub use bell::Bell;
pub use pool::Pool;
pub use worker::worker_main;
