//! The firmware's ELF file: where things lie, and what its logs mean.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use defmt_decoder::Table;
use object::{Object, ObjectSection, ObjectSymbol};

/// An ELF file, read once.
pub struct Elf {
    bytes: Vec<u8>,
    logs: Table,
    build_id: Vec<u8>,
    /// Where the code begins, and its bytes.
    code: (usize, Vec<u8>),
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
        let code = file
            .section_by_name(".text")
            .context("the ELF file has no code")?;
        let code = (code.address() as usize, code.data()?.to_vec());
        let logs = Table::parse(&bytes)?.context("the ELF file has no logs")?;
        Ok(Self {
            bytes,
            logs,
            build_id,
            code,
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

    /// Four bytes of code at an address.
    ///
    /// # Errors
    /// There is none.
    pub fn code(&self, address: u32) -> Result<[u8; 4]> {
        let at = (address as usize).checked_sub(self.code.0);
        let code = at.and_then(|at| self.code.1.get(at..)?.first_chunk());
        code.copied()
            .with_context(|| format!("no code at {address:#x}"))
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
