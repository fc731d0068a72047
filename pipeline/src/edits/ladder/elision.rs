//! Rung 5: both texts leave out the same stretches, marked by lines such as `// ...`.

use super::{Found, MatchRung, Miss, Splice, new_lines, splice_lines};
use crate::text::{line_starts, lines};

/// How comments begin, and end, where an elision may be written as one.
const COMMENT_STARTS: [&str; 7] = ["//", "#", "--", "/*", "<!--", ";", "%"];

/// The places of the pieces between the elision lines: each exact, unique and after the one before it.
pub(super) fn find(file: &str, old: &str, new: &str) -> Result<Found, Miss> {
    let (file_lines, new, old) = (lines(file), new_lines(old, new), lines(old));
    let (old, new) = (pieces(&old), pieces(&new));
    if old.len() < 2 || old.len() != new.len() {
        return Err(Miss::Nowhere);
    }
    let starts = line_starts(&file_lines);
    let mut splices: Vec<Splice> = Vec::with_capacity(old.len());
    let mut from_line = 0;
    for (old, new) in old.iter().zip(&new) {
        if old.is_empty() && new.is_empty() {
            continue;
        }
        if old.iter().all(|line| line.trim().is_empty()) {
            return Err(Miss::Nowhere);
        }
        let hits: Vec<usize> =
            (0..).zip(file_lines.windows(old.len())).filter(|(_, w)| w == old).map(|(l, _)| l).collect();
        let place = match hits[..] {
            [only] if only >= from_line => only..only + old.len(),
            [] | [_] => return Err(Miss::Nowhere),
            _ => return Err(Miss::Ambiguous { rung: MatchRung::Elision, lines: hits }),
        };
        from_line = place.end;
        let new: Vec<String> = new.iter().map(|&line| line.to_owned()).collect();
        splices.push(splice_lines(file, &starts, place, &new));
    }
    if splices.is_empty() { Err(Miss::Nowhere) } else { Ok(Found { rung: MatchRung::Elision, splices }) }
}

/// The runs of lines between elision lines; one more than there are elision lines.
fn pieces<'a>(lines: &'a [&'a str]) -> Vec<&'a [&'a str]> {
    lines.split(|line| is_elision(line)).collect()
}

/// `...` alone, or a comment that begins with it. `...rest` and `foo(...)` are code.
fn is_elision(line: &str) -> bool {
    let line = line.trim();
    let comment = COMMENT_STARTS.iter().find_map(|start| line.strip_prefix(start)).map(str::trim_start);
    line == "..." || line == "…" || comment.is_some_and(|text| text.starts_with("...") || text.starts_with('…'))
}

#[cfg(test)]
mod tests {
    use super::super::splice;
    use super::*;

    const FILE: &str = "fn a() {\n    one();\n    two();\n}\n\nfn b() {\n    three();\n}\n";

    #[test]
    fn replaces_piece_by_piece() {
        let old = "fn a() {\n    // ... existing code ...\n    two();\n}";
        let new = "fn a(x: u8) {\n    // ... existing code ...\n    two(x);\n}";
        let found = find(FILE, old, new).expect("found");
        let expected = "fn a(x: u8) {\n    one();\n    two(x);\n}\n\nfn b() {\n    three();\n}\n";
        assert_eq!(splice(FILE, &found.splices), expected);
    }

    #[test]
    fn refuses_pieces_out_of_order_twice_there_or_unpaired() {
        assert_eq!(find(FILE, "fn b() {\n...\nfn a() {", "fn b() {\n...\nfn c() {"), Err(Miss::Nowhere));
        assert_eq!(find(FILE, "fn a() {\n...\n    two();", "fn a() {\n    two();"), Err(Miss::Nowhere));
        let twice = find(FILE, "fn a() {\n...\n}", "fn a() {\n...\n};");
        assert_eq!(twice, Err(Miss::Ambiguous { rung: MatchRung::Elision, lines: vec![3, 7] }));
    }

    #[test]
    fn knows_code_from_elision() {
        for line in ["...", "  …", "// ...", "# ... rest unchanged", "/* ... */", "<!-- … -->"] {
            assert!(is_elision(line), "{line}");
        }
        for line in ["...props,", "fn f(...)", "// see above...", "#[derive(...)]", ""] {
            assert!(!is_elision(line), "{line}");
        }
    }
}
