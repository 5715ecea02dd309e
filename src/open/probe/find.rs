//! What a generator's file is, as models.toml says, as was found out before, or as small runs show.

use std::path::Path;

use super::super::enlarger::Enlarger;
use super::super::file_network::FileNetwork;
use super::super::form::Form;
use super::super::padded::Padded;
use super::kept::{self, Kept};
use super::{radius, range, stride};
use crate::bounded;
use crate::cancel::Canceller;
use crate::error::Result;
use crate::models::Resolved;
use crate::notice::Notice;
use crate::picture::{Channels, Encoding};
use crate::runtime::{GraphReach, Network, graph_reach};
use crate::settings::Config;

/// What is to be found out, and where it is noted.
pub(in crate::open) struct Finding<'a> {
    /// The file, and what models.toml says of it.
    pub(in crate::open) found: &'a Resolved,
    /// Where the cache folder is.
    pub(in crate::open) config: &'a Config,
    /// Stops it.
    pub(in crate::open) cancel: &'a Canceller,
    /// Whether what was found out before is believed, and what is found out kept.
    pub(in crate::open) keeps: bool,
}

/// What a file is.
struct Found {
    form: Form,
    kept: Kept,
    /// Whether it was found out just now, in runs.
    is_new: bool,
}

impl Finding<'_> {
    /// The form of the file of `network`, which must be open on floats, and what a user should be told of it. What models.toml does not
    /// say is found out in runs, once: it is kept in the cache folder. `progress` is told each run in words.
    ///
    /// # Errors
    /// [`crate::Error::Contract`] if it is no generator, the runtime's, [`crate::Error::Cancelled`].
    pub(in crate::open) fn form(
        &self,
        network: Network,
        progress: &mut dyn FnMut(&str),
    ) -> Result<(Form, Network, Vec<Notice>)> {
        let (found, network) = self.find(network, progress)?;
        let file = found
            .is_new
            .then(|| kept::file(self.config, &self.found.sha256));
        let kept_in = file.map(|file| keep(file.as_deref(), &found.kept));
        let mut notices = Vec::new();
        if self.found.known_form.is_none() {
            notices.push(self.told(&found.form, found.kept.range_is_found, kept_in));
        } else if let Some(kept_in) = kept_in {
            notices.push(Notice::info(format!(
                "model {} has no receptive-radius in models.toml: {} found; {kept_in}",
                self.found.name,
                reach(&found.form)
            )));
        }
        Ok((found.form, network, notices))
    }

    /// The form of the file of `network`, and whether its range was found out.
    ///
    /// # Errors
    /// Those of [`Finding::form`].
    pub(super) fn looked(
        &self,
        network: Network,
        progress: &mut dyn FnMut(&str),
    ) -> Result<(Form, bool)> {
        let (found, _) = self.find(network, progress)?;
        Ok((found.form, found.kept.range_is_found))
    }

    fn find(&self, network: Network, progress: &mut dyn FnMut(&str)) -> Result<(Found, Network)> {
        let known = self.found.known_form.zip(self.found.known_encoding);
        let said = self.found.receptive_radius;
        let form = Form::read(&network, known, said.unwrap_or(0))?;
        let Encoding { black, white, .. } = form.encoding;
        let silent = |radius| Found {
            form: Form { radius, ..form },
            kept: Kept::new(radius, form.stride, [black, white], true),
            is_new: false,
        };
        if let (Some(_), Some(radius)) = (known, said) {
            return Ok((silent(radius), network));
        }
        self.cancel.check()?;
        let graph = graph(&self.found.path, form.scale);
        let exact = graph.filter(|graph| graph.radius <= radius::EXACT && !graph.shrinks);
        if let (Some(_), Some(exact)) = (known, exact) {
            // There is nothing to find out in runs.
            return Ok((silent(exact.radius), network));
        }
        let file = kept::file(self.config, &self.found.sha256).filter(|_| self.keeps);
        let mut file_network = FileNetwork::new(network, form);
        let (kept, is_new) = match file.as_deref().and_then(kept::read) {
            Some(kept) => (kept, false),
            None => {
                let kept;
                (kept, file_network) = self.probe(file_network, graph, progress)?;
                (kept, true)
            }
        };
        let mut form = Form {
            radius: said.unwrap_or(kept.receptive_radius),
            ..form
        };
        if !self.stride_is_said() {
            form.stride = kept.stride;
        }
        if known.is_none() {
            [form.encoding.black, form.encoding.white] = kept.range;
        }
        let found = Found { form, kept, is_new };
        Ok((found, file_network.into_network()))
    }

    fn stride_is_said(&self) -> bool {
        self.found
            .known_form
            .is_some_and(|known| known.stride.is_some())
    }

    /// Finds out in runs what the file does not say.
    fn probe(
        &self,
        mut network: FileNetwork,
        graph: Option<GraphReach>,
        progress: &mut dyn FnMut(&str),
    ) -> Result<(Kept, FileNetwork)> {
        let cancel = self.cancel;
        // Convolutions take any size and draw alike at every place, unless the picture is shrunk on the way.
        let is_free = graph.is_some_and(|graph| !graph.shrinks);
        let mut steps = match self.found.known_form.and_then(|known| known.stride) {
            Some(stride) => stride,
            None if is_free => 1,
            None => stride::multiple(&mut network, progress)?,
        };
        cancel.check()?;
        let mut encoding = network.form().encoding;
        let mut is_found = true;
        if self.found.known_encoding.is_none() && !network.network().takes_samples() {
            let (range, found) = range::find(&mut network, steps, progress)?;
            ([encoding.black, encoding.white], is_found) = (range, found);
            network.form_mut().encoding = encoding;
        }
        cancel.check()?;
        if !is_free && !self.stride_is_said() {
            steps = stride::period(&mut network, steps, progress)?;
        }
        network.form_mut().stride = steps;
        let bound = graph.map(|graph| graph.radius);
        let found = match (self.found.receptive_radius, bound) {
            (Some(radius), _) => radius,
            (None, Some(radius)) if radius <= radius::EXACT => radius,
            (None, bound) => {
                let form = *network.form();
                let mut padded = Padded::new(network, form.stride, form.fixed);
                let measured = radius::measure(&mut padded, form.fixed, bound, progress)?;
                network = padded.into_inner();
                measured
            }
        };
        let Encoding { black, white, .. } = encoding;
        Ok((Kept::new(found, steps, [black, white], is_found), network))
    }

    /// What a user is told of a file without an entry.
    fn told(&self, form: &Form, range_is_found: bool, kept_in: Option<String>) -> Notice {
        let mut found = vec![form.layout.name().to_owned()];
        let Encoding { black, white, .. } = form.encoding;
        let mut assumed = Vec::new();
        match form.encoding.channels {
            Channels::Y => found.push("luma".to_owned()),
            // Nothing tells red from blue.
            _ => assumed.push("rgb".to_owned()),
        }
        let range = format!("{black} for black and {white} for white");
        if range_is_found {
            found.push(range);
        } else {
            assumed.push(range);
        }
        found.push(match form.scale {
            1 => "given the bicubic enlargement".to_owned(),
            scale => format!("scale {scale}"),
        });
        if let Some(fixed) = form.fixed {
            found.push(format!("tiles of {fixed}"));
        }
        if form.stride > 1 {
            found.push(format!("sides of multiples of {}", form.stride));
        }
        found.push(reach(form));
        let assumed = match assumed.as_slice() {
            [] => String::new(),
            assumed => format!("; assumed: {}", assumed.join(", ")),
        };
        let kept = kept_in.map_or_else(String::new, |kept| format!("; {kept}"));
        Notice::info(format!(
            "model {} has no entry in models.toml; found: {}{assumed}{kept}",
            self.found.name,
            found.join(", ")
        ))
    }
}

fn reach(form: &Form) -> String {
    format!("a receptive radius of {} input pixels", form.radius)
}

/// What the graph in the file says, if it can be reckoned.
pub(super) fn graph(path: &Path, scale: usize) -> Option<GraphReach> {
    graph_reach(&bounded::read(path, bounded::MODEL_BYTES).ok()?, scale)
}

/// Keeps what was found out; says where.
fn keep(file: Option<&Path>, kept: &Kept) -> String {
    match file.map(|file| kept::write(file, kept).map(|()| file)) {
        Some(Ok(file)) => format!("it is kept in {}", file.display()),
        Some(Err(error)) => format!("it cannot be kept in the cache folder: {error}"),
        None => "there is no cache folder to keep it in".to_owned(),
    }
}
