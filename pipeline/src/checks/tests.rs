//! Each check finds what it is for, and leaves ordinary changes alone.
//!
//! What the checks look for is put together from pieces, so that these tests pass the checks themselves.

use super::*;
use crate::repo::FileMode;

fn path(text: &str) -> RepoPath {
    RepoPath::parse(text).expect("valid")
}

fn changed(name: &str, before: Option<&str>, after: Option<&str>) -> ChangedFile {
    let bytes = |text: Option<&str>| text.map(|text| text.as_bytes().to_vec());
    ChangedFile {
        path: path(name),
        old_path: None,
        before: bytes(before),
        after: bytes(after),
        mode: FileMode::Regular,
    }
}

fn new(name: &str, after: &str) -> ChangedFile {
    changed(name, None, Some(after))
}

fn check(file: ChangedFile) -> Report {
    run(&[file], &[], "")
}

fn kinds(report: &Report) -> Vec<ProblemKind> {
    report.problems.iter().map(|problem| problem.kind).collect()
}

fn flag_kinds(report: &Report) -> Vec<FlagKind> {
    report.flags.iter().map(|flag| flag.kind).collect()
}

#[test]
fn an_ordinary_change_has_no_problems() {
    let before = "/// Adds.\npub fn add(a: u32, b: u32) -> u32 {\n    a + b\n}\n";
    let after =
        "/// Adds, and stays at the largest number.\npub fn add(a: u32, b: u32) -> u32 {\n    a.saturating_add(b)\n}\n";
    let report = run(&[changed("src/lib.rs", Some(before), Some(after))], &[path("src/lib.rs")], "saturate");
    assert_eq!(report, Report::default());
    assert_eq!(report.to_string(), "The machine checks found nothing.\n");
}

#[test]
fn only_planned_files_and_new_ones_beside_them_pass() {
    let plan = [path("src/a.rs"), path("old.rs")];
    let unplanned = |file: ChangedFile| kinds(&run(&[file], &plan, "")).contains(&ProblemKind::Unplanned);
    assert!(!unplanned(changed("src/a.rs", Some("fn a() {}\n"), Some("fn b() {}\n"))));
    assert!(unplanned(changed("src/b.rs", Some("fn a() {}\n"), Some("fn b() {}\n"))));
    assert!(!unplanned(new("src/new.rs", "fn b() {}\n")));
    assert!(unplanned(new("lib/new.rs", "fn b() {}\n")));
    assert!(unplanned(changed("src/gone.rs", Some("fn a() {}\n"), None)));
    let mut moved = changed("lib/moved.rs", Some("fn a() {}\n"), Some("fn a() {}\n"));
    moved.old_path = Some(path("old.rs"));
    assert!(!unplanned(moved));
    assert!(
        kinds(&check(changed("any.rs", Some("fn a() {}\n"), Some("fn b() {}\n")))).is_empty(),
        "no plan, all planned"
    );
}

#[test]
fn changes_of_blanks_alone_are_found() {
    let report = |name: &str, before: &str, after: &str, prompt: &str| {
        kinds(&run(&[changed(name, Some(before), Some(after))], &[], prompt))
    };
    let only_blanks = [ProblemKind::WhitespaceOnly];
    assert_eq!(report("a.rs", "fn a(){}\n", "fn a() {\n}\n", "rename"), only_blanks);
    assert_eq!(report("a.rs", "fn a(){}\n", "fn a() {\n}\n", "fix the formatting"), []);
    assert_eq!(report("a.rs", "fn a() {}\n", "fn b() { }\n", "rename"), []);
    assert_eq!(report("a.py", "if a:\n    b()\nc()\n", "if a:\n    b()\n    c()\n", "fix"), []);
    assert_eq!(report("a.py", "a()\nb()\n", "a()  \n\nb()\n", "fix"), only_blanks);
}

#[test]
fn new_syntax_errors_count_and_old_ones_do_not() {
    let report = check(changed("a.rs", Some("fn a() {}\nfn b() {}\n"), Some("fn a() {}\nfn b( {}\n")));
    assert_eq!(kinds(&report), [ProblemKind::Syntax]);
    assert_eq!(report.problems[0].line, Some(2));
    assert!(report.problems[0].message.contains("`fn b( {}`"), "{}", report.problems[0].message);
    assert_eq!(kinds(&check(changed("a.rs", Some("fn a( {}\n"), Some("fn a( {}\nfn c() {}\n")))), []);
    assert_eq!(kinds(&check(new("a.py", "def a(:\n"))), [ProblemKind::Syntax]);
    assert_eq!(kinds(&check(new("a.unknown", "def a(:\n"))), []);
    assert_eq!(kinds(&check(new("a.h", "class A { public: int a; };\n"))), [], "may be C++");
    assert_eq!(kinds(&check(changed("a.h", Some("int a;\n"), Some("int a\nint b(;\n")))), [ProblemKind::Syntax]);
}

#[test]
fn structured_files_must_parse_if_they_did() {
    let report = check(changed("package.json", Some("{}"), Some("{\n\"a\": 1,\n}")));
    assert_eq!((kinds(&report), report.problems[0].line), (vec![ProblemKind::Structure], Some(3)));
    assert_eq!(kinds(&check(new("a.toml", "a = \n"))), [ProblemKind::Structure]);
    assert_eq!(kinds(&check(new("a.yml", "a: [1\nb: 2\n"))), [ProblemKind::Structure]);
    assert_eq!(kinds(&check(changed("a.json", Some("{,}"), Some("{,,}")))), []);
    assert_eq!(kinds(&check(changed("a.json", Some("{}"), Some("{\"a\": 1}")))), []);
}

#[test]
fn leftovers_are_found() {
    let dots = ".".repeat(3);
    let fence = "`".repeat(3);
    let tag = |name: &str| format!("</{name}>");
    let cases = [
        ("a.rs", format!("// {dots} rest of the code remains unchanged {dots}\n")),
        ("a.rs", format!("// {dots} existing code {dots}\n")),
        ("a.py", format!("# {dots}\n")),
        ("a.py", format!("# The rest of the {} stays the same\n", "function")),
        ("a.js", format!("/* {dots} other methods {dots} */\n")),
        ("a.js", format!("// Your {} goes here\n", "code")),
        ("a.ts", format!("// implementation {} for brevity\n", "omitted")),
        ("a.html", format!("<!-- {dots} -->\n")),
        ("a.rs", format!("{} HEAD\n", "<".repeat(7))),
        ("notes.md", format!("{} theirs\n", ">".repeat(7))),
        ("a.rs", format!("// {}: implement this\n", "TODO")),
        ("a.rs", format!("fn a() {{ {}!() }}\n", "todo")),
        ("a.txt", tag("invoke")),
        ("a.css", tag("new_string")),
        ("a.css", format!("<{} name=\"old_string\">\n", "parameter")),
        ("a.sql", format!("{fence}sql\nSELECT 1;\n{fence}\n")),
        ("a.sql", "1 | SELECT 1;\n2 | SELECT 2;\n3 | SELECT 3;\n".to_owned()),
        ("a.sql", "    41\u{2192}SELECT 1;\n    42\u{2192}SELECT 2;\n    43\u{2192}SELECT 3;\n".to_owned()),
    ];
    for (name, text) in cases {
        assert!(kinds(&check(new(name, &text))).contains(&ProblemKind::Leftover), "{name}: {text}");
        assert_eq!(kinds(&check(changed(name, Some(&text), Some(&text)))), [], "{name}: it was there before");
    }
}

#[test]
fn ordinary_lines_are_not_leftovers() {
    for (name, text) in [
        ("a.rs", "// The rest of the file is ignored by the parser.\n"),
        ("a.rs", "// Keeps the existing code paths fast.\n"),
        ("a.rs", "/// ```\n/// let a = 1;\n/// ```\nfn a() {}\n"),
        ("a.rs", "let all = Row { id, ..rest };\n"),
        ("a.py", "def a() -> None:\n    ...\n"),
        ("a.py", "# TODO: tune the cache\n"),
        ("notes.rst", "Heading\n=======\n"),
        ("notes.md", "```sql\nSELECT 1;\n```\n"),
        ("notes.md", "// ... rest of the code\n"),
        ("a.sql", "1 | SELECT 1;\n7 | SELECT 2;\n3 | SELECT 3;\n"),
        ("a.html", "<parameter name=\"colour\">red</parameter>\n"),
        ("a.js", "// Same as before(), but asynchronous\n"),
        ("a.py", "# function above.\n"),
        ("a.rs", "/// ...\nfn a() {}\n"),
        ("a.rs", "/// let a: A = todo!();\nfn a() {}\n"),
        ("a.py", "# XXX we can implement more tricks\n"),
    ] {
        let report = check(new(name, text));
        assert!(!kinds(&report).contains(&ProblemKind::Leftover), "{name}: {text}{report}");
    }
    let stub = format!("fn a() {{ {}!() }}\n", "todo");
    assert_eq!(kinds(&run(&[new("a.rs", &stub)], &[], "write a skeleton")), []);
}

#[test]
fn an_added_secret_blocks_and_is_not_repeated() {
    let secret = ["gh", "p_", "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"].concat();
    let line = format!("const TOKEN: &str = \"{secret}\";\n");
    let report = check(new("a.rs", &line));
    assert_eq!(kinds(&report), [ProblemKind::Secret]);
    assert!(report.has_blocking());
    assert!(!report.to_string().contains(&secret[4..]), "{report}");

    let moved = format!("// The token.\n{}", line.replace("const", "pub const"));
    let report = check(changed("a.rs", Some(&line), Some(&moved)));
    assert!(!report.has_blocking(), "it was there before: {report}");

    let broken = format!("fn a( {{ let b = \"{secret}\"; }}\n");
    let report = check(new("a.rs", &broken));
    assert!(kinds(&report).contains(&ProblemKind::Syntax));
    assert!(!report.to_string().contains(&secret[4..]), "no other message repeats it either: {report}");
}

#[test]
fn files_that_run_by_themselves_are_flagged() {
    use FlagKind::*;
    for (name, kind) in [
        (".github/workflows/ci.yml", Ci),
        ("Jenkinsfile", Ci),
        ("CLAUDE.md", AgentConfig),
        ("web/.cursor/rules.mdc", AgentConfig),
        (".vscode/tasks.json", AgentConfig),
        ("crate/build.rs", RunsOnBuild),
        ("Makefile", RunsOnBuild),
        ("Dockerfile.prod", RunsOnBuild),
        ("vite.config.ts", RunsOnBuild),
        ("Cargo.lock", SupplyChain),
        ("Cargo.toml", SupplyChain),
        (".gitmodules", SupplyChain),
        ("requirements-dev.txt", SupplyChain),
    ] {
        assert_eq!(flag_kinds(&check(new(name, "x = 1\n"))), [kind], "{name}");
        assert_eq!(flag_kinds(&check(changed(name, Some("x = 1\n"), None))), [kind], "{name} deleted");
    }
    for name in ["src/main.rs", "docs/workflows.md", "src/builder.rs", "src/claude.rs", "makefiles.py"] {
        assert_eq!(flag_kinds(&check(new(name, "x = 1\n"))), [], "{name}");
    }
    let mut moved = changed("old/ci.txt", Some("a\n"), Some("a\n"));
    moved.old_path = Some(path(".github/workflows/ci.yml"));
    assert_eq!(flag_kinds(&check(moved)), [Ci]);
}

#[test]
fn a_package_manifest_is_flagged_for_what_changed_in_it() {
    let flags = |after: &str| {
        flag_kinds(&check(changed("package.json", Some(r#"{"scripts": {"a": "b"}, "version": "1"}"#), Some(after))))
    };
    assert_eq!(flags(r#"{"scripts": {"a": "b"}, "version": "2"}"#), []);
    assert_eq!(flags(r#"{"scripts": {"a": "c"}, "version": "1"}"#), [FlagKind::RunsOnBuild]);
    assert_eq!(
        flags(r#"{"scripts": {"a": "b"}, "version": "1", "dependencies": {"x": "1"}}"#),
        [FlagKind::SupplyChain]
    );
}

#[test]
fn hidden_characters_are_flagged_where_they_are_added() {
    let hidden = "let a = 1; // \u{202e}b\n";
    let report = check(changed("a.rs", Some("fn a() {}\n"), Some(&format!("fn a() {{}}\n{hidden}"))));
    assert_eq!((flag_kinds(&report), report.flags[0].line), (vec![FlagKind::HiddenUnicode], Some(2)));
    assert!(report.flags[0].note.contains("U+202E"));
    assert_eq!(flag_kinds(&check(changed("a.txt", Some(hidden), Some(&format!("{hidden}c\n"))))), []);
    for hidden in ['\u{200b}', '\u{2066}', '\u{feff}', '\u{e0041}', '\u{2060}'] {
        assert_eq!(flag_kinds(&check(new("a.txt", &format!("a{hidden}b\n")))), [FlagKind::HiddenUnicode], "{hidden:?}");
    }
    for seen in ["größe", "日本語", "👩\u{200d}💻", "❤\u{fe0f}"] {
        assert_eq!(flag_kinds(&check(new("a.txt", &format!("{seen}\n")))), [], "{seen}");
    }
}

#[test]
fn hosts_that_are_new_are_flagged_once() {
    let before = "see https://known.org/a\n";
    let after = "see https://known.org/b\nsee https://user@new.dev:8443/x and https://new.dev/y\n\
                 http://localhost:1/ http://127.0.0.1/ https://example.com/ https://{host}/x https://asked.io/\n";
    let report = run(&[changed("a.txt", Some(before), Some(after))], &[], "link to ASKED.io");
    let notes: Vec<_> = report.flags.iter().map(|flag| (flag.kind, flag.line, flag.note.as_str())).collect();
    assert_eq!(notes, [(FlagKind::NewUrl, Some(2), "points to new.dev")]);
}

#[test]
fn binary_files_and_links_are_left_alone() {
    let mut binary = new("a.rs", "");
    binary.after = Some(b"\0\x01fn a( {".to_vec());
    assert_eq!(check(binary), Report::default());
    let mut link = new("a.json", "../target");
    link.mode = FileMode::Symlink;
    assert_eq!(check(link), Report::default());
}

#[test]
fn reports_compare_by_the_worst_difference() {
    use ProblemKind::*;
    let with = |kinds: &[ProblemKind]| Report {
        problems: kinds
            .iter()
            .map(|&kind| Problem { kind, path: path("a"), line: None, message: String::new() })
            .collect(),
        flags: Vec::new(),
    };
    assert!(with(&[Syntax]).is_worse_than(&with(&[Leftover, Leftover, Unplanned])));
    assert!(with(&[Secret]).is_worse_than(&with(&[Syntax, Syntax])));
    assert!(with(&[Leftover, Unplanned]).is_worse_than(&with(&[Leftover])));
    assert!(!with(&[]).is_worse_than(&with(&[])));
    assert!(!with(&[Unplanned, Syntax]).is_worse_than(&with(&[Syntax, Unplanned])));
}

#[test]
fn a_report_reads_well_and_becomes_flags() {
    let report = run(
        &[
            changed("src/a.rs", Some("fn a() {}\n"), Some("fn a( {}\n")),
            changed(".github/workflows/ci.yml", Some("on: push\n"), Some("on: [push]\n")),
        ],
        &[path("src/a.rs")],
        "",
    );
    insta::assert_snapshot!(report.to_string());
    let stored = serde_json::to_string(&report).expect("serialises");
    assert_eq!(serde_json::from_str::<Report>(&stored).expect("reads"), report);
    let kinds: Vec<_> = report.into_flags().into_iter().map(|flag| flag.kind).collect();
    assert_eq!(kinds, [FlagKind::Ci, FlagKind::Unplanned, FlagKind::CheckFailed]);
}

#[test]
fn the_sources_of_this_crate_pass_the_checks() {
    let mut bytes = 0;
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("readable").flatten() {
            // These hold leaked tags and half-done edits on purpose.
            if entry.path().ends_with("slips.rs") || entry.path().ends_with("edits/tests") {
                continue;
            }
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else if entry.path().extension().is_some_and(|extension| extension == "rs" || extension == "toml") {
                let text = std::fs::read_to_string(entry.path()).expect("text");
                bytes += text.len();
                let report = check(new(&entry.file_name().to_string_lossy(), &text));
                assert_eq!(kinds(&report), [], "{}: {report}", entry.path().display());
            }
        }
    }
    assert!(bytes > 50_000, "{bytes}");
}
