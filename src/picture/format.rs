//! What the bytes of a frame mean: where each component lies, and how its codes stand for colours. Tables and plain numbers; touches no
//! pixel.
//!
//! Names and layouts are those of GStreamer's raw video formats, which the plugin's tests compare these tables with. Words of more than
//! one byte are little-endian.

/// Most planes, and most components, that a frame has.
pub const MAX_PLANES: usize = 4;

/// How components lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is the format that GStreamer calls so")]
pub enum PixelFormat {
    Nv12,
    Nv21,
    Nv16,
    Nv61,
    Nv24,
    I420,
    Yv12,
    Y41b,
    Y42b,
    Y444,
    A420,
    Yuy2,
    Yvyu,
    Uyvy,
    Ayuv,
    Vuya,
    P010Le,
    P012Le,
    P016Le,
    I420Le10,
    I420Le12,
    I422Le10,
    I422Le12,
    Y444Le10,
    Y444Le12,
    Y444Le16,
    A420Le10,
    A422Le10,
    A444Le10,
    Gray8,
    Gray16Le,
    Rgb,
    Bgr,
    Rgbx,
    Bgrx,
    Xrgb,
    Xbgr,
    Rgba,
    Bgra,
    Argb,
    Abgr,
    Rgbp,
    Bgrp,
    Gbr,
    Gbra,
    GbrLe10,
    GbrLe12,
    Rgb10a2Le,
    Bgr10a2Le,
    Argb64Le,
    Rgba64Le,
    Bgra64Le,
    Abgr64Le,
    /// Packed red, green, blue of 16 bits each, which GStreamer does not have: pictures of 16 bits are read as such.
    Rgb48Le,
}

/// What a format's components stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColourFamily {
    /// Red, green, blue.
    Rgb,
    /// Luma and two colour differences.
    Yuv,
    /// Luma alone.
    Gray,
}

/// Where the samples of one component lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Component {
    /// Its plane.
    pub plane: usize,
    /// Bytes from the beginning of a row to its first sample.
    pub offset: usize,
    /// Bytes from a sample to the next.
    pub step: usize,
    /// The frame's width over the component's, as a power of two.
    pub x_shift: u32,
    /// The same of heights.
    pub y_shift: u32,
    /// Bytes of the word that a sample lies in.
    pub word: usize,
    /// Bits of the word below the sample.
    pub shift: u32,
    /// Bits of a sample.
    pub depth: u32,
}

impl Component {
    /// Samples in a row, of a frame `width` pixels wide.
    #[inline]
    pub const fn width(&self, width: usize) -> usize {
        width.div_ceil(1 << self.x_shift)
    }

    /// Rows, of a frame `height` pixels high.
    #[inline]
    pub const fn height(&self, height: usize) -> usize {
        height.div_ceil(1 << self.y_shift)
    }

    /// The largest code.
    #[inline]
    pub const fn max(&self) -> f32 {
        ((1u32 << self.depth) - 1) as f32
    }
}

/// How a format's components lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelLayout {
    /// GStreamer's name.
    pub name: &'static str,
    /// What the components stand for.
    pub family: ColourFamily,
    /// Red, green and blue, or Y, Cb and Cr, or luma; then alpha, if there is any.
    components: [Component; MAX_PLANES],
    count: usize,
    /// Whether the last component is alpha.
    pub alpha: bool,
    /// Whether each pixel has a byte that stands for nothing, and where in it that lies.
    pub padding: Option<usize>,
    /// Number of planes.
    pub planes: usize,
}

impl PixelLayout {
    /// All components, alpha last.
    #[inline]
    pub fn components(&self) -> &[Component] {
        &self.components[..self.count]
    }

    /// The components of colour: one or three.
    #[inline]
    pub fn colours(&self) -> &[Component] {
        &self.components[..self.count - self.alpha as usize]
    }

    /// Bits of a sample of colour.
    #[inline]
    pub fn depth(&self) -> u32 {
        self.components[0].depth
    }

    /// Bytes of a row of `plane` in a frame `width` pixels wide, without what may lie between rows.
    pub fn row_bytes(&self, plane: usize, width: usize) -> usize {
        if let (Some(_), 0) = (self.padding, plane) {
            return self.components[0].step * width;
        }
        let end = |c: &Component| match c.width(width) {
            0 => 0,
            samples => c.offset + (samples - 1) * c.step + c.word,
        };
        let of = self.components().iter().filter(|c| c.plane == plane);
        of.map(end).max().unwrap_or(0)
    }

    /// Rows of `plane` in a frame `height` pixels high.
    pub fn rows(&self, plane: usize, height: usize) -> usize {
        let mut of = self.components().iter().filter(|c| c.plane == plane);
        of.next().map_or(0, |c| c.height(height))
    }

    /// How many rows of pixels share one row of `plane`, as a power of two.
    pub fn plane_shift(&self, plane: usize) -> u32 {
        let mut of = self.components().iter().filter(|c| c.plane == plane);
        of.next().map_or(0, |c| c.y_shift)
    }

    /// Bytes of a row of `plane` before pixel `x`, which is the first of those that share a sample: a multiple of four is in any format.
    #[inline]
    pub fn bytes_to(&self, plane: usize, x: usize) -> usize {
        let of = self.components().iter().filter(|c| c.plane == plane);
        let widest = of.clone().map(|c| c.x_shift).max().unwrap_or(0);
        let unit = of
            .map(|c| (c.step << widest) >> c.x_shift)
            .max()
            .unwrap_or(0);
        (x >> widest) * unit
    }

    /// By how many, as powers of two, colour differences have fewer samples than pixels, across and down.
    pub fn subsampling(&self) -> (u32, u32) {
        match self.family {
            ColourFamily::Yuv => (self.components[1].x_shift, self.components[1].y_shift),
            ColourFamily::Rgb | ColourFamily::Gray => (0, 0),
        }
    }
}

/// Component of bytes.
const fn bytes(plane: usize, offset: usize, step: usize, x_shift: u32, y_shift: u32) -> Component {
    Component {
        plane,
        offset,
        step,
        x_shift,
        y_shift,
        word: 1,
        shift: 0,
        depth: 8,
    }
}

/// Component of 16-bit words with `depth` bits used, the upper ones if `upper`.
const fn words(component: Component, depth: u32, upper: bool) -> Component {
    Component {
        offset: 2 * component.offset,
        step: 2 * component.step,
        word: 2,
        shift: if upper { 16 - depth } else { 0 },
        depth,
        ..component
    }
}

/// Component of `depth` bits, `shift` bits up in a 32-bit word.
const fn bits(shift: u32, depth: u32) -> Component {
    Component {
        plane: 0,
        offset: 0,
        step: 4,
        x_shift: 0,
        y_shift: 0,
        word: 4,
        shift,
        depth,
    }
}

const NONE: Component = bytes(0, 0, 1, 0, 0);

const fn layout(name: &'static str, family: ColourFamily, components: &[Component]) -> PixelLayout {
    let mut all = [NONE; MAX_PLANES];
    let (mut i, mut planes) = (0, 0);
    while i < components.len() {
        all[i] = components[i];
        if components[i].plane >= planes {
            planes = components[i].plane + 1;
        }
        i += 1;
    }
    let count = components.len();
    PixelLayout {
        name,
        family,
        components: all,
        count,
        alpha: count == 4,
        padding: None,
        planes,
    }
}

/// Four bytes a pixel of which that at `padding` stands for nothing.
const fn padded(name: &'static str, order: [usize; 3], padding: usize) -> PixelLayout {
    let [r, g, b] = order;
    let components = [
        bytes(0, r, 4, 0, 0),
        bytes(0, g, 4, 0, 0),
        bytes(0, b, 4, 0, 0),
    ];
    PixelLayout {
        padding: Some(padding),
        ..layout(name, ColourFamily::Rgb, &components)
    }
}

/// Components beside one another in one plane, `order` the places of them.
const fn packed4(name: &'static str, family: ColourFamily, order: [usize; 4]) -> PixelLayout {
    let [a, b, c, d] = order;
    let components = [
        bytes(0, a, 4, 0, 0),
        bytes(0, b, 4, 0, 0),
        bytes(0, c, 4, 0, 0),
        bytes(0, d, 4, 0, 0),
    ];
    layout(name, family, &components)
}

/// A plane for each component.
const fn planar(
    name: &'static str,
    family: ColourFamily,
    order: [usize; 3],
    x: u32,
    y: u32,
) -> PixelLayout {
    let [a, b, c] = order;
    let components = [
        bytes(a, 0, 1, 0, 0),
        bytes(b, 0, 1, x, y),
        bytes(c, 0, 1, x, y),
    ];
    layout(name, family, &components)
}

/// A plane of luma and one of pairs, `cb` and `cr` the places in them.
const fn semi_planar(name: &'static str, cb: usize, cr: usize, x: u32, y: u32) -> PixelLayout {
    let components = [
        bytes(0, 0, 1, 0, 0),
        bytes(1, cb, 2, x, y),
        bytes(1, cr, 2, x, y),
    ];
    layout(name, ColourFamily::Yuv, &components)
}

/// Two pixels in four bytes.
const fn packed422(name: &'static str, luma: usize, cb: usize, cr: usize) -> PixelLayout {
    let components = [
        bytes(0, luma, 2, 0, 0),
        bytes(0, cb, 4, 1, 0),
        bytes(0, cr, 4, 1, 0),
    ];
    layout(name, ColourFamily::Yuv, &components)
}

/// The same with a plane of alpha.
const fn with_alpha(name: &'static str, base: PixelLayout) -> PixelLayout {
    let mut components = base.components;
    components[3] = bytes(3, 0, 1, 0, 0);
    layout(name, base.family, &components)
}

/// The same in words of 16 bits.
const fn wide(name: &'static str, base: PixelLayout, depth: u32, upper: bool) -> PixelLayout {
    let mut result = PixelLayout { name, ..base };
    let mut i = 0;
    while i < base.count {
        result.components[i] = words(base.components[i], depth, upper);
        i += 1;
    }
    result
}

/// Ten bits for each colour and two for alpha.
const fn ten_bits(name: &'static str, [r, g, b]: [u32; 3]) -> PixelLayout {
    let components = [bits(r, 10), bits(g, 10), bits(b, 10), bits(30, 2)];
    layout(name, ColourFamily::Rgb, &components)
}

const fn packed3(name: &'static str, [r, g, b]: [usize; 3]) -> PixelLayout {
    let components = [
        bytes(0, r, 3, 0, 0),
        bytes(0, g, 3, 0, 0),
        bytes(0, b, 3, 0, 0),
    ];
    layout(name, ColourFamily::Rgb, &components)
}

const YUV: ColourFamily = ColourFamily::Yuv;
const I420: PixelLayout = planar("I420", YUV, [0, 1, 2], 1, 1);
const Y42B: PixelLayout = planar("Y42B", YUV, [0, 1, 2], 1, 0);
const Y444: PixelLayout = planar("Y444", YUV, [0, 1, 2], 0, 0);
const NV12: PixelLayout = semi_planar("NV12", 0, 1, 1, 1);
const GRAY: PixelLayout = layout("GRAY8", ColourFamily::Gray, &[NONE]);
const GBR: PixelLayout = planar("GBR", ColourFamily::Rgb, [2, 0, 1], 0, 0);
const ARGB: PixelLayout = packed4("ARGB", ColourFamily::Rgb, [1, 2, 3, 0]);
const RGBA: PixelLayout = packed4("RGBA", ColourFamily::Rgb, [0, 1, 2, 3]);
const BGRA: PixelLayout = packed4("BGRA", ColourFamily::Rgb, [2, 1, 0, 3]);
const ABGR: PixelLayout = packed4("ABGR", ColourFamily::Rgb, [3, 2, 1, 0]);
const RGB: PixelLayout = packed3("RGB", [0, 1, 2]);

/// Every format, in the order of the type, with its layout.
const FORMATS: [(PixelFormat, PixelLayout); 54] = {
    use PixelFormat as P;
    [
        (P::Nv12, NV12),
        (P::Nv21, semi_planar("NV21", 1, 0, 1, 1)),
        (P::Nv16, semi_planar("NV16", 0, 1, 1, 0)),
        (P::Nv61, semi_planar("NV61", 1, 0, 1, 0)),
        (P::Nv24, semi_planar("NV24", 0, 1, 0, 0)),
        (P::I420, I420),
        (P::Yv12, planar("YV12", YUV, [0, 2, 1], 1, 1)),
        (P::Y41b, planar("Y41B", YUV, [0, 1, 2], 2, 0)),
        (P::Y42b, Y42B),
        (P::Y444, Y444),
        (P::A420, with_alpha("A420", I420)),
        (P::Yuy2, packed422("YUY2", 0, 1, 3)),
        (P::Yvyu, packed422("YVYU", 0, 3, 1)),
        (P::Uyvy, packed422("UYVY", 1, 0, 2)),
        (P::Ayuv, packed4("AYUV", YUV, [1, 2, 3, 0])),
        (P::Vuya, packed4("VUYA", YUV, [2, 1, 0, 3])),
        (P::P010Le, wide("P010_10LE", NV12, 10, true)),
        (P::P012Le, wide("P012_LE", NV12, 12, true)),
        (P::P016Le, wide("P016_LE", NV12, 16, true)),
        (P::I420Le10, wide("I420_10LE", I420, 10, false)),
        (P::I420Le12, wide("I420_12LE", I420, 12, false)),
        (P::I422Le10, wide("I422_10LE", Y42B, 10, false)),
        (P::I422Le12, wide("I422_12LE", Y42B, 12, false)),
        (P::Y444Le10, wide("Y444_10LE", Y444, 10, false)),
        (P::Y444Le12, wide("Y444_12LE", Y444, 12, false)),
        (P::Y444Le16, wide("Y444_16LE", Y444, 16, false)),
        (
            P::A420Le10,
            wide("A420_10LE", with_alpha("A420", I420), 10, false),
        ),
        (
            P::A422Le10,
            wide("A422_10LE", with_alpha("A422", Y42B), 10, false),
        ),
        (
            P::A444Le10,
            wide("A444_10LE", with_alpha("A444", Y444), 10, false),
        ),
        (P::Gray8, GRAY),
        (P::Gray16Le, wide("GRAY16_LE", GRAY, 16, false)),
        (P::Rgb, RGB),
        (P::Bgr, packed3("BGR", [2, 1, 0])),
        (P::Rgbx, padded("RGBx", [0, 1, 2], 3)),
        (P::Bgrx, padded("BGRx", [2, 1, 0], 3)),
        (P::Xrgb, padded("xRGB", [1, 2, 3], 0)),
        (P::Xbgr, padded("xBGR", [3, 2, 1], 0)),
        (P::Rgba, RGBA),
        (P::Bgra, BGRA),
        (P::Argb, ARGB),
        (P::Abgr, ABGR),
        (P::Rgbp, planar("RGBP", ColourFamily::Rgb, [0, 1, 2], 0, 0)),
        (P::Bgrp, planar("BGRP", ColourFamily::Rgb, [2, 1, 0], 0, 0)),
        (P::Gbr, GBR),
        (P::Gbra, with_alpha("GBRA", GBR)),
        (P::GbrLe10, wide("GBR_10LE", GBR, 10, false)),
        (P::GbrLe12, wide("GBR_12LE", GBR, 12, false)),
        (P::Rgb10a2Le, ten_bits("RGB10A2_LE", [0, 10, 20])),
        (P::Bgr10a2Le, ten_bits("BGR10A2_LE", [20, 10, 0])),
        (P::Argb64Le, wide("ARGB64_LE", ARGB, 16, false)),
        (P::Rgba64Le, wide("RGBA64_LE", RGBA, 16, false)),
        (P::Bgra64Le, wide("BGRA64_LE", BGRA, 16, false)),
        (P::Abgr64Le, wide("ABGR64_LE", ABGR, 16, false)),
        (P::Rgb48Le, wide("RGB48_LE", RGB, 16, false)),
    ]
};

impl PixelFormat {
    /// Every format.
    pub fn all() -> impl Iterator<Item = Self> {
        FORMATS.iter().map(|(format, _)| *format)
    }

    /// The format that GStreamer calls `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|format| format.layout().name == name)
    }

    /// How its components lie.
    #[inline]
    pub fn layout(self) -> &'static PixelLayout {
        &FORMATS[self as usize].1
    }
}

/// How Y, Cb and Cr are made of red, green and blue: `Y = Kr R + Kg G + Kb B`, `Cb = (B - Y) / (2 - 2 Kb)`, `Cr = (R - Y) / (2 - 2 Kr)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Matrix {
    /// ITU-R BT.601.
    #[default]
    Bt601,
    /// ITU-R BT.709.
    Bt709,
    /// FCC 73.682.
    Fcc,
    /// SMPTE 240M.
    Smpte240M,
    /// ITU-R BT.2020, non-constant luminance.
    Bt2020,
}

impl Matrix {
    /// `Kr`, `Kg` and `Kb`.
    pub const fn weights(self) -> [f64; 3] {
        let (red, blue) = match self {
            Self::Bt601 => (0.299, 0.114),
            Self::Bt709 => (0.2126, 0.0722),
            Self::Fcc => (0.30, 0.11),
            Self::Smpte240M => (0.212, 0.087),
            Self::Bt2020 => (0.2627, 0.0593),
        };
        [red, 1.0 - red - blue, blue]
    }
}

/// Which codes stand for black and white.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Range {
    /// The smallest and the largest.
    Full,
    /// 16 and 235 of 8 bits, 16 to 240 for colour differences.
    Limited,
}

/// Where samples of colour difference lie that are fewer than pixels. By default in the middle of the pixels that share them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ChromaSite {
    /// On the first of the pixels beside one another.
    pub left: bool,
    /// On the first of the pixels above one another.
    pub top: bool,
}

/// What the bytes of a frame mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Format {
    /// How components lie.
    pub pixels: PixelFormat,
    /// How colour differences are made; of no meaning for RGB and grey.
    pub matrix: Matrix,
    /// Which codes stand for black and white.
    pub range: Range,
    /// Where fewer samples of colour difference lie.
    pub site: ChromaSite,
}

/// How codes stand for numbers: `code = number * scale + offset`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantiser {
    /// Code of 0.
    pub offset: f32,
    /// Codes from 0 to 1.
    pub scale: f32,
}

impl Format {
    /// Packed RGB of 8 bits, full range.
    pub const RGB: Self = Self::rgb(PixelFormat::Rgb);

    /// `pixels`, a format of red, green and blue, in full range.
    pub const fn rgb(pixels: PixelFormat) -> Self {
        Self {
            pixels,
            matrix: Matrix::Bt601,
            range: Range::Full,
            site: ChromaSite {
                left: false,
                top: false,
            },
        }
    }

    /// How components lie.
    #[inline]
    pub fn layout(&self) -> &'static PixelLayout {
        self.pixels.layout()
    }

    /// Whether codes of the one stand for the same colours as codes of the other, but for their number of bits.
    pub fn same_colours(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.layout().family, other.layout().family);
        let matrix =
            ours != ColourFamily::Yuv || theirs != ColourFamily::Yuv || self.matrix == other.matrix;
        // Luma alone is that of any matrix.
        (ours == ColourFamily::Rgb) == (theirs == ColourFamily::Rgb)
            && self.range == other.range
            && matrix
    }

    /// Codes of component `index`: red, green, blue and luma are 0..=1, colour differences -0.5..=0.5, alpha 0..=1 in any range.
    pub fn quantiser(&self, index: usize) -> Quantiser {
        let layout = self.layout();
        let component = &layout.components()[index];
        let is_alpha = layout.alpha && index + 1 == layout.components().len();
        let difference = layout.family == ColourFamily::Yuv && (1..=2).contains(&index);
        let (max, unit) = (component.max(), (1u32 << component.depth) as f32 / 256.0);
        let offset = if difference { 128.0 * unit } else { 0.0 };
        if self.range == Range::Full || is_alpha {
            return Quantiser { offset, scale: max };
        }
        if difference {
            let scale = 224.0 * unit;
            return Quantiser { offset, scale };
        }
        Quantiser {
            offset: 16.0 * unit,
            scale: 219.0 * unit,
        }
    }

    /// How far, in pixels, from a pixel samples may lie that its colour differences and its alpha are interpolated from.
    pub fn reach(&self) -> usize {
        let layout = self.layout();
        let (x, y) = layout.subsampling();
        match (x.max(y), layout.alpha) {
            (0, false) => 0,
            // Two samples to each side, the furthest of which ends there.
            (shift, _) => (2 << shift) + 1,
        }
    }

    /// Whether a sample of colour difference of an output frame is made of pixels to the left of or above those that share it.
    pub fn reaches_back(&self) -> bool {
        let (x, y) = self.layout().subsampling();
        (x > 0 && self.site.left) || (y > 0 && self.site.top)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_type() {
        for (index, format) in PixelFormat::all().enumerate() {
            assert_eq!(format as usize, index, "{format:?}");
            assert_eq!(PixelFormat::from_name(format.layout().name), Some(format));
        }
    }

    #[test]
    fn rows_hold_their_samples() {
        let bytes = |name: &str, plane, width| {
            let format = PixelFormat::from_name(name).unwrap();
            format.layout().row_bytes(plane, width)
        };
        for (name, plane, width, expected) in [
            ("NV12", 0, 5, 5),
            ("NV12", 1, 5, 6),
            ("I420", 1, 5, 3),
            ("YUY2", 0, 5, 12),
            ("RGB", 0, 5, 15),
            ("xRGB", 0, 5, 20),
            ("RGBx", 0, 5, 20),
            ("P010_10LE", 1, 5, 12),
            ("RGB10A2_LE", 0, 5, 20),
            ("Y41B", 1, 9, 3),
        ] {
            assert_eq!(bytes(name, plane, width), expected, "{name} {plane}");
        }
    }

    #[test]
    fn black_and_white_are_the_standards() {
        let mut format = Format {
            pixels: PixelFormat::P010Le,
            matrix: Matrix::Bt2020,
            range: Range::Limited,
            site: ChromaSite::default(),
        };
        let ends = |q: Quantiser, low: f32, high: f32| [low, high].map(|v| v * q.scale + q.offset);
        assert_eq!(ends(format.quantiser(0), 0.0, 1.0), [64.0, 940.0]);
        assert_eq!(ends(format.quantiser(1), -0.5, 0.5), [64.0, 960.0]);
        format.range = Range::Full;
        assert_eq!(ends(format.quantiser(0), 0.0, 1.0), [0.0, 1023.0]);
        assert_eq!(ends(format.quantiser(2), 0.0, 0.0), [512.0, 512.0]);
        format.pixels = PixelFormat::Gray8;
        assert_eq!(ends(format.quantiser(0), 0.0, 1.0), [0.0, 255.0]);
    }
}
