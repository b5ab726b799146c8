//! A program that cannot outlive the sandbox.
//!
//! Between the sandbox and the program stands a small shell, whose standard input is a pipe that only the sandbox holds
//! the other end of. The kernel closes that end with the sandbox, `kill -9` or not, and at whatever moment. The shell
//! then ends the program. The same pipe carries the names of signals: the shell is the program's parent, so an id that
//! was reused cannot be signalled, and it runs under an identity that may signal the program.
//!
//! `PR_SET_PDEATHSIG` (`setpriv --pdeathsig`, `unshare --kill-child`) was tried and is not enough: it is sent when the
//! *thread* that started the program ends, it is forgotten when the program gets another identity, a parent that dies
//! before it is set is missed, and it exists on Linux only. The price of the shell is 0.3 MB.

use std::ffi::OsString;
use std::io;
use std::process::{ExitStatus, Stdio};

use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStdin, Command};

/// The shell's script. Its first argument is the signal that ends the program, the others are the program.
///
/// The signal is repeated, since the shell starts its children with SIGQUIT ignored until they decide otherwise, and
/// after ten seconds it is SIGKILL.
const SUPERVISOR: &str = r#"
ending=$1
shift
exec 3<&0
"$@" 3<&- </dev/null &
program=$!
{
    while read -r signal; do kill -s "$signal" "$program"; done
    tries=0
    while kill -s "$ending" "$program"; do
        sleep 0.1
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || ending=KILL
    done
} <&3 2>/dev/null &
watcher=$!
exec 3<&-
wait "$program"
status=$?
kill -s KILL "$watcher" 2>/dev/null
exit "$status"
"#;

/// How a program is ended when the sandbox has ended, or does not want it any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// SIGQUIT, on which a PostgreSQL server ends at once with all of its processes: SIGKILL would reach only one of
    /// them, and leave those that work on a query.
    Quit,
    /// SIGTERM, for the programs that clean up after themselves.
    Terminate,
}

impl Ending {
    const fn signal(self) -> &'static str {
        match self {
            Self::Quit => "QUIT",
            Self::Terminate => "TERM",
        }
    }
}

/// The command that runs `words` under the supervisor.
///
/// Its environment has nothing of the user's but the `PATH`: variables such as `PGHOST` and `PGOPTIONS` change what
/// PostgreSQL's programs do.
pub(super) fn command(words: &[OsString], ending: Ending) -> Command {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", SUPERVISOR, "drctl-sandbox-postgres", ending.signal()])
        .args(words)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin:/usr/sbin:/sbin".into()))
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        // A Ctrl-C in the terminal is for the sandbox, which then stops its servers in order.
        .process_group(0);
    command
}

/// A program that runs until it is told to end, or until this value is dropped.
#[derive(Debug)]
pub(super) struct Supervised {
    child: Child,
    channel: Option<ChildStdin>,
}

impl Supervised {
    /// Starts `command`, which [`command`] made.
    pub(super) fn start(mut command: Command) -> io::Result<Self> {
        let mut child = command.spawn()?;
        let channel = child.stdin.take();
        Ok(Self { child, channel })
    }

    /// Sends the signal of this name (`INT`, `HUP`) to the program. It is not an error if the program has ended.
    pub(super) async fn signal(&mut self, name: &str) -> io::Result<()> {
        let Some(channel) = &mut self.channel else { return Ok(()) };
        match channel.write_all(format!("{name}\n").as_bytes()).await {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }

    /// Has the supervisor end the program, as it would if the sandbox had ended.
    pub(super) fn release(&mut self) {
        self.channel = None;
    }

    /// How the program ended, if it has.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Waits until the program has ended.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    fn shell(script: &str, ending: Ending) -> Command {
        command(&["/bin/sh".into(), "-c".into(), script.into()], ending)
    }

    #[tokio::test]
    async fn the_status_of_the_program_is_passed_on() -> TestResult {
        let mut supervised = Supervised::start(shell("exit 7", Ending::Quit))?;
        assert_eq!(supervised.wait().await?.code(), Some(7));
        Ok(())
    }

    #[tokio::test]
    async fn signals_reach_the_program() -> TestResult {
        let dir = tempfile::tempdir()?;
        let seen = dir.path().join("seen");
        let script =
            format!("trap 'echo hup >{0}; exit 3' HUP; echo >{0}; while :; do sleep 0.05; done", seen.display());
        let mut supervised = Supervised::start(shell(&script, Ending::Quit))?;
        while !seen.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        supervised.signal("HUP").await?;
        assert_eq!(supervised.wait().await?.code(), Some(3));
        assert_eq!(std::fs::read_to_string(seen)?, "hup\n");
        supervised.signal("HUP").await?;
        Ok(())
    }

    #[tokio::test]
    async fn a_program_that_is_not_ready_for_its_signal_gets_it_again() -> TestResult {
        // As PostgreSQL's are: children of a shell without job control ignore SIGQUIT until they decide otherwise.
        let dir = tempfile::tempdir()?;
        let started = dir.path().join("started");
        let python = format!(
            "import signal, time\nopen({:?}, 'w')\ntime.sleep(0.5)\nsignal.signal(signal.SIGQUIT, signal.SIG_DFL)\n\
             time.sleep(60)",
            started.display().to_string()
        );
        let words = ["python3".into(), "-c".into(), python.into()];
        let mut supervised = Supervised::start(command(&words, Ending::Quit))?;
        while !started.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        supervised.release();
        let released = Instant::now();
        let status = tokio::time::timeout(Duration::from_secs(9), supervised.wait()).await??;
        assert!(!status.success() && released.elapsed() > Duration::from_millis(300), "{status}");
        Ok(())
    }
}
