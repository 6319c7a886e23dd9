//! mpd.conf and mpd.secret into `l2tpd.yaml` and `users.yaml`.

use std::path::Path;

use l2tpd::config::mpd;
use tanuki_daemon::config::Problems;

use crate::{Document, Import};

/// Reads `mpd.conf` and `mpd.secret` in `folder` and adds what they become to `import`.
///
/// # Errors
/// Every problem that stands in the way, with its place.
pub fn import(folder: &Path, import: &mut Import) -> Result<(), Problems> {
    let imported = mpd::import(&folder.join("mpd.conf"))?;
    import.documents.push(Document {
        name: "l2tpd.yaml",
        text: imported.config,
    });
    import.documents.extend(imported.users.map(|text| Document {
        name: "users.yaml",
        text,
    }));
    for why in imported.left {
        import.leave(why);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tanuki_daemon::config::Source;

    const SERVER: &str = "default:
\tset ippool add roam 10.77.0.10 10.77.0.99
\tcreate bundle template B
\tset iface mtu 1380
\tset ipcp ranges 10.77.0.1/32 ippool roam
\tset ipcp yes vjcomp
\tcreate link template L l2tp
\tset link action bundle B
\tset link enable chap-msv2 incoming
\tcreate link template P pptp
\tset link action bundle X
";

    fn of(secret: &str) -> Import {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("mpd.conf"), SERVER).unwrap();
        std::fs::write(folder.path().join("mpd.secret"), secret).unwrap();
        let mut made = Import::default();
        import(folder.path(), &mut made).unwrap();
        made
    }

    #[test]
    fn each_line_says_where_it_comes_from_and_the_daemon_takes_it() {
        let made = of("alice \"wonder land\" 10.77.0.9\nbob b:c\n");
        let [config, users] = made.documents.as_slice() else {
            panic!("{made:?}")
        };
        for line in [
            "users: \"users.yaml\"\n",
            "  \"roam\": [10.77.0.10-10.77.0.99]  # mpd.conf:2\n",
            "  \"B\":  # mpd.conf:3\n",
            "    mtu: 1380  # mpd.conf:4\n",
            "    local_address: 10.77.0.1  # mpd.conf:5\n",
            "  authentication: [mschapv2]  # mpd.conf:9\n",
        ] {
            assert!(config.text.contains(line), "{line:?} in {}", config.text);
        }
        let source = Source::new("/etc/l2tpd.yaml", config.text.clone());
        let read = l2tpd::config::Config::from_source(&source).unwrap();
        assert_eq!(read.links[0].bundle_for("x").unwrap().name, "B");
        let source = Source::new("users.yaml", users.text.clone());
        let read = l2tpd::users::Users::from_source(&source).unwrap();
        assert_eq!(read.iter().count(), 2);
        assert_eq!(read.fixed_addresses().count(), 1);
        let report = made.report();
        assert!(
            report.contains("mpd.conf:6:15: 'set ipcp ... vjcomp' has no effect"),
            "{report}"
        );
        assert!(
            report.contains("mpd.conf:10:25: link 'P' is left out"),
            "{report}"
        );
    }

    #[test]
    fn what_yaml_has_no_word_for_goes_on_to_be_read() {
        let made = of("* !/bin/echo\n");
        assert_eq!(made.documents.len(), 1);
        assert!(made.documents[0].text.contains("mpd_secret: \""));
        assert!(
            made.report()
                .contains("a password of a program has no word in YAML")
        );
    }

    #[test]
    fn what_cannot_be_read_has_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let problems = import(folder.path(), &mut Import::default()).unwrap_err();
        assert!(problems.to_string().contains("mpd.conf: No such file"));
        std::fs::write(
            folder.path().join("mpd.conf"),
            "default:\n\tset nothing 1\n",
        )
        .unwrap();
        let problems = import(folder.path(), &mut Import::default()).unwrap_err();
        assert!(
            problems
                .to_string()
                .contains("mpd.conf:2:6: unknown word 'nothing'")
        );
    }
}
