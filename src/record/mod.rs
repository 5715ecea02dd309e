//! The record of what was drawn by what: its lines, what they keep of samples, and the thread that writes them. Knows no GStreamer. A frame's
//! decisions come from [`crate::origin`]; without a record nothing of this is reckoned.

mod digest;
mod lines;
mod state;
mod writer;

pub use crate::origin::{FrameRecord, PartOrigin};
pub use digest::{Digest, MEAN_UNIT, TILES, digest, samples, sha256};
pub use lines::{
    Box4, Drawn, DrawnFaces, DrawnKind, DrawnPart, End, Formats, FrameLine, From, GivenObject,
    Header, InputFile, Line, Lost, Model, NetworkSums, Object, Segment, Side, State, VERSION,
    file_name, settings,
};
pub use state::{header, models, side, sums};
pub use writer::{
    Hashes, Hashing, PICTURES, QUEUE, RecordEntry, Recorder, RecorderStats, write_line,
};
