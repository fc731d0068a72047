//! libgit2's settings for a process that reads repositories of strangers.

use std::sync::Once;

use git2::ConfigLevel;

/// Most objects that a pack may declare.
pub(crate) const MAX_PACK_OBJECTS: u32 = 1_000_000;

/// Largest object that a delta may produce: a delta of a few bytes can ask for gigabytes.
const MAX_DELTA_RESULT_BYTES: usize = 64 << 20;

/// Most memory for objects that libgit2 keeps for the next look.
const MAX_CACHE_BYTES: isize = 32 << 20;

/// Sets them, the first time it is called.
///
/// The host's Git configuration is ignored: it could redirect addresses or change how objects are read.
pub(crate) fn apply() {
    static APPLIED: Once = Once::new();
    APPLIED.call_once(|| {
        libgit2_sys::init();
        #[expect(unsafe_code, reason = "libgit2's process-wide options; git2 does not wrap two of them")]
        // SAFETY: the options are global variables without a lock. `Once` keeps this from running twice, and it runs
        // when the first `Fetcher` is made, before that fetcher opens a repository. Each option takes the one argument
        // of the type given here (`git2/common.h`).
        unsafe {
            for level in [ConfigLevel::System, ConfigLevel::Global, ConfigLevel::XDG, ConfigLevel::ProgramData] {
                // Only a path that holds a NUL is refused.
                let _ = git2::opts::set_search_path(level, "");
            }
            let _ = git2::opts::set_cache_max_size(MAX_CACHE_BYTES);
            let set = |option: u32, value: usize| libgit2_sys::git_libgit2_opts(option.cast_signed(), value);
            set(libgit2_sys::GIT_OPT_SET_PACK_MAX_OBJECTS, MAX_PACK_OBJECTS as usize);
            set(libgit2_sys::GIT_OPT_SET_PACK_MAX_OBJECT_SIZE, MAX_DELTA_RESULT_BYTES);
        }
    });
}

#[cfg(test)]
mod tests {
    #[test]
    fn libgit2_is_a_safe_version_without_a_network() {
        let version = git2::Version::get();
        assert!(version.libgit2_version() >= (1, 9, 7), "{version:?}");
        assert!(!version.https() && !version.ssh(), "{version:?}");
    }
}
