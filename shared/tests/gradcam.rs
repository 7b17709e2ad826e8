//! Grad-CAM against PyTorch's automatic differentiation and against finite differences.

use plumbline_shared::gradcam::{Head, HeadError, Linear, grad_cam};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    rows: usize,
    columns: usize,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    layers: Vec<(usize, usize, Vec<f32>, Vec<f32>)>,
    features: Vec<f32>,
    logits: Vec<f32>,
    gradient: Vec<f32>,
    cam: Vec<f32>,
}

fn close(a: &[f32], b: &[f32], tolerance: f32) {
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() <= tolerance, "{a} is not {b}");
    }
}

fn pooled(features: &[f32], area: usize) -> Vec<f32> {
    let mean = |map: &[f32]| map.iter().sum::<f32>() / area as f32;
    features.chunks_exact(area).map(mean).collect()
}

fn head(case: &Case) -> Head {
    let layers = case.layers.iter().cloned();
    let layers =
        layers.map(|(inputs, outputs, weight, bias)| Linear::new(inputs, outputs, weight, bias));
    Head::new(layers.collect::<Result<_, _>>().unwrap()).unwrap()
}

#[test]
fn equals_automatic_differentiation() {
    let reference: Reference =
        serde_json::from_str(include_str!("references/gradcam.json")).unwrap();
    let area = reference.rows * reference.columns;
    for case in &reference.cases {
        let head = head(case);
        let pooled = pooled(&case.features, area);
        close(&head.forward(&pooled), &case.logits, 1e-6);
        close(&head.gradient(&pooled), &case.gradient, 1e-6);
        let cam = grad_cam(&head, &case.features, reference.rows, reference.columns);
        assert_eq!((cam.rows, cam.columns), (reference.rows, reference.columns));
        close(&cam.values, &case.cam, 1e-5);
    }
}

/// Layers of pseudo-random weights in -1 to 1.
fn made(sizes: &[usize]) -> Head {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    let layers = sizes.windows(2).map(|pair| {
        let weight = (0..pair[0] * pair[1]).map(|_| next()).collect();
        let bias = (0..pair[1]).map(|_| next()).collect();
        Linear::new(pair[0], pair[1], weight, bias).unwrap()
    });
    Head::new(layers.collect()).unwrap()
}

#[test]
fn equals_finite_differences() {
    for sizes in [&[8, 1][..], &[8, 2], &[8, 16, 12, 2], &[8, 16, 12, 1]] {
        let head = made(sizes);
        let x: Vec<f32> = (0..8).map(|i| (i as f32 * 0.7).sin()).collect();
        let logit = |x: &[f32]| match *head.forward(x) {
            [logit] => logit,
            [negative, positive] => positive - negative,
            _ => unreachable!(),
        };
        // Piecewise linear, so a small step inside one piece is exact but for rounding.
        let step = 1e-3;
        let by_difference: Vec<f32> = (0..8)
            .map(|i| {
                let moved = |by: f32| {
                    let mut x = x.clone();
                    x[i] += by;
                    logit(&x)
                };
                (moved(step) - moved(-step)) / (2.0 * step)
            })
            .collect();
        close(&head.gradient(&x), &by_difference, 5e-3);
    }
}

#[test]
fn no_evidence_gives_an_empty_map() {
    let head = Head::new(vec![Linear::new(1, 1, vec![-1.0], vec![0.0]).unwrap()]).unwrap();
    assert_eq!(
        grad_cam(&head, &[1.0, 2.0, 0.5, 3.0], 2, 2).values,
        [0.0; 4]
    );
}

#[test]
fn layers_that_do_not_fit_are_refused() {
    assert!(matches!(
        Linear::new(2, 1, vec![1.0], vec![0.0]),
        Err(HeadError::Layer { .. })
    ));
    assert!(matches!(
        Linear::new(2, 1, vec![1.0; 2], vec![]),
        Err(HeadError::Layer { .. })
    ));
    assert!(matches!(
        Linear::new(0, 0, vec![], vec![]),
        Err(HeadError::Layer { .. })
    ));
    let layer = |inputs, outputs| {
        Linear::new(
            inputs,
            outputs,
            vec![1.0; inputs * outputs],
            vec![0.0; outputs],
        )
        .unwrap()
    };
    assert_eq!(Head::new(vec![]), Err(HeadError::Chain));
    assert_eq!(
        Head::new(vec![layer(2, 3), layer(2, 1)]),
        Err(HeadError::Chain)
    );
    assert_eq!(Head::new(vec![layer(2, 3)]), Err(HeadError::Chain));
}
