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
/// Adds to `c` if `accumulate`, else overwrites it (with zeros if `k` is 0).
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
    if m == 0 || n == 0 {
        return;
    }
    assert_inside("c", (m, n), (c_row, 1), c.len());
    if k == 0 {
        if !accumulate {
            for row in 0..m {
                c[row * c_row..][..n].fill(0.0);
            }
        }
        return;
    }
    assert_inside("a", (m, k), (a.row, a.column), a.data.len());
    assert_inside("b", (k, n), (b.row, b.column), b.data.len());
    // SAFETY: `assert_inside` bounds every element that the product reads or writes and every
    // stride, and `c` is borrowed mutably, so it overlaps neither operand.
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

/// Panics if a matrix, of at least one row and column, reaches past the end of its slice of
/// `length` elements, or a stride does not fit `isize`.
fn assert_inside(
    name: &str,
    (rows, columns): (usize, usize),
    (row, column): (usize, usize),
    length: usize,
) {
    let last = (rows - 1)
        .checked_mul(row)
        .zip((columns - 1).checked_mul(column))
        .and_then(|(down, right)| down.checked_add(right));
    assert!(
        last.is_some_and(|last| last < length) && row.max(column) <= isize::MAX as usize,
        "matrix {name} of {rows} x {columns}, with strides {row} and {column}, reaches past the end \
         of its {length} elements"
    );
}

/// Rows of equal length inside a slice: row `i` is `data[i * stride + offset..][..length]`.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    pub data: &'a [f32],
    pub count: usize,
    pub stride: usize,
    pub offset: usize,
}

/// Number of elements of each row that are multiplied before moving on, so that they stay in the
/// second-level cache.
const STRETCH: usize = 512;

/// Adds `sum over t of a[i][t] * b[j][t]` to `out[(i * b.count + j) * out_step]` for every pair
/// of rows, each `length` long.
///
/// Both operands run along the summed dimension, where a matrix product wants one to run across
/// it: the one with fewer rows is transposed.
pub fn add_dot_products(out: &mut [f32], out_step: usize, a: Rows, b: Rows, length: usize) {
    let (few, many) = if a.count < b.count { (a, b) } else { (b, a) };
    let mut transposed = vec![0.0; few.count * STRETCH.min(length)];
    let mut sums = vec![0.0; few.count * many.count];
    for start in (0..length).step_by(STRETCH) {
        let count = STRETCH.min(length - start);
        let rows = &few.data[few.offset + start..];
        transpose(rows, few.count, count, few.stride, &mut transposed);
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
                data: &transposed,
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

/// Side of the blocks that are transposed at once.
const BLOCK: usize = 16;

vectorised! {
    /// Transposes `rows x columns` elements, whose rows start `stride` apart, into `columns x
    /// rows`.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(data: &[f32], row: usize, column: usize) -> Matrix<'_> {
        Matrix { data, row, column }
    }

    #[test]
    fn a_product_over_nothing_is_zero() {
        let start = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let product = |accumulate| {
            let mut c = start;
            let empty = matrix(&[], 0, 0);
            // Two rows of two, three apart.
            matmul((2, 2, 0), &mut c, 3, accumulate, empty, empty);
            c
        };
        assert_eq!(product(false), [0.0, 0.0, 3.0, 0.0, 0.0, 6.0]);
        assert_eq!(product(true), start);
    }

    #[test]
    fn sizes_past_the_end_are_refused_even_where_they_wrap() {
        let half = 1 << (usize::BITS - 1);
        let huge = usize::MAX;
        // (c_row, strides of a, strides of b): each ends inside its slice if computed modulo 2^64.
        for (c_row, a, b) in [
            (half, (2, 1), (2, 1)),
            (2, (half, 1), (2, 1)),
            (2, (2, half), (2, 1)),
            (2, (2, 1), (half, 1)),
            (2, (2, 1), (huge, huge)),
            (2, (4, 1), (2, 1)),
        ] {
            let refused = std::panic::catch_unwind(|| {
                let mut c = [0.0; 6];
                let (ones, more) = ([1.0; 6], [1.0; 6]);
                let (a, b) = (matrix(&ones, a.0, a.1), matrix(&more, b.0, b.1));
                // 3 rows: (3 - 1) * half wraps to 0.
                matmul((3, 2, 3), &mut c, c_row, false, a, b);
            });
            assert!(refused.is_err(), "{c_row}, {a:?}, {b:?}");
        }
    }
}
