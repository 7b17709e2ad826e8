//! Matrix products on slices, by the `gemm` crate.

use super::vectorised::vectorised;

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

/// How many elements of each row are multiplied before moving on, so that they stay in the
/// second-level cache.
const STRETCH: usize = 512;

/// Adds `sum over t of a[i][t] * b[j][t]` to `out[(i * b.count + j) * out_step]` for every pair
/// of rows, each `length` long.
///
/// Both operands run along the summed dimension, where a matrix product wants one to run across
/// it: the one with fewer rows is turned.
pub fn add_dot_products(out: &mut [f32], out_step: usize, a: Rows, b: Rows, length: usize) {
    let (few, many) = if a.count < b.count { (a, b) } else { (b, a) };
    let mut turned = vec![0.0; few.count * STRETCH.min(length)];
    let mut sums = vec![0.0; few.count * many.count];
    for start in (0..length).step_by(STRETCH) {
        let count = STRETCH.min(length - start);
        let rows = &few.data[few.offset + start..];
        transpose(rows, few.count, count, few.stride, &mut turned);
        matmul(
            (many.count, few.count, count),
            &mut sums,
            few.count,
            start > 0,
            Matrix {
                data: &many.data[many.offset + start..],
                row: many.stride,
                column: 1,
            },
            Matrix {
                data: &turned,
                row: few.count,
                column: 1,
            },
        );
    }
    let (step_many, step_few) = if a.count < b.count {
        (1, b.count)
    } else {
        (b.count, 1)
    };
    for (i, sums) in sums.chunks_exact(few.count).enumerate() {
        for (j, sum) in sums.iter().enumerate() {
            out[(i * step_many + j * step_few) * out_step] += sum;
        }
    }
}

/// Side of the blocks that are turned at once.
const BLOCK: usize = 16;

vectorised! {
    /// Turns `rows x columns` elements, whose rows start `stride` apart, into `columns x rows`.
    pub fn transpose(
        x: &[f32],
        rows: usize,
        columns: usize,
        stride: usize,
        to: &mut [f32],
    ) {
        for row in (0..rows).step_by(BLOCK) {
            for column in (0..columns).step_by(BLOCK) {
                let (height, width) = (BLOCK.min(rows - row), BLOCK.min(columns - column));
                if (height, width) == (BLOCK, BLOCK) {
                    let mut block = [[0.0f32; BLOCK]; BLOCK];
                    for i in 0..BLOCK {
                        let line = &x[(row + i) * stride + column..][..BLOCK];
                        for j in 0..BLOCK {
                            block[j][i] = line[j];
                        }
                    }
                    for j in 0..BLOCK {
                        to[(column + j) * rows + row..][..BLOCK].copy_from_slice(&block[j]);
                    }
                } else {
                    for i in 0..height {
                        for j in 0..width {
                            to[(column + j) * rows + row + i] = x[(row + i) * stride + column + j];
                        }
                    }
                }
            }
        }
    }
}
