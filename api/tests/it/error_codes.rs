//! The documentation names every error code.

/// When this fails, put what [`api::wire::error_table`] gives in place of the tables in the file.
#[test]
fn the_documented_codes_are_those_of_the_code() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/API.md");
    let documentation = std::fs::read_to_string(file).expect("docs/API.md");
    let table = api::wire::error_table();
    assert!(table.lines().count() > 40);
    assert!(documentation.contains(&table), "docs/API.md must have these tables:\n\n{table}");
}
