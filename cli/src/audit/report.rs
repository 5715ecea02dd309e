//! What came of verifying a record, for people and for programs.

use serde::Serialize;

use super::read::Run;

/// Frames of a kind that are named; of more only the number is told.
const NAMED: usize = 10;

/// What came of comparing frames of a file.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Compared {
    /// Frames whose sum is that on record.
    pub same: u64,
    /// Frames on record whose sum no frame of the file has in its place.
    pub different: Vec<u64>,
    /// Frames of the file that are not on record.
    pub not_on_record: u64,
    /// Why nothing, or not all, could be compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_compared: Option<String>,
}

/// What came of drawing a frame again.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Again {
    pub frame: u64,
    /// Whether every sample is as it was; none where that could not be tried.
    pub same: Option<bool>,
    /// Where samples differ: the largest difference of a tile's mean, in levels of 255.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub means_differ_by: Option<f64>,
    /// Whether objects, rectangles and what was kept are as on record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_the_same: Option<bool>,
    /// What is to be known of it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// Whether this speaks against the record: samples differ though they should not, or by more than rounding explains.
    pub against: bool,
}

/// What came of it all.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    pub event: &'static str,
    pub frames: u64,
    pub lost: u64,
    pub unreadable: u64,
    /// What is wrong with the record in itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
    /// Whether it has an end.
    pub ends: bool,
    /// Whether the input is the very file on record; none where that is not on record.
    pub same_file: Option<bool>,
    pub input: Compared,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Compared>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub again: Vec<Again>,
    /// Whether nothing speaks against the record.
    pub holds: bool,
    /// Whether every frame that was asked for was drawn again.
    pub complete: bool,
}

impl Again {
    /// A frame that was not drawn again, for the reason `note`.
    pub fn unknown(frame: u64, note: String) -> Self {
        Self {
            frame,
            same: None,
            means_differ_by: None,
            decided_the_same: None,
            note,
            against: false,
        }
    }
}

impl Report {
    /// Of `run`, whose input came out as `input`.
    pub fn of(run: &Run, same_file: Option<bool>, input: Compared) -> Self {
        Self {
            event: "verified",
            frames: run.frames.len() as u64,
            lost: run.lost(),
            unreadable: run.unreadable,
            faults: run.faults(),
            ends: run.end.is_some(),
            same_file,
            input,
            output: None,
            again: Vec::new(),
            holds: false,
            complete: false,
        }
    }

    /// The same, judged.
    pub fn judged(mut self) -> Self {
        let holds = |compared: &Compared| compared.different.is_empty();
        self.holds = self.faults.is_empty()
            && holds(&self.input)
            && self.output.as_ref().is_none_or(holds)
            && !self.again.iter().any(|again| again.against);
        self.complete = self.again.iter().all(|again| again.same.is_some());
        self
    }
}

/// Prints `report`.
pub fn people(report: &Report) {
    println!(
        "record: {} frames, {} missing{}",
        report.frames,
        report.lost,
        match report.unreadable {
            0 => String::new(),
            count => format!(", {count} lines that cannot be read"),
        }
    );
    if !report.ends {
        println!("record: it was broken off, it has no end");
    }
    for fault in &report.faults {
        println!("record: IT WAS CHANGED OR DAMAGED: {fault}");
    }
    match report.same_file {
        Some(true) => println!("input:  the very file on record, by its sha256"),
        Some(false) => println!("input:  another file than that on record, by its sha256"),
        None => {}
    }
    for (name, compared) in [
        ("input", Some(&report.input)),
        ("output", report.output.as_ref()),
    ] {
        let Some(compared) = compared else { continue };
        if let Some(why) = &compared.not_compared {
            println!("{name}: not compared: {why}");
            continue;
        }
        println!("{name}: {} frames have the sum on record", compared.same);
        if !compared.different.is_empty() {
            let named: Vec<_> = compared
                .different
                .iter()
                .take(NAMED)
                .map(u64::to_string)
                .collect();
            println!(
                "{name}: {} FRAMES ARE NOT THOSE ON RECORD: {}{}",
                compared.different.len(),
                named.join(", "),
                if compared.different.len() > NAMED {
                    ", ..."
                } else {
                    ""
                }
            );
        }
        if compared.not_on_record > 0 {
            println!(
                "{name}: {} frames are not on record",
                compared.not_on_record
            );
        }
    }
    for again in &report.again {
        let told = match (again.same, again.means_differ_by) {
            (Some(true), _) => "drawn again, every sample is as it was".to_owned(),
            (Some(false), Some(difference)) => format!(
                "drawn again, samples DIFFER; the means of tiles differ by at most {difference:.2} levels of 255"
            ),
            _ => "not drawn again".to_owned(),
        };
        let decided = match again.decided_the_same {
            Some(false) => "; objects or rectangles are not those on record",
            _ => "",
        };
        let note = if again.note.is_empty() {
            String::new()
        } else {
            format!(": {}", again.note)
        };
        println!("frame {}: {told}{decided}{note}", again.frame);
    }
    println!(
        "{}",
        match (report.holds, report.complete) {
            (true, true) => "nothing speaks against the record",
            (true, false) => {
                "nothing speaks against the record, but not all that was asked for could be drawn again"
            }
            (false, _) => "THE RECORD DOES NOT HOLD",
        }
    );
}
