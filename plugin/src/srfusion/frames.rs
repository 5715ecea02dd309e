//! Buffers as the engine takes them: mapped when they are handed over, held and not copied while they are under way.

use gst_video::prelude::*;
use gst_video::video_frame::{Readable, Writable};

use srfusion::{Error, Format, Frame, FrameMut, Rect, Size};
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

/// Checks that every row of every plane lies in `buffer`, where its meta says: what maps it takes the meta at its word. Without a meta
/// GStreamer has looked.
fn check_extent(buffer: &gst::BufferRef, format: Format, what: &str) -> Result<(), Error> {
    let Some(meta) = buffer.meta::<gst_video::VideoMeta>() else {
        return Ok(());
    };
    let (width, height) = (meta.width() as usize, meta.height() as usize);
    let layout = format.layout();
    for plane in 0..layout.planes {
        let stride = stride(meta.stride(), plane, what)?;
        let rows = layout.rows(plane, height).saturating_sub(1);
        let wanted = rows
            .saturating_mul(stride)
            .saturating_add(layout.row_bytes(plane, width));
        let Some(offset) = meta.offset().get(plane).copied() else {
            return Err(cannot_map(what));
        };
        // A plane lies in one memory of the buffer, the one that it begins in.
        let place = buffer.find_memory(offset..offset.saturating_add(1));
        let found = place.map_or(0, |(memories, skip)| {
            buffer
                .peek_memory(memories.start)
                .size()
                .saturating_sub(skip)
        });
        if wanted > found {
            return Err(Error::Shape {
                what: format!("plane {plane} of the {what} frame"),
                expected: format!("{wanted} bytes from byte {offset} on, as its video meta says"),
                found: format!("{found} of {} bytes", buffer.size()),
            });
        }
    }
    Ok(())
}

/// Rows of plane `index` are as far apart as the buffer says, which a frame with rows from bottom to top contradicts.
fn stride(strides: &[i32], index: usize, what: &str) -> Result<usize, Error> {
    let found = strides.get(index).copied().unwrap_or_default();
    usize::try_from(found).map_err(|_| Error::Shape {
        what: format!("{what} frame"),
        expected: "rows from top to bottom".to_owned(),
        found: format!("a stride of {found} bytes"),
    })
}

/// A frame that came in.
pub(super) struct Input {
    frame: gst_video::VideoFrame<Readable>,
    format: Format,
    /// The part of it that is the picture.
    part: Rect,
}

impl Input {
    /// Maps `buffer`, a frame of `info`, which is of `format`.
    pub(super) fn map(
        buffer: gst::Buffer,
        info: &gst_video::VideoInfo,
        format: Format,
    ) -> Result<Self, Error> {
        let crop = buffer
            .meta::<gst_video::video_meta::VideoCropMeta>()
            .map(|crop| crop.rect());
        check_extent(&buffer, format, "input")?;
        let frame = gst_video::VideoFrame::from_buffer_readable(buffer, info);
        let frame = frame.map_err(|_| cannot_map("input"))?;
        // Memory may hold more than the picture: as much as a decoder works on.
        let (x, y, width, height) = crop.unwrap_or((0, 0, info.width(), info.height()));
        if (width, height) != (info.width(), info.height()) {
            return Err(Error::Shape {
                what:
                    "crop meta of the input frame (a videocrop or videoconvert upstream removes it)"
                        .to_owned(),
                expected: format!("{}, the size in the caps", size(info)),
                found: format!("{width}x{height} at {x},{y}"),
            });
        }
        Ok(Self {
            frame,
            format,
            part: Rect {
                x: x as usize,
                y: y as usize,
                width: width as usize,
                height: height as usize,
            },
        })
    }
}

impl Source for Input {
    fn frame(&self) -> Result<Frame<'_>, Error> {
        let (data, strides) = (self.frame.planes_data(), self.frame.plane_stride());
        let mut planes = [(&[][..], 0); 4];
        let count = self.format.layout().planes;
        for (index, (plane, data)) in planes.iter_mut().zip(data).enumerate().take(count) {
            *plane = (data, stride(strides, index, "input")?);
        }
        let whole = Frame::of(self.format, size(self.frame.info()), &planes[..count])?;
        whole.cut(self.part)
    }
}

/// A frame that will go out.
pub(super) struct Output {
    frame: gst_video::VideoFrame<Writable>,
    format: Format,
    /// Faces are attached to it, as regions; in frames of this size they were found.
    pub(super) regions_of: Option<Size>,
}

impl Output {
    /// Maps `buffer`, which nobody else has, as a frame of `info`, which is of `format`.
    pub(super) fn map(
        buffer: gst::Buffer,
        info: &gst_video::VideoInfo,
        format: Format,
        regions_of: Option<Size>,
    ) -> Result<Self, Error> {
        check_extent(&buffer, format, "output")?;
        let frame = gst_video::VideoFrame::from_buffer_writable(buffer, info)
            .map_err(|_| cannot_map("output"))?;
        Ok(Self {
            frame,
            format,
            regions_of,
        })
    }

    /// The buffer, no longer mapped.
    pub(super) fn into_buffer(self) -> gst::Buffer {
        self.frame.into_buffer()
    }
}

impl Target for Output {
    fn frame_mut(&mut self) -> Result<FrameMut<'_>, Error> {
        let (format, size) = (self.format, size(self.frame.info()));
        let mut strides = [0; 4];
        for (index, to) in strides.iter_mut().enumerate().take(format.layout().planes) {
            *to = stride(self.frame.plane_stride(), index, "output")?;
        }
        let planes = self.frame.planes_data_mut();
        let mut strides = strides.into_iter();
        FrameMut::of(
            format,
            size,
            planes.map(|data| (data, strides.next().unwrap_or_default())),
        )
    }
}
