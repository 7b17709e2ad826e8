//! A grid of films (transfer syntax, bits, sign, photometric interpretation, values of interest,
//! rescaling) against what pydicom, GDCM and dcmtk show of them (`differential/make.py`).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use plumbline_shared::decode::decode;

/// A film in `films.bin`, and what others show of it.
#[derive(serde::Deserialize)]
struct Answer {
    /// Its point of the grid, in words.
    what: String,
    start: usize,
    length: usize,
    /// By the peer's name.
    peers: BTreeMap<String, Shown>,
}

/// What a peer shows of a film.
#[derive(serde::Deserialize)]
struct Shown {
    /// The greys at [`places`].
    greys: Vec<u16>,
    /// How far from them another reader may be.
    within: u16,
}

/// Rows and columns, as in `make.py`.
fn places() -> impl Iterator<Item = (usize, usize)> {
    let columns = [0, 7, 13, 23];
    [0, 5, 9, 15]
        .into_iter()
        .flat_map(move |row| columns.map(|column| (row, column)))
}

#[test]
fn films_are_shown_as_pydicom_gdcm_and_dcmtk_show_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("differential");
    let films = fs::read(folder.join("films.bin")).unwrap();
    let answers = fs::read(folder.join("answers.json")).unwrap();
    let answers: Vec<Answer> = serde_json::from_slice(&answers).unwrap();
    assert!(answers.len() > 400);
    let mut compared: BTreeMap<&str, usize> = BTreeMap::new();
    let mut different = Vec::new();
    for answer in &answers {
        let film = &films[answer.start..answer.start + answer.length];
        let film = decode(film)
            .unwrap_or_else(|error| panic!("{}: {error}", answer.what))
            .film;
        let ours =
            places().map(|(row, column)| film.pixels()[row * film.width() as usize + column]);
        let ours: Vec<u16> = ours.collect();
        for (peer, theirs) in &answer.peers {
            let off = ours
                .iter()
                .zip(&theirs.greys)
                .map(|(a, b)| a.abs_diff(*b))
                .max();
            *compared.entry(peer).or_default() += 1;
            if off > Some(theirs.within) {
                different.push(format!("{} by {off:?} from {peer}", answer.what));
            }
        }
    }
    println!("{compared:?}");
    assert!(
        different.is_empty(),
        "{} differ:\n{}",
        different.len(),
        different.join("\n")
    );
}
