//! README's figures are those of the committed run of `scripts/bench`.

#[test]
fn readme_has_the_committed_table() {
    let readme = include_str!("../../README.md");
    let table = include_str!("../bench/results/bench.md");
    let part = format!("<!-- tests/bench/results/bench.md -->\n{table}<!-- end -->");
    assert!(readme.contains(&part), "scripts/bench writes both: {part}");
}
