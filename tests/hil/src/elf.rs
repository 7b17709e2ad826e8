//! The firmware's ELF file: where things lie, and what its logs mean.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use defmt_decoder::Table;
use object::{Object, ObjectSymbol};

/// An ELF file, read once.
pub struct Elf {
    bytes: Vec<u8>,
    logs: Table,
    build_id: Vec<u8>,
}

impl Elf {
    /// Reads a file.
    ///
    /// # Errors
    /// The file cannot be read, or is no firmware with logs and build id.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        let file = object::File::parse(&*bytes)?;
        let build_id = file
            .build_id()?
            .context("the ELF file has no build id")?
            .to_vec();
        let logs = Table::parse(&bytes)?.context("the ELF file has no logs")?;
        Ok(Self {
            bytes,
            logs,
            build_id,
        })
    }

    /// The build id that the program tells.
    pub fn build_id(&self) -> &[u8] {
        &self.build_id
    }

    /// The address of a symbol.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn address(&self, symbol: &str) -> Result<u64> {
        let file = object::File::parse(&*self.bytes)?;
        let found = file.symbols().find(|other| other.name() == Ok(symbol));
        Ok(found
            .with_context(|| format!("no symbol {symbol}"))?
            .address())
    }

    /// Decodes whole defmt frames, a line for each.
    ///
    /// # Errors
    /// The bytes are no frames of this program.
    pub fn decode(&self, mut frames: &[u8]) -> Result<Vec<String>> {
        let mut lines = vec![];
        while !frames.is_empty() {
            let (frame, used) = self
                .logs
                .decode(frames)
                .map_err(|why| anyhow!("no log of this program: {why:?}"))?;
            lines.push(frame.display(false).to_string());
            frames = &frames[used..];
        }
        Ok(lines)
    }
}
