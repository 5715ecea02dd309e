//! Where pictures come from, as it is written: an address or a file.

use std::path::PathBuf;

use url::Url;

use super::secret::Secret;

/// Where pictures come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An RTSP camera; no user and no password are in the address.
    Rtsp(Url),
    /// MJPEG or another stream over HTTP; no user and no password are in the address.
    Http(Url),
    /// A camera of Video4Linux.
    V4l2(PathBuf),
    /// A file in the place of a camera, played again and again.
    File(PathBuf),
}

/// How RTP is carried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Transport {
    /// UDP, and TCP where nothing comes over UDP.
    #[default]
    Auto,
    /// UDP only.
    Udp,
    /// Inside the RTSP connection only.
    Tcp,
}

impl Transport {
    /// Names, for the user.
    pub const NAMES: &'static str = "auto, udp or tcp";

    /// Reads a name.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "auto" => Self::Auto,
            "udp" => Self::Udp,
            "tcp" => Self::Tcp,
            _ => return None,
        })
    }
}

/// A source with the user and the password that were written into its address.
pub type Parsed = (Source, Option<String>, Option<Secret>);

impl Source {
    /// Reads an address (`rtsp://`, `rtsps://`, `http://`, `https://`, `v4l2:///dev/video0`, `file:///...`), a device or a file's path.
    /// User and password are taken out of an address.
    ///
    /// # Errors
    /// What was expected. The text itself is not repeated: it may hold a password.
    pub fn parse(text: &str) -> Result<Parsed, String> {
        const EXPECTED: &str = "expected rtsp://HOST/PATH, http://HOST/PATH, /dev/videoN or a file";
        let Some((scheme, rest)) = text.split_once("://") else {
            return match text {
                "" => Err(format!("{EXPECTED}, found nothing")),
                _ if text.starts_with("/dev/") => Ok((Self::V4l2(text.into()), None, None)),
                _ => Ok((Self::File(text.into()), None, None)),
            };
        };
        match scheme {
            "v4l2" => return Ok((Self::V4l2(rest.into()), None, None)),
            "file" => {
                let path = Url::parse(text)
                    .ok()
                    .and_then(|url| url.to_file_path().ok());
                let path = path.ok_or("expected file:///PATH with three slashes")?;
                return Ok((Self::File(path), None, None));
            }
            "rtsp" | "rtsps" | "http" | "https" => {}
            _ => return Err(format!("{EXPECTED}, found the scheme {scheme}://")),
        }
        let mut url = Url::parse(text).map_err(|error| format!("{EXPECTED}: {error}"))?;
        if url.host_str().is_none_or(str::is_empty) {
            return Err(format!("{EXPECTED}, found no host"));
        }
        let user = Some(url.username()).filter(|user| !user.is_empty());
        let user = user.map(decode);
        let password = url.password().map(decode).map(Secret::new);
        // Neither fails where there is a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let source = match scheme {
            "rtsp" | "rtsps" => Self::Rtsp(url),
            _ => Self::Http(url),
        };
        Ok((source, user, password))
    }

    /// For messages: without query, which may hold a password too.
    pub fn shown(&self) -> String {
        match self {
            Self::Rtsp(url) | Self::Http(url) => {
                let mut url = url.clone();
                if url.query().is_some() {
                    url.set_query(Some("..."));
                }
                url.to_string()
            }
            Self::V4l2(path) | Self::File(path) => path.display().to_string(),
        }
    }

    /// Whether a user and a password can be given to it.
    pub fn has_credentials(&self) -> bool {
        matches!(self, Self::Rtsp(_) | Self::Http(_))
    }
}

/// The characters that `%` and two digits stand for.
fn decode(text: &str) -> String {
    // A query's first key is decoded as such; `+` would become a space there.
    let pair = text.replace('+', "%2B").replace(['&', '='], "_");
    url::form_urlencoded::parse(pair.as_bytes())
        .next()
        .map_or_else(String::new, |(key, _)| key.into_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_parted_from_its_credentials() {
        let (source, user, password) =
            Source::parse("rtsp://admin:a%40b%3A+c@10.0.0.2:554/stream1?channel=1").unwrap();
        assert_eq!(user.as_deref(), Some("admin"));
        assert_eq!(password.as_ref().unwrap().reveal(), "a@b:+c");
        assert_eq!(source.shown(), "rtsp://10.0.0.2:554/stream1?...");
        let Source::Rtsp(url) = &source else {
            unreachable!()
        };
        assert_eq!(url.as_str(), "rtsp://10.0.0.2:554/stream1?channel=1");
        assert!(!format!("{source:?} {password:?}").contains("a@b"));
    }

    #[test]
    fn every_kind_of_source_is_told_by_its_writing() {
        let kind = |text| Source::parse(text).unwrap().0;
        assert_eq!(kind("/dev/video0"), Source::V4l2("/dev/video0".into()));
        assert_eq!(
            kind("v4l2:///dev/video1"),
            Source::V4l2("/dev/video1".into())
        );
        assert_eq!(kind("clips/a.mp4"), Source::File("clips/a.mp4".into()));
        assert_eq!(kind("file:///a%20b.mp4"), Source::File("/a b.mp4".into()));
        assert!(matches!(kind("http://cam/mjpeg"), Source::Http(_)));
        for (text, part) in [
            ("", "found nothing"),
            ("ftp://user:secret@host/", "ftp://"),
            ("rtsp://", "rtsp://HOST/PATH"),
            ("file://a", "three slashes"),
        ] {
            let error = Source::parse(text).unwrap_err();
            assert!(error.contains(part), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
