//! The record of a whole job from those of its segments: one header, frames numbered through, those left out that were only followed.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use srfusion::record::{End, Header, InputFile, Line, Lost, Segment, State, file_name, write_line};

use crate::draft::Draft;
use crate::failure::{Failure, Result};
use crate::video::segment::{self, Record, cannot_write};

/// The record of a job.
#[derive(Debug)]
pub struct Audit {
    path: PathBuf,
    input: InputFile,
}

impl Audit {
    /// A record at `path` of a job with the file `input`, whose sum is at the end of `hash`, in brackets; `decoder` is its version.
    pub fn new(path: &Path, input: &Path, hash: &str, decoder: &str) -> Self {
        let sha256 = hash.rsplit_once("sha256 ").map_or("", |(_, sum)| sum);
        Self {
            path: path.to_owned(),
            input: InputFile {
                name: file_name(input),
                sha256: sha256.trim_end_matches(')').to_owned(),
                decoder: Some(decoder.to_owned()),
            },
        }
    }

    /// Joins the records of `records`, the segments in `folder`; it gets its name when the draft is finished.
    ///
    /// # Errors
    /// [`Failure::Failed`] if it cannot be written, or that of a segment cannot be read.
    pub fn join(&self, folder: &Path, records: &[Record]) -> Result<Draft> {
        let name = self.path.display().to_string();
        let failed = |error: std::io::Error| cannot_write(&name, &error);
        let draft = Draft::create(&self.path)?;
        let file = File::create(draft.path()).map_err(failed)?;
        let mut joiner = Joiner {
            to: std::io::BufWriter::new(file),
            input: &self.input,
            header: None,
            state: None,
            written: None,
            lost: 0,
            end: End::default(),
        };
        for record in records {
            let path = segment::audit_path(folder, record.number);
            joiner.add(&path, record).map_err(failed)?;
        }
        if joiner.written.is_none() {
            return Err(Failure::Failed(format!(
                "cannot write {name}: the records of the segments hold no frame"
            )));
        }
        joiner.finish().map_err(failed)?;
        Ok(draft)
    }
}

struct Joiner<'a, W> {
    to: W,
    input: &'a InputFile,
    /// Of the first segment.
    header: Option<Header>,
    /// What drew the next frame, and what the record says of the one before.
    state: Option<State>,
    written: Option<State>,
    /// Lines that are missing and not told of yet.
    lost: u64,
    end: End,
}

impl<W: Write> Joiner<'_, W> {
    /// Adds the record of a segment, at `path`.
    fn add(&mut self, path: &Path, record: &Record) -> std::io::Result<()> {
        let (first, followed) = (record.seen.before, record.followed);
        let mut begun = false;
        for line in BufReader::new(File::open(path)?).lines() {
            let line = line?;
            if line.is_empty() {
                continue;
            }
            match serde_json::from_str(&line)? {
                Line::Header(header) => {
                    self.state = Some(header.state.clone());
                    self.header.get_or_insert(header);
                }
                Line::Change(state) => self.state = Some(state),
                Line::Frame(frame) if frame.frame < followed => {}
                Line::Frame(mut frame) => {
                    self.tell_state()?;
                    self.tell_lost()?;
                    if !begun {
                        begun = true;
                        let segment = record.number;
                        let line = Segment {
                            segment,
                            first,
                            followed,
                        };
                        write_line(&mut self.to, &Line::Segment(line))?;
                    }
                    if !frame.renumber(first, followed) {
                        let text = "a frame was made of one that was only followed";
                        return Err(std::io::Error::other(text));
                    }
                    write_line(&mut self.to, &Line::Frame(frame))?;
                    self.end.frames += 1;
                }
                // Of those that were only followed nobody misses one; which they were is not known.
                Line::Lost(lost) => self.lost += lost.lost,
                Line::Segment(_) | Line::End(_) => {}
            }
        }
        Ok(())
    }

    /// Writes the header, or that something is another from here on.
    fn tell_state(&mut self) -> std::io::Result<()> {
        if self.state == self.written {
            return Ok(());
        }
        let state = self.state.clone().unwrap_or_default();
        let line = match (&self.written, &self.header) {
            (None, Some(header)) => Line::Header(Header {
                made_by: "video".to_owned(),
                input: Some(self.input.clone()),
                state,
                ..header.clone()
            }),
            _ => Line::Change(state),
        };
        self.written.clone_from(&self.state);
        write_line(&mut self.to, &line)
    }

    /// Writes that lines are missing, if they are.
    fn tell_lost(&mut self) -> std::io::Result<()> {
        let lost = std::mem::take(&mut self.lost);
        self.end.lost += lost;
        match lost {
            0 => Ok(()),
            lost => write_line(&mut self.to, &Line::Lost(Lost { lost })),
        }
    }

    fn finish(mut self) -> std::io::Result<()> {
        self.tell_lost()?;
        write_line(&mut self.to, &Line::End(self.end.clone()))?;
        self.to.flush()
    }
}
