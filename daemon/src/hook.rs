//! Programs of the operator that run when something happens: executed with an argument vector,
//! never through a shell, so that nothing a peer sends can become a command.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::Semaphore;

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

    /// Runs `hook` to its end.
    ///
    /// # Errors
    /// Anything but exit status 0 in time.
    pub async fn run(&self, hook: Hook) -> Result<(), HookError> {
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
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| not_run(e.to_string()))?;
        match tokio::time::timeout(self.limit, child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(HookError::Failed {
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
