//! Buffers as the engine takes them: mapped when they are handed over, held and not copied while they are under way.

use gst_video::prelude::*;
use gst_video::video_frame::{Readable, Writable};

use srfusion::{Error, Frame, FrameMut, Size};
use srfusion::{Source, Target};

/// What `info` says of a frame's size.
pub(super) fn size(info: &gst_video::VideoInfo) -> Size {
    Size::new(info.width() as usize, info.height() as usize)
}

fn cannot_map(what: &str) -> Error {
    Error::Shape {
        what: format!("{what} buffer"),
        expected: "memory that can be mapped".to_owned(),
        found: "a buffer that cannot be mapped as video".to_owned(),
    }
}

/// Rows of a plane are as far apart as the buffer says, which a frame with rows from bottom to top contradicts.
fn stride(strides: &[i32], what: &str) -> Result<usize, Error> {
    let found = strides.first().copied().unwrap_or_default();
    usize::try_from(found).map_err(|_| Error::Shape {
        what: format!("{what} frame"),
        expected: "rows from top to bottom".to_owned(),
        found: format!("a stride of {found} bytes"),
    })
}

/// A frame that came in.
pub(super) struct Input(gst_video::VideoFrame<Readable>);

impl Input {
    /// Maps `buffer`, a frame of `info`.
    pub(super) fn map(buffer: gst::Buffer, info: &gst_video::VideoInfo) -> Result<Self, Error> {
        if let Some(crop) = buffer.meta::<gst_video::video_meta::VideoCropMeta>() {
            let (x, y, width, height) = crop.rect();
            if (x, y, width, height) != (0, 0, info.width(), info.height()) {
                return Err(Error::Shape {
                    what: "crop meta of the input frame (a videocrop or videoconvert upstream removes it)".to_owned(),
                    expected: format!("{} at 0,0", size(info)),
                    found: format!("{width}x{height} at {x},{y}"),
                });
            }
        }
        let frame = gst_video::VideoFrame::from_buffer_readable(buffer, info);
        Ok(Self(frame.map_err(|_| cannot_map("input"))?))
    }
}

impl Source for Input {
    type Sample = u8;

    fn frame(&self) -> Result<Frame<'_>, Error> {
        let data = self.0.plane_data(0).map_err(|_| cannot_map("input"))?;
        let stride = stride(self.0.plane_stride(), "input")?;
        Frame::new(data, size(self.0.info()), stride)
    }
}

/// A frame that will go out.
pub(super) struct Output {
    frame: gst_video::VideoFrame<Writable>,
    /// Faces are attached to it, as regions; in frames of this size they were found.
    pub(super) regions_of: Option<Size>,
}

impl Output {
    /// Maps `buffer`, which nobody else has, as a frame of `info`.
    pub(super) fn map(
        buffer: gst::Buffer,
        info: &gst_video::VideoInfo,
        regions_of: Option<Size>,
    ) -> Result<Self, Error> {
        let frame = gst_video::VideoFrame::from_buffer_writable(buffer, info)
            .map_err(|_| cannot_map("output"))?;
        Ok(Self { frame, regions_of })
    }

    /// The buffer, no longer mapped.
    pub(super) fn into_buffer(self) -> gst::Buffer {
        self.frame.into_buffer()
    }
}

impl Target<u8> for Output {
    fn frame_mut(&mut self) -> Result<FrameMut<'_>, Error> {
        let (stride, size) = (
            stride(self.frame.plane_stride(), "output")?,
            size(self.frame.info()),
        );
        let data = self.frame.plane_data_mut(0);
        FrameMut::new(data.map_err(|_| cannot_map("output"))?, size, stride)
    }
}
