//! The region of a film at which the network looked most, as a line around cells of its Grad-CAM map.

use plumbline_shared::preprocess::{Rect, SIDE};

/// The share of the peak from which on a cell belongs to the region.
const SHARE: f32 = 0.5;

/// Returns the outline of the region around the peak of `map` (rows first), whose cells have at least
/// half of the peak's value and touch each other: a closed line, by columns and rows of a film's
/// pixels of which there are `columns` x `rows`, and which fills `content` of the network's input.
/// None if the map has no peak, or it lies beside the film.
pub(super) fn hottest(
    map: &[Vec<f32>],
    content: Rect,
    [columns, rows]: [u32; 2],
) -> Option<Vec<[f32; 2]>> {
    let value = |cell: [usize; 2]| map.get(cell[0]).and_then(|row| row.get(cell[1])).copied();
    let cells = (0..map.len()).flat_map(|row| (0..map[row].len()).map(move |column| [row, column]));
    let peak = cells.max_by(|a, b| map[a[0]][a[1]].total_cmp(&map[b[0]][b[1]]))?;
    let least = SHARE * value(peak)?;
    if least <= 0.0 {
        return None;
    }
    let mut region = vec![peak];
    let mut looked = 0;
    while let Some(&[row, column]) = region.get(looked) {
        looked += 1;
        let beside = [
            [row.wrapping_sub(1), column],
            [row + 1, column],
            [row, column.wrapping_sub(1)],
            [row, column + 1],
        ];
        for cell in beside {
            if value(cell).is_some_and(|value| value >= least) && !region.contains(&cell) {
                region.push(cell);
            }
        }
    }
    let corner = |[row, column]: [usize; 2]| {
        let along = |cell: usize, cells: usize, start: u32, length: u32, pixels: u32| {
            let input = cell as f32 * SIDE as f32 / cells as f32;
            let share = (input - start as f32) / length as f32;
            (share * pixels as f32).clamp(0.0, pixels as f32)
        };
        [
            along(column, map[0].len(), content.left, content.width, columns),
            along(row, map.len(), content.top, content.height, rows),
        ]
    };
    let mut line: Vec<[f32; 2]> = outline(&region).into_iter().map(corner).collect();
    // Corners beside the film fall upon its edge, and upon each other.
    line.dedup();
    let area: f32 = (line.windows(2))
        .map(|pair| pair[0][0] * pair[1][1] - pair[1][0] * pair[0][1])
        .sum();
    (area.abs() > 0.0).then_some(line)
}

/// The outer line around cells that touch each other, clockwise as corners (row, column), the first
/// again at the end.
fn outline(cells: &[[usize; 2]]) -> Vec<[usize; 2]> {
    let inside = |row: usize, column: usize| cells.contains(&[row, column]);
    let start = *cells.iter().min().expect("a region has a cell");
    // Along the upper side of the first cell, with the region at the right hand.
    let mut at = start;
    let mut heading = [0_isize, 1];
    let mut line = vec![at];
    loop {
        at = [
            at[0].wrapping_add_signed(heading[0]),
            at[1].wrapping_add_signed(heading[1]),
        ];
        // The cells ahead, at the left and at the right hand.
        let [row, column] = at;
        let around = |down: isize, right: isize| {
            let cell = |corner: usize, step: isize| corner.wrapping_add_signed((step - 1) / 2);
            inside(cell(row, down), cell(column, right))
        };
        let [down, right] = heading;
        let left_hand = [-right, down];
        let right_hand = [right, -down];
        let ahead = |side: [isize; 2]| around(down + side[0], right + side[1]);
        let turned = match (ahead(left_hand), ahead(right_hand)) {
            (_, false) => right_hand,
            (true, true) => left_hand,
            (false, true) => heading,
        };
        if turned != heading || at == start {
            line.push(at);
        }
        heading = turned;
        if at == start {
            return line;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: Rect = Rect {
        left: 0,
        top: 0,
        width: 256,
        height: 256,
    };

    fn map(hot: &[[usize; 2]]) -> Vec<Vec<f32>> {
        let mut map = vec![vec![0.1; 8]; 8];
        for [row, column] in hot {
            map[*row][*column] = 1.0;
        }
        map
    }

    /// Twice the area within a closed line.
    fn area(line: &[[f32; 2]]) -> f32 {
        let pairs = line.windows(2);
        pairs.map(|p| p[0][0] * p[1][1] - p[1][0] * p[0][1]).sum()
    }

    #[test]
    fn a_cell_is_a_square() {
        let line = hottest(&map(&[[2, 3]]), WHOLE, [800, 1600]).unwrap();
        let corners = [[300., 400.], [400., 400.], [400., 600.], [300., 600.]];
        assert_eq!(line, [&corners[..], &corners[..1]].concat());
    }

    #[test]
    fn a_line_goes_around_all_cells_that_touch() {
        // A ring with a hole and an arm, and a cell that touches by a corner alone.
        let ring = [
            [1, 1],
            [1, 2],
            [1, 3],
            [2, 1],
            [2, 3],
            [3, 1],
            [3, 2],
            [3, 3],
            [3, 4],
        ];
        let mut map = map(&ring);
        map[4][5] = 0.9;
        let line = hottest(&map, WHOLE, [8, 8]).unwrap();
        assert_eq!(line.first(), line.last());
        // Nine cells' area of the square, and the arm's.
        assert_eq!(area(&line), 2.0 * 10.0);
        assert_eq!(line.len(), 7);
    }

    #[test]
    fn all_cells_make_the_films_edge_and_none_make_no_line() {
        let all = vec![vec![0.7; 8]; 8];
        // A film of half the width is in the middle of the input.
        let content = Rect {
            left: 64,
            width: 128,
            ..WHOLE
        };
        let line = hottest(&all, content, [100, 200]).unwrap();
        assert_eq!(area(&line).abs(), 2.0 * 100.0 * 200.0);
        assert!(hottest(&vec![vec![0.0; 8]; 8], WHOLE, [8, 8]).is_none());
        assert!(hottest(&[], WHOLE, [8, 8]).is_none());
        // A peak beside the film.
        assert!(hottest(&map(&[[4, 0]]), content, [100, 200]).is_none());
    }

    /// The cells of 10 x 10 that can be reached from `start`, each by a side or, if `diagonally`, by a
    /// corner of the one before.
    fn flood(
        start: [usize; 2],
        diagonally: bool,
        may: impl Fn(usize, usize) -> bool,
    ) -> Vec<[usize; 2]> {
        let mut reached = vec![start];
        let mut looked = 0;
        while let Some(&[row, column]) = reached.get(looked) {
            looked += 1;
            for at in 0..9 {
                let (down, right) = (at / 3, at % 3);
                let (below, beside) = (row + down, column + right);
                let reachable = diagonally || down == 1 || right == 1;
                if !reachable || !(1..11).contains(&below) || !(1..11).contains(&beside) {
                    continue;
                }
                let cell = [below - 1, beside - 1];
                if may(cell[0], cell[1]) && !reached.contains(&cell) {
                    reached.push(cell);
                }
            }
        }
        reached
    }

    #[test]
    fn any_region_has_the_area_of_its_cells_and_holes() {
        let mut state = 1_u64;
        for _ in 0..2000 {
            let mut map = vec![vec![0.0_f32; 8]; 8];
            for cell in map.iter_mut().flatten() {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                *cell = f32::from((state >> 60) as u8 > 6);
            }
            if map.iter().flatten().all(|value| *value == 0.0) {
                continue;
            }
            let line = hottest(&map, WHOLE, [8, 8]).unwrap();
            assert_eq!(line.first(), line.last());
            // Every corner turns, and sides lie along cells.
            for pair in line.windows(2) {
                let along = (pair[0][0] == pair[1][0]) != (pair[0][1] == pair[1][1]);
                assert!(along, "{line:?}");
            }
            // All but what can be reached from the border around, also between cells that touch by a
            // corner, is inside: the cells of the region and its holes.
            let hot = |row: usize, column: usize| {
                let cell = row.checked_sub(1).and_then(|row| map.get(row));
                let cell = cell
                    .zip(column.checked_sub(1))
                    .and_then(|(row, column)| row.get(column));
                cell.is_some_and(|value| *value > 0.0)
            };
            let mut backwards = (0..100).rev().map(|at| [at / 10, at % 10]);
            let peak = backwards.find(|[row, column]| hot(*row, *column));
            let region = flood(peak.unwrap(), false, hot);
            let outside = flood([0, 0], true, |row, column| !region.contains(&[row, column]));
            assert_eq!(area(&line), 2.0 * (100 - outside.len()) as f32, "{map:?}");
        }
    }
}
