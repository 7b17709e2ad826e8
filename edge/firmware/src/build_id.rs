//! The build id, which the linker writes into the program and its ELF file
//! (`--build-id=sha1`): by it the station finds the ELF file that decodes the program's logs.

/// The note: lengths of name and id, type, name ("GNU" and a 0), id.
const HEADER: usize = 16;
const LENGTH: usize = 20;

unsafe extern "C" {
    /// The note's begin; `build-id.x` defines it.
    static BUILD_ID_NOTE: [u8; HEADER + LENGTH];
}

/// The build id.
pub fn build_id() -> [u8; LENGTH] {
    // SAFETY: the linker has put a note there.
    let note = unsafe { &BUILD_ID_NOTE };
    core::array::from_fn(|index| note[HEADER + index])
}
