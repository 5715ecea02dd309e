//! The formats in which decoded frames come from ffmpeg and go into GStreamer, and how their bytes lie.

use gst_video::VideoFormat;

/// A format that both sides know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// ffmpeg's name.
    pub ffmpeg: &'static str,
    /// GStreamer's.
    pub gstreamer: VideoFormat,
    family: Family,
    /// Bytes of a sample.
    bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    /// Three planes, chroma of a half, both halves or none: shifts of width and height.
    Yuv(u32, u32),
    /// The same with a plane of transparency.
    Yuva(u32, u32),
    /// Samples of a pixel side by side, so many.
    Rgb(usize),
}

const fn layout(
    ffmpeg: &'static str,
    gstreamer: VideoFormat,
    family: Family,
    bytes: usize,
) -> Layout {
    Layout {
        ffmpeg,
        gstreamer,
        family,
        bytes,
    }
}

/// Those that are handed on as they are.
const SAME: &[Layout] = &[
    layout("yuv420p", VideoFormat::I420, Family::Yuv(1, 1), 1),
    layout("yuvj420p", VideoFormat::I420, Family::Yuv(1, 1), 1),
    layout("yuv422p", VideoFormat::Y42b, Family::Yuv(1, 0), 1),
    layout("yuvj422p", VideoFormat::Y42b, Family::Yuv(1, 0), 1),
    layout("yuv444p", VideoFormat::Y444, Family::Yuv(0, 0), 1),
    layout("yuvj444p", VideoFormat::Y444, Family::Yuv(0, 0), 1),
    layout("yuv411p", VideoFormat::Y41b, Family::Yuv(2, 0), 1),
    layout("yuv420p10le", VideoFormat::I42010le, Family::Yuv(1, 1), 2),
    layout("yuv422p10le", VideoFormat::I42210le, Family::Yuv(1, 0), 2),
    layout("yuv444p10le", VideoFormat::Y44410le, Family::Yuv(0, 0), 2),
    layout("yuv420p12le", VideoFormat::I42012le, Family::Yuv(1, 1), 2),
    layout("yuv422p12le", VideoFormat::I42212le, Family::Yuv(1, 0), 2),
    layout("yuv444p12le", VideoFormat::Y44412le, Family::Yuv(0, 0), 2),
    layout("yuv444p16le", VideoFormat::Y44416le, Family::Yuv(0, 0), 2),
    layout("rgb24", VideoFormat::Rgb, Family::Rgb(3), 1),
    layout("rgba64le", VideoFormat::Rgba64Le, Family::Rgb(4), 2),
];

/// Those that are handed on with their transparency.
const TRANSPARENT: &[Layout] = &[
    layout("yuva420p", VideoFormat::A420, Family::Yuva(1, 1), 1),
    layout("yuva420p10le", VideoFormat::A42010le, Family::Yuva(1, 1), 2),
    layout("yuva422p10le", VideoFormat::A42210le, Family::Yuva(1, 0), 2),
    layout("yuva444p10le", VideoFormat::A44410le, Family::Yuva(0, 0), 2),
    layout("rgba", VideoFormat::Rgba, Family::Rgb(4), 1),
    layout("rgba64le", VideoFormat::Rgba64Le, Family::Rgb(4), 2),
];

/// What others become where their transparency is kept, as [`OTHERS`] says. The encoders that take it take 10 bits.
const OTHERS_TRANSPARENT: &[(&str, &str)] = &[
    // Beside a picture that has none itself.
    ("yuv420p", "yuva420p"),
    ("yuva420p", "yuva420p10le"),
    ("yuva422p", "yuva422p10le"),
    ("yuva444p", "yuva444p10le"),
    ("ayuv", "yuva444p10le"),
    ("vuya", "yuva444p10le"),
    ("gbrap1", "rgba64le"),
    ("gbrapf", "rgba64le"),
    ("rgba64", "rgba64le"),
    ("bgra64", "rgba64le"),
    ("ya16", "rgba64le"),
];

/// What others become, by how their name begins; the first that fits, without loss but for transparency. All else becomes RGB of
/// 8 bits, grey too, by ffmpeg.
const OTHERS: &[(&str, &str)] = &[
    ("yuva420p1", "yuv420p10le"),
    ("yuva422p1", "yuv422p12le"),
    ("yuva444p1", "yuv444p16le"),
    ("yuva420p", "yuv420p"),
    ("yuva422p", "yuv422p"),
    ("yuva444p", "yuv444p"),
    ("yuv420p9", "yuv420p10le"),
    ("yuv422p9", "yuv422p10le"),
    ("yuv444p9", "yuv444p10le"),
    ("yuv420p10", "yuv420p10le"),
    ("yuv422p10", "yuv422p10le"),
    ("yuv444p10", "yuv444p10le"),
    ("yuv420p1", "yuv444p16le"),
    ("yuv422p1", "yuv444p16le"),
    ("yuv444p1", "yuv444p16le"),
    ("yuv440p1", "yuv444p16le"),
    ("yuvj440p", "yuvj444p"),
    ("yuvj411p", "yuvj444p"),
    ("yuv440p", "yuv444p"),
    ("yuv410p", "yuv444p"),
    ("yuyv422", "yuv422p"),
    ("uyvy422", "yuv422p"),
    ("yvyu422", "yuv422p"),
    ("uyyvyy411", "yuv411p"),
    ("nv12", "yuv420p"),
    ("nv21", "yuv420p"),
    ("nv16", "yuv422p"),
    ("nv24", "yuv444p"),
    ("nv42", "yuv444p"),
    ("p01", "yuv420p10le"),
    ("p21", "yuv422p10le"),
    ("p41", "yuv444p10le"),
    ("y210", "yuv422p10le"),
    ("gbrp1", "rgba64le"),
    ("gbrp9", "rgba64le"),
    ("gbrap1", "rgba64le"),
    ("gbrpf", "rgba64le"),
    ("gbrapf", "rgba64le"),
    ("rgb48", "rgba64le"),
    ("bgr48", "rgba64le"),
    ("rgba64", "rgba64le"),
    ("bgra64", "rgba64le"),
    ("x2rgb10", "rgba64le"),
    ("x2bgr10", "rgba64le"),
];

impl Layout {
    /// The format in which frames of ffmpeg's format `name` are to come: the same, or the nearest that holds as much.
    pub fn of(name: &str) -> Self {
        let known = |name: &str| SAME.iter().find(|layout| layout.ffmpeg == name);
        let other = || {
            let found = OTHERS.iter().find(|(start, _)| name.starts_with(start));
            found.and_then(|(_, instead)| known(instead))
        };
        known(name).or_else(other).copied().unwrap_or(layout(
            "rgb24",
            VideoFormat::Rgb,
            Family::Rgb(3),
            1,
        ))
    }

    /// The same where transparency is kept: of a format that has it, or of one beside which it lies.
    pub fn transparent(name: &str) -> Self {
        let known = |name: &str| TRANSPARENT.iter().find(|layout| layout.ffmpeg == name);
        let other = || {
            let mut others = OTHERS_TRANSPARENT.iter();
            let found = others.find(|(start, _)| name.starts_with(start));
            known(found.map_or("rgba", |(_, instead)| instead))
        };
        known(name)
            .or_else(other)
            .copied()
            .unwrap_or_else(|| Self::of(name))
    }

    /// Whether it has a plane of transparency of its own.
    pub fn is_transparent(&self) -> bool {
        matches!(self.family, Family::Yuva(..))
    }

    /// Whether it has luma and chroma.
    pub fn is_yuv(&self) -> bool {
        matches!(self.family, Family::Yuv(..) | Family::Yuva(..))
    }

    /// Whether chroma has half the luma's width and height.
    pub fn is_420(&self) -> bool {
        matches!(self.family, Family::Yuv(1, 1) | Family::Yuva(1, 1))
    }

    /// Whether samples of ffmpeg's format `name` have more than 8 bits.
    pub fn is_deep(name: &str) -> bool {
        let grey = ["gray9", "gray1", "grayf", "ya16"];
        grey.iter().any(|start| name.starts_with(start)) || Self::of(name).bytes > 1
    }

    /// Bytes of a line and number of lines of each plane.
    pub fn planes(&self, width: u32, height: u32) -> Vec<(usize, usize)> {
        let (width, height) = (width as usize, height as usize);
        match self.family {
            Family::Yuv(x, y) | Family::Yuva(x, y) => {
                let luma = (width * self.bytes, height);
                let chroma = (width.div_ceil(1 << x) * self.bytes, height.div_ceil(1 << y));
                match self.family {
                    Family::Yuva(..) => vec![luma, chroma, chroma, luma],
                    _ => vec![luma, chroma, chroma],
                }
            }
            Family::Rgb(samples) => vec![(width * samples * self.bytes, height)],
        }
    }

    /// Bytes of a frame, lines packed.
    pub fn frame_bytes(&self, width: u32, height: u32) -> usize {
        let planes = self.planes(width, height);
        planes.iter().map(|(line, lines)| line * lines).sum()
    }

    /// Makes one picture of an interlaced frame's upper field: the lower field's lines become the mean of the lines above and
    /// below. The networks would take combs for detail.
    pub fn upper_field(&self, data: &mut [u8], width: u32, height: u32) {
        let mut rest = data;
        for (line, lines) in self.planes(width, height) {
            let Some((plane, others)) = rest.split_at_mut_checked(line * lines) else {
                return;
            };
            rest = others;
            let mut rows: Vec<_> = plane.chunks_exact_mut(line).collect();
            for y in (1..rows.len()).step_by(2) {
                let (above, below) = rows.split_at_mut(y);
                let above = &above[y - 1];
                let (row, below) = below.split_at_mut(1);
                let below = below.first().unwrap_or(above);
                mean(above, below, row[0], self.bytes);
            }
        }
    }
}

/// Writes the mean of two lines into a third.
fn mean(a: &[u8], b: &[u8], row: &mut [u8], bytes: usize) {
    if bytes == 1 {
        for ((a, b), row) in a.iter().zip(b).zip(row) {
            *row = a.midpoint(*b);
        }
        return;
    }
    let sample = |s: &[u8]| u16::from_le_bytes([s[0], s[1]]);
    for ((a, b), row) in a
        .chunks_exact(2)
        .zip(b.chunks_exact(2))
        .zip(row.chunks_exact_mut(2))
    {
        row.copy_from_slice(&sample(a).midpoint(sample(b)).to_le_bytes());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_as_long_as_ffmpeg_makes_them() {
        assert_eq!(Layout::of("yuv420p").frame_bytes(5, 3), 15 + 2 * 3 * 2);
        assert_eq!(
            Layout::of("yuv422p10le").frame_bytes(5, 3),
            30 + 2 * 2 * 3 * 3
        );
        assert_eq!(Layout::of("pal8").frame_bytes(5, 3), 45);
        assert_eq!(Layout::of("gray12le").frame_bytes(5, 3), 45);
    }

    #[test]
    fn transparency_has_a_place() {
        for (name, expected, bytes) in [
            ("yuva420p", "yuva420p", 15 + 2 * 3 * 2 + 15),
            ("yuv420p", "yuva420p", 15 + 2 * 3 * 2 + 15),
            ("yuva444p12le", "yuva444p10le", 4 * 30),
            ("bgra", "rgba", 60),
            ("pal8", "rgba", 60),
            ("gbrap12le", "rgba64le", 120),
        ] {
            let layout = Layout::transparent(name);
            assert_eq!((layout.ffmpeg, layout.frame_bytes(5, 3)), (expected, bytes));
        }
    }

    #[test]
    fn the_lower_field_is_made_from_the_upper() {
        let layout = Layout::of("yuv444p");
        let mut data = [10, 99, 20, 99, 40, 99].repeat(3);
        layout.upper_field(&mut data, 1, 6);
        assert_eq!(data, [10, 15, 20, 30, 40, 40].repeat(3));
        let deep = Layout::of("yuv444p16le");
        let plane = [1000_u16, 9, 3001].map(u16::to_le_bytes).concat();
        let mut data = plane.repeat(3);
        deep.upper_field(&mut data, 1, 3);
        assert_eq!(data[2..4], 2000_u16.to_le_bytes());
        assert_eq!(data[14..16], 2000_u16.to_le_bytes());
    }

    #[test]
    fn depth_and_kind_survive() {
        for (name, deep, yuv) in [
            ("gbrp10le", true, false),
            ("monow", false, false),
            ("gray", false, false),
            ("gray10le", true, false),
            ("ya16le", true, false),
            ("bgra", false, false),
            ("yuva420p10le", true, true),
            ("nv12", false, true),
        ] {
            let layout = Layout::of(name);
            assert_eq!(
                (Layout::is_deep(name), layout.is_yuv()),
                (deep, yuv),
                "{name}"
            );
        }
    }
}
