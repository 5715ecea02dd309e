//! Borrowed frames of any format, with checked constructors. Touches no pixel but to hand out rows.

use super::format::{Format, MAX_PLANES, PixelFormat};
use super::geometry::Size;
use super::samples;
use crate::error::{Error, Result};
use crate::memory;

/// A sample of packed red, green and blue: `u8` or `u16`, in the machine's order of bytes, black 0.
pub trait Sample: bytemuck::Pod + Ord + Send + Sync + 'static {
    /// The format that packed samples of it are.
    const FORMAT: PixelFormat;
    /// Value of white.
    const MAX: f32;
}

impl Sample for u8 {
    const FORMAT: PixelFormat = PixelFormat::Rgb;
    const MAX: f32 = 255.0;
}

// The formats of wide samples are little-endian, as every machine is that ONNX Runtime is built for.
impl Sample for u16 {
    const FORMAT: PixelFormat = PixelFormat::Rgb48Le;
    const MAX: f32 = 65535.0;
}

/// A read-only frame: planes of bytes, rows a stride apart.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    format: Format,
    size: Size,
    planes: [(&'a [u8], usize); MAX_PLANES],
    /// Bytes of a row of each plane: asked for at every row.
    lengths: [usize; MAX_PLANES],
}

/// A frame to write into; same layout as [`Frame`].
#[derive(Debug)]
pub struct FrameMut<'a> {
    format: Format,
    size: Size,
    planes: [(&'a mut [u8], usize); MAX_PLANES],
    lengths: [usize; MAX_PLANES],
}

/// Bytes of a row of each plane, without what may lie between rows.
fn lengths(format: &Format, size: Size) -> [usize; MAX_PLANES] {
    std::array::from_fn(|plane| format.layout().row_bytes(plane, size.width))
}

/// Checks that the planes, each of so many bytes with rows so many bytes apart, hold a frame of `size`.
fn check(what: &str, format: &Format, size: Size, planes: &[(usize, usize)]) -> Result<()> {
    let shape = |expected: String, found: String| Error::Shape {
        what: what.to_owned(),
        expected,
        found,
    };
    if size.width == 0 || size.height == 0 {
        return Err(shape("at least one pixel".into(), size.to_string()));
    }
    let layout = format.layout();
    if planes.len() < layout.planes {
        return Err(shape(
            format!("{} planes of {}", layout.planes, layout.name),
            planes.len().to_string(),
        ));
    }
    // Beyond this no arithmetic of sizes is safe, and no memory holds it.
    if size.width.max(size.height) > i32::MAX as usize {
        return Err(shape("sides that fit 31 bits".into(), size.to_string()));
    }
    for (plane, &(bytes, stride)) in planes.iter().enumerate().take(layout.planes) {
        let row = layout.row_bytes(plane, size.width);
        if stride < row {
            return Err(shape(
                format!(
                    "rows of at least {row} bytes in plane {plane} of {}",
                    layout.name
                ),
                format!("a stride of {stride}"),
            ));
        }
        // The last row may end with its last sample.
        let rows = layout.rows(plane, size.height);
        let needed = stride.saturating_mul(rows - 1).saturating_add(row);
        if bytes < needed {
            return Err(shape(
                format!(
                    "{needed} bytes in plane {plane} for {size} of {}",
                    layout.name
                ),
                bytes.to_string(),
            ));
        }
    }
    Ok(())
}

impl<'a> Frame<'a> {
    /// A frame of `size` pixels in `format`, its planes in memory order, each with its stride in bytes.
    ///
    /// # Errors
    /// [`Error::Shape`] if a side is zero, a plane is missing, a stride is shorter than a row, or a plane is too short.
    pub fn of(format: Format, size: Size, planes: &[(&'a [u8], usize)]) -> Result<Self> {
        let mut all = [(&[][..], 0); MAX_PLANES];
        let mut sides = [(0, 0); MAX_PLANES];
        for ((to, side), from) in all.iter_mut().zip(&mut sides).zip(planes) {
            (*to, *side) = (*from, (from.0.len(), from.1));
        }
        check(
            "input frame",
            &format,
            size,
            &sides[..planes.len().min(MAX_PLANES)],
        )?;
        Ok(Self {
            format,
            size,
            planes: all,
            lengths: lengths(&format, size),
        })
    }

    /// Packed red, green and blue; `stride` counts samples, not bytes.
    ///
    /// # Errors
    /// As [`Frame::of`].
    pub fn new<S: Sample>(data: &'a [S], size: Size, stride: usize) -> Result<Self> {
        let bytes = stride.saturating_mul(size_of::<S>());
        Self::of(
            Format::rgb(S::FORMAT),
            size,
            &[(bytemuck::cast_slice(data), bytes)],
        )
    }

    /// What its bytes mean.
    #[inline]
    pub fn format(&self) -> &Format {
        &self.format
    }

    /// Width and height.
    #[inline]
    pub fn size(&self) -> Size {
        self.size
    }

    /// Row `y` of `plane`, without what may lie between rows. Panics if there is no such row.
    #[inline]
    pub fn plane_row(&self, plane: usize, y: usize) -> &'a [u8] {
        let (data, stride) = self.planes[plane];
        &data[y * stride..][..self.lengths[plane]]
    }

    /// Row `y` of the first plane: all of a packed frame's.
    #[inline]
    pub fn row(&self, y: usize) -> &'a [u8] {
        self.plane_row(0, y)
    }

    /// Codes of component `index` in its row `y`, from its sample `first` on. Panics if there is no such row.
    #[inline]
    pub fn read(&self, index: usize, y: usize, first: usize, to: &mut [f32]) {
        let component = &self.format.layout().components()[index];
        samples::read(self.plane_row(component.plane, y), component, first, to);
    }

    /// The part of it at `area`, which lies in it; sides of shared samples are divided so that the first pixel's sample is the part's first.
    ///
    /// # Errors
    /// [`Error::Shape`] for an area that is empty, reaches out of the frame, or begins between pixels that share a sample.
    pub fn cut(&self, area: super::Rect) -> Result<Self> {
        let layout = self.format.layout();
        let (x_shift, y_shift) = layout.subsampling();
        let fits = area.right() <= self.size.width
            && area.bottom() <= self.size.height
            && area.x.is_multiple_of(1 << x_shift)
            && area.y.is_multiple_of(1 << y_shift);
        if !fits {
            return Err(Error::Shape {
                what: "part of the input frame".into(),
                expected: format!(
                    "an area inside {} that begins at multiples of {} and {} ({})",
                    self.size,
                    1 << x_shift,
                    1 << y_shift,
                    layout.name
                ),
                found: format!("{} at {},{}", area.size(), area.x, area.y),
            });
        }
        let mut planes = self.planes;
        for (plane, (data, stride)) in planes.iter_mut().enumerate().take(layout.planes) {
            let rows = area.y >> layout.plane_shift(plane);
            *data = &data[rows * *stride + layout.bytes_to(plane, area.x)..];
        }
        Self::of(self.format, area.size(), &planes[..layout.planes])
    }
}

impl<'a> FrameMut<'a> {
    /// As [`Frame::of`].
    ///
    /// # Errors
    /// As [`Frame::of`].
    pub fn of<const N: usize>(
        format: Format,
        size: Size,
        planes: [(&'a mut [u8], usize); N],
    ) -> Result<Self> {
        let mut all: [(&mut [u8], usize); MAX_PLANES] = Default::default();
        let mut sides = [(0, 0); MAX_PLANES];
        for ((to, side), from) in all.iter_mut().zip(&mut sides).zip(planes) {
            *side = (from.0.len(), from.1);
            *to = from;
        }
        check("output frame", &format, size, &sides[..N.min(MAX_PLANES)])?;
        Ok(Self {
            format,
            size,
            planes: all,
            lengths: lengths(&format, size),
        })
    }

    /// Packed red, green and blue; `stride` counts samples, not bytes.
    ///
    /// # Errors
    /// As [`Frame::of`].
    pub fn new<S: Sample>(data: &'a mut [S], size: Size, stride: usize) -> Result<Self> {
        let bytes = stride.saturating_mul(size_of::<S>());
        Self::of(
            Format::rgb(S::FORMAT),
            size,
            [(bytemuck::cast_slice_mut(data), bytes)],
        )
    }

    /// What its bytes mean.
    #[inline]
    pub fn format(&self) -> &Format {
        &self.format
    }

    /// Width and height.
    #[inline]
    pub fn size(&self) -> Size {
        self.size
    }

    /// Row `y` of `plane`, without what may lie between rows. Panics if there is no such row.
    #[inline]
    pub fn plane_row_mut(&mut self, plane: usize, y: usize) -> &mut [u8] {
        let length = self.lengths[plane];
        let (data, stride) = &mut self.planes[plane];
        &mut data[y * *stride..][..length]
    }

    /// Row `y` of the first plane: all of a packed frame's.
    #[inline]
    pub fn row_mut(&mut self, y: usize) -> &mut [u8] {
        self.plane_row_mut(0, y)
    }

    /// Writes `codes`, rounded and cut, as component `index` into its row `y`, from its sample `first` on. Panics if there is no such row.
    #[inline]
    pub fn write(&mut self, index: usize, y: usize, first: usize, codes: &[f32]) {
        let component = self.format.layout().components()[index];
        samples::write(
            self.plane_row_mut(component.plane, y),
            &component,
            first,
            codes,
        );
    }

    /// The same frame, for a shorter time.
    pub fn reborrow(&mut self) -> FrameMut<'_> {
        FrameMut {
            format: self.format,
            size: self.size,
            planes: self
                .planes
                .each_mut()
                .map(|(data, stride)| (&mut **data, *stride)),
            lengths: self.lengths,
        }
    }

    /// Its rows before row `y`, a multiple of four that is less than its height, and those from there on, as frames of their own.
    pub fn split_at_row(self, y: usize) -> (Self, Self) {
        let Self {
            format,
            size,
            planes,
            lengths,
        } = self;
        let layout = format.layout();
        let mut plane = 0;
        let halves = planes.map(|(data, stride)| {
            let rows = if plane < layout.planes {
                y >> layout.plane_shift(plane)
            } else {
                0
            };
            plane += 1;
            let (upper, lower) = data.split_at_mut((rows * stride).min(data.len()));
            ((upper, stride), (lower, stride))
        });
        let [mut upper, mut lower] = [(); 2].map(|()| -> [(&'a mut [u8], usize); MAX_PLANES] {
            std::array::from_fn(|_| (&mut [][..], 0))
        });
        for (index, (above, below)) in halves.into_iter().enumerate() {
            (upper[index], lower[index]) = (above, below);
        }
        let part = |planes, height| Self {
            format,
            size: Size::new(size.width, height),
            planes,
            lengths,
        };
        (part(upper, y), part(lower, size.height - y))
    }

    /// Writes `codes` as they are, of a format of bytes, as [`FrameMut::write`] does.
    #[inline]
    pub fn write_codes(&mut self, index: usize, y: usize, first: usize, codes: &[u8]) {
        let component = self.format.layout().components()[index];
        let row = self.plane_row_mut(component.plane, y);
        samples::write_codes(row, &component, first, codes);
    }

    /// The same frame for reading.
    pub fn as_frame(&self) -> Frame<'_> {
        Frame {
            format: self.format,
            size: self.size,
            lengths: self.lengths,
            planes: self
                .planes
                .each_ref()
                .map(|(data, stride)| (&**data, *stride)),
        }
    }
}

/// Memory of a frame: packed rows, plane after plane.
#[derive(Debug, Clone, Default)]
pub struct FrameMemory(Vec<u8>);

impl FrameMemory {
    /// Bytes of a frame.
    pub fn bytes(format: &Format, size: Size) -> usize {
        let layout = format.layout();
        let plane = |plane| layout.row_bytes(plane, size.width) * layout.rows(plane, size.height);
        (0..layout.planes).map(plane).sum()
    }

    /// As [`FrameMemory::fit`], where memory may be short.
    ///
    /// # Errors
    /// [`Error::Memory`] where the system has none for it.
    pub fn try_fit(&mut self, format: &Format, size: Size) -> Result<()> {
        let more = Self::bytes(format, size).saturating_sub(self.0.len());
        memory::reserve(&mut self.0, more, "a frame that is kept")?;
        self.fit(format, size);
        Ok(())
    }

    /// Has room for a frame from now on, and for no more than twice as much.
    pub fn fit(&mut self, format: &Format, size: Size) {
        let needed = Self::bytes(format, size);
        self.0.resize(needed, 0);
        if self.0.capacity() > 2 * needed {
            self.0.shrink_to(needed);
        }
    }

    /// A frame in it.
    ///
    /// # Errors
    /// [`Error::Shape`] for one without pixels, or for which there is no room.
    pub fn frame(&mut self, format: Format, size: Size) -> Result<FrameMut<'_>> {
        let layout = format.layout();
        let mut rest = self.0.as_mut_slice();
        let planes: [(&mut [u8], usize); MAX_PLANES] = std::array::from_fn(|plane| {
            let stride = layout.row_bytes(plane, size.width);
            let length = stride * layout.rows(plane, size.height);
            let (data, after) = std::mem::take(&mut rest)
                .split_at_mut_checked(length)
                .unwrap_or_default();
            rest = after;
            (data, stride)
        });
        FrameMut::of(format, size, planes)
    }

    /// Puts `frame` into it.
    ///
    /// # Errors
    /// [`Error::Memory`] where the system has none for it.
    pub fn copy(&mut self, frame: &Frame<'_>) -> Result<()> {
        let layout = frame.format().layout();
        self.0.clear();
        let length = Self::bytes(frame.format(), frame.size());
        memory::reserve(&mut self.0, length, "a frame that is kept")?;
        for plane in 0..layout.planes {
            for y in 0..layout.rows(plane, frame.size().height) {
                self.0.extend_from_slice(frame.plane_row(plane, y));
            }
        }
        Ok(())
    }

    /// The frame in it, for reading.
    ///
    /// # Errors
    /// As [`FrameMemory::frame`].
    pub fn view(&self, format: Format, size: Size) -> Result<Frame<'_>> {
        let layout = format.layout();
        let mut rest = self.0.as_slice();
        let planes: [(&[u8], usize); MAX_PLANES] = std::array::from_fn(|plane| {
            if plane >= layout.planes {
                return (&[][..], 0);
            }
            let stride = layout.row_bytes(plane, size.width);
            let length = stride * layout.rows(plane, size.height);
            let (data, after) = rest.split_at_checked(length).unwrap_or_default();
            rest = after;
            (data, stride)
        });
        Frame::of(format, size, &planes[..layout.planes])
    }

    /// Bytes that it holds.
    #[cfg(test)]
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }
}
