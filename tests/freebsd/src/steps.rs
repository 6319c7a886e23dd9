//! A recording as steps: one request, or time passing, and what the kernel said to it.

use crate::Line;

/// A step of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What the step is about.
    pub heading: String,
    /// From 1 within its heading.
    pub number: usize,
    /// What was done.
    pub action: Line,
    /// What the kernel said.
    pub answers: Vec<Line>,
}

/// The steps of a recording. Answers before the first request belong to none.
#[must_use]
pub fn steps(lines: Vec<Line>) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut heading = String::new();
    let mut number = 0;
    for line in lines {
        match line {
            Line::Heading(text) => {
                heading = text;
                number = 0;
            }
            Line::Status { .. } | Line::Reply { .. } | Line::DataIn { .. } => {
                if let Some(step) = steps.last_mut() {
                    step.answers.push(line);
                }
            }
            action => {
                number += 1;
                steps.push(Step {
                    heading: heading.clone(),
                    number,
                    action,
                    answers: Vec::new(),
                });
            }
        }
    }
    steps
}
