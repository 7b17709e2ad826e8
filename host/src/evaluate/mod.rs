//! Measuring a model on labelled films: the study's table, curves and intervals.

mod confusion;
pub mod curves;
mod evaluation;
mod intervals;
mod measures;
mod predictions;

pub use confusion::Confusion;
pub use curves::{
    CurvePoint, Ranked, average_precision, roc_auc, roc_curve, sensitivity_threshold,
    youden_threshold,
};
pub use evaluation::{EvaluateError, Evaluation, Scores, Step, evaluate, score};
pub use intervals::{Interval, bootstrap, wilson};
pub use measures::{Measures, Scored};
pub use predictions::{Prediction, read_predictions, write_predictions};
