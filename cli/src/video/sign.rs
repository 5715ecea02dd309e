//! Signing an MP4 or QuickTime file by C2PA's rules: a manifest in the file says what the file was made of and by what, and is signed with the
//! user's key. Needs the feature `c2pa`; nothing is asked of any network, so that there is no time stamp of a third party.

use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};
use crate::mark::Statement;
use crate::video::container::Container;
use crate::video::tag::has_boxes;

/// What to sign with: PEM files of the chain of certificates, the signer's first, and of the signer's private key (PKCS 8).
#[derive(Debug, Clone)]
#[cfg_attr(
    not(feature = "c2pa"),
    allow(dead_code, reason = "only what signs reads them")
)]
pub struct Credentials {
    /// The certificates.
    pub certificates: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// What was asked for, if it was; whether it can be done is told before any work.
///
/// # Errors
/// [`Failure::Usage`] for another kind of file, a program without the feature, or files that do not go together.
pub fn credentials(
    certificates: Option<&Path>,
    key: Option<&Path>,
    container: &Container,
) -> Result<Option<Credentials>> {
    let (Some(certificates), Some(key)) = (certificates, key) else {
        return Ok(None);
    };
    if !has_boxes(container) {
        return Err(Failure::Usage(
            "--c2pa: only .mp4, .m4v and .mov are signed; expected one of these as OUT".into(),
        ));
    }
    let credentials = Credentials {
        certificates: certificates.to_owned(),
        key: key.to_owned(),
    };
    check(&credentials)?;
    Ok(Some(credentials))
}

#[cfg(not(feature = "c2pa"))]
fn check(_: &Credentials) -> Result<()> {
    Err(Failure::Usage(
        "--c2pa: this program was built without the feature c2pa; build it with `cargo build --release -p srfusion-cli --features c2pa`"
            .into(),
    ))
}

/// Signs nothing: there is nothing to sign with.
///
/// # Errors
/// Always; [`credentials`] has told it before.
#[cfg(not(feature = "c2pa"))]
pub fn sign(
    _: &Path,
    _: &Path,
    _: &Container,
    _: &Statement,
    _: &str,
    credentials: &Credentials,
) -> Result<()> {
    check(credentials)
}

#[cfg(feature = "c2pa")]
use with_feature::check;
#[cfg(feature = "c2pa")]
pub use with_feature::sign;

#[cfg(feature = "c2pa")]
mod with_feature {
    use std::fs::File;
    use std::io::Cursor;

    use c2pa::{Builder, BuilderIntent, Context, Ingredient, SigningAlg, create_signer};
    use serde_json::json;

    use super::{Container, Credentials, Failure, Path, Result, Statement};

    /// This program's name in the claim.
    const NAME: &str = "srfusion";

    /// Label of our own assertion.
    const ASSERTION: &str = "com.github.srfusion.upscale";

    /// The algorithms of keys, in the order in which they are tried.
    const ALGORITHMS: &[SigningAlg] = &[
        SigningAlg::Es256,
        SigningAlg::Es384,
        SigningAlg::Es512,
        SigningAlg::Ed25519,
        SigningAlg::Ps256,
    ];

    /// A signer of whatever kind the key is.
    fn signer(credentials: &Credentials) -> Result<c2pa::BoxedSigner> {
        let read = |path: &Path| {
            let name = path.display();
            std::fs::read(path)
                .map_err(|error| Failure::Failed(format!("--c2pa: cannot read {name}: {error}")))
        };
        let (certificates, key) = (read(&credentials.certificates)?, read(&credentials.key)?);
        let mut reasons = Vec::new();
        for algorithm in ALGORITHMS {
            match create_signer::from_keys(&certificates, &key, *algorithm, None) {
                Ok(signer) => return Ok(signer),
                Err(error) => reasons.push(format!("{algorithm}: {error}")),
            }
        }
        Err(Failure::Failed(format!(
            "--c2pa: expected a chain of certificates in {} and the first one's private key in {}, both PEM; found none that can sign ({})",
            credentials.certificates.display(),
            credentials.key.display(),
            reasons.join("; ")
        )))
    }

    /// A builder that reads back what it has signed, so that what it gives is valid to others too but for whom they trust.
    fn verifying() -> c2pa::Result<Builder> {
        let verify = json!({
            "verify": { "verify_after_sign": true, "verify_after_sign_hash": true }
        });
        Ok(Builder::from_context(Context::new().with_settings(verify)?))
    }

    /// Whether the files can sign: signs a drawing of nothing, which finds out certificates that have ended, are of another kind or of another
    /// key before hours of work.
    pub fn check(credentials: &Credentials) -> Result<()> {
        let signer = signer(credentials)?;
        let trial = || -> c2pa::Result<()> {
            let mut builder = verifying()?.with_definition(json!({
                "claim_generator_info": [{ "name": NAME, "version": env!("CARGO_PKG_VERSION") }],
            }))?;
            builder.set_intent(BuilderIntent::Edit);
            let mut from = Cursor::new(br#"<svg xmlns="http://www.w3.org/2000/svg"></svg>"#);
            let mut to = Cursor::new(Vec::new());
            builder.sign(signer.as_ref(), "image/svg+xml", &mut from, &mut to)?;
            Ok(())
        };
        trial().map_err(|error| {
            Failure::Failed(format!(
                "--c2pa: expected certificates in {} that C2PA allows to sign, and the key of the first in {}; signing with them fails: {error}",
                credentials.certificates.display(),
                credentials.key.display()
            ))
        })
    }

    /// C2PA's name of the kind of file at `path`, for those whose content it knows.
    fn media_type(path: &Path) -> Option<&'static str> {
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        Some(match extension.to_lowercase().as_str() {
            "mp4" | "m4v" => "video/mp4",
            "mov" => "video/quicktime",
            "avi" => "video/msvideo",
            _ => return None,
        })
    }

    /// Signs the file at `path`, made of `input`, whose sha256 is `input_sum`, in place.
    ///
    /// # Errors
    /// [`Failure::Failed`] with C2PA's reason.
    pub fn sign(
        path: &Path,
        input: &Path,
        container: &Container,
        statement: &Statement,
        input_sum: &str,
        credentials: &Credentials,
    ) -> Result<()> {
        let failed = |error: &dyn std::fmt::Display| {
            Failure::Failed(format!("--c2pa: the output cannot be signed: {error}"))
        };
        let signer = signer(credentials)?;
        let builder = || -> c2pa::Result<Builder> {
            let title = input.file_name().unwrap_or_default().to_string_lossy();
            let mut builder = verifying()?.with_definition(json!({
                "claim_generator_info": [{
                    "name": NAME,
                    "version": env!("CARGO_PKG_VERSION"),
                }],
                "title": title,
            }))?;
            builder.set_intent(BuilderIntent::Edit);
            let parent = json!({ "title": title, "relationship": "parentOf" }).to_string();
            let known = media_type(input).and_then(|kind| {
                let mut file = File::open(input).ok()?;
                // One that cannot be read so is named all the same.
                builder
                    .add_ingredient_from_stream(&parent, kind, &mut file)
                    .ok()?;
                Some(())
            });
            if known.is_none() {
                builder.add_ingredient(Ingredient::from_json(&parent)?);
            }
            let mut action = json!({
                "action": "c2pa.resized",
                "softwareAgent": {
                    "name": NAME,
                    "version": env!("CARGO_PKG_VERSION"),
                },
                "description": statement.text(),
            });
            if let Some(source) = statement.source_type() {
                action["digitalSourceType"] = source.into();
            }
            builder.add_action(action)?;
            let network = |network: &Option<crate::mark::Network>| {
                network
                    .as_ref()
                    .map(|network| json!({ "name": network.name, "sha256": network.sha256 }))
            };
            let networks = &statement.networks;
            builder.add_assertion_json(
                ASSERTION,
                &json!({
                    "input_sha256": input_sum,
                    "frames": statement.frames.0,
                    "frames_with_faces": statement.frames.1,
                    "general": network(&networks.general),
                    "face": network(&networks.face),
                    "detector": network(&networks.detector),
                }),
            )?;
            Ok(builder)
        };
        let mut builder = builder().map_err(|error| failed(&error))?;
        let signed = path.with_extension("signed");
        let open = || -> std::io::Result<(File, File)> {
            let to = File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .open(&signed)?;
            Ok((File::open(path)?, to))
        };
        let (mut from, mut to) = open().map_err(|error| failed(&error))?;
        let kind = match container.muxer {
            "mov" => "video/quicktime",
            _ => "video/mp4",
        };
        builder
            .sign(signer.as_ref(), kind, &mut from, &mut to)
            .map_err(|error| failed(&error))?;
        std::fs::rename(&signed, path).map_err(|error| failed(&error))
    }
}

#[cfg(all(test, not(feature = "c2pa")))]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn without_the_feature_it_says_how_to_get_it() {
        let container = Container::by_extension("mp4").unwrap();
        let (certificates, key) = (Some(Path::new("chain.pem")), Some(Path::new("key.pem")));
        let refused = credentials(certificates, key, container).unwrap_err();
        let Failure::Usage(text) = refused else {
            panic!("expected wrong usage, found {refused:?}");
        };
        assert!(text.contains("--features c2pa"), "{text}");
        assert!(credentials(None, None, container).unwrap().is_none());
    }
}
