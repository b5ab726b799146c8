#!/usr/bin/env python3
"""Shows that each of AWS's surprises needs drctl's handling of it.

A life with all of them passes with drctl as it is; a life with one alone fails with a drctl from which the handling was taken
out. What is taken out, and which surprises it handles, is in MUTANTS. As a control, each mutant lives without any surprise.

    cargo build && cargo test --no-run        # the drctl as it is, and the test that lives
    tests/handling/check.py [name...]         # a worktree per mutant, in the target folder
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEST = "surprises::a_life_with_every_surprise_of_awss"

# What is taken out: file, text, text in its place.
NO_REFUSAL_PASSES = (
    "no refusal passes by itself",
    "src/aws/classify.rs",
    "let mut class = class_of(service, operation, code, message, status);",
    "let mut class = class_of(service, operation, code, message, status);\n"
    "            if matches!(class, Class::Transient | Class::NotYet | Class::Throttled) {\n"
    "                class = Class::Refused;\n"
    "            }",
)
NOTHING_IS_MADE_ONCE_MORE = (
    "what came to nothing is not made once more",
    "src/engine/reconcile.rs",
    "let mut failed_once = false;",
    "let mut failed_once = true;",
)
A_200_IS_BELIEVED = (
    "the answer to an added replica is believed",
    "src/resources/dynamodb/replica.rs",
    """            _ => Seen::None,
        });
    };""",
    """            _ => Seen::Unsettled("being made, as the answer said".to_owned()),
        });
    };""",
)
A_NAME_IS_TAKEN = (
    "a name that is taken is taken by somebody",
    "src/resources/rds/mod.rs",
    "Ok(None) => Err(Failure { class: Class::Transient, ..failure }),",
    "Ok(None) => Err(failure),",
)
MUTANTS = {
    NOTHING_IS_MADE_ONCE_MORE: ["nat-failed"],
    A_200_IS_BELIEVED: ["replica-vanishes"],
    A_NAME_IS_TAKEN: ["cluster-name-lingers"],
}
CONTROL = ""


def target() -> Path:
    text = subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--no-deps"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    return Path(json.loads(text)["target_directory"])


def test_binary() -> str:
    text = subprocess.run(
        ["cargo", "test", "--locked", "--test", "it", "--no-run"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stderr
    return re.search(r"\((\S+/it-[0-9a-f]+)\)", text)[1]


def build(place: Path, file: str, old: str, new: str) -> Path:
    """A drctl without the handling, from a worktree of its own."""
    if place.exists():
        subprocess.run(["git", "worktree", "remove", "--force", place], cwd=ROOT, check=True)
    subprocess.run(["git", "worktree", "add", "--quiet", "--detach", place, "HEAD"], cwd=ROOT, check=True)
    source = place / file
    text = source.read_text()
    assert text.count(old) == 1, f"{file} is not as it was when this was written"
    source.write_text(text.replace(old, new))
    build = ["cargo", "rustc", "--quiet", "--locked", "--bin", "drctl"]
    subprocess.run([*build, "--target-dir", target()], cwd=place, check=True)
    mutant = place / "drctl"
    (target() / "debug/drctl").rename(mutant)
    return mutant


def lives(test: str, drctl: Path, surprise: str) -> tuple[bool, str]:
    """Whether a life with that surprise passes, and if not, what its run said first."""
    environment = dict(os.environ, DRCTL_BINARY=str(drctl), DRCTL_SURPRISES=surprise)
    ran = subprocess.run([test, TEST, "--nocapture"], env=environment, capture_output=True, text=True)
    said = ran.stdout + ran.stderr
    why = re.search(r"^✗ .*\n\s+(.*)", said, re.M) or re.search(r"panicked at .*\n(.*)", said)
    return ran.returncode == 0, why[1].strip()[:110] if why else ""


def main() -> int:
    test = test_binary()
    places = target() / "tmp"
    subprocess.run(["cargo", "build", "--quiet", "--locked"], cwd=ROOT, check=True)
    own = places / "drctl-as-it-is"
    own.write_bytes((target() / "debug/drctl").read_bytes())
    own.chmod(0o755)
    source = (ROOT / "src/sandbox/rules/surprises/said.rs").read_text()
    names = re.findall(r'Surprise::(?:refused|made)\(\s*\d+,\s*"([^"]+)"', source)
    special = {name for its in MUTANTS.values() for name in its}
    mutants = {**MUTANTS, NO_REFUSAL_PASSES: [name for name in names if name not in special]}
    wanted = set(sys.argv[1:]) or set(names)
    shown, wrong = 0, []
    with_it, said = lives(test, own, ",".join(sorted(wanted)))
    print(f"with drctl's handling, all at once: {'passes' if with_it else 'FAILS: ' + said}", flush=True)
    if not with_it:
        wrong.append("with the handling")
    for (what, *edit), its in mutants.items():
        its = [name for name in its if name in wanted]
        if not its:
            continue
        place = places / "mutant"
        mutant = build(place, *edit)
        print(f"\nwithout: {what}", flush=True)
        passes, why = lives(test, mutant, CONTROL)
        print(f"  {'no surprise':42} {'passes' if passes else 'FAILS: ' + why}", flush=True)
        if not passes:
            wrong.append(f"the control of {what}")
        for name in its:
            passes, why = lives(test, mutant, name)
            shown += not passes
            if passes:
                wrong.append(name)
            print(f"  {name:42} {'PASSES' if passes else 'fails: ' + why}", flush=True)
        subprocess.run(["git", "worktree", "remove", "--force", place], cwd=ROOT, check=True)
    print(f"\n{shown} surprises fail without drctl's handling of them")
    for name in wrong:
        print(f"not shown: {name}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
