//! A detector in ONNX Runtime.

use std::time::Instant;

use crate::error::{Error, Result};
use crate::find::decode;
use crate::find::{Detection, Detector, Family, InputSpec};
use crate::notice::Notice;
use crate::picture::Size;
use crate::runtime::{Network, describe};
use crate::settings::Provider;

/// A detector of objects of a kind in ONNX Runtime.
pub struct OnnxDetector {
    network: Network,
    family: Family,
    input: InputSpec,
    /// Of those that its outputs tell apart, the ones that are meant; all, if none are named.
    classes: Option<Vec<u32>>,
}

impl OnnxDetector {
    /// Checks the network's outputs against `family`, or recognises the family from them.
    ///
    /// # Errors
    /// [`Error::Contract`] with what was expected and found.
    pub fn new(
        network: Network,
        family: Option<Family>,
        input: impl FnOnce(Family) -> InputSpec,
    ) -> Result<Self> {
        let family = match (family, Family::recognise(network.run_shapes())) {
            (Some(named), Some(found)) if named == found => named,
            (None, Some(found)) => found,
            (named, _) => {
                let expected = match named {
                    Some(family) => format!("the outputs of a {} detector", family.name()),
                    None => format!(
                        "the outputs of a detector of one of the families {}",
                        Family::names()
                    ),
                };
                let found = describe(network.outputs());
                return Err(Error::Contract {
                    model: network.name().to_owned(),
                    expected,
                    found,
                });
            }
        };
        let mut input = input(family);
        if let [port] = network.inputs()
            && let [.., height, width] = *port.shape.as_slice()
            && let (Ok(height), Ok(width)) = (usize::try_from(height), usize::try_from(width))
        {
            input.fixed = Some(Size::new(width, height));
        }
        Ok(Self {
            network,
            family,
            input,
            classes: None,
        })
    }

    /// The same that finds objects of `classes` alone, by their numbers in its outputs, if any are named.
    ///
    /// # Errors
    /// [`Error::Contract`] if its family tells no classes apart.
    pub fn of_classes(self, classes: Option<&[u32]>) -> Result<Self> {
        if let Some(classes) = classes.filter(|_| !self.family.tells_classes()) {
            return Err(Error::Contract {
                model: self.network.name().to_owned(),
                expected: format!(
                    "a detector that tells classes apart, as models.toml names classes {classes:?}"
                ),
                found: format!("the family {}, which tells none", self.family.name()),
            });
        }
        Ok(Self {
            classes: classes.map(<[u32]>::to_vec),
            ..self
        })
    }

    /// How its outputs are read.
    pub fn family(&self) -> Family {
        self.family
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }
}

impl Detector for OnnxDetector {
    fn name(&self) -> &str {
        self.network.name()
    }

    fn input(&self) -> InputSpec {
        self.input
    }

    fn adopt_better(&mut self) -> Option<Provider> {
        self.network.adopt_better().then(|| self.network.provider())
    }

    fn refused(&self) -> &[(Provider, String)] {
        self.network.refused()
    }

    fn set_due(&mut self, due: Option<Instant>) {
        self.network.set_due(due);
    }

    fn take_notices(&mut self) -> Vec<Notice> {
        self.network.take_notices()
    }

    fn run(
        &mut self,
        input: &[f32],
        size: Size,
        floor: f32,
        found: &mut Vec<Detection>,
    ) -> Result<()> {
        let (name, family) = (self.network.name().to_owned(), self.family);
        let (sides, classes) = ((size.width, size.height), self.classes.as_deref());
        self.network
            .run([1, 3, size.height, size.width], input, |outputs| {
                decode::decode(family, outputs, sides, floor, classes, found).map_err(|message| {
                    Error::Contract {
                        model: name,
                        expected: format!("for a {} detector", family.name()),
                        found: message,
                    }
                })
            })
    }
}
