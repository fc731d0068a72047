//! What the edits ask of the base commit beyond its files.

use std::path::Path;

use crate::repo::Snapshot;

impl Snapshot {
    /// Whether the commit's tree has anything at this path, usable or not.
    pub(super) fn has_anything_at(&self, path: &str) -> bool {
        let repository = self.repository();
        repository.find_tree(self.tree()).is_ok_and(|tree| tree.get_path(Path::new(path)).is_ok())
    }
}
