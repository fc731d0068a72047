//! What a file is: first by its path, then by its content.

use std::fmt;
use std::sync::LazyLock;

use domain::RepoPath;
use regex::bytes::Regex;
use serde::{Deserialize, Serialize};

use super::attributes::Marks;
use super::language::{Language, Role};
use super::rules;
use crate::text;

/// What a file is to someone who reads the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FileClass {
    /// Program text.
    Source,
    /// Program text that checks program text, and what it needs.
    Test,
    /// Settings of the project and its tools.
    Config,
    /// Written for people.
    Docs,
    /// Values, not meant to be read from top to bottom.
    Data,
    /// Written by a package manager.
    Lock,
    /// Written by a program.
    Generated,
    /// Somebody else's code.
    Vendored,
    /// Code that was made small.
    Minified,
    /// Not text.
    Binary,
    /// A pointer to a file in Git LFS.
    Lfs,
    /// A commit of another repository.
    Submodule,
    /// A link to another path.
    Symlink,
    /// By its name, a file that holds secrets.
    Secret,
}

impl FileClass {
    /// The class of a regular file as far as its path tells.
    pub(crate) fn of_path(path: &RepoPath) -> Self {
        by_path(path, Language::of(path), Marks::default())
    }

    /// Whether a model gets to read such a file.
    pub(crate) fn is_readable(self) -> bool {
        match self {
            Self::Source | Self::Test | Self::Config | Self::Docs => true,
            Self::Data
            | Self::Lock
            | Self::Generated
            | Self::Vendored
            | Self::Minified
            | Self::Binary
            | Self::Lfs
            | Self::Submodule
            | Self::Symlink
            | Self::Secret => false,
        }
    }
}

impl fmt::Display for FileClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Test => "test",
            Self::Config => "config",
            Self::Docs => "docs",
            Self::Data => "data",
            Self::Lock => "lock file",
            Self::Generated => "generated",
            Self::Vendored => "vendored",
            Self::Minified => "minified",
            Self::Binary => "binary",
            Self::Lfs => "LFS object",
            Self::Submodule => "submodule",
            Self::Symlink => "symlink",
            Self::Secret => "may hold secrets",
        })
    }
}

/// The class of a regular file by its path and by what the repository says about it.
pub(crate) fn by_path(path: &RepoPath, language: Option<Language>, marks: Marks) -> FileClass {
    let lowercase = path.as_str().to_ascii_lowercase();
    let name = lowercase.rsplit('/').next().unwrap_or(&lowercase);
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    if is_secret(&lowercase, name, extension) {
        return FileClass::Secret;
    }
    if rules::LOCK_NAMES.contains(&name) {
        return FileClass::Lock;
    }
    if rules::BINARY_EXTENSIONS.contains(&extension) {
        return FileClass::Binary;
    }
    if marks.vendored.unwrap_or_else(|| is_vendored(&lowercase, name, extension)) {
        return FileClass::Vendored;
    }
    if name.contains(".min.") || name.contains("-min.") && matches!(extension, "js" | "css") {
        return FileClass::Minified;
    }
    if marks.generated.unwrap_or_else(|| is_generated(&lowercase, name)) {
        return FileClass::Generated;
    }
    by_language(&lowercase, name, language, marks)
}

fn by_language(lowercase: &str, name: &str, language: Option<Language>, marks: Marks) -> FileClass {
    let role = language.map(|language| language.role);
    if role == Some(Role::Data) {
        return FileClass::Data;
    }
    if marks.documentation == Some(true) || role == Some(Role::Prose) {
        return FileClass::Docs;
    }
    if is_test(lowercase, name) {
        return FileClass::Test;
    }
    match role {
        Some(Role::Config) => FileClass::Config,
        Some(_) if in_folder(lowercase, rules::DOCS_FOLDERS) && marks.documentation.is_none() => FileClass::Docs,
        None if name.starts_with('.') => FileClass::Config,
        Some(_) | None => FileClass::Source,
    }
}

/// The class of a file after its content: `by_path` was right unless the content is an LFS pointer, not text, made small,
/// or marked by a generator.
pub(crate) fn by_content(by_path: FileClass, bytes: &[u8], path: &RepoPath, marks: Marks) -> FileClass {
    if lfs_object_bytes(bytes).is_some() {
        FileClass::Lfs
    } else if text::is_binary(bytes) {
        FileClass::Binary
    } else if is_minified(bytes, path) {
        FileClass::Minified
    // Documentation talks about generated files without being one.
    } else if marks.generated.unwrap_or_else(|| by_path != FileClass::Docs && has_generated_mark(bytes)) {
        FileClass::Generated
    } else {
        by_path
    }
}

/// The size of the object that an LFS pointer stands for
/// (<https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md>).
pub(crate) fn lfs_object_bytes(bytes: &[u8]) -> Option<u64> {
    let is_pointer = bytes.len() < 1024 && bytes.starts_with(b"version https://git-lfs.github.com/spec/");
    let text = std::str::from_utf8(bytes).ok().filter(|_| is_pointer)?;
    text.lines().find_map(|line| line.strip_prefix("size "))?.parse().ok()
}

/// Bytes per line, the last line counted whether it ends or not.
pub(crate) fn mean_line_bytes(bytes: &[u8]) -> usize {
    let newlines = bytes.iter().map(|&byte| usize::from(byte == b'\n')).sum::<usize>();
    let lines = newlines + usize::from(bytes.last().is_some_and(|&byte| byte != b'\n'));
    bytes.len() / lines.max(1)
}

/// Whether a file says what its project is, or what it is about.
pub(crate) fn folder_rank(path: &RepoPath) -> u8 {
    let name = path.file_name().to_ascii_lowercase();
    if name == "readme" || name.starts_with("readme.") {
        0
    } else if rules::MANIFEST_NAMES.contains(&name.as_str()) {
        1
    } else {
        2
    }
}

fn is_secret(lowercase: &str, name: &str, extension: &str) -> bool {
    if rules::SECRET_EXAMPLES.iter().any(|ending| name.ends_with(ending)) {
        return false;
    }
    let is_environment = name == ".env" || name.starts_with(".env.") || extension == "env" && name.starts_with("prod");
    is_environment
        || rules::SECRET_NAMES.contains(&name)
        || rules::SECRET_EXTENSIONS.contains(&extension)
        || name.contains(".tfstate.")
        || lowercase.ends_with(".docker/config.json")
        || lowercase.ends_with(".kube/config")
}

fn is_vendored(lowercase: &str, name: &str, extension: &str) -> bool {
    let is_copied_library = matches!(extension, "js" | "css" | "scss" | "less")
        && rules::VENDORED_STEMS.iter().any(|stem| {
            // `moment.js` and `jquery-3.1.0.js`, but not `moments.js`.
            name.strip_prefix(stem).is_some_and(|rest| {
                let version = rest.trim_end_matches(extension).trim_matches(['.', '-']);
                version.starts_with(|c: char| c.is_ascii_digit()) || (version.is_empty() && rest.starts_with('.'))
            })
        });
    in_folder(lowercase, rules::VENDORED_FOLDERS)
        || rules::VENDORED_PATHS.iter().any(|ending| is_path_end(lowercase, ending))
        || lowercase.contains(".yarn/releases/")
        || lowercase.contains(".yarn/plugins/")
        || is_copied_library
}

/// Whether `lowercase` is `ending`, or ends with it on a folder boundary.
fn is_path_end(lowercase: &str, ending: &str) -> bool {
    lowercase.strip_suffix(ending).is_some_and(|before| before.is_empty() || before.ends_with('/'))
}

fn is_generated(lowercase: &str, name: &str) -> bool {
    in_folder(lowercase, rules::GENERATED_FOLDERS)
        || rules::GENERATED_ENDINGS.iter().any(|ending| name.ends_with(ending))
}

fn is_test(lowercase: &str, name: &str) -> bool {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    in_folder(lowercase, rules::TEST_FOLDERS)
        || stem.starts_with("test_")
        || [".test", ".spec", "_test", "_spec", ".cy", "-test", "-spec"].iter().any(|ending| stem.ends_with(ending))
        || matches!(name, "conftest.py" | "tests.rs" | "tests.py")
        || name.ends_with("test.java")
        || name.ends_with("tests.cs")
}

fn in_folder(lowercase: &str, folders: &[&str]) -> bool {
    let Some((parent, _)) = lowercase.rsplit_once('/') else { return false };
    parent.split('/').any(|component| folders.contains(&component))
}

/// Scripts and style sheets whose lines are far longer than anyone writes them.
fn is_minified(bytes: &[u8], path: &RepoPath) -> bool {
    let is_script_or_style =
        path.extension().is_some_and(|extension| matches!(extension, "js" | "mjs" | "cjs" | "css"));
    is_script_or_style && bytes.len() >= 1024 && mean_line_bytes(bytes) > 110
}

/// Whether one of the first ten lines says that a program wrote the file.
fn has_generated_mark(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(2048)];
    let end = head.iter().enumerate().filter(|&(_, &byte)| byte == b'\n').nth(9).map_or(head.len(), |(end, _)| end);
    // Every mark has this word: the one search that most files need.
    if !GENERATED.is_match(&head[..end]) {
        return false;
    }
    let head = String::from_utf8_lossy(&head[..end]).to_ascii_lowercase();
    let says_so = rules::GENERATED_MARKS.iter().any(|mark| head.contains(mark));
    says_so || head.contains("do not edit") || head.contains("do not modify")
}

static GENERATED: LazyLock<Regex> = LazyLock::new(|| Regex::new("(?i-u)generated").expect("a constant, tested"));

#[cfg(test)]
mod tests {
    use super::*;

    fn class(text: &str) -> FileClass {
        FileClass::of_path(&RepoPath::parse(text).expect("valid"))
    }

    fn content(text: &str, bytes: &[u8]) -> FileClass {
        let path = RepoPath::parse(text).expect("valid");
        by_content(class(text), bytes, &path, Marks::default())
    }

    #[test]
    fn paths_say_what_a_file_is() {
        use FileClass::*;
        for (expected, paths) in [
            (Source, &["src/main.rs", "Makefile", "bin/run", "web/App.tsx", "lib/moments.js", "src/testing.go"][..]),
            (Test, &["tests/a.rs", "pkg/x_test.go", "a.spec.ts", "test_x.py", "UserTest.java", "tests/data.yaml"]),
            (Config, &["Cargo.toml", ".gitignore", ".github/workflows/ci.yml", ".eslintrc", "tsconfig.json"]),
            (Docs, &["README", "README.md", "docs/guide.rst", "LICENSE", "docs/conf.py", "notes.txt"]),
            (Data, &["x.csv", "logo.svg", "a/b.snap", "de.po"]),
            (Lock, &["Cargo.lock", "web/yarn.lock", "go.sum", "package-lock.json"]),
            (Generated, &["api.pb.go", "x_pb2.py", "dist/app.js", "a.js.map"]),
            (Vendored, &["node_modules/x/i.js", "vendor/a.go", "gradlew", "js/jquery-3.7.1.js", "moment.js"]),
            (Minified, &["app.min.js", "site.min.css"]),
            (Binary, &["logo.PNG", "a.wasm", "font.woff2"]),
            (
                Secret,
                &[".env", ".env.production", "id_rsa", "tls/server.key", ".npmrc", "x.tfstate", "credentials.json"],
            ),
        ] {
            for path in paths {
                assert_eq!(class(path), expected, "{path}");
            }
        }
    }

    #[test]
    fn what_only_resembles_a_secret_file_is_read() {
        for path in [".env.example", ".env.sample", "src/credentials.rs", "id_rsa.md", "keys.rs", "environment.ts"] {
            assert_ne!(class(path), FileClass::Secret, "{path}");
        }
    }

    #[test]
    fn the_repository_can_overrule_a_path() {
        let path = RepoPath::parse("dist/ours.js").expect("valid");
        let ours = Marks { generated: Some(false), ..Marks::default() };
        assert_eq!(by_path(&path, Language::of(&path), ours), FileClass::Source);
        let path = RepoPath::parse("src/a.rs").expect("valid");
        let marked = |marks| by_path(&path, Language::of(&path), marks);
        assert_eq!(marked(Marks { vendored: Some(true), ..Marks::default() }), FileClass::Vendored);
        assert_eq!(marked(Marks { generated: Some(true), ..Marks::default() }), FileClass::Generated);
        assert_eq!(marked(Marks { documentation: Some(true), ..Marks::default() }), FileClass::Docs);
    }

    #[test]
    fn content_overrules_the_path() {
        assert_eq!(content("a.rs", b"fn main() {}\n"), FileClass::Source);
        assert_eq!(content("a.rs", b"fn\0"), FileClass::Binary);
        assert_eq!(content("a.go", b"// Code generated by x. DO NOT EDIT.\npackage a\n"), FileClass::Generated);
        assert_eq!(content("a.py", b"# This file is Auto-Generated.\n"), FileClass::Generated);
        assert_eq!(content("a.md", b"# Generated files: do not edit\n"), FileClass::Docs);
        assert_eq!(content("a.js", "a=1;".repeat(500).as_bytes()), FileClass::Minified);
        let late = format!("{}// @generated\n", "x();\n".repeat(10));
        assert_eq!(content("a.js", late.as_bytes()), FileClass::Source);
    }

    #[test]
    fn reads_the_size_of_an_lfs_object() {
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
        assert_eq!(lfs_object_bytes(pointer), Some(12345));
        assert_eq!(content("model.weights", pointer), FileClass::Lfs);
        assert_eq!(lfs_object_bytes(b"version https://git-lfs.github.com/spec/v1\nsize x\n"), None);
    }

    #[test]
    fn the_last_line_counts_without_its_end() {
        assert_eq!(mean_line_bytes(b""), 0);
        assert_eq!(mean_line_bytes(b"abc"), 3);
        assert_eq!(mean_line_bytes(b"abc\nde\n"), 3);
        assert_eq!(mean_line_bytes(b"abc\ndefg"), 4);
    }
}
