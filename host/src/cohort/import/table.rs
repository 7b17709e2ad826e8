//! Tables that others wrote: CSV, perhaps compressed by gzip, with quirks.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use csv::StringRecord;
use flate2::read::MultiGzDecoder;

use super::error::ImportError;
use super::rejects::{Origin, Reason};
use crate::cohort::newlines::Newlines;

/// Reader's buffer, which must hold the header line for its separator to be seen.
const BUFFER: usize = 1 << 16;

/// A table that is read row by row.
pub(super) struct Table {
    file: PathBuf,
    header: StringRecord,
    reader: csv::Reader<Newlines<Box<dyn BufRead>>>,
}

/// A row of a table.
pub(super) struct Row {
    /// The line that it starts on, from 1.
    pub(super) line: u64,
    cells: StringRecord,
}

impl Row {
    /// Returns a cell without blanks around it, if it is not empty.
    pub(super) fn get(&self, column: Option<Column>) -> Option<&str> {
        let cell = self.cells.get(column?.0)?;
        let nothing = ["", "nan", "none", "null"];
        (!nothing.iter().any(|word| cell.eq_ignore_ascii_case(word))).then_some(cell)
    }
}

/// A row that cannot be used.
pub(super) struct Broken {
    /// The line that it starts on, from 1.
    pub(super) line: u64,
    pub(super) reason: Reason,
}

/// A column of a table, by its number.
#[derive(Clone, Copy)]
pub(super) struct Column(usize);

impl Table {
    /// Opens a table and reads its header.
    pub(super) fn open(file: &Path) -> Result<Self, ImportError> {
        let unreadable = |source| ImportError::Unreadable {
            path: file.to_owned(),
            source,
        };
        let mut reader = open(file).map_err(unreadable)?;
        let start = reader.fill_buf().map_err(unreadable)?;
        let delimiter = delimiter(start);
        let mut table = Self {
            file: file.to_owned(),
            header: StringRecord::new(),
            reader: csv::ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .delimiter(delimiter)
                .trim(csv::Trim::All)
                .from_reader(Newlines::of(reader)),
        };
        let mut header = StringRecord::new();
        table.read(&mut header)?;
        table.header = header;
        Ok(table)
    }

    /// Returns the column that has one of `names`, the first that is there; letters and figures count,
    /// their case does not.
    ///
    /// # Errors
    /// If two have the same.
    pub(super) fn column(&self, names: &[&str]) -> Result<Option<Column>, ImportError> {
        for name in names {
            let wanted = plain(name);
            let mut found = (0..).zip(&self.header);
            let mut found = found.by_ref().filter(|(_, cell)| plain(cell) == wanted);
            if let Some((column, cell)) = found.next() {
                if found.next().is_some() {
                    return Err(ImportError::TwoColumns {
                        file: self.file.clone(),
                        column: cell.to_owned(),
                    });
                }
                return Ok(Some(Column(column)));
            }
        }
        Ok(None)
    }

    /// Returns the same as [`column`](Self::column), for a column that must be there.
    pub(super) fn required(&self, names: &[&str]) -> Result<Option<Column>, ImportError> {
        if let Some(column) = self.column(names)? {
            return Ok(Some(column));
        }
        let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let header: Vec<String> = self.header.iter().map(shortened).collect();
        Err(ImportError::MissingColumn {
            file: self.file.clone(),
            column: quoted.join(" or "),
            header: match header[..] {
                [] => "nothing".into(),
                _ => shortened(&header.join(", ")),
            },
        })
    }

    /// Returns the place of a line.
    pub(super) fn origin(&self, line: u64) -> Origin {
        Origin {
            file: self.file.clone(),
            line: Some(line),
        }
    }

    /// Reads the next row.
    pub(super) fn next(&mut self) -> Result<Option<Result<Row, Broken>>, ImportError> {
        let mut cells = StringRecord::new();
        if !self.read(&mut cells)? {
            return Ok(None);
        }
        let line = cells.position().map_or(0, csv::Position::line);
        let (has, expected) = (cells.len(), self.header.len());
        if has != expected {
            let lines = self.reader.position().line().saturating_sub(line);
            let mut what = format!("the row has {has} cells where the header has {expected}");
            if lines > 1 {
                what = format!("{what}, over {lines} lines: is a quotation mark not closed?");
            }
            let reason = Reason::Row(what);
            return Ok(Some(Err(Broken { line, reason })));
        }
        Ok(Some(Ok(Row { line, cells })))
    }

    fn read(&mut self, record: &mut StringRecord) -> Result<bool, ImportError> {
        let line = self.reader.position().line();
        self.reader.read_record(record).map_err(|source| {
            let line = source.position().map_or(line, csv::Position::line);
            let file = self.file.clone();
            match source.kind() {
                csv::ErrorKind::Utf8 { .. } => ImportError::Encoding { file, line },
                _ => ImportError::Table { file, line, source },
            }
        })
    }
}

/// Opens a file, and inflates it if it is a gzip one by its content.
fn open(file: &Path) -> io::Result<Box<dyn BufRead>> {
    let mut reader = BufReader::with_capacity(BUFFER, File::open(file)?);
    Ok(match reader.fill_buf()? {
        [0x1f, 0x8b, ..] => {
            let inflated: Box<dyn Read> = Box::new(MultiGzDecoder::new(reader));
            Box::new(BufReader::with_capacity(BUFFER, inflated))
        }
        _ => Box::new(reader),
    })
}

/// Returns the byte between cells: a comma, or its substitute by spreadsheets of some countries.
fn delimiter(start: &[u8]) -> u8 {
    let end = start.iter().position(|byte| b"\r\n".contains(byte));
    let header = &start[..end.unwrap_or(start.len())];
    let candidates = [b',', b';', b'\t'];
    let found = candidates.into_iter().find(|byte| header.contains(byte));
    found.unwrap_or(b',')
}

/// Returns a column's name without the characters that differ between tables.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

/// Shortens a cell to be cited in a sentence: on one line, and not all of a long one.
pub(super) fn shortened(cell: &str) -> String {
    const MOST: usize = 80;
    let mut text: String = cell
        .chars()
        .take(MOST)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if cell.chars().nth(MOST).is_some() {
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn table(bytes: &[u8]) -> Result<(Table, tempfile::TempDir), String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("t.csv");
        std::fs::write(&file, bytes).unwrap();
        let table = Table::open(&file).map_err(|error| error.to_string())?;
        Ok((table, folder))
    }

    /// Returns the cells of column `b`, and the reasons for which other rows are rejected.
    fn cells(bytes: &[u8]) -> Result<Vec<(u64, String)>, String> {
        let (mut table, _folder) = table(bytes)?;
        let column = table.required(&["b"]).map_err(|error| error.to_string())?;
        let mut cells = Vec::new();
        while let Some(row) = table.next().map_err(|error| error.to_string())? {
            cells.push(match row {
                Ok(row) => (row.line, row.get(column).unwrap_or("-").to_owned()),
                Err(broken) => (broken.line, broken.reason.to_string()),
            });
        }
        Ok(cells)
    }

    #[test]
    fn quirks_of_tables_are_read() {
        let expected = Ok(vec![(2, "x".to_owned()), (3, "-".to_owned())]);
        let plain = b"a,b\n1, x \n2,NaN\n";
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(plain).unwrap();
        for bytes in [
            &plain[..],
            b"\xef\xbb\xbfa,B \r\n1,x\r\n2,\r\n",
            b"\"a\";\" b\"\n1;\"x\"\n2;none\n",
            b"a\tb\n1\tx\n2\t\n",
            b"a,b\r1,x\r2,\r",
            b"\xef\xbb\xbfb,a\nx,1\n,2\n",
            &gzip.finish().unwrap(),
        ] {
            assert_eq!(cells(bytes), expected, "{}", String::from_utf8_lossy(bytes));
        }
        let several_lines = cells(b"a,b\n\"1\n2\",x\n3,y\n");
        assert_eq!(several_lines, Ok(vec![(2, "x".into()), (4, "y".into())]));
    }

    #[test]
    fn broken_rows_and_tables_are_told() {
        let rows = cells(b"a,b\n1\n1,x\n\"1,2\n3,4\n5,6\n").unwrap();
        assert!(rows[0].0 == 2 && rows[0].1.contains("1 cells"), "{rows:?}");
        assert_eq!(rows[1], (3, "x".into()));
        assert!(
            rows[2].0 == 4 && rows[2].1.contains("quotation"),
            "{rows:?}"
        );
        for (bytes, words) in [
            (&b"a,b\n1,x\n2,J\xe9r\xf4me\n"[..], "line 3"),
            (b"\xff\xfea\0,\0b\0\n\0", "line 1"),
            (b"", "names nothing"),
            (b"a,c\n", "names a, c"),
            (b"b,a,\"B\"\n", "two columns"),
            (b"\x1f\x8b\x08\0cut off", "cannot read"),
        ] {
            let message = cells(bytes).unwrap_err();
            assert!(
                message.contains(words) && message.contains("t.csv"),
                "{message}"
            );
        }
        let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
        gzip.write_all(&b"a,b\n1,x\n".repeat(20_000)).unwrap();
        let mut gzip = gzip.finish().unwrap();
        gzip.truncate(100_000);
        let message = cells(&gzip).unwrap_err();
        assert!(message.contains("cannot be read"), "{message}");
    }
}
