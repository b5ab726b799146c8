//! AWS's own service models judge every call of a life, because emulators accept what AWS refuses. The judge is `tests/judge`.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use drctl_testkit::drift;
use drctl_testkit::harness::Stack;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judge")
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}");
    text
}

/// A Python environment with AWS's models, built once for these requirements.
fn python() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(make_python)
}

fn make_python() -> PathBuf {
    let requirements = folder().join("requirements.txt");
    let mut hasher = DefaultHasher::new();
    std::fs::read(&requirements).expect("the requirements").hash(&mut hasher);
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("judge-{:016x}", hasher.finish()));
    if !place.exists() {
        // Built elsewhere and renamed when it is complete, so that it exists as a whole or not at all.
        let fresh = place.with_extension("new");
        if fresh.exists() {
            std::fs::remove_dir_all(&fresh).expect("an incomplete environment can be removed");
        }
        run(Command::new("python3").args(["-m", "venv"]).arg(&fresh));
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
        run(Command::new(fresh.join("bin/python")).args(pip).arg(&requirements));
        std::fs::rename(&fresh, &place).expect("the environment can be put in its place");
    }
    // The interpreter is a link, so it does not matter that the environment was moved.
    place.join("bin/python")
}

fn judged(python: &Path, args: &[&str]) -> String {
    run(Command::new(python).args(args).current_dir(folder()).env("PYTHONDONTWRITEBYTECODE", "1"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_of_a_life_is_allowed_by_awss_models() {
    let stack = Stack::new();
    stack.configure(
        "[dns]\ndomain = \"pay.judged.dev\"\ncertificate = true\n[alerts]\nemails = [\"on.call@judged.dev\"]\n",
    );
    stack.run(&["up", "--yes"]).exits(0);
    // Changes by hand are not calls of drctl.
    let built = stack.requests();
    drift::all(&stack, "us-east-1").await;
    let before = stack.calls().len();
    stack.run(&["up", "--yes"]).exits(0);
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
    let mut calls = built;
    calls.extend(stack.requests().into_iter().skip(before));
    assert!(calls.len() > 1000, "{}", calls.len());
    assert!(calls.iter().all(|call| call["request"].is_object()), "every call must be recorded as it was sent");

    let recorded = stack.path("calls.json");
    std::fs::write(&recorded, serde_json::Value::Array(calls).to_string()).expect("written");
    println!("{}", judged(python(), &["judge.py", recorded.to_str().expect("UTF-8")]));
}

#[test]
fn the_judge_passes_its_own_tests() {
    let text = judged(python(), &["-m", "unittest", "discover", "-s", "."]);
    assert!(text.contains("OK"), "{text}");
}
