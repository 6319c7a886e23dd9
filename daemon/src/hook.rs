//! Programs of the operator that run when something happens: executed with an argument vector,
//! never through a shell, so that nothing a peer sends can become a command.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::{ChildStdout, Command};
use tokio::sync::Semaphore;

/// Octets of the line that a program writes for us.
const LINE: usize = 256;

/// One run of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// The program; an absolute path.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its whole environment.
    pub environment: Vec<(String, String)>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HookError {
    /// It could not be started.
    #[error("{program}: cannot be run: {reason}", program = program.display())]
    NotRun {
        /// The program.
        program: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// It ended with another status than 0.
    #[error("{program}: ended with {status}", program = program.display())]
    Failed {
        /// The program.
        program: PathBuf,
        /// As the system words it.
        status: String,
    },
    /// It took longer than allowed and was killed.
    #[error("{program}: killed after {} s", .limit.as_secs(), program = program.display())]
    TimedOut {
        /// The program.
        program: PathBuf,
        /// The limit.
        limit: Duration,
    },
}

/// Runs hooks, a bounded number at a time; further ones wait their turn.
#[derive(Debug, Clone)]
pub struct HookRunner {
    slots: Arc<Semaphore>,
    limit: Duration,
}

impl HookRunner {
    /// At most `parallel` at once, each at most `limit` long.
    pub fn new(parallel: usize, limit: Duration) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(parallel)),
            limit,
        }
    }

    /// Runs `hook` to its end and returns the first line it wrote, without its end and at most
    /// [`LINE`] octets of it.
    ///
    /// # Errors
    /// Anything but exit status 0 in time.
    pub async fn first_line(&self, hook: Hook) -> Result<Vec<u8>, HookError> {
        self.execute(hook, Stdio::piped()).await
    }

    /// Runs `hook` to its end.
    ///
    /// # Errors
    /// Anything but exit status 0 in time.
    pub async fn run(&self, hook: Hook) -> Result<(), HookError> {
        self.execute(hook, Stdio::null()).await.map(|_| ())
    }

    async fn execute(&self, hook: Hook, output: Stdio) -> Result<Vec<u8>, HookError> {
        let Hook {
            program,
            arguments,
            environment,
        } = hook;
        let not_run = |reason: String| HookError::NotRun {
            program: program.clone(),
            reason,
        };
        let _slot = self
            .slots
            .acquire()
            .await
            .map_err(|e| not_run(e.to_string()))?;
        let mut child = Command::new(&program)
            .args(arguments)
            .env_clear()
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| not_run(e.to_string()))?;
        let output = child.stdout.take();
        let ended = async {
            let line = read_line(output).await?;
            Ok::<_, std::io::Error>((child.wait().await?, line))
        };
        match tokio::time::timeout(self.limit, ended).await {
            Ok(Ok((status, line))) if status.success() => Ok(line),
            Ok(Ok((status, _))) => Err(HookError::Failed {
                program,
                status: status.to_string(),
            }),
            Ok(Err(error)) => Err(not_run(error.to_string())),
            Err(_) => Err(HookError::TimedOut {
                program,
                limit: self.limit,
            }),
        }
    }
}

/// Takes the first line; what comes after it is read too, so that the program does not stop at it.
async fn read_line(output: Option<ChildStdout>) -> std::io::Result<Vec<u8>> {
    let (mut line, mut whole) = (Vec::new(), false);
    let Some(mut output) = output else {
        return Ok(line);
    };
    let mut buffer = [0; LINE];
    loop {
        let count = output.read(&mut buffer).await?;
        if count == 0 {
            return Ok(line);
        }
        for &octet in buffer.iter().take(count) {
            whole |= octet == b'\n';
            if !whole && octet != b'\r' && line.len() < LINE {
                line.push(octet);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(program: &str, arguments: &[&str]) -> Hook {
        Hook {
            program: program.into(),
            arguments: arguments.iter().map(ToString::to_string).collect(),
            environment: Vec::new(),
        }
    }

    #[tokio::test]
    async fn arguments_reach_the_program_unread_by_any_shell() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("$(id) ; a'b");
        let runner = HookRunner::new(1, Duration::from_secs(20));
        runner
            .run(hook("/usr/bin/touch", &[file.to_str().unwrap()]))
            .await
            .unwrap();
        assert!(file.exists());
    }

    #[tokio::test]
    async fn the_first_line_is_what_counts() {
        let runner = HookRunner::new(1, Duration::from_secs(20));
        let line = |arguments| runner.first_line(hook("/usr/bin/printf", arguments));
        assert_eq!(line(&["a b\\r\\nsecond\\n"]).await.unwrap(), b"a b");
        assert_eq!(line(&[""]).await.unwrap(), b"");
        assert_eq!(line(&["%1000d", "1"]).await.unwrap().len(), LINE);
        let failed = runner.first_line(hook("/bin/false", &[])).await;
        assert!(matches!(failed, Err(HookError::Failed { .. })));
    }

    #[tokio::test]
    async fn failure_absence_and_slowness_are_told_apart() {
        let runner = HookRunner::new(2, Duration::from_millis(50));
        let run = |h| runner.run(h);
        assert!(matches!(
            run(hook("/nowhere/x", &[])).await,
            Err(HookError::NotRun { .. })
        ));
        assert!(matches!(
            run(hook("/bin/sleep", &["60"])).await,
            Err(HookError::TimedOut { .. })
        ));
        let patient = HookRunner::new(2, Duration::from_secs(20));
        assert!(matches!(
            patient.run(hook("/bin/false", &[])).await,
            Err(HookError::Failed { .. })
        ));
    }
}
