//! From a network's logits to a screening decision.

/// An error of logits that give no decision.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DecisionError {
    /// The network gave neither one logit nor two.
    #[error(
        "the network gave {0} logits where one or two were expected: install a bundle made for this version"
    )]
    Count(usize),
    /// The logit is infinite or not a number. It must never count as negative.
    #[error("the network gave a logit that is not a finite number: check the bundle and the film")]
    NotFinite,
}

/// A film's decision. Positive means that a specialist should look at it.
///
/// ```
/// use plumbline_shared::decision::Decision;
///
/// // Two logits: negative first.
/// let decision = Decision::from_logits(&[-0.5, 1.0], 0.5)?;
/// assert_eq!(decision.logit, 1.5);
/// assert!(decision.positive);
/// # Ok::<(), plumbline_shared::decision::DecisionError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decision {
    /// The logit; of two outputs, positive minus negative.
    pub logit: f32,
    /// The logistic function of the logit, 0 to 1.
    pub probability: f64,
    /// The smallest probability that counts as positive.
    pub threshold: f64,
    /// True if the probability reaches the threshold.
    pub positive: bool,
}

impl Decision {
    /// Decides from one logit, or from two of which index 1 is positive.
    ///
    /// # Errors
    ///
    /// [`DecisionError`] if there are other than one or two logits or the logit is not finite.
    pub fn from_logits(logits: &[f32], threshold: f64) -> Result<Self, DecisionError> {
        let logit = match *logits {
            [logit] => logit,
            [negative, positive] => positive - negative,
            _ => return Err(DecisionError::Count(logits.len())),
        };
        if !logit.is_finite() {
            return Err(DecisionError::NotFinite);
        }
        let probability = 1.0 / (1.0 + libm::exp(-f64::from(logit)));
        Ok(Self {
            logit,
            probability,
            threshold,
            positive: probability >= threshold,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_logit_and_two_agree() {
        let one = Decision::from_logits(&[1.5], 0.5).unwrap();
        let two = Decision::from_logits(&[-0.5, 1.0], 0.5).unwrap();
        assert_eq!(one, two);
        // 1 / (1 + e^-1.5), from a table of the logistic function.
        assert!((one.probability - 0.817_574_476_193_643_7).abs() < 1e-15);
        assert!(one.positive);
    }

    #[test]
    fn the_threshold_itself_is_positive() {
        assert!(Decision::from_logits(&[0.0], 0.5).unwrap().positive);
        assert!(!Decision::from_logits(&[-1e-3], 0.5).unwrap().positive);
        assert!(!Decision::from_logits(&[2.0], 0.9).unwrap().positive);
    }

    #[test]
    fn far_logits_stay_within_zero_and_one() {
        assert_eq!(
            Decision::from_logits(&[-3e38], 0.5).unwrap().probability,
            0.0
        );
        assert_eq!(
            Decision::from_logits(&[3e38], 0.5).unwrap().probability,
            1.0
        );
    }

    #[test]
    fn what_is_no_logit_is_refused() {
        for logits in [[f32::NAN, 0.0], [0.0, f32::INFINITY], [f32::MIN, f32::MAX]] {
            let refused = Decision::from_logits(&logits, 0.5);
            assert_eq!(refused, Err(DecisionError::NotFinite), "{logits:?}");
        }
        assert_eq!(
            Decision::from_logits(&[], 0.5),
            Err(DecisionError::Count(0))
        );
        assert_eq!(
            Decision::from_logits(&[0.0; 3], 0.5),
            Err(DecisionError::Count(3))
        );
    }
}
