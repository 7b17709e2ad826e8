//! Matrix products on slices: the `gemm` crate where one operand can be packed cheaply, and a
//! register-tiled kernel of dot products for weight gradients, whose operands both run along the
//! summed dimension.

use pulp::{Arch, Simd, WithSimd};

/// A matrix inside a slice: element `(i, j)` is `data[i * row + j * column]`.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    pub data: &'a [f32],
    pub row: usize,
    pub column: usize,
}

/// `c (+)= a b` with `a` of `m x k`, `b` of `k x n`, and `c` row-major with rows `c_row` apart.
///
/// Adds to `c` when `accumulate`, else overwrites it.
///
/// # Panics
/// If a matrix reaches past the end of its slice.
pub fn matmul(
    (m, n, k): (usize, usize, usize),
    c: &mut [f32],
    c_row: usize,
    accumulate: bool,
    a: Matrix,
    b: Matrix,
) {
    if m == 0 || n == 0 || k == 0 {
        return;
    }
    assert!((m - 1) * c_row + n <= c.len());
    assert!((m - 1) * a.row + (k - 1) * a.column < a.data.len());
    assert!((k - 1) * b.row + (n - 1) * b.column < b.data.len());
    // SAFETY: the three assertions above bound every element that the product reads or writes,
    // and `c` is borrowed mutably, so it overlaps neither operand.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            1,
            c_row as isize,
            accumulate,
            a.data.as_ptr(),
            a.column as isize,
            a.row as isize,
            b.data.as_ptr(),
            b.column as isize,
            b.row as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// Rows of equal length inside a slice: row `i` is `data[i * stride + offset..][..length]`.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    pub data: &'a [f32],
    pub count: usize,
    pub stride: usize,
    pub offset: usize,
}

impl<'a> Rows<'a> {
    fn row(&self, i: usize, length: usize) -> &'a [f32] {
        &self.data[i * self.stride + self.offset..][..length]
    }
}

/// Rows and columns of the register tile of [`add_dot_products`].
const TILE: usize = 4;

/// How many elements of each row are summed before moving on, so that two tiles' rows stay in
/// the first-level cache.
const STRETCH: usize = 1024;

/// Adds `sum over t of a[i][t] * b[j][t]` to `out[(i * b.count + j) * out_step]` for every pair
/// of rows, each `length` long.
pub fn add_dot_products(out: &mut [f32], out_step: usize, a: Rows, b: Rows, length: usize) {
    let mut start = 0;
    while start < length {
        let stretch = STRETCH.min(length - start);
        for i in (0..a.count).step_by(TILE) {
            for j in (0..b.count).step_by(TILE) {
                let tile = Tile {
                    a: std::array::from_fn(|r| {
                        &a.row((i + r).min(a.count - 1), length)[start..start + stretch]
                    }),
                    b: std::array::from_fn(|s| {
                        &b.row((j + s).min(b.count - 1), length)[start..start + stretch]
                    }),
                };
                let sums = Arch::new().dispatch(tile);
                for (r, row) in sums.iter().enumerate().take(a.count - i) {
                    for (s, sum) in row.iter().enumerate().take(b.count - j) {
                        out[((i + r) * b.count + j + s) * out_step] += sum;
                    }
                }
            }
        }
        start += stretch;
    }
}

struct Tile<'a> {
    a: [&'a [f32]; TILE],
    b: [&'a [f32]; TILE],
}

impl WithSimd for Tile<'_> {
    type Output = [[f32; TILE]; TILE];

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        let a = self.a.map(|row| S::as_simd_f32s(row));
        let b = self.b.map(|row| S::as_simd_f32s(row));
        let vectors = a[0].0.len();
        let a_vectors: [&[S::f32s]; TILE] = a.map(|(head, _)| &head[..vectors]);
        let b_vectors: [&[S::f32s]; TILE] = b.map(|(head, _)| &head[..vectors]);
        let mut sums = [[simd.splat_f32s(0.0); TILE]; TILE];
        for t in 0..vectors {
            let x: [S::f32s; TILE] = [
                a_vectors[0][t],
                a_vectors[1][t],
                a_vectors[2][t],
                a_vectors[3][t],
            ];
            for s in 0..TILE {
                let y = b_vectors[s][t];
                for r in 0..TILE {
                    sums[r][s] = simd.mul_add_f32s(x[r], y, sums[r][s]);
                }
            }
        }
        let mut out = [[0.0; TILE]; TILE];
        for r in 0..TILE {
            for s in 0..TILE {
                let tail: f32 = a[r].1.iter().zip(b[s].1).map(|(x, y)| x * y).sum();
                out[r][s] = simd.reduce_sum_f32s(sums[r][s]) + tail;
            }
        }
        out
    }
}
