//! A file's language, by its name.

use domain::RepoPath;

use super::tokens::TextKind;

/// What a language is used for: decides the class of a file that no other rule names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Program,
    Config,
    Prose,
    Data,
}

/// A language, as the sheet names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Language {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
}

impl Language {
    /// The language of a path; absent when its name says nothing.
    pub(crate) fn of(path: &RepoPath) -> Option<Self> {
        let (name, role) = by_file_name(path.file_name())
            .or_else(|| path.extension().and_then(|extension| by_extension(&extension.to_ascii_lowercase())))?;
        Some(Self { name, role })
    }

    /// Which factor of the token estimate its text takes.
    pub(crate) fn text_kind(self) -> TextKind {
        match (self.role, self.name) {
            (Role::Prose, _) => TextKind::Prose,
            (Role::Data, _) | (_, "json" | "yaml" | "xml") => TextKind::Data,
            _ => TextKind::Code,
        }
    }
}

fn by_file_name(name: &str) -> Option<(&'static str, Role)> {
    Some(match name {
        "Makefile" | "GNUmakefile" | "makefile" => ("make", Role::Program),
        "Dockerfile" | "Containerfile" => ("dockerfile", Role::Program),
        "Jenkinsfile" => ("groovy", Role::Program),
        "Rakefile" | "Gemfile" | "Vagrantfile" | "Podfile" | "Brewfile" | "Fastfile" => ("ruby", Role::Program),
        "CMakeLists.txt" => ("cmake", Role::Program),
        "BUILD" | "BUILD.bazel" | "WORKSPACE" | "WORKSPACE.bazel" | "MODULE.bazel" => ("starlark", Role::Program),
        "justfile" | "Justfile" => ("just", Role::Program),
        "README" | "LICENSE" | "LICENCE" | "COPYING" | "NOTICE" | "AUTHORS" | "CONTRIBUTORS" | "CHANGELOG"
        | "CHANGES" | "NEWS" | "INSTALL" | "TODO" => ("text", Role::Prose),
        "go.mod" | "go.work" => ("go module", Role::Config),
        "Procfile" | "CODEOWNERS" | "requirements.txt" | "constraints.txt" | "robots.txt" => ("text", Role::Config),
        _ if name.starts_with("Dockerfile.") => ("dockerfile", Role::Program),
        _ => return None,
    })
}

fn by_extension(extension: &str) -> Option<(&'static str, Role)> {
    by_program_extension(extension).map(|name| (name, Role::Program)).or_else(|| by_other_extension(extension))
}

fn by_program_extension(extension: &str) -> Option<&'static str> {
    Some(match extension {
        "rs" => "rust",
        "py" | "pyi" | "pyx" | "pxd" => "python",
        "js" | "mjs" | "cjs" | "jsx" => "javascript",
        "ts" | "mts" | "cts" => "typescript",
        "tsx" => "tsx",
        "go" => "go",
        "java" => "java",
        "kt" | "kts" => "kotlin",
        "scala" | "sc" | "sbt" => "scala",
        "groovy" | "gradle" => "groovy",
        "clj" | "cljs" | "cljc" | "edn" => "clojure",
        "c" | "h" => "c",
        "cc" | "cpp" | "cxx" | "hpp" | "hh" | "hxx" | "ipp" | "inl" => "c++",
        "m" | "mm" => "objective-c",
        "cu" | "cuh" => "cuda",
        "cs" => "c#",
        "fs" | "fsi" | "fsx" => "f#",
        "vb" => "visual basic",
        "rb" | "rake" | "gemspec" | "ru" => "ruby",
        "php" | "phtml" => "php",
        "pl" | "pm" | "t" => "perl",
        "lua" => "lua",
        "swift" => "swift",
        "dart" => "dart",
        "zig" => "zig",
        "nim" => "nim",
        "d" => "d",
        "v" | "sv" | "svh" => "verilog",
        "vhd" | "vhdl" => "vhdl",
        "hs" | "lhs" => "haskell",
        "ml" | "mli" => "ocaml",
        "ex" | "exs" => "elixir",
        "erl" | "hrl" => "erlang",
        "elm" => "elm",
        "jl" => "julia",
        "r" => "r",
        "f" | "f90" | "f95" | "for" => "fortran",
        "pas" | "dpr" => "pascal",
        "adb" | "ads" => "ada",
        "lisp" | "el" | "scm" | "rkt" => "lisp",
        "asm" | "s" => "assembly",
        "sol" => "solidity",
        "sh" | "bash" | "zsh" | "fish" | "ksh" => "shell",
        "ps1" | "psm1" | "psd1" => "powershell",
        "bat" | "cmd" => "batch",
        "awk" => "awk",
        "sql" => "sql",
        "graphql" | "gql" => "graphql",
        "proto" => "protobuf",
        "thrift" => "thrift",
        "html" | "htm" | "xhtml" => "html",
        "css" => "css",
        "scss" | "sass" => "sass",
        "less" => "less",
        "vue" => "vue",
        "svelte" => "svelte",
        "astro" => "astro",
        "erb" | "ejs" | "hbs" | "mustache" | "j2" | "jinja" | "jinja2" | "liquid" | "twig" | "tmpl" | "pug"
        | "haml" => "template",
        "mk" | "mak" => "make",
        "cmake" => "cmake",
        "bzl" | "star" => "starlark",
        "nix" => "nix",
        "tf" | "hcl" => "terraform",
        "glsl" | "vert" | "frag" | "hlsl" | "wgsl" | "metal" => "shader",
        "vim" => "vim script",
        "tcl" => "tcl",
        _ => return None,
    })
}

fn by_other_extension(extension: &str) -> Option<(&'static str, Role)> {
    Some(match extension {
        "json" | "jsonc" | "json5" | "webmanifest" => ("json", Role::Config),
        "yaml" | "yml" => ("yaml", Role::Config),
        "toml" => ("toml", Role::Config),
        "ini" | "cfg" | "conf" | "properties" | "editorconfig" | "service" => ("ini", Role::Config),
        "xml" | "xsd" | "xsl" | "xslt" | "plist" | "csproj" | "vcxproj" | "fsproj" | "props" | "targets" | "sln" => {
            ("xml", Role::Config)
        }
        "md" | "markdown" | "mdx" | "mdc" => ("markdown", Role::Prose),
        "rst" => ("restructuredtext", Role::Prose),
        "adoc" | "asciidoc" => ("asciidoc", Role::Prose),
        "tex" | "bib" => ("tex", Role::Prose),
        "txt" | "text" | "org" | "pod" => ("text", Role::Prose),
        "csv" | "tsv" | "psv" => ("table", Role::Data),
        "jsonl" | "ndjson" | "geojson" | "topojson" | "har" | "ipynb" => ("json", Role::Data),
        "svg" => ("svg", Role::Data),
        "snap" | "golden" | "approved" => ("snapshot", Role::Data),
        "po" | "pot" | "xlf" | "xliff" | "arb" | "resx" => ("translations", Role::Data),
        "log" | "out" | "dump" | "diff" | "patch" => ("log", Role::Data),
        "obj" | "ply" | "stl" | "gltf" | "dae" | "wkt" | "kml" | "gpx" | "osm" => ("geometry", Role::Data),
        "crt" | "cer" | "csr" | "asc" | "pub" => ("key", Role::Data),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_languages_by_name_then_extension() {
        let of = |text: &str| Language::of(&RepoPath::parse(text).expect("valid")).map(|language| language.name);
        assert_eq!(of("src/a.rs"), Some("rust"));
        assert_eq!(of("A.PY"), Some("python"));
        assert_eq!(of("web/x.test.tsx"), Some("tsx"));
        assert_eq!(of("sub/CMakeLists.txt"), Some("cmake"));
        assert_eq!(of("Dockerfile.dev"), Some("dockerfile"));
        assert_eq!(of(".gitignore"), None);
        assert_eq!(of("bin/run"), None);
    }
}
