#!/usr/bin/env python3
"""Shows that drctl's handling of each AWS surprise, and of each rule that is always in force, is necessary.

With the unchanged drctl, a life with all surprises passes. With a mutant, a drctl from which the handling of a surprise was
removed, a life with that surprise alone fails. MUTANTS lists what is removed, and which surprises it handles. As a control,
each mutant also lives a life without any surprise.

Some rules are in force in every life. For these, TESTED names a test instead of a life: it passes with the unchanged drctl, and
fails with the mutant.

    tests/mutation_check/check.py [name...]     # builds drctl, and each mutant in a worktree, in the target folder

A name is that of a surprise, or of such a test, e.g. a_stack_is_deleted_after_a_switchover_too.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEST = "faults::surprises::a_life_with_every_aws_surprise_passes"

# The mutants: a description, the file, the text that is replaced, and its replacement.
NO_REFUSAL_PASSES = (
    "no refusal is waited out",
    "crates/aws/src/classify.rs",
    "let mut class = class_of(service, operation, code, message, status);",
    "let mut class = class_of(service, operation, code, message, status);\n"
    "            if matches!(class, Class::Transient | Class::NotYet | Class::Throttled) {\n"
    "                class = Class::Refused;\n"
    "            }",
)
NOTHING_IS_MADE_ONCE_MORE = (
    "what failed is not created a second time",
    "crates/engine/src/run/worker/apply.rs",
    "let mut was_recreated = false;",
    "let mut was_recreated = true;",
)
A_200_IS_BELIEVED = (
    "a replica is added once, and assumed to appear",
    "crates/aws/src/resources/dynamodb/replica.rs",
    "            return self.add(cx, name).await.map(Some);",
    "            static ADDED: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);\n"
    "            if ADDED.swap(true, std::sync::atomic::Ordering::Relaxed) {\n"
    "                return Ok(None);\n"
    "            }\n"
    "            return self.add(cx, name).await.map(Some);",
)
A_NAME_IS_TAKEN = (
    "a name that is taken belongs to somebody else",
    "crates/aws/src/resources/rds/mod.rs",
    "Ok(None) => Err(Failure { class: Class::Transient, ..failure }),",
    "Ok(None) => Err(failure),",
)
ONE_SPELLING = (
    "a new id that is not visible yet is recognised by only one spelling of its code",
    "crates/aws/src/refusals/ec2.rs",
    'let names_nothing = code.to_ascii_lowercase().ends_with(".notfound");',
    'let names_nothing = code.ends_with("ID.NotFound");',
)
MUTANTS = {
    NOTHING_IS_MADE_ONCE_MORE: ["nat-failed"],
    A_200_IS_BELIEVED: ["replica-vanishes"],
    A_NAME_IS_TAKEN: ["cluster-name-lingers"],
    ONE_SPELLING: ["new-ids-unknown-in-either-spelling"],
}
# The same, each with the test that fails without the handling.
TESTED = {
    (
        "parameters are compared only if AWS calls them the user's",
        "crates/aws/src/resources/rds/db_cluster_parameter_group.rs",
        "parameters: compared.chain(set_values(&set)).collect(),",
        "parameters: compared.filter(|_| false).chain(set_values(&set)).collect(),",
    ): "life::aws_rules::the_database_is_built_where_tls_is_the_default_and_is_named_by_its_first_member",
    (
        "members are removed in the order of their creation, whichever writes now",
        "crates/engine/src/plan/decision.rs",
        ".filter(|(_, need)| *need != Need::First)",
        ".filter(|(_, need)| *need != Need::First || true)",
    ): "life::aws_rules::a_stack_is_deleted_after_a_switchover_too",
    (
        "the first member is the one in the primary Region, whichever writes now",
        "crates/aws/src/resources/rds/db_cluster.rs",
        "let source = global.and_then(writer).and_then(place).map(|(region, _)| region);",
        "let source = self.master_secret.value().split(':').nth(3).filter(|home| *home != &*cx.region);",
    ): "life::aws_rules::a_lost_region_is_rebuilt_after_a_failover",
    (
        "the time for a change to become visible is counted from the beginning of the step",
        "crates/engine/src/run/worker/apply.rs",
        "changed_for: changed_at.map(|at| at.elapsed()),",
        "changed_for: Some(began.elapsed()),",
    ): "life::aws_rules::what_takes_long_to_become_visible_is_waited_for",
}
CONTROL = ""


def target() -> Path:
    text = subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--no-deps"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    return Path(json.loads(text)["target_directory"])


def test_binary() -> str:
    text = subprocess.run(
        ["cargo", "test", "--locked", "--package", "drctl", "--test", "it", "--no-run"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stderr
    return re.search(r"\((\S+/it-[0-9a-f]+)\)", text)[1]


def build(place: Path, file: str, old: str, new: str) -> Path:
    """Builds a drctl without the handling, in a worktree of its own."""
    if place.exists():
        subprocess.run(["git", "worktree", "remove", "--force", place], cwd=ROOT, check=True)
    subprocess.run(["git", "worktree", "add", "--quiet", "--detach", place, "HEAD"], cwd=ROOT, check=True)
    source = place / file
    text = source.read_text()
    assert text.count(old) == 1, f"{file} does not contain the text to replace: adapt it in this script"
    source.write_text(text.replace(old, new))
    build = ["cargo", "rustc", "--quiet", "--locked", "--package", "drctl", "--bin", "drctl"]
    subprocess.run([*build, "--target-dir", target()], cwd=place, check=True)
    mutant = place / "drctl"
    (target() / "debug/drctl").rename(mutant)
    return mutant


def lives(test: str, drctl: Path, surprises: list[str]) -> dict[str, str]:
    """For each of these lives, the reason why it fails; empty if it passes."""
    environment = dict(os.environ, DRCTL_BINARY=str(drctl), DRCTL_SURPRISES=";".join(surprises))
    ran = subprocess.run([test, TEST, "--nocapture"], env=environment, capture_output=True, text=True)
    # The lives are on standard output, the reasons on standard error.
    ended = re.findall(r"^life with (.*): (passes|fails)$", ran.stdout, re.M)
    assert [name for name, _ in ended] == surprises, ran.stdout + ran.stderr
    reasons = iter(re.split(r"^thread .* panicked at ", ran.stderr, flags=re.M)[1:])
    return {name: "" if word == "passes" else reason(next(reasons)) for name, word in ended}


def passes(test: str, drctl: Path, name: str) -> str:
    """The reason why the test of this name fails; empty if it passes."""
    environment = dict(os.environ, DRCTL_BINARY=str(drctl))
    ran = subprocess.run([test, name, "--exact", "--nocapture"], env=environment, capture_output=True, text=True)
    assert "\nrunning 1 test\n" in ran.stdout, f"there is no test {name}"
    if ran.returncode == 0:
        return ""
    return reason(re.split(r"^thread .* panicked at ", ran.stderr, flags=re.M)[1])


def reason(panic: str) -> str:
    """The first failure that the run reports, or else the message of the test."""
    found = re.search(r"^✗ (.*)\n\s+(.*)", panic, re.M)
    return f"{found[1].strip()}: {found[2].strip()}"[:120] if found else panic.split("\n")[1][:120]


def build_own() -> None:
    """Builds the unchanged drctl. To cargo, a mutant in the same target folder looks like it, so the sources must be newer."""
    for file in [*ROOT.glob("crates/*/src/lib.rs"), *ROOT.glob("src/*.rs"), ROOT / "tests/it/main.rs"]:
        file.touch()
    subprocess.run(["cargo", "build", "--quiet", "--locked", "--package", "drctl"], cwd=ROOT, check=True)


def main() -> int:
    build_own()
    test = test_binary()
    places = target() / "tmp"
    own = places / "drctl-as-it-is"
    own.write_bytes((target() / "debug/drctl").read_bytes())
    own.chmod(0o755)
    source = (ROOT / "crates/sandbox/src/rules/surprises/refusal_table.rs").read_text()
    names = re.findall(r'Surprise::(?:refused|made)\(\s*"[^"]+#[^"]+",\s*"([^"]+)"', source)
    assert names, "refusal_table.rs is not in the form that this script expects"
    special = {name for its in MUTANTS.values() for name in its}
    mutants = {**MUTANTS, NO_REFUSAL_PASSES: [name for name in names if name not in special]}
    tests = {edit: name for edit, name in TESTED.items() if not sys.argv[1:] or name.rpartition("::")[2] in sys.argv[1:]}
    wanted = [name for name in sys.argv[1:] if name in names] if sys.argv[1:] else names
    shown, wrong = 0, []
    if wanted:
        everything = ",".join(wanted)
        why = lives(test, own, [everything])[everything]
        print(f"with drctl's handling, all at once: {'FAILS: ' + why if why else 'passes'}", flush=True)
        wrong += ["with the handling"] if why else []
    for (what, *edit), its in mutants.items():
        its = [name for name in its if name in wanted]
        if not its:
            continue
        place = places / "mutant"
        mutant = build(place, *edit)
        print(f"\nwithout: {what}", flush=True)
        lived = lives(test, mutant, [CONTROL, *its])
        why = lived.pop(CONTROL)
        print(f"  {'(no surprise)':40} {'FAILS: ' + why if why else 'passes'}", flush=True)
        if why:
            wrong.append(f"the control of `{what}`")
        for name, why in lived.items():
            print(f"  {name:40} {'fails: ' + why if why else 'PASSES'}", flush=True)
            shown += bool(why)
            if not why:
                wrong.append(name)
        subprocess.run(["git", "worktree", "remove", "--force", place], cwd=ROOT, check=True)
    rules = 0
    for (what, *edit), name in tests.items():
        place = places / "mutant"
        why = passes(test, own, name)
        print(f"\nwith drctl's handling: {name}: {'FAILS: ' + why if why else 'passes'}", flush=True)
        wrong += [f"{name} with the handling"] if why else []
        why = passes(test, build(place, *edit), name)
        print(f"without: {what}\n  {name}: {'fails: ' + why if why else 'PASSES'}", flush=True)
        rules += bool(why)
        wrong += [] if why else [name]
        subprocess.run(["git", "worktree", "remove", "--force", place], cwd=ROOT, check=True)
    build_own()
    print(f"\n{shown} surprises and {rules} rules fail without drctl's handling of them")
    for name in wrong:
        print(f"not shown: {name}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
