//! Diseases of heart, lung and pleura, named as in ChestX-ray14 (Wang et al., CVPR 2017), drawn by
//! lot alike for both classes.

use crate::patient::Patient;
use crate::rng::Variates;

/// A disease that a film may show besides the curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disease {
    Atelectasis,
    Cardiomegaly,
    Consolidation,
    Edema,
    Effusion,
    Emphysema,
    Fibrosis,
    Hernia,
    Infiltration,
    Mass,
    Nodule,
    PleuralThickening,
    Pneumonia,
    Pneumothorax,
}

impl Disease {
    const ALL: [Self; 14] = [
        Self::Atelectasis,
        Self::Cardiomegaly,
        Self::Consolidation,
        Self::Edema,
        Self::Effusion,
        Self::Emphysema,
        Self::Fibrosis,
        Self::Hernia,
        Self::Infiltration,
        Self::Mass,
        Self::Nodule,
        Self::PleuralThickening,
        Self::Pneumonia,
        Self::Pneumothorax,
    ];

    /// Returns the name in ChestX-ray14.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Atelectasis => "Atelectasis",
            Self::Cardiomegaly => "Cardiomegaly",
            Self::Consolidation => "Consolidation",
            Self::Edema => "Edema",
            Self::Effusion => "Effusion",
            Self::Emphysema => "Emphysema",
            Self::Fibrosis => "Fibrosis",
            Self::Hernia => "Hernia",
            Self::Infiltration => "Infiltration",
            Self::Mass => "Mass",
            Self::Nodule => "Nodule",
            Self::PleuralThickening => "Pleural_Thickening",
            Self::Pneumonia => "Pneumonia",
            Self::Pneumothorax => "Pneumothorax",
        }
    }
}

/// One disease of one patient.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Finding {
    pub(crate) disease: Disease,
    /// -1 on the patient's right, 1 on the left.
    pub(crate) side: f64,
    /// From 0, hardly visible, to 1, severe.
    pub(crate) severity: f64,
}

/// The diseases of one patient.
#[derive(Debug, Clone, Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    /// Draws a patient's diseases by lot: none for most, up to three, more with age.
    pub(crate) fn draw(rng: &mut Variates, patient: &Patient) -> Self {
        let old = ((patient.age - 30.0) / 50.0).clamp(0.0, 1.0);
        let mut findings = Vec::new();
        if rng.chance(0.25 + 0.3 * old) {
            let mut diseases = Disease::ALL;
            rng.shuffle(&mut diseases);
            let count = 1 + usize::from(rng.chance(0.35)) + usize::from(rng.chance(0.12));
            for &disease in diseases.iter().take(count) {
                findings.push(Finding {
                    disease,
                    side: if rng.chance(0.5) { -1.0 } else { 1.0 },
                    severity: rng.between(0.25, 1.0),
                });
            }
        }
        Self(findings)
    }

    /// Returns all diseases, in the order in which they are drawn on the film.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter()
    }

    /// Returns the names, for the manifest.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.0
            .iter()
            .map(|finding| finding.disease.name())
            .collect()
    }

    /// Returns the severity of a disease on either side, 0 without the disease.
    pub(crate) fn severity(&self, disease: Disease) -> f64 {
        let found = self.0.iter().find(|finding| finding.disease == disease);
        found.map_or(0.0, |finding| finding.severity)
    }

    /// Returns the severity of a disease on one side, 0 without the disease there.
    pub(crate) fn on(&self, disease: Disease, side: f64) -> f64 {
        let there = |f: &&Finding| f.disease == disease && f.side == side;
        self.0.iter().find(there).map_or(0.0, |f| f.severity)
    }
}
