//! What fuzzing found stays fixed: every seed is checked with the properties of its fuzz target.

use drctl_fuzz_properties as properties;

/// The property that a target checks for an input.
type Properties = fn(&[u8]);

#[test]
fn every_seed_of_the_fuzz_targets_holds_their_properties() {
    let targets: [(&str, Properties); 5] = [
        ("config", properties::config),
        ("snapshot", properties::snapshot),
        ("journal", properties::journal),
        ("journal_lines", properties::journal_lines),
        ("recovery", properties::recovery),
    ];
    for (target, holds) in targets {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
        let seeds: Vec<_> =
            std::fs::read_dir(&folder).expect("seeds").map(|seed| seed.expect("a seed").path()).collect();
        assert!(seeds.len() >= 4, "{}", folder.display());
        for seed in seeds {
            let bytes = std::fs::read(&seed).expect("read");
            let held = std::panic::catch_unwind(|| holds(&bytes));
            assert!(held.is_ok(), "{} does not hold", seed.display());
        }
    }
}
