//! The settings of the memory allocator.

/// Tells glibc's allocator to keep what is freed for the next step instead of giving it back to
/// the system: a training step frees and takes the same gigabytes each time, and the page faults
/// of fresh memory cost more than the arithmetic in them. Does nothing on other C libraries.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt only sets the allocator's own parameters; these three are documented.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        // -1 stands for never.
        libc::mallopt(libc::M_TRIM_THRESHOLD, -1);
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}
