//! YAML into validated structs, and problems an operator can act on.
//!
//! What a single value may be is checked while it is read (a type whose `Deserialize` refuses, see
//! [`parsed`]), so serde_yaml itself knows the place. What depends on several values is checked
//! afterwards, and [`Source::locate`] finds the place of a path such as `secrets.0.psk`.

use std::fmt::{self, Display};
use std::fs::File;
use std::io::{self, Read};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

/// The largest configuration file that is read, in bytes.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// One problem in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// Counted from 1; 0 when the file as a whole is meant.
    pub line: usize,
    /// Counted from 1.
    pub column: usize,
    /// What is wrong and what would be accepted.
    pub message: String,
}

impl Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// All problems found in a configuration; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            write!(f, "{}{problem}", if index == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl Problems {
    /// One problem with a file as a whole.
    pub fn whole(file: &Path, message: impl Display) -> Self {
        Self(vec![Problem {
            file: file.to_owned(),
            line: 0,
            column: 0,
            message: message.to_string(),
        }])
    }
}

/// A YAML file as text, with its name for messages.
#[derive(Debug, Clone)]
pub struct Source {
    file: PathBuf,
    text: String,
}

impl Source {
    /// Reads `file`.
    ///
    /// # Errors
    /// Not there, not readable, not UTF-8, or larger than 4 MiB.
    pub fn read(file: &Path) -> Result<Self, Problems> {
        let mut text = String::new();
        let outcome = File::open(file).and_then(|f| f.take(MAX_FILE + 1).read_to_string(&mut text));
        let source = Self {
            file: file.to_owned(),
            text,
        };
        match outcome {
            Ok(length) if length as u64 > MAX_FILE => {
                Err(source.whole("larger than 4 MiB; a configuration is not"))
            }
            Ok(_) => Ok(source),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(source.whole("not UTF-8 text"))
            }
            Err(error) => Err(source.whole(error)),
        }
    }

    /// A source that is in memory already.
    pub fn new(file: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            text: text.into(),
        }
    }

    /// The file's name.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Reads the text as a `T`. An empty file is an empty mapping.
    ///
    /// # Errors
    /// The first value that does not fit, with its place.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Problems> {
        let text = if self.is_blank() { "{}" } else { &self.text };
        serde_yaml::from_str(text).map_err(|error| {
            let (line, column) = error.location().map_or((0, 0), |l| (l.line(), l.column()));
            // The place stands in front already.
            let message = error.to_string();
            let message = match message.rfind(" at line ") {
                Some(end) if line > 0 => message[..end].to_owned(),
                _ => message,
            };
            Problems(vec![Problem {
                file: self.file.clone(),
                line,
                column,
                message,
            }])
        })
    }

    /// A problem with the value at `path`: keys and indices joined by dots, such as
    /// `connections.office.remote` or `secrets.0.psk`.
    pub fn problem(&self, path: &str, message: impl Display) -> Problem {
        let (line, column) = self.locate(path).unwrap_or((0, 0));
        Problem {
            file: self.file.clone(),
            line,
            column,
            message: format!("{path}: {message}"),
        }
    }

    /// Line and column of the value at `path`, or of its nearest ancestor that is there.
    pub fn locate(&self, path: &str) -> Option<(usize, usize)> {
        let mut keys: Vec<&str> = path.split('.').filter(|k| !k.is_empty()).collect();
        loop {
            let seed = Walk { path: &keys };
            match seed.deserialize(serde_yaml::Deserializer::from_str(&self.text)) {
                Err(error) if error.to_string().contains(FOUND) => {
                    return error.location().map(|l| (l.line(), l.column()));
                }
                _ => keys.pop()?,
            };
        }
    }

    fn is_blank(&self) -> bool {
        self.text.lines().all(|line| {
            let line = line.trim();
            line.is_empty() || line.starts_with('#') || line == "---"
        })
    }

    fn whole(&self, message: impl Display) -> Problems {
        Problems::whole(&self.file, message)
    }
}

/// Reads a scalar by its `FromStr`; for `#[serde(deserialize_with = "parsed")]`. The error of
/// `FromStr` should say what would be accepted.
///
/// # Errors
/// What `FromStr` says.
pub fn parsed<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    deserializer.deserialize_str(Scalar(PhantomData))
}

/// Parses while the deserializer still stands at the value, so that its error has the place.
struct Scalar<T>(PhantomData<T>);

impl<T: FromStr<Err: Display>> Visitor<'_> for Scalar<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a single value")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

/// How [`Walk`] says that it stands at the place looked for; serde_yaml adds line and column.
const FOUND: &str = "\u{1}found";

/// Follows a path into a document and fails on arrival: the error then carries the place.
#[derive(Clone, Copy)]
struct Walk<'a> {
    path: &'a [&'a str],
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Walk<'_> {
    fn arrive<E: de::Error>(self) -> Result<(), E> {
        if self.path.is_empty() {
            Err(E::custom(FOUND))
        } else {
            Ok(())
        }
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.arrive::<A::Error>()?;
        let Some((first, rest)) = self.path.split_first() else {
            return Ok(());
        };
        while let Some(key) = map.next_key::<serde_yaml::Value>()? {
            if text_of(&key).as_deref() == Some(*first) {
                map.next_value_seed(Walk { path: rest })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        self.arrive::<A::Error>()?;
        let Some((first, rest)) = self.path.split_first() else {
            return Ok(());
        };
        let wanted: Option<usize> = first.parse().ok();
        let mut index = 0;
        loop {
            let more = if Some(index) == wanted {
                seq.next_element_seed(Walk { path: rest })?
            } else {
                seq.next_element::<IgnoredAny>()?.map(|_| ())
            };
            if more.is_none() {
                return Ok(());
            }
            index += 1;
        }
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        self.arrive()
    }
    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        self.arrive()
    }
    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        self.arrive()
    }
    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        self.arrive()
    }
    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        self.arrive()
    }
    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.arrive()
    }
    fn visit_none<E: de::Error>(self) -> Result<(), E> {
        self.arrive()
    }
}

fn text_of(key: &serde_yaml::Value) -> Option<String> {
    match key {
        serde_yaml::Value::String(text) => Some(text.clone()),
        serde_yaml::Value::Number(number) => Some(number.to_string()),
        serde_yaml::Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::net::IpAddr;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Config {
        #[serde(default)]
        listen: Vec<Listen>,
        #[serde(default)]
        name: String,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Listen {
        #[serde(deserialize_with = "parsed")]
        address: IpAddr,
    }

    fn place(text: &str) -> (usize, usize, String) {
        let problems = Source::new("a.yaml", text).parse::<Config>().unwrap_err();
        let problem = problems.0.into_iter().next().unwrap();
        (problem.line, problem.column, problem.message)
    }

    #[test]
    fn a_wrong_value_is_reported_at_its_place() {
        let (line, column, message) = place("name: x\nlisten:\n  - address: 300.1.1.1\n");
        assert_eq!((line, column), (3, 14), "{message}");
        assert!(message.contains("invalid IP address"), "{message}");
        let (line, _, message) = place("name: x\nnmae: y\n");
        assert_eq!(line, 2, "{message}");
        assert!(message.contains("expected `listen` or `name`"), "{message}");
        let (line, _, _) = place("name: [x\n");
        assert!(line > 0);
    }

    #[test]
    fn an_empty_file_is_an_empty_mapping() {
        assert_eq!(
            Source::new("a", "# nothing\n\n")
                .parse::<Config>()
                .unwrap()
                .name,
            ""
        );
    }

    #[test]
    fn paths_are_located_or_their_nearest_ancestor() {
        let source = Source::new(
            "a.yaml",
            "top:\n  list:\n    - a: 1\n      b: two\n  last: x\n",
        );
        assert_eq!(source.locate("top.list.0.b"), Some((4, 10)));
        assert_eq!(source.locate("top.last"), Some((5, 9)));
        assert_eq!(
            source.locate("top.list.0.missing"),
            source.locate("top.list.0")
        );
        assert_eq!(source.locate("top.list.0").map(|p| p.0), Some(3));
        let problem = source.problem("top.last", "too short; 8 letters at least");
        assert_eq!(
            problem.to_string(),
            "a.yaml:5:9: top.last: too short; 8 letters at least"
        );
    }

    #[test]
    fn unreadable_files_are_named() {
        let problems = Source::read(Path::new("/nowhere/x.yaml")).unwrap_err();
        assert!(
            problems.to_string().starts_with("/nowhere/x.yaml: "),
            "{problems}"
        );
    }
}
