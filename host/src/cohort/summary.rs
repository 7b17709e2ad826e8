//! A cohort in numbers.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::manifest::{Entry, NO_FINDING, Split};
use plumbline_shared::clinical::{Projection, Refusal, Sex};

/// Width of a bin of the Cobb histogram, in degrees.
const BIN: f32 = 5.0;

/// Bands of age in years: the first year of each, and its name.
const AGES: [(u8, &str); 6] = [
    (0, "0-9"),
    (10, "10-17"),
    (18, "18-39"),
    (40, "40-59"),
    (60, "60-79"),
    (80, "80+"),
];

/// Name of a property that the manifest does not tell.
const UNKNOWN: &str = "unknown";

/// Films of train, val and test with one property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The value of the property.
    pub name: String,
    /// Films by [`Split`].
    pub films: [usize; 3],
}

/// Films by one property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The property.
    pub title: &'static str,
    /// Its rows.
    pub rows: Vec<Row>,
}

impl Table {
    /// Counts `entries` by the names that `property` gives each of them, in the order of `names`,
    /// then by number, the unknown last. Names of no film have no row.
    fn new<'a>(
        title: &'static str,
        entries: &'a [Entry],
        names: &[&str],
        property: impl Fn(&'a Entry) -> Vec<&'a str>,
    ) -> Self {
        let mut counts: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
        for entry in entries {
            for name in property(entry) {
                counts.entry(name).or_default()[entry.split as usize] += 1;
            }
        }
        let mut rows: Vec<Row> = counts
            .into_iter()
            .map(|(name, films)| Row {
                name: name.to_owned(),
                films,
            })
            .collect();
        let place = |name: &str| names.iter().position(|known| *known == name);
        rows.sort_by_key(|row| {
            let films: usize = row.films.iter().sum();
            let place = place(&row.name).unwrap_or(names.len());
            (place, row.name == UNKNOWN, Reverse(films))
        });
        Self { title, rows }
    }
}

/// A cohort in numbers; its text is printed by `cohort show`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Number of films.
    pub films: usize,
    /// Number of patients.
    pub patients: usize,
    /// Number of studies, of films whose study is known.
    pub studies: usize,
    /// Films by split and by each property in turn; tables without rows are left out.
    pub tables: Vec<Table>,
    /// Films by Cobb angle, in bins of five degrees from zero.
    pub cobb: Vec<usize>,
}

impl Summary {
    /// Counts the films of a cohort.
    pub(crate) fn new(entries: &[Entry]) -> Self {
        let labels = ["negative", "positive", "no label", "to be refused"];
        let label = |entry: &Entry| match (&entry.refusal, entry.label) {
            (Some(_), _) => labels[3],
            (None, Some(label)) => labels[usize::from(label)],
            (None, None) => labels[2],
        };
        let projections = Projection::ALL.map(Projection::name);
        let ages = AGES.map(|(_, name)| name);
        let refusals = Refusal::ALL.map(Refusal::name);
        let mut tables = vec![
            Table::new("scoliosis", entries, &labels, |entry| vec![label(entry)]),
            Table::new("projection", entries, &projections, |entry| {
                vec![entry.projection.map_or(UNKNOWN, Projection::name)]
            }),
            Table::new("sex", entries, &["female", "male"], |entry| {
                vec![entry.sex.map_or(UNKNOWN, sex)]
            }),
            Table::new("age", entries, &ages, |entry| {
                vec![entry.age.map_or(UNKNOWN, band)]
            }),
            Table::new("to be refused", entries, &refusals, |entry| {
                entry.refusal.map(Refusal::name).into_iter().collect()
            }),
        ];
        if entries.iter().any(|entry| entry.findings.is_some()) {
            tables.push(Table::new("findings", entries, &[], findings));
        }
        tables.retain(|table| !table.rows.is_empty());
        let patients: BTreeSet<&str> = entries.iter().map(|e| e.patient.as_str()).collect();
        let studies: BTreeSet<&str> = entries.iter().filter_map(|e| e.study.as_deref()).collect();
        Self {
            films: entries.len(),
            patients: patients.len(),
            studies: studies.len(),
            tables,
            cobb: histogram(entries.iter().filter_map(|entry| entry.cobb_degrees)),
        }
    }
}

fn sex(sex: Sex) -> &'static str {
    match sex {
        Sex::Female => "female",
        Sex::Male => "male",
    }
}

/// Returns the band of an age in years.
fn band(age: u8) -> &'static str {
    let begun = AGES.iter().rev().find(|(from, _)| *from <= age);
    begun.map_or(UNKNOWN, |(_, name)| name)
}

fn findings(entry: &Entry) -> Vec<&str> {
    match &entry.findings {
        None => vec![UNKNOWN],
        Some(none) if none.is_empty() => vec![NO_FINDING],
        Some(some) => some.iter().map(String::as_str).collect(),
    }
}

fn histogram(angles: impl Iterator<Item = f32>) -> Vec<usize> {
    let mut bins = Vec::new();
    for angle in angles {
        let bin = (angle / BIN) as usize;
        if bins.len() <= bin {
            bins.resize(bin + 1, 0);
        }
        bins[bin] += 1;
    }
    bins
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} films of {} patients", self.films, self.patients)?;
        match self.studies {
            0 => writeln!(f)?,
            studies => writeln!(f, " in {studies} studies")?,
        }
        let names = self.tables.iter().flat_map(|table| &table.rows);
        let width = names.map(|row| row.name.chars().count()).max();
        let width = width.unwrap_or(0).max(16);
        for Table { title, rows } in &self.tables {
            write!(f, "\n{title:<width$}")?;
            for split in Split::ALL {
                write!(f, "{:>9}", split.name())?;
            }
            writeln!(f, "{:>9}", "all")?;
            for Row { name, films } in rows {
                write!(f, "{name:<width$}")?;
                for count in films {
                    write!(f, "{count:>9}")?;
                }
                writeln!(f, "{:>9}", films.iter().sum::<usize>())?;
            }
        }
        let Some(most) = self.cobb.iter().max() else {
            return Ok(());
        };
        writeln!(f, "\nCobb angle, degrees")?;
        for (bin, &count) in self.cobb.iter().enumerate() {
            let (from, to) = (bin as f32 * BIN, (bin + 1) as f32 * BIN);
            let bar = "#".repeat((count * 50).div_ceil((*most).max(1)));
            let line = format!("{from:>3} to {to:<3}{count:>8} {bar}");
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cohort::manifest;

    fn summary(text: &str) -> String {
        let entries = manifest::read("/c".as_ref(), text.as_bytes()).unwrap();
        Summary::new(&entries).to_string()
    }

    #[test]
    fn every_property_is_counted_by_split() {
        let text = summary(
            "film,patient,study,split,label,refusal,findings,cobb_degrees,age,sex,projection\n\
             a,p,1,train,1,,Mass|Effusion,23,9,F,PA\n\
             b,p,1,train,0,,No Finding,4.9,10,F,AP\n\
             c,q,2,train,0,,Effusion,5,17,M,PA\n\
             d,r,3,val,1,,,12.5,80,M,PA\n\
             e,s,,test,,,,,,,\n\
             f,t,4,test,0,lateral,,,255,,LATERAL\n",
        );
        let expected = "6 films of 5 patients in 4 studies

scoliosis           train      val     test      all
negative                2        0        0        2
positive                1        1        0        2
no label                0        0        1        1
to be refused           0        0        1        1

projection          train      val     test      all
PA                      2        1        0        3
AP                      1        0        0        1
LATERAL                 0        0        1        1
unknown                 0        0        1        1

sex                 train      val     test      all
female                  2        0        0        2
male                    1        1        0        2
unknown                 0        0        2        2

age                 train      val     test      all
0-9                     1        0        0        1
10-17                   2        0        0        2
80+                     0        1        1        2
unknown                 0        0        1        1

to be refused       train      val     test      all
lateral                 0        0        1        1

findings            train      val     test      all
Effusion                2        0        0        2
Mass                    1        0        0        1
No Finding              1        0        0        1
unknown                 0        1        2        3

Cobb angle, degrees
  0 to 5         1 ##################################################
  5 to 10        1 ##################################################
 10 to 15        1 ##################################################
 15 to 20        0
 20 to 25        1 ##################################################
";
        assert_eq!(text, expected);
    }

    #[test]
    fn the_barest_cohort_is_counted() {
        let text = summary("film,patient,split,label\na,p,train,1\n");
        let expected = "1 films of 1 patients

scoliosis           train      val     test      all
positive                1        0        0        1

projection          train      val     test      all
unknown                 1        0        0        1

sex                 train      val     test      all
unknown                 1        0        0        1

age                 train      val     test      all
unknown                 1        0        0        1
";
        assert_eq!(text, expected);
        assert_eq!(
            summary("film,patient,split,label\n"),
            "0 films of 0 patients\n"
        );
    }

    #[test]
    fn bands_meet() {
        let bands = [0, 9, 10, 17, 18, 39, 40, 59, 60, 79, 80, 255].map(band);
        let (pairs, _) = bands.as_chunks::<2>();
        assert_eq!(pairs.len(), AGES.len());
        for (pair, (_, name)) in pairs.iter().zip(AGES) {
            assert_eq!(pair, &[name; 2]);
        }
    }
}
