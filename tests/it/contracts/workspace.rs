//! What the manifests promise and no compiler checks: what each crate may depend on, and that all crates of the SDK have
//! the same release profile.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use drctl_testkit::sources::files;
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

/// The dependencies of a crate, for its build and for its tests, without the crate itself: its tests may need one of its
/// features.
fn dependencies(name: &str) -> BTreeSet<String> {
    let manifest = manifest(&format!("crates/{name}/Cargo.toml"));
    let itself = format!("drctl-{name}");
    let all: BTreeSet<String> = ["dependencies", "dev-dependencies"]
        .iter()
        .flat_map(|table| names(&manifest, table))
        .filter(|name| *name != itself)
        .collect();
    assert!(all.len() > 3, "too few dependencies of {name} were found: {all:?}");
    all
}

fn is_of_aws(name: &str) -> bool {
    name.starts_with("aws-")
}

#[test]
fn the_engine_and_the_configuration_do_not_depend_on_aws() {
    for name in ["engine", "config", "fuzz-properties"] {
        let of_aws: Vec<String> = dependencies(name).into_iter().filter(|name| is_of_aws(name)).collect();
        assert_eq!(of_aws, Vec::<String>::new(), "{name}");
    }
    let own = |name| dependencies(name).into_iter().filter(|name| name.starts_with("drctl-")).collect::<Vec<_>>();
    for name in ["engine", "config"] {
        assert_eq!(own(name), Vec::<String>::new(), "{name} may not depend on another crate of drctl");
    }
    assert_eq!(own("sandbox"), ["drctl-failover-dns"]);
    assert_eq!(own("aws"), ["drctl-config", "drctl-engine"]);
}

/// The rules are shared by the sandbox and by what drives the real Route 53, and must not bring anything along.
#[test]
fn the_rules_of_dns_failover_depend_on_nothing() {
    let manifest = manifest("crates/failover-dns/Cargo.toml");
    for table in ["dependencies", "dev-dependencies"] {
        assert_eq!(names(&manifest, table), BTreeSet::new(), "{table}");
    }
}

#[test]
fn only_one_crate_compiles_calls_to_aws() {
    let product = names(&manifest("Cargo.toml"), "dependencies");
    assert!(product.contains("drctl-aws"), "{product:?}");
    let of_aws: Vec<&String> = product.iter().filter(|name| is_of_aws(name)).collect();
    assert!(of_aws.is_empty(), "calls to AWS belong in crates/aws: {of_aws:?}");
}

/// These crates are large, and mostly wait for the network. A profile in Cargo cannot name packages by a pattern, so this
/// test keeps the list complete.
#[test]
fn all_crates_of_the_sdk_have_the_same_release_profile() {
    let root = manifest("Cargo.toml");
    let sdk: BTreeSet<String> = names(root["workspace"].as_table().expect("a table"), "dependencies")
        .into_iter()
        .filter(|name| name.starts_with("aws-sdk-"))
        .collect();
    let packages = root["profile"]["release"]["package"].as_table().expect("a table");
    let built: BTreeSet<String> = packages.keys().cloned().collect();
    assert_eq!(built, sdk, "[profile.release.package] in Cargo.toml must have each crate of the SDK");
    for (name, profile) in packages {
        let profile = profile.as_table().expect("a table");
        let (level, units) = (profile["opt-level"].as_integer(), profile["codegen-units"].as_integer());
        assert_eq!((level, units), (Some(0), Some(256)), "{name}");
    }
}

/// Clippy's `print_stdout` and `print_stderr` are enabled for all crates, and only the command line may disable them.
#[test]
fn only_the_command_line_prints() {
    let files = [files(&root().join("src"), "rs"), files(&root().join("crates"), "rs")].concat();
    assert!(files.len() > 250, "only {} source files were found", files.len());
    let disables = |path: &PathBuf| {
        let is_of_tests =
            path.components().any(|part| ["tests", "benches", "examples"].iter().any(|name| part.as_os_str() == *name));
        let is_product = !is_of_tests && !path.starts_with(root().join("src/cli"));
        is_product && std::fs::read_to_string(path).expect("a source").contains("clippy::print_")
    };
    let disabling: Vec<PathBuf> = files.into_iter().filter(disables).collect();
    assert!(disabling.is_empty(), "{disabling:?}");
    let lints = manifest("Cargo.toml")["workspace"]["lints"]["clippy"].as_table().expect("a table").clone();
    for lint in ["print_stdout", "print_stderr"] {
        assert_eq!(lints[lint].as_str(), Some("warn"), "{lint}");
    }
}
