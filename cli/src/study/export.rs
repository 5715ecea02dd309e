//! Marks as a data set for `sureal`, which models raters' bias and consistency (ITU-T P.910, P.913, BT.500).

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::sets::{Set, TRUE};
use super::store::Rater;
use crate::draft::Draft;
use crate::failure::{Failure, Result};

/// The data set, in sureal's words.
#[derive(Serialize)]
struct Dataset {
    dataset_name: &'static str,
    ref_videos: Vec<Reference>,
    dis_videos: Vec<Distorted>,
    ref_score: u8,
}

#[derive(Serialize)]
struct Reference {
    content_id: usize,
    content_name: String,
    path: String,
}

#[derive(Serialize)]
struct Distorted {
    content_id: usize,
    asset_id: usize,
    /// Treatment, for people who read the file.
    treatment: String,
    /// Rater to mark.
    os: BTreeMap<String, u8>,
    path: String,
}

/// What was written.
#[derive(Debug, Serialize)]
pub struct Written {
    output: String,
    pictures: usize,
    treated: usize,
    raters: usize,
}

impl Written {
    /// In words.
    pub fn text(&self) -> String {
        let Self {
            pictures,
            treated,
            raters,
            ..
        } = self;
        format!("{treated} treated pictures of {pictures}, marks of {raters} raters")
    }
}

/// Writes the marks that `raters` gave to the pictures of `sets`, trapping questions left out.
///
/// # Errors
/// [`Failure::Failed`] for a file that cannot be written.
pub fn write(sets: &[Set], raters: &[Rater], output: &Path) -> Result<Written> {
    let mut marks: BTreeMap<(&str, &str, &str), BTreeMap<String, u8>> = BTreeMap::new();
    for rater in raters {
        for given in rater.given.iter().filter(|given| !given.question.trap) {
            for (treatment, mark) in &given.marks {
                let key = (
                    given.question.set.as_str(),
                    given.question.picture.as_str(),
                    treatment.as_str(),
                );
                // Names may be the same or missing; sessions never are.
                let rater = format!("rater-{}", rater.session);
                marks.entry(key).or_default().insert(rater, *mark);
            }
        }
    }
    let mut dataset = Dataset {
        dataset_name: "srfusion_study",
        ref_videos: Vec::new(),
        dis_videos: Vec::new(),
        ref_score: 5,
    };
    for set in sets {
        for picture in &set.pictures {
            let content_id = dataset.ref_videos.len();
            let path = |kind: &str| {
                let file = picture.files.get(kind);
                file.map(|file| file.to_string_lossy().into_owned())
                    .unwrap_or_default()
            };
            dataset.ref_videos.push(Reference {
                content_id,
                content_name: [set.name.as_str(), picture.name.as_str()].join("/"),
                path: path(TRUE),
            });
            for treatment in &set.treatments {
                let found =
                    marks.remove(&(set.name.as_str(), picture.name.as_str(), treatment.as_str()));
                dataset.dis_videos.push(Distorted {
                    content_id,
                    asset_id: dataset.dis_videos.len(),
                    treatment: treatment.clone(),
                    os: found.unwrap_or_default(),
                    path: path(treatment),
                });
            }
        }
    }
    // An asset without a mark is one that sureal cannot take.
    dataset.dis_videos.retain(|video| !video.os.is_empty());
    for (asset_id, video) in dataset.dis_videos.iter_mut().enumerate() {
        video.asset_id = asset_id;
    }
    let failed =
        |error: String| Failure::Failed(format!("cannot write {}: {error}", output.display()));
    let draft = Draft::create(output)?;
    let text = serde_json::to_string_pretty(&dataset).map_err(|error| failed(error.to_string()))?;
    std::fs::write(draft.path(), text + "\n").map_err(|error| failed(error.to_string()))?;
    draft.finish()?;
    Ok(Written {
        output: output.display().to_string(),
        pictures: dataset.ref_videos.len(),
        treated: dataset.dis_videos.len(),
        raters: raters.len(),
    })
}
