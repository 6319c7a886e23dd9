//! tanuki-import: an installation of racoon, setkey(8) and mpd as tanuki's configuration.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use tanuki_daemon::exit::{self, Failure};
use tanuki_import::{Import, mpd, racoon};

/// Turns an installation of racoon, setkey(8) and mpd into tanuki's configuration, and tells what
/// could not be carried over.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// racoon.conf; its psk.txt is found through it.
    #[arg(long, value_name = "FILE", required_unless_present = "mpd")]
    racoon: Option<PathBuf>,
    /// A setkey(8) script with the policies of that racoon (repeatable).
    #[arg(long, value_name = "FILE", requires = "racoon")]
    setkey: Vec<PathBuf>,
    /// The folder with mpd.conf and mpd.secret.
    #[arg(long, value_name = "DIR")]
    mpd: Option<PathBuf>,
    /// Where the files are written; nothing there is overwritten. Standard output by default.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

fn main() -> ExitCode {
    exit::report("tanuki-import", run(&exit::arguments::<Arguments>()))
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut import = Import::default();
    let refused = |problems| {
        Failure::new(
            exit::DATA,
            format_args!("nothing written; these stand in the way:\n{problems}"),
        )
    };
    if let Some(file) = &arguments.racoon {
        racoon::import(file, &arguments.setkey, &mut import).map_err(refused)?;
    }
    if let Some(folder) = &arguments.mpd {
        mpd::import(folder, &mut import).map_err(refused)?;
    }
    match &arguments.output {
        Some(folder) => write(folder, &import)?,
        None => print(&import),
    }
    eprint!("{}", import.report());
    Ok(())
}

fn print(import: &Import) {
    for document in &import.documents {
        println!("# ---- {} ----\n{}", document.name, document.text);
    }
}

fn write(folder: &Path, import: &Import) -> Result<(), Failure> {
    for document in &import.documents {
        let path = folder.join(document.name);
        let refused =
            |error| Failure::new(exit::CANT_CREATE, format!("{}: {error}", path.display()));
        // Keys and passwords stand in them.
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(refused)?;
        file.write_all(document.text.as_bytes()).map_err(refused)?;
        eprintln!("{} written", path.display());
    }
    Ok(())
}
