//! Reads the TOML file. Every fault is found in one go, each with its line.

use std::collections::HashSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::secret::Secret;
use super::source::{Source, Transport};
use super::values::{parse_sides, parse_size, parse_time};
use super::wanted::{CameraConfig, Config, GalleryConfig, Hls, Http, Keep, Record, default_rtsp};

/// What is wrong with a line of the file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Line, from 1 on.
    pub line: usize,
    /// What was expected and what was found.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.message)
    }
}

type Value<'i> = Spanned<DeValue<'i>>;
type Key<'i> = Spanned<std::borrow::Cow<'i, str>>;

/// Reads a configuration. Relative paths are taken from `folder`, that of the file. `variable` gives an environment variable's content.
///
/// # Errors
/// Every fault, in the order of their lines.
pub fn read(
    text: &str,
    folder: &Path,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Config, Vec<Fault>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader {
        text,
        folder,
        variable: &variable,
        faults: vec![],
    };
    for error in errors {
        let at = error.span().map_or(0, |span| span.start);
        // One line: what the parser adds below it repeats the file's line, which may hold a password.
        let message = error.message().replace('\n', " ");
        reader.fault(at, message);
    }
    // Half a table would bring faults that are none.
    let config = reader.faults.is_empty().then(|| reader.config(&table));
    let mut faults = reader.faults;
    faults.sort();
    faults.dedup();
    match config {
        Some(config) if faults.is_empty() => Ok(config),
        _ => Err(faults),
    }
}

struct Reader<'a> {
    text: &'a str,
    folder: &'a Path,
    variable: &'a dyn Fn(&str) -> Option<String>,
    faults: Vec<Fault>,
}

/// Where a secret is to be had, in the three ways that it can be written.
#[derive(Default)]
struct SecretFrom {
    value: Option<Secret>,
    at: Option<usize>,
}

impl Reader<'_> {
    fn fault(&mut self, at: usize, message: impl Into<String>) {
        let line = self.text[..at.min(self.text.len())].matches('\n').count() + 1;
        self.faults.push(Fault {
            line,
            message: message.into(),
        });
    }

    /// A key that does not belong here.
    fn unknown(&mut self, key: &Key<'_>, place: &str, known: &[&str]) {
        let name = key.as_ref();
        // Names that share most of their letters.
        let near = known.iter().find(|other| {
            let common = other.chars().filter(|sign| name.contains(*sign)).count();
            other.contains(name.as_ref())
                || name.contains(**other)
                || (common + 1 >= other.len() && other.len().abs_diff(name.len()) < 2)
        });
        let hint = match near {
            Some(near) => format!("did you mean {near}?"),
            None => format!("those that can be are {}", known.join(", ")),
        };
        self.fault(
            key.span().start,
            format!("{place} has no key '{name}'; {hint}"),
        );
    }

    fn string<'v>(&mut self, key: &Key<'_>, value: &'v Value<'_>) -> Option<&'v str> {
        let text = value.as_ref().as_str();
        if text.is_none() {
            let found = value.as_ref().type_str();
            self.fault(
                value.span().start,
                format!("{}: expected a text in quotes, found {found}", key.as_ref()),
            );
        }
        text
    }

    /// A text that `parse` reads.
    fn parsed<T>(
        &mut self,
        key: &Key<'_>,
        value: &Value<'_>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.string(key, value)?;
        match parse(text) {
            Ok(read) => Some(read),
            Err(reason) => {
                self.fault(value.span().start, format!("{}: {reason}", key.as_ref()));
                None
            }
        }
    }

    fn switch(&mut self, key: &Key<'_>, value: &Value<'_>) -> Option<bool> {
        let switch = value.as_ref().as_bool();
        if switch.is_none() {
            let found = value.as_ref().type_str();
            self.fault(
                value.span().start,
                format!("{}: expected true or false, found {found}", key.as_ref()),
            );
        }
        switch
    }

    fn number(&mut self, key: &Key<'_>, value: &Value<'_>, low: u32, high: u32) -> Option<u32> {
        let number = value
            .as_ref()
            .as_integer()
            .and_then(|number| u32::from_str_radix(number.as_str(), number.radix()).ok())
            .filter(|number| (low..=high).contains(number));
        if number.is_none() {
            self.fault(
                value.span().start,
                format!(
                    "{}: expected a whole number from {low} to {high}",
                    key.as_ref()
                ),
            );
        }
        number
    }

    /// A time of at least `low`.
    fn time(&mut self, key: &Key<'_>, value: &Value<'_>, low: Duration) -> Option<Duration> {
        self.parsed(key, value, |text| {
            let time = parse_time(text)?;
            if time < low {
                return Err(format!("expected at least {low:?}, found \"{text}\""));
            }
            Ok(time)
        })
    }

    fn path(&mut self, key: &Key<'_>, value: &Value<'_>) -> Option<PathBuf> {
        let folder = self.folder;
        self.parsed(key, value, |text| match text {
            "" => Err("expected a path, found nothing".into()),
            _ => Ok(folder.join(text)),
        })
    }

    fn address(&mut self, key: &Key<'_>, value: &Value<'_>) -> Option<SocketAddr> {
        self.parsed(key, value, |text| {
            text.parse().map_err(|_| {
                format!(
                    "expected an address and a port such as \"127.0.0.1:8022\", found \"{text}\""
                )
            })
        })
    }

    fn table<'v, 'i>(&mut self, key: &Key<'_>, value: &'v Value<'i>) -> Option<&'v DeTable<'i>> {
        let table = value.as_ref().as_table();
        if table.is_none() {
            self.fault(
                key.span().start,
                format!("expected a table, such as [{}]", key.as_ref()),
            );
        }
        table
    }

    fn secret(&mut self, key: &Key<'_>, value: &Value<'_>, into: &mut SecretFrom) {
        if into.at.is_some() {
            self.fault(
                key.span().start,
                format!("{}: it is given twice; one way is enough", key.as_ref()),
            );
            return;
        }
        into.at = Some(key.span().start);
        let (folder, variable) = (self.folder, self.variable);
        let name = key.as_ref().as_ref();
        into.value = self.parsed(key, value, |text| {
            let content = if name.ends_with("-file") {
                let path = folder.join(text);
                std::fs::read_to_string(&path)
                    .map_err(|error| format!("cannot read {}: {error}", path.display()))?
            } else {
                variable(text).ok_or_else(|| format!("the environment has no variable {text}"))?
            };
            match content.trim_end_matches(['\n', '\r']) {
                "" => Err(format!("expected something in {text}, found nothing")),
                content => Ok(Secret::new(content)),
            }
        });
    }

    fn config(&mut self, table: &Spanned<DeTable<'_>>) -> Config {
        let mut config = Config {
            http: Some(Http::default()),
            rtsp: default_rtsp(),
            gallery: None,
            cameras: vec![],
        };
        let mut seen = HashSet::new();
        for (key, value) in table.as_ref() {
            match key.as_ref().as_ref() {
                "http" => {
                    if value.as_ref().as_bool() == Some(false) {
                        config.http = None;
                    } else if let Some(table) = self.table(key, value) {
                        config.http = Some(self.http(table));
                    }
                }
                "rtsp" => {
                    if let Some(table) = self.table(key, value) {
                        for (key, value) in table {
                            match key.as_ref().as_ref() {
                                "listen" => {
                                    config.rtsp = self.address(key, value).unwrap_or(config.rtsp);
                                }
                                _ => self.unknown(key, "[rtsp]", &["listen"]),
                            }
                        }
                    }
                }
                "gallery" => {
                    if let Some(table) = self.table(key, value) {
                        config.gallery = self.gallery(table, key.span().start);
                    }
                }
                "camera" => {
                    let Some(list) = value.as_ref().as_array() else {
                        self.fault(
                            key.span().start,
                            "expected [[camera]] in double brackets: there may be several",
                        );
                        continue;
                    };
                    for item in list {
                        let start = item.span().start;
                        let Some(table) = item.as_ref().as_table() else {
                            self.fault(start, "expected a table [[camera]]");
                            continue;
                        };
                        if let Some(camera) = self.camera(table, start) {
                            if !seen.insert(camera.name.clone()) {
                                let message =
                                    format!("there is a camera '{}' already", camera.name);
                                self.fault(start, message);
                            }
                            config.cameras.push(camera);
                        }
                    }
                }
                _ => self.unknown(key, "the file", &["http", "rtsp", "gallery", "camera"]),
            }
        }
        if config.cameras.is_empty() && self.faults.is_empty() {
            self.fault(
                self.text.len(),
                "expected at least one [[camera]] with name and source",
            );
        }
        self.conflicts(&config, table);
        config
    }

    /// What two cameras may not share.
    fn conflicts(&mut self, config: &Config, table: &Spanned<DeTable<'_>>) {
        let start = table.span().start;
        let mut used = HashSet::new();
        for camera in &config.cameras {
            let things = [
                camera
                    .rtsp
                    .clone()
                    .map(|path| format!("the RTSP path {path}")),
                camera
                    .hls
                    .as_ref()
                    .map(|hls| format!("the folder {}", hls.folder.display())),
                camera
                    .record
                    .as_ref()
                    .map(|record| format!("the folder {}", record.folder.display())),
            ];
            for thing in things.into_iter().flatten() {
                if !used.insert(thing.clone()) {
                    self.fault(
                        start,
                        format!(
                            "camera '{}': {thing} is another output's already",
                            camera.name
                        ),
                    );
                }
            }
        }
    }

    fn http(&mut self, table: &DeTable<'_>) -> Http {
        let mut http = Http::default();
        let mut token = SecretFrom::default();
        for (key, value) in table {
            match key.as_ref().as_ref() {
                "listen" => http.listen = self.address(key, value).unwrap_or(http.listen),
                "token-file" | "token-env" => self.secret(key, value, &mut token),
                _ => self.unknown(key, "[http]", &["listen", "token-file", "token-env"]),
            }
        }
        http.token = token.value;
        http
    }

    /// `keep` and `keep-size`. Whether `key` was one of them.
    fn keep(&mut self, key: &Key<'_>, value: &Value<'_>, keep: &mut Keep) -> bool {
        match key.as_ref().as_ref() {
            "keep" => keep.age = self.time(key, value, Duration::from_secs(1)),
            "keep-size" => keep.size = self.parsed(key, value, parse_size),
            _ => return false,
        }
        true
    }

    fn gallery(&mut self, table: &DeTable<'_>, start: usize) -> Option<GalleryConfig> {
        let (mut folder, mut keep) = (None, Keep::default());
        let mut given = false;
        for (key, value) in table {
            match key.as_ref().as_ref() {
                "folder" => (given, folder) = (true, self.path(key, value)),
                _ if self.keep(key, value, &mut keep) => {}
                _ => self.unknown(key, "[gallery]", &["folder", "keep", "keep-size"]),
            }
        }
        if !given {
            self.fault(start, "[gallery] needs a folder");
        }
        Some(GalleryConfig {
            folder: folder?,
            keep,
        })
    }

    fn camera(&mut self, table: &DeTable<'_>, start: usize) -> Option<CameraConfig> {
        const KNOWN: &[&str] = &[
            "name",
            "source",
            "transport",
            "latency",
            "user",
            "password-file",
            "password-env",
            "sound",
            "size",
            "quality",
            "bitrate",
            "engine",
            "rtsp",
            "hls",
            "record",
            "gallery",
        ];
        let (mut name, mut source) = (None, None);
        let mut given = (false, false);
        let mut password = SecretFrom::default();
        // The name is filled in at the end.
        let mut camera = CameraConfig::new("", Source::File(PathBuf::new()));
        for (key, value) in table {
            match key.as_ref().as_ref() {
                "name" => {
                    given.0 = true;
                    name = self.parsed(key, value, parse_name);
                }
                "source" => {
                    given.1 = true;
                    source = self.parsed(key, value, Source::parse);
                }
                "transport" => {
                    let read = self.parsed(key, value, |text| {
                        Transport::parse(text).ok_or_else(|| {
                            format!("expected {}, found \"{text}\"", Transport::NAMES)
                        })
                    });
                    camera.transport = read.unwrap_or_default();
                }
                "latency" => {
                    let read = self.time(key, value, Duration::ZERO);
                    camera.latency = read.unwrap_or_default();
                }
                "reconnect" => {
                    if let Some(delays) = self.delays(key, value) {
                        camera.reconnect = delays;
                    }
                }
                "user" => camera.user = self.string(key, value).map(str::to_owned),
                "password-file" | "password-env" => self.secret(key, value, &mut password),
                "password" => self.fault(
                    key.span().start,
                    "a password does not belong here; use password-file or password-env",
                ),
                "sound" => camera.sound = self.switch(key, value).unwrap_or_default(),
                "gallery" => camera.gallery = self.switch(key, value).unwrap_or_default(),
                "size" => camera.size = self.parsed(key, value, parse_sides),
                "quality" => camera.quality = self.number(key, value, 1, 50).unwrap_or_default(),
                "bitrate" => camera.bitrate = self.number(key, value, 50, 100_000),
                "engine" => {
                    if let Some(table) = self.table(key, value) {
                        camera.engine = self.engine(table);
                    }
                }
                "rtsp" => {
                    camera.rtsp = self.parsed(key, value, |text| {
                        let path = text.strip_prefix('/').unwrap_or_default();
                        parse_name(path).map(|_| text.to_owned()).map_err(|_| {
                            format!("expected a path such as \"/door\", found \"{text}\"")
                        })
                    });
                }
                "hls" => {
                    if let Some(table) = self.table(key, value) {
                        camera.hls = self.hls(table, key.span().start);
                    }
                }
                "record" => {
                    if let Some(table) = self.table(key, value) {
                        camera.record = self.record(table, key.span().start);
                    }
                }
                _ => self.unknown(key, "[[camera]]", KNOWN),
            }
        }
        if !given.0 {
            self.fault(start, "[[camera]] needs a name");
        }
        if !given.1 {
            self.fault(start, "[[camera]] needs a source");
        }
        let (source, user, inline) = source?;
        camera.name = name?;
        camera.source = source;
        if let (Source::File(path), folder) = (&mut camera.source, self.folder) {
            *path = folder.join(&*path);
        }
        camera.user = camera.user.or(user);
        camera.password = password.value.or(inline);
        if let Err(reason) = camera.check() {
            self.fault(start, format!("camera '{}': {reason}", camera.name));
        }
        Some(camera)
    }

    fn delays(&mut self, key: &Key<'_>, value: &Value<'_>) -> Option<Vec<Duration>> {
        let list = value.as_ref().as_array().filter(|list| !list.is_empty());
        let Some(list) = list else {
            self.fault(
                value.span().start,
                "reconnect: expected waits in brackets, such as [\"1s\", \"5s\", \"10s\", \"60s\"]",
            );
            return None;
        };
        list.iter()
            .map(|item| self.time(key, item, Duration::from_millis(10)))
            .collect()
    }

    fn engine(&mut self, table: &DeTable<'_>) -> Vec<(String, String)> {
        let mut properties = vec![];
        for (key, value) in table {
            let name = key.as_ref().as_ref();
            let Some(setting) = srfusion::settings::setting(name) else {
                let known: Vec<_> = srfusion::settings::SETTINGS
                    .iter()
                    .map(|setting| setting.name)
                    .collect();
                self.unknown(key, "[camera.engine]", &known);
                continue;
            };
            let text = match value.as_ref() {
                DeValue::String(text) => text.to_string(),
                DeValue::Integer(number) => number.to_string(),
                DeValue::Float(number) => number.to_string(),
                DeValue::Boolean(switch) => switch.to_string(),
                other => {
                    let message = format!(
                        "{name}: expected a text or a number, found {}",
                        other.type_str()
                    );
                    self.fault(value.span().start, message);
                    continue;
                }
            };
            match setting.parse(&text) {
                Ok(value) => properties.push((name.to_owned(), value.to_string())),
                Err(error) => self.fault(value.span().start, error.to_string()),
            }
        }
        properties
    }

    fn hls(&mut self, table: &DeTable<'_>, start: usize) -> Option<Hls> {
        let mut folder = None;
        let mut given = false;
        let (mut segment, mut length) = (Some(Duration::from_secs(4)), Some(6));
        for (key, value) in table {
            match key.as_ref().as_ref() {
                "folder" => (given, folder) = (true, self.path(key, value)),
                "segment" => segment = self.time(key, value, Duration::from_secs(1)),
                "length" => length = self.number(key, value, 2, 10_000),
                _ => self.unknown(key, "[camera.hls]", &["folder", "segment", "length"]),
            }
        }
        if !given {
            self.fault(start, "[camera.hls] needs a folder");
        }
        Some(Hls {
            folder: folder?,
            segment: segment?,
            length: length?,
        })
    }

    fn record(&mut self, table: &DeTable<'_>, start: usize) -> Option<Record> {
        let mut folder = None;
        let mut given = false;
        let mut keep = Keep::default();
        let mut segment = Some(Duration::from_secs(600));
        for (key, value) in table {
            match key.as_ref().as_ref() {
                "folder" => (given, folder) = (true, self.path(key, value)),
                "segment" => segment = self.time(key, value, Duration::from_secs(1)),
                _ if self.keep(key, value, &mut keep) => {}
                _ => self.unknown(
                    key,
                    "[camera.record]",
                    &["folder", "segment", "keep", "keep-size"],
                ),
            }
        }
        if !given {
            self.fault(start, "[camera.record] needs a folder");
        }
        Some(Record {
            folder: folder?,
            segment: segment?,
            keep,
        })
    }
}

/// A name that can stand in addresses, labels and file names.
pub fn parse_name(text: &str) -> Result<String, String> {
    let allowed = |sign: char| sign.is_ascii_alphanumeric() || sign == '-' || sign == '_';
    if text.is_empty() || text.len() > 64 || !text.chars().all(allowed) {
        return Err(format!(
            "expected up to 64 letters, digits, - and _, found \"{text}\""
        ));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Config, Vec<Fault>> {
        read(text, Path::new("/etc/srfusion"), |name| {
            (name == "DOOR_PASSWORD").then(|| "hunter2\n".to_owned())
        })
    }

    #[test]
    fn a_whole_file_is_read() {
        let config = of(r#"
            [http]
            listen = "0.0.0.0:80"
            [rtsp]
            listen = "127.0.0.1:9554"
            [gallery]
            folder = "/var/lib/faces"
            keep = "30d"
            [[camera]]
            name = "door"
            source = "rtsp://admin@10.0.0.2/stream1"
            transport = "tcp"
            password-env = "DOOR_PASSWORD"
            size = "1280x720"
            rtsp = "/door"
            [camera.engine]
            general-model = "general-x4-camera"
            hold-time = "1s"
            threads = 2
            [camera.hls]
            folder = "hls"
            [camera.record]
            folder = "/var/lib/door"
            segment = "5min"
            keep-size = "50GB"
            [[camera]]
            name = "yard"
            source = "clips/yard.mp4"
        "#)
        .unwrap();
        let http = config.http.unwrap();
        assert_eq!(http.listen.to_string(), "0.0.0.0:80");
        let door = &config.cameras[0];
        assert_eq!(door.user.as_deref(), Some("admin"));
        assert_eq!(door.password.as_ref().unwrap().reveal(), "hunter2");
        assert_eq!(door.transport, Transport::Tcp);
        assert_eq!(door.size, Some((1280, 720)));
        assert_eq!(
            door.engine,
            [
                ("general-model", "general-x4-camera"),
                ("hold-time", "1000000000"),
                ("threads", "2")
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert_eq!(
            door.hls.as_ref().unwrap().folder,
            Path::new("/etc/srfusion/hls")
        );
        let record = door.record.as_ref().unwrap();
        assert_eq!(record.keep.size, Some(50_000_000_000));
        assert_eq!(
            config.cameras[1].source,
            Source::File("/etc/srfusion/clips/yard.mp4".into())
        );
        assert!(config.cameras[1].rtsp.is_none());
    }

    #[test]
    fn every_fault_is_told_with_its_line() {
        let faults = of(r#"[http]
listen = "8022"
[[camera]]
name = "front door"
sourse = "rtsp://10.0.0.2/"
transport = "tpc"
password = "hunter2"
size = "1281x720"
quality = 99
sound = "yes"
reconnect = ["1s", "5"]
[camera.engine]
smoothing = 7
smoothnig = 0.5
[camera.record]
segment = "10m"
"#)
        .unwrap_err();
        let expected = [
            (2, "an address and a port"),
            (3, "needs a source"),
            (4, "front door"),
            (5, "did you mean source?"),
            (6, "auto, udp or tcp"),
            (7, "password-file"),
            (8, "even"),
            (9, "1 to 50"),
            (10, "true or false"),
            (11, "reconnect"),
            (13, "0.999"),
            (14, "smoothing"),
            (15, "needs a folder"),
            (16, "10min"),
        ];
        for (line, part) in expected {
            assert!(
                faults
                    .iter()
                    .any(|fault| fault.line == line && fault.message.contains(part)),
                "no line {line} with {part} in {faults:#?}"
            );
        }
        assert_eq!(faults.len(), expected.len(), "{faults:#?}");
    }

    #[test]
    fn no_camera_no_syntax_and_no_variable_are_faults() {
        assert!(of("").unwrap_err()[0].message.contains("[[camera]]"));
        let faults = of("[http]\nlisten = \n[[camera\n").unwrap_err();
        assert!(faults.iter().any(|fault| fault.line == 2), "{faults:?}");
        let faults =
            of("[[camera]]\nname = \"a\"\nsource = \"rtsp://u@h/\"\npassword-env = \"NO\"\n")
                .unwrap_err();
        assert_eq!(
            faults[0].to_string(),
            "4: password-env: the environment has no variable NO"
        );
        let twice = "[[camera]]\nname = \"a\"\nsource = \"x.mp4\"\n".repeat(2);
        assert_eq!(of(&twice).unwrap_err()[0].line, 4);
        let shared = "[[camera]]\nname = \"a\"\nsource = \"x.mp4\"\nrtsp = \"/x\"\n[[camera]]\nname = \"b\"\nsource = \"x.mp4\"\nrtsp = \"/x\"\n";
        assert!(of(shared).unwrap_err()[0].message.contains("/x"));
    }
}
