//! Other processes: whether they exist, their command lines, and signals to them.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process};

fn pid_of(pid: u32) -> Option<Pid> {
    // To kill(2), 0 and negative numbers mean a group or every process: they must never get there.
    i32::try_from(pid).ok().filter(|&raw| raw > 1).and_then(Pid::from_raw)
}

/// Whether a process with this id exists. Ids are reused, so this does not say *which* process it is.
pub(super) fn exists(pid: u32) -> bool {
    match pid_of(pid).map(test_kill_process) {
        Some(Ok(())) => true,
        Some(Err(error)) => error == rustix::io::Errno::PERM,
        None => false,
    }
}

/// Sends `signal` to one process. It is not an error if the process has ended.
pub(super) fn signal(pid: u32, signal: Signal) -> io::Result<()> {
    deliver(pid, |pid| kill_process(pid, signal))
}

/// Sends `signal` to the process group that `pid` leads. It is not an error if the group has ended.
pub(super) fn signal_group(pid: u32, signal: Signal) -> io::Result<()> {
    deliver(pid, |pid| kill_process_group(pid, signal))
}

fn deliver(pid: u32, send: impl FnOnce(Pid) -> rustix::io::Result<()>) -> io::Result<()> {
    match pid_of(pid).map(send) {
        Some(Err(error)) if error != rustix::io::Errno::SRCH => Err(error.into()),
        _ => Ok(()),
    }
}

/// The command line of a process, its words separated by spaces; `None` if it cannot be read.
pub(super) fn command_line(pid: u32) -> Option<String> {
    if Path::new("/proc/self/cmdline").exists() {
        let raw = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        return Some(String::from_utf8_lossy(&raw).replace('\0', " "));
    }
    let output = Command::new("ps").args(["-ww", "-o", "command=", "-p", &pid.to_string()]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Every process whose command line can be read, with its words.
pub(super) fn all() -> Vec<(u32, Vec<String>)> {
    if Path::new("/proc/self/cmdline").exists() {
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let words = |pid| {
            let raw = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            Some(raw.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect())
        };
        return pids.filter_map(|pid| Some((pid, words(pid)?))).collect();
    }
    let Ok(output) = Command::new("ps").args(["-axww", "-o", "pid=,command="]).output() else { return Vec::new() };
    let parse = |line: &str| {
        let mut words = line.split_whitespace().map(str::to_owned);
        Some((words.next()?.parse().ok()?, words.collect()))
    };
    String::from_utf8_lossy(&output.stdout).lines().filter_map(parse).collect()
}

/// The last `lines` lines of a log, or a sentence that says why there are none. It is meant for an error message.
pub(super) fn last_lines(path: &Path, lines: usize) -> String {
    match read_tail(path) {
        Ok(text) => {
            let all: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
            if all.is_empty() {
                return "(its log is empty)".to_owned();
            }
            all[all.len().saturating_sub(lines)..].join("\n")
        }
        Err(error) => format!("(its log, {}, cannot be read: {error})", path.display()),
    }
}

fn read_tail(path: &Path) -> io::Result<String> {
    const TAIL: u64 = 64 * 1024;
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_exists_and_has_a_command_line() {
        let pid = std::process::id();
        assert!(exists(pid));
        assert!(command_line(pid).is_some_and(|line| !line.is_empty()));
        assert!(all().into_iter().any(|(other, words)| other == pid && !words.is_empty()));
    }

    #[test]
    fn ids_that_mean_a_group_or_every_process_are_never_used() {
        assert!(!exists(0));
        assert!(!exists(1));
        assert!(!exists(u32::MAX));
        assert!(signal(0, Signal::TERM).is_ok(), "no signal is sent, and it is not an error");
    }

    #[test]
    fn the_last_lines_of_a_log_are_returned() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let log = dir.path().join("log");
        std::fs::write(&log, "one\ntwo\n\nthree\n")?;
        assert_eq!(last_lines(&log, 2), "two\nthree");
        assert!(last_lines(&dir.path().join("none"), 2).contains("cannot be read"));
        Ok(())
    }
}
