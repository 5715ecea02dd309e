//! Videos. ffmpeg takes the input apart and decodes it, GStreamer carries frames through the element `srfusion` and an encoder,
//! segment by segment, and ffmpeg puts the output together from the segments and everything else that was in the input.
//!
//! ```text
//!             ffprobe: streams, packets, times, tags
//! input ---- ffmpeg -- frames -- job: pipeline of a segment -- packets -- segment files -- mux ----- output
//!   `---------------- sound, text, further tracks, chapters, tags, flags --------------------'
//! ```
//!
//! `project` is a video to be upscaled as a whole, `facts` what its frames are like, `settings` what must be the same for a job to go on, `tools` runs the commands, `probe` reads what is in a file, `decode` gives frames and `times` puts their times right,
//! `pipeline` is the way of one segment, `message` the words of its elements, `feed` hands frames to each and `job` runs all of them, `work` is the folder in which it
//! happens, `cut` and `piece` are for segments made one by one, `resume` says where decoding begins when a job goes on, `watch` ends what stands still; `tracks` decides what becomes of other streams, `track` writes the file of the upscaled one,
//! `mux` the output and `verify` compares it with the
//! input. `film` decodes all of a video once more, `again` draws frames of it once more, and `record` joins the records of segments. `sei`, `tag` and `sign`
//! have packets and file say how they were made. `container` and `encoder` are tables of what can be written, `layout`, `colour` and `hdr` describe frames.

mod again;
mod colour;
mod container;
mod cut;
mod decode;
mod encoder;
mod facts;
mod feed;
mod film;
mod hdr;
mod job;
mod layout;
mod message;
mod mux;
mod piece;
mod pipeline;
mod probe;
mod project;
mod record;
mod resume;
mod sample;
mod segment;
mod sei;
mod settings;
mod sign;
mod tag;
mod times;
mod tools;
mod track;
mod tracks;
mod verify;
mod watch;
mod whole;
mod work;

pub use again::{Stretch, draw};
pub use container::{Container, encoders_found};
pub use film::Film;
pub use piece::{one as one_segment, plan as plan_segments};
pub use project::{check_size, ffmpeg_found, moves, upscale};
pub use sample::{Scene, sample};
pub use segment::{hash, write_whole};
pub use tools::program;
