//! Running a configuration given as text.

use std::collections::BTreeMap;

use mpd_conf::{Interpretation, Loader, Request, interpret};

/// Files by name.
#[derive(Debug, Default)]
pub(crate) struct Files(pub(crate) BTreeMap<&'static str, &'static str>);

impl Loader for Files {
    fn load(&mut self, name: &str) -> Result<Vec<u8>, String> {
        let text = self.0.get(name).ok_or("no such file")?;
        Ok(text.as_bytes().to_vec())
    }
}

/// Runs `text` as mpd.conf.
pub(crate) fn run(text: &str) -> Interpretation {
    run_with(text, false)
}

/// Runs `text` as mpd.conf, with or without the flag for links of other types.
pub(crate) fn run_with(text: &str, ignore_foreign_links: bool) -> Interpretation {
    let request = Request {
        file: "mpd.conf".to_owned(),
        label: None,
        ignore_foreign_links,
    };
    interpret(text.as_bytes(), &request, &mut Files::default())
}

/// `line:column: message` of each problem.
pub(crate) fn problems(of: &Interpretation) -> Vec<String> {
    of.problems
        .iter()
        .map(|problem| {
            format!(
                "{}:{}: {}",
                problem.span.line, problem.span.column, problem.message
            )
        })
        .collect()
}

/// `line:column: message` of each notice.
pub(crate) fn notices(of: &Interpretation) -> Vec<String> {
    of.notices
        .iter()
        .map(|notice| {
            format!(
                "{}:{}: {}",
                notice.span.line, notice.span.column, notice.message
            )
        })
        .collect()
}
