//! The documented format of the state: the JSON Schema in `docs/state.schema.json` is the one that the types give.

use drctl_engine::state::Snapshot;

#[test]
fn the_schema_in_the_repository_matches_the_types() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/state.schema.json");
    let mut expected = serde_json::to_string_pretty(&Snapshot::schema()).expect("JSON");
    expected.push('\n');
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(path, &expected).expect("written");
    }
    let found = std::fs::read_to_string(path).expect("docs/state.schema.json");
    assert!(
        found == expected,
        "the types have changed: run `UPDATE_SCHEMA=1 cargo test -p drctl --test it schema` and look at the difference"
    );
}
