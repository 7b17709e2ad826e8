//! Secrets that are made once, in the station's data folder, for its user alone.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use plumbline_shared::durable::replace_file;

/// Writes `secret` as the file `name` in `folder`, unless another process has just made one.
///
/// # Errors
/// The system's.
pub(crate) fn make_once(folder: &Path, name: &str, secret: &[u8]) -> io::Result<()> {
    let own = folder.join(format!("{name}.{}", std::process::id()));
    replace_file(&own, secret)?;
    fs::set_permissions(&own, Permissions::from_mode(0o600))?;
    // Unlike a rename, this leaves a secret that is there.
    let linked = match fs::hard_link(&own, folder.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    };
    fs::remove_file(&own)?;
    linked.and_then(|()| File::open(folder)?.sync_all())
}
