//! Refusals of names and types, and of the sections stack, regions and network.

use super::{accepts, refuses};
use crate::Config;

#[test]
fn syntax_errors() {
    refuses("[network]\nnat = §per-az\n", "invalid TOML", "text in double quotes");
    refuses("[network]\nnat = \"single\"\n§nat = \"single\"\n", "invalid TOML: duplicate key", "only once");
    refuses("[stack]\nname = \"a\"\n[§stack]\n", "invalid TOML: duplicate key", "only once");
}

#[test]
fn a_file_that_is_not_toml_at_all_is_not_reported_line_by_line() {
    let log = "2026-01-01T00:00:00Z ERROR something { broke\n".repeat(10_000);
    let error = Config::parse("drctl.log", &log, None).expect_err("a log is not a configuration");
    assert!((1..=20).contains(&error.problems().len()), "{}", error.problems().len());
}

#[test]
fn unknown_sections() {
    refuses("[§netwrok]\n", "there is no section [netwrok]", "Did you mean `[network]`?");
    refuses("[§logs]\nretention = 30\n", "there is no section [logs]", "The sections are [stack], [regions],");
    refuses("§environment = \"prod\"\n", "`environment` is outside any section", "belongs in [stack]");
    refuses("§primery = \"us-east-1\"\n", "is outside any section", "The sections are");
    refuses("§stack = \"payments\"\n", "`stack` is a section", "Write a line `[stack]`");
    refuses("[[§stack]]\nname = \"a\"\n", "`stack` is a section", "Write a line `[stack]`");
}

#[test]
fn unknown_keys() {
    refuses("[network]\n§natt = \"single\"\n", "there is no key `natt` in [network]", "Did you mean `nat`?");
    refuses("[database]\n§engine-version = \"17.7\"\n", "no key `engine-version`", "Did you mean `engine_version`?");
    refuses("[stack]\n§nat = \"single\"\n", "there is no key `nat` in [stack]", "`nat` belongs in [network]");
    refuses("[stack]\n§memory_bm = 1\n", "no key `memory_bm` in [stack]", "Did you mean `memory_mb` in [lambda]?");
    refuses(
        "[stack]\n§colour = \"red\"\n",
        "there is no key `colour`",
        "The keys of [stack] are `name`, `environment`.",
    );
    refuses("[network.§subnets]\na = 1\n", "there is no key `subnets` in [network]", "The keys of [network] are");
    refuses("network.§\"n a t\" = 1\n", "there is no key `n a t` in [network]", "The keys of [network] are");
}

#[test]
fn wrong_types() {
    refuses(
        "[network]\nnat = §true\n",
        "must be a string, not true or false",
        "Write `nat = \"per-az\"` or `nat = \"single\"`.",
    );
    refuses(
        "[stack]\nname = §1\n",
        "`name` in [stack] must be a string, not a whole number",
        "`name = \"payment-dr\"`",
    );
    refuses(
        "[database]\nengine_version = §17.7\n",
        "must be a string, not a number with a decimal point",
        "`engine_version = \"17.7\"`",
    );
    refuses("[lambda]\nmemory_mb = §\"512\"\n", "must be a whole number, not a string", "`memory_mb = 512`");
    refuses(
        "[lambda]\nmemory_mb = §512.0\n",
        "must be a whole number, not a number with a decimal point",
        "`memory_mb = 512`",
    );
    refuses("[protection]\ndeletion = §\"true\"\n", "must be true or false, not a string", "`deletion = true`");
    refuses("[alerts]\nemails = §\"a@b.example\"\n", "must be a list of strings, not a string", "Write `emails = [\"");
    refuses("[alerts]\nemails = [§1]\n", "must be a list of strings, not a whole number", "Write `emails = [\"");
    refuses("[stack]\nname = §1979-05-27\n", "must be a string, not a date", "`name = \"payment-dr\"`");
    refuses("[stack]\nname = §{ a = 1 }\n", "must be a string, not a table", "`name = \"payment-dr\"`");
}

#[test]
fn numbers_of_any_size_and_form() {
    refuses("[lambda]\nmemory_mb = §-1\n", "`memory_mb = -1` in [lambda] is out of range", "from 128 to 10240");
    refuses("[lambda]\nmemory_mb = §0x7F\n", "out of range", "from 128 to 10240");
    refuses("[lambda]\nmemory_mb = §99999999999999999999999\n", "out of range", "from 128 to 10240");
    assert_eq!(accepts("[lambda]\nmemory_mb = 1_024").lambda.memory_mb, 1024);
    assert_eq!(accepts("[lambda]\nmemory_mb = 0x400").lambda.memory_mb, 1024);
}

#[test]
fn names_of_the_stack() {
    refuses(
        "[stack]\nname = §\"Payment_DR\"\n",
        "`Payment_DR` is not a valid stack name. It becomes part of",
        "`name = \"payment-dr\"`",
    );
    refuses("[stack]\nname = §\"9lives\"\n", "must start with a letter", "`name = \"lives\"`");
    refuses("[stack]\nname = §\"a--b\"\n", "single hyphens", "`name = \"a-b\"`");
    refuses("[stack]\nname = §\"\"\n", "is not a valid stack name", "`name = \"payment-dr\"`");
    refuses("[stack]\nenvironment = §\"Prod\"\n", "`Prod` is not a valid environment", "`environment = \"prod\"`");
    refuses("[stack]\nname = §\"sg\"\n", "security group names that begin with `sg-`", "Write another `name`");
    refuses("[stack]\nname = §\"sthree\"\n", "bucket names that begin with `sthree-`", "Write another `name`");
}

#[test]
fn a_name_that_is_too_long_is_refused_with_the_limit() {
    // 63 characters of a bucket, less `-us-east-1-` and eight digits, less `-dev`: 40.
    let fits = "a".repeat(40);
    assert_eq!(accepts(&format!("[stack]\nname = \"{fits}\"")).name().len(), 44);
    refuses(
        &format!("[stack]\nname = §\"{fits}bc\"\n"),
        "46 characters, and at most 44 are possible: the name of an S3 bucket has at most 63, and drctl uses `NAME-us-east-1-01234567`",
        "by 2 or more characters",
    );
    refuses(
        &format!("[stack]\nname = §\"{fits}\"\n[regions]\nsecondary = \"ap-southeast-2\"\n"),
        "at most 39 are possible",
        "by 5 or more characters",
    );
    refuses(
        &format!("[stack]\nenvironment = §\"{fits}\"\n"),
        "51 characters, and at most 44 are possible",
        "Shorten `name` or `environment` in [stack] by 7",
    );
    let error = Config::parse("drctl.toml", "", Some(&fits)).expect_err("the name is too long");
    let [problem] = error.problems() else { panic!("{error}") };
    assert_eq!(problem.location(), None);
    assert!(
        problem.advice().ends_with("The environment comes from --environment or ENVIRONMENT_SUFFIX."),
        "{problem:?}"
    );
}

#[test]
fn regions() {
    refuses(
        "[regions]\nprimary = §\"us-esat-1\"\n",
        "`us-esat-1` is not the code of a Region",
        "`primary = \"us-east-1\"`",
    );
    refuses("[regions]\nsecondary = §\"us-west-2a\"\n", "is not the code of a Region", "`secondary = \"us-west-2\"`");
    refuses("[regions]\nprimary = §\"EU_WEST_1\"\n", "is not the code of a Region", "`primary = \"eu-west-1\"`");
    refuses("[regions]\nprimary = §\"Frankfurt\"\n", "is not the code of a Region", "of this form");
    refuses("[regions]\nprimary = §\"us-gov-west-1\"\n", "in the partition aws-us-gov", "partition aws");
    refuses("[regions]\nsecondary = §\"cn-north-1\"\n", "in the partition aws-cn", "partition aws");
    refuses("[regions]\nprimary = §\"eusc-de-east-1\"\n", "in the partition aws-eusc", "partition aws");
    refuses("[regions]\nprimary = §\"us-isob-east-1\"\n", "in the partition aws-iso", "partition aws");
    // What is suggested for one Region is never the other one.
    refuses("[regions]\nsecondary = §\"mars-1\"\n", "is not the code of a Region", "`secondary = \"us-east-2\"`");
    refuses("[regions]\nsecondary = §\"us-east-1a\"\n", "is not the code of a Region", "`secondary = \"us-east-2\"`");
    refuses("[regions]\nsecondary = §\"cn-north-1\"\n", "in the partition aws-cn", "`secondary = \"us-east-2\"`");
    refuses("[regions]\nprimary = \"us-east-2\"\nsecondary = §\"x\"\n", "not the code", "`secondary = \"us-west-2\"`");
    refuses("[regions]\nprimary = §\"x\"\nsecondary = \"us-east-1\"\n", "not the code", "`primary = \"us-east-2\"`");
    let europe = accepts("[regions]\nprimary = \"eu-west-1\"\nsecondary = \"eu-central-1\"").regions;
    assert_eq!((europe.primary.as_str(), europe.secondary.as_str()), ("eu-west-1", "eu-central-1"));
}

#[test]
fn the_same_region_twice() {
    refuses(
        "[regions]\nprimary = \"eu-west-1\"\nsecondary = §\"eu-west-1\"\n",
        "primary and secondary are the same Region, eu-west-1:",
        "two different Regions",
    );
    refuses(
        "[regions]\nprimary = §\"us-east-2\"\n",
        "the same Region, us-east-2 (the default of `secondary`)",
        "`secondary = \"us-west-2\"`",
    );
    refuses(
        "[regions]\nsecondary = §\"us-east-1\"\n",
        "the same Region, us-east-1 (the default of `primary`)",
        "`secondary = \"us-east-2\"`",
    );
}

#[test]
fn ranges_of_the_network() {
    for (range, message, better) in [
        ("10.0.5.0/16", "an address inside the range 10.0.0.0/16", "10.0.0.0/16"),
        ("10.0.0.0/8", "too large: a VPC has a /16 at most", "10.0.0.0/16"),
        ("10.9.8.0/15", "is too large", "10.9.0.0/16"),
        ("10.0.0.0/24", "10.0.0.0/24 is too small", "10.0.0.0/20"),
        ("10.0.40.0/21", "a /20 at least", "10.0.32.0/20"),
        ("10.0.0.7/32", "is too small", "10.0.0.0/20"),
        ("52.95.0.0/16", "52.95.0.0/16 is not private", "10.0.0.0/16"),
        ("172.32.0.0/16", "is not private", "172.16.0.0/12"),
        ("10.2.0.0", "an address without a prefix length", "10.2.0.0/16"),
        ("fd00::/48", "is IPv6", "10.0.0.0/16"),
        ("10.0.0.0/33", "is not an IPv4 range", "10.0.0.0/16"),
        ("10.0/16", "is not an IPv4 range", "10.0.0.0/16"),
        ("", "is not an IPv4 range", "10.0.0.0/16"),
    ] {
        refuses(&format!("[network]\nprimary_cidr = §\"{range}\"\n"), message, better);
    }
    refuses("[network]\nsecondary_cidr = §\"wide\"\n", "is not an IPv4 range", "`secondary_cidr = \"10.1.0.0/16\"`");
    for range in ["172.16.0.0/16", "192.168.0.0/20", "100.64.0.0/16", "10.0.16.0/20", "172.31.128.0/17"] {
        assert_eq!(accepts(&format!("[network]\nprimary_cidr = \"{range}\"")).network.primary_cidr.to_string(), range);
    }
}

#[test]
fn ranges_that_overlap() {
    refuses(
        "[network]\nprimary_cidr = \"10.5.0.0/16\"\nsecondary_cidr = §\"10.5.16.0/20\"\n",
        "the VPCs overlap: primary_cidr is 10.5.0.0/16, secondary_cidr 10.5.16.0/20.",
        "`secondary_cidr = \"10.1.0.0/16\"`",
    );
    refuses(
        "[network]\nprimary_cidr = §\"10.1.0.0/17\"\n",
        "primary_cidr is 10.1.0.0/17, secondary_cidr 10.1.0.0/16 (its default)",
        "`secondary_cidr = \"10.0.0.0/16\"`",
    );
    refuses(
        "[network]\nsecondary_cidr = §\"10.0.0.0/16\"\n",
        "(primary_cidr is at its default)",
        "`secondary_cidr = \"10.1.0.0/16\"`",
    );
    // One problem for an invalid value is enough: the default in its place must not cause a second one.
    refuses(
        "[network]\nprimary_cidr = §\"banana\"\nsecondary_cidr = \"10.0.0.0/16\"\n",
        "is not an IPv4 range",
        "10.0.0.0/16",
    );
}

#[test]
fn nat() {
    refuses("[network]\nnat = §\"double\"\n", "`nat` in [network] cannot be `double`", "`nat = \"single\"`");
}
