//! Convolution at stride 1 without gathering.
//!
//! The maps of some films are laid side by side, each inside its zero border, as one long row per
//! channel. A `k x k` convolution is then `k * k` matrix products of whole rows shifted by the
//! kernel's offset; the data gradient is the same convolution with each kernel flipped and inputs
//! and outputs transposed, the weight gradient a dot product of shifted rows.

use super::gemm::{Matrix, Rows, add_dot_products, matmul};

/// The layout of a row of maps: `films` of them, each with `border` zeros on every side.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    pub films: usize,
    pub height: usize,
    pub width: usize,
    /// Half the kernel, which has `2 border + 1` rows and columns.
    pub border: usize,
}

impl Frame {
    /// Elements of one map.
    pub fn map(self) -> usize {
        self.height * self.width
    }

    /// Elements of one framed line.
    pub fn line(self) -> usize {
        self.width + 2 * self.border
    }

    /// Elements of one framed map.
    pub fn size(self) -> usize {
        (self.height + 2 * self.border) * self.line()
    }

    /// Elements of one row.
    pub fn row(self) -> usize {
        self.films * self.size()
    }

    fn taps(self) -> usize {
        (2 * self.border + 1).pow(2)
    }

    /// The place that tap `tap` of the kernel reads, relative to the output's place.
    fn offset(self, tap: usize) -> usize {
        let kernel = 2 * self.border + 1;
        tap / kernel * self.line() + tap % kernel
    }

    /// The index of the first element of a film's map in a row of inputs.
    pub fn first(self, film: usize) -> usize {
        film * self.size() + self.border * self.line() + self.border
    }

    /// Copies a film's map into a row of inputs, whose borders are zeros already.
    pub fn put(self, map: &[f32], film: usize, row: &mut [f32]) {
        let inside = row[self.first(film)..].chunks_mut(self.line());
        for (to, line) in inside.zip(map.chunks_exact(self.width)) {
            to[..self.width].copy_from_slice(line);
        }
    }

    /// Copies a film's map out of a row of outputs.
    pub fn take(self, row: &[f32], film: usize, map: &mut [f32]) {
        let inside = row[film * self.size()..].chunks(self.line());
        for (line, from) in map.chunks_exact_mut(self.width).zip(inside) {
            line.copy_from_slice(&from[..self.width]);
        }
    }

    /// Rows of inputs from `channels` maps of each film, films first.
    pub fn lay_out(self, maps: &[f32], channels: usize) -> Vec<f32> {
        let mut rows = vec![0.0; channels * self.row()];
        for (plane, map) in maps.chunks_exact(self.map()).enumerate() {
            let (film, channel) = (plane / channels, plane % channels);
            self.put(map, film, &mut rows[channel * self.row()..][..self.row()]);
        }
        rows
    }

    /// The maps of each film, films first, from rows of outputs: the inverse of
    /// [`lay_out`](Self::lay_out).
    pub fn gather(self, rows: &[f32], channels: usize, maps: &mut [f32]) {
        for (plane, map) in maps.chunks_exact_mut(self.map()).enumerate() {
            let (film, channel) = (plane / channels, plane % channels);
            self.take(&rows[channel * self.row()..][..self.row()], film, map);
        }
    }

    /// Convolves rows of `inputs` channels with `weight` (`outputs x inputs x k x k`) into rows of
    /// outputs.
    pub fn convolve(
        self,
        rows: &[f32],
        weight: &[f32],
        (inputs, outputs): (usize, usize),
        out: &mut [f32],
    ) {
        for tap in 0..self.taps() {
            matmul(
                (outputs, self.places(), inputs),
                out,
                self.row(),
                tap > 0,
                Matrix {
                    data: &weight[tap..],
                    row: inputs * self.taps(),
                    column: self.taps(),
                },
                Matrix {
                    data: &rows[self.offset(tap)..],
                    row: self.row(),
                    column: 1,
                },
            );
        }
    }

    /// Adds to `gradient` (`outputs x inputs x k x k`) the kernel's gradient, from rows of `inputs`
    /// channels and the gradients of their `outputs`, laid out like inputs.
    pub fn add_weight_gradient(
        self,
        rows: &[f32],
        output_rows: &[f32],
        (inputs, outputs): (usize, usize),
        gradient: &mut [f32],
    ) {
        for tap in 0..self.taps() {
            let matrix = |data, count, offset| Rows {
                data,
                count,
                stride: self.row(),
                offset,
            };
            add_dot_products(
                &mut gradient[tap..],
                self.taps(),
                matrix(output_rows, outputs, self.first(0)),
                matrix(rows, inputs, self.offset(tap)),
                self.places(),
            );
        }
    }

    /// Number of places in a row of outputs, from the first to the last that lies in a map.
    fn places(self) -> usize {
        self.row() - self.offset(self.taps() - 1)
    }
}

/// The kernel that convolves the outputs' gradient to the inputs': from `outputs x inputs x taps`
/// to `inputs x outputs x taps`, each window rotated by half a turn.
pub fn flip_transpose(weight: &[f32], (inputs, outputs): (usize, usize)) -> Vec<f32> {
    let taps = weight.len() / (inputs * outputs);
    let mut flipped = vec![0.0; weight.len()];
    for o in 0..outputs {
        for i in 0..inputs {
            let from = &weight[(o * inputs + i) * taps..][..taps];
            let to = &mut flipped[(i * outputs + o) * taps..][..taps];
            for (to, from) in to.iter_mut().zip(from.iter().rev()) {
                *to = *from;
            }
        }
    }
    flipped
}
