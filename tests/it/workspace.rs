//! What the manifests promise and no compiler checks: which crate may know what, and that the SDK's crates are all built alike.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn manifest(path: &str) -> Table {
    let path = root().join(path);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.parse().unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The names in one table of a manifest.
fn names(manifest: &Table, table: &str) -> BTreeSet<String> {
    manifest.get(table).and_then(Value::as_table).into_iter().flatten().map(|(name, _)| name.clone()).collect()
}

/// What a crate depends on, to build and to test, besides itself: a crate's tests may need one of its features.
fn dependencies(name: &str) -> BTreeSet<String> {
    let manifest = manifest(&format!("crates/{name}/Cargo.toml"));
    let itself = format!("drctl-{name}");
    let all: BTreeSet<String> = ["dependencies", "dev-dependencies"]
        .iter()
        .flat_map(|table| names(&manifest, table))
        .filter(|name| *name != itself)
        .collect();
    assert!(all.len() > 3, "the dependencies of {name} are found: {all:?}");
    all
}

fn is_of_aws(name: &str) -> bool {
    name.starts_with("aws-")
}

#[test]
fn the_engine_and_the_configuration_know_no_aws() {
    for name in ["engine", "config", "fuzz-properties"] {
        let of_aws: Vec<String> = dependencies(name).into_iter().filter(|name| is_of_aws(name)).collect();
        assert_eq!(of_aws, Vec::<String>::new(), "{name}");
    }
    let own = |name| dependencies(name).into_iter().filter(|name| name.starts_with("drctl-")).collect::<Vec<_>>();
    for name in ["engine", "config", "sandbox"] {
        assert_eq!(own(name), Vec::<String>::new(), "{name} stands alone");
    }
    assert_eq!(own("aws"), ["drctl-config", "drctl-engine"]);
}

#[test]
fn only_one_crate_compiles_calls_to_aws() {
    let product = names(&manifest("Cargo.toml"), "dependencies");
    assert!(product.contains("drctl-aws"), "{product:?}");
    let of_aws: Vec<&String> = product.iter().filter(|name| is_of_aws(name)).collect();
    assert!(of_aws.is_empty(), "calls belong into crates/aws: {of_aws:?}");
}

/// They are large and wait for the network. Cargo takes no pattern for a profile's packages: the list is kept by this test.
#[test]
fn all_crates_of_the_sdk_are_built_alike() {
    let root = manifest("Cargo.toml");
    let sdk: BTreeSet<String> = names(root["workspace"].as_table().expect("a table"), "dependencies")
        .into_iter()
        .filter(|name| name.starts_with("aws-sdk-"))
        .collect();
    let packages = root["profile"]["release"]["package"].as_table().expect("a table");
    let built: BTreeSet<String> = packages.keys().cloned().collect();
    assert_eq!(built, sdk, "[profile.release.package] in Cargo.toml has each crate of the SDK");
    for (name, profile) in packages {
        let profile = profile.as_table().expect("a table");
        let (level, units) = (profile["opt-level"].as_integer(), profile["codegen-units"].as_integer());
        assert_eq!((level, units), (Some(0), Some(256)), "{name}");
    }
}

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            sources(&entry, into);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            into.push(entry);
        }
    }
}

/// Clippy's `print_stdout` and `print_stderr` are on for all crates: only the command line may lift them.
#[test]
fn only_the_command_line_prints() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    sources(&root().join("crates"), &mut files);
    assert!(files.len() > 250, "the sources are found: {}", files.len());
    let lifts = |path: &PathBuf| {
        let is_of_tests =
            path.components().any(|part| ["tests", "benches"].iter().any(|name| part.as_os_str() == *name));
        let is_product = !is_of_tests && !path.starts_with(root().join("src/cli"));
        is_product && std::fs::read_to_string(path).expect("a source").contains("clippy::print_")
    };
    let lifting: Vec<PathBuf> = files.into_iter().filter(lifts).collect();
    assert!(lifting.is_empty(), "{lifting:?}");
    let lints = manifest("Cargo.toml")["workspace"]["lints"]["clippy"].as_table().expect("a table").clone();
    for lint in ["print_stdout", "print_stderr"] {
        assert_eq!(lints[lint].as_str(), Some("warn"), "{lint}");
    }
}
