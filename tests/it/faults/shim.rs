//! A bad disk, a bad clock and a kill at a chosen moment for the real binary, by a library that is preloaded into it. The
//! product does not know of it. `shim/shim.c` lists the functions that it replaces.
//!
//! Only what happens in the stack's state folder counts. There are four counts, each from 1: *operations* that outlive the
//! process (a file or folder is created, emptied, renamed, linked, removed, or synchronised), *writes*, *syncs* (fsync and
//! fdatasync), and *changes* (whatever a read-only file system would refuse).

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use drctl_testkit::harness::{Ran, Stack};

/// The library, compiled once per test run.
fn library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let [source, fresh] = ["c", "so"].map(|end| folder.join(format!("shim-{}.{end}", std::process::id())));
        std::fs::write(&source, include_str!("shim/shim.c")).expect("the shim's source can be written");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-o"]).arg(&fresh).arg(&source).arg("-ldl");
        let output = compiler.output().expect("these tests need a C compiler called `cc` (on Debian: build-essential)");
        assert!(output.status.success(), "cc: {}", String::from_utf8_lossy(&output.stderr));
        std::fs::remove_file(&source).expect("the source can be removed");
        // In one step, because another test run may be using the previous one.
        let library = folder.join("libdrctlshim.so");
        std::fs::rename(&fresh, &library).expect("the shim can be put in its place");
        library
    })
}

/// What is going to go wrong.
#[derive(Debug, Clone, Default)]
pub struct Shim {
    variables: Vec<(&'static str, String)>,
}

/// How much an undisturbed run does.
#[derive(Debug, Clone, Copy)]
pub struct Totals {
    pub operations: usize,
    pub writes: usize,
    pub syncs: usize,
    pub changes: usize,
    /// How often the time of day was read, by the whole process.
    pub clocks: usize,
}

impl Shim {
    pub fn new() -> Self {
        Self::default()
    }

    fn with(mut self, name: &'static str, value: &dyn Display) -> Self {
        self.variables.push((name, value.to_string()));
        self
    }

    /// SIGKILL right after the n-th operation succeeded.
    pub fn killed_after(self, n: usize) -> Self {
        self.with("DRCTL_SHIM_KILL_AFTER", &n)
    }

    /// SIGSTOP right after the n-th operation succeeded, until a SIGCONT.
    pub fn stopped_after(self, n: usize) -> Self {
        self.with("DRCTL_SHIM_STOP_AFTER", &n)
    }

    /// The n-th write fails with ENOSPC, and only that one: after it, somebody has made room.
    pub fn full_at(self, n: usize) -> Self {
        self.with("DRCTL_SHIM_FULL_AT", &n)
    }

    /// The n-th write and every later one fail with ENOSPC.
    pub fn full_from(self, n: usize) -> Self {
        self.with("DRCTL_SHIM_FULL_FROM", &n)
    }

    /// The first write that a full disk refuses still writes half of the bytes; the rest is refused.
    pub fn torn(self) -> Self {
        self.with("DRCTL_SHIM_SHORT", &1)
    }

    /// The n-th sync fails with EIO.
    pub fn broken_at(self, n: usize) -> Self {
        self.with("DRCTL_SHIM_EIO_AT", &n)
    }

    /// The n-th change and every later one are refused with EROFS.
    pub fn readonly_from(self, n: usize) -> Self {
        self.with("DRCTL_SHIM_READONLY_FROM", &n)
    }

    /// The time of day jumps by so many seconds after it has been read so many times. The monotonic clock does not jump.
    pub fn clock(self, after_calls: usize, seconds: i64) -> Self {
        self.with("DRCTL_SHIM_CLOCK", &format!("{after_calls}:{seconds}"))
    }

    /// Counts only from the first file on whose name contains this text.
    pub fn since(self, name: &str) -> Self {
        self.with("DRCTL_SHIM_SINCE", &name)
    }

    /// Logs every operation, one per line, and the totals at an orderly end.
    fn log(self, path: &Path) -> Self {
        self.with("DRCTL_SHIM_LOG", &path.display())
    }

    /// drctl with the shim.
    pub fn command(&self, stack: &Stack, args: &[&str]) -> Command {
        // Without links, because that is how the process sees the names of its files.
        let folder = std::fs::canonicalize(stack.path("")).expect("the stack's folder");
        let mut command = stack.command(args);
        command.env("LD_PRELOAD", library()).env("DRCTL_SHIM_FOLDER", folder.join("state"));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs drctl with the shim.
    pub fn run(&self, stack: &Stack, args: &[&str]) -> Ran {
        Ran::new(args, self.command(stack, args).output().expect("drctl runs"))
    }

    /// Runs drctl to its successful end and counts.
    pub fn count(self, stack: &Stack, args: &[&str]) -> Totals {
        let log = stack.path("operations.log");
        self.log(&log).run(stack, args).exits(0);
        let text = std::fs::read_to_string(&log).expect("the log");
        std::fs::remove_file(&log).expect("removed");
        let (operations, last) = text.trim_end().rsplit_once('\n').expect("operations, and the totals");
        let total = |name: &str| {
            let value = last.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
            value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no total of {name} in `{last}`"))
        };
        let totals = Totals {
            operations: total("durable"),
            writes: total("writes"),
            syncs: total("syncs"),
            changes: total("changes"),
            clocks: total("clocks"),
        };
        assert_eq!(operations.lines().count(), totals.operations, "there must be one line per operation:\n{text}");
        totals
    }
}
