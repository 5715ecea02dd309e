//! Who may see the page. Pure.

use sha2::{Digest, Sha256};

use crate::config::Secret;

/// Name of the cookie that holds the token's digest.
pub const COOKIE: &str = "srfusion_camera";

/// What a request shows of itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shown<'a> {
    /// Header `Authorization`.
    pub authorization: Option<&'a str>,
    /// Header `Cookie`.
    pub cookie: Option<&'a str>,
    /// Parameter `token` of the address.
    pub query: Option<&'a str>,
    /// Header `Host`.
    pub host: Option<&'a str>,
}

/// What is done with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is answered.
    Pass,
    /// It has come with the token in its address: it gets the cookie.
    Welcome,
    /// It shows no token, or a wrong one.
    Unknown,
    /// It comes from another site's page, through a name that leads here.
    Foreign,
}

/// The cookie's content for a token: not the token itself.
pub fn cookie(token: &Secret) -> String {
    let digest = Sha256::digest(format!("srfusion-camera cookie {}", token.reveal()));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Compares by digests, so that the time tells nothing.
fn same(a: &str, b: &str) -> bool {
    Sha256::digest(a) == Sha256::digest(b)
}

/// Decides on a request.
pub fn judge(token: Option<&Secret>, shown: Shown<'_>) -> Verdict {
    let Some(token) = token else {
        // Without a token it is the address that protects; a name can be made to lead here by anyone's page.
        return match shown.host {
            Some(host) if !local(host) => Verdict::Foreign,
            _ => Verdict::Pass,
        };
    };
    if let Some(given) = shown.query {
        return if same(given, token.reveal()) {
            Verdict::Welcome
        } else {
            Verdict::Unknown
        };
    }
    let bearer = shown
        .authorization
        .and_then(|text| text.strip_prefix("Bearer "));
    let known = cookie(token);
    let kept = shown.cookie.into_iter().flat_map(|text| text.split(';'));
    let mut kept = kept.filter_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='));
    if bearer.is_some_and(|bearer| same(bearer, token.reveal()))
        || kept.any(|kept| same(kept, &known))
    {
        Verdict::Pass
    } else {
        Verdict::Unknown
    }
}

/// Whether a host is an address in digits, or this machine's own name for itself.
fn local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || bare.parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_token_only_addresses_are_hosts() {
        let from = |host| {
            judge(
                None,
                Shown {
                    host,
                    ..Shown::default()
                },
            )
        };
        for host in [
            "127.0.0.1:8022",
            "localhost:8022",
            "[::1]:8022",
            "192.168.1.4",
        ] {
            assert_eq!(from(Some(host)), Verdict::Pass, "{host}");
        }
        assert_eq!(from(None), Verdict::Pass);
        for host in ["evil.example:8022", "localhost.evil.example", ""] {
            assert_eq!(from(Some(host)), Verdict::Foreign, "{host}");
        }
    }

    #[test]
    fn a_token_is_shown_in_one_of_three_ways() {
        let token = Secret::new("s3cret");
        let judge = |shown| judge(Some(&token), shown);
        assert_eq!(judge(Shown::default()), Verdict::Unknown);
        let query = |query| {
            judge(Shown {
                query: Some(query),
                ..Shown::default()
            })
        };
        assert_eq!(query("s3cret"), Verdict::Welcome);
        assert_eq!(query("other"), Verdict::Unknown);
        let bearer = |text| {
            judge(Shown {
                authorization: Some(text),
                ..Shown::default()
            })
        };
        assert_eq!(bearer("Bearer s3cret"), Verdict::Pass);
        assert_eq!(bearer("Bearer s3cre"), Verdict::Unknown);
        assert_eq!(bearer("s3cret"), Verdict::Unknown);
        let kept = format!("a=b; {COOKIE}={}; c=d", cookie(&token));
        assert!(!kept.contains("s3cret"));
        assert_eq!(
            judge(Shown {
                cookie: Some(&kept),
                ..Shown::default()
            }),
            Verdict::Pass
        );
        let other = format!("{COOKIE}={}", cookie(&Secret::new("x")));
        assert_eq!(
            judge(Shown {
                cookie: Some(&other),
                ..Shown::default()
            }),
            Verdict::Unknown
        );
    }
}
