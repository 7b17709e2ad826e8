//! Measuring a model on labelled films: the study's table, curves and intervals.

mod confusion;
mod curves;
mod intervals;
mod measures;

pub use confusion::Confusion;
pub use curves::{CurvePoint, average_precision, roc_auc, roc_curve, youden_threshold};
pub use intervals::{Interval, bootstrap, wilson};
pub use measures::{Measures, Scored};
