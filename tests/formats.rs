//! Every format, matrix, range and place of colour differences, through bicubic stand-ins of networks of colours and of luma, against the
//! equations in f64, sample by sample; and what is kept of them against what is drawn anew.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use srfusion::testing::{Bicubic, FixedFaces, Random};
use srfusion::{
    BBox, ChromaSite, ColourFamily, Detection, Format, Frame, FrameInfo, FrameMemory, Generator,
    Matrix, Parameters, PixelFormat, Range, Reuse, Size, Upscaler,
};

/// A frame as codes of each component, and as bytes.
struct Picture {
    format: Format,
    size: Size,
    codes: Vec<Vec<f64>>,
    bytes: FrameMemory,
}

impl Picture {
    fn new(format: Format, size: Size, code: impl Fn(usize, usize, usize) -> f64) -> Self {
        let mut bytes = FrameMemory::default();
        bytes.fit(&format, size);
        let mut frame = bytes.frame(format, size).unwrap();
        let mut codes = Vec::new();
        for (index, component) in format.layout().components().iter().enumerate() {
            let (width, height) = (component.width(size.width), component.height(size.height));
            let mut plane = Vec::new();
            for y in 0..height {
                let row: Vec<f64> = (0..width).map(|x| code(index, x, y)).collect();
                let written: Vec<f32> = row.iter().map(|v| *v as f32).collect();
                frame.write(index, y, 0, &written);
                plane.extend(row);
            }
            codes.push(plane);
        }
        Self {
            format,
            size,
            codes,
            bytes,
        }
    }

    /// The code of a component, the picture continued at its edges.
    fn code(&self, index: usize, x: isize, y: isize) -> f64 {
        let component = self.format.layout().components()[index];
        let (width, height) = (
            component.width(self.size.width),
            component.height(self.size.height),
        );
        let clamp = |v: isize, side: usize| v.clamp(0, side as isize - 1) as usize;
        self.codes[index][clamp(y, height) * width + clamp(x, width)]
    }

    /// A code as a number.
    fn number(&self, index: usize, code: f64) -> f64 {
        let (offset, scale) = quantiser(&self.format, index);
        (code - offset) / scale
    }
}

/// The standards' codes of 0 and of 1 more than that, written down anew.
fn quantiser(format: &Format, index: usize) -> (f64, f64) {
    let layout = format.layout();
    let depth = layout.components()[index].depth;
    let (unit, max) = (
        f64::from(1u32 << depth) / 256.0,
        f64::from((1u32 << depth) - 1),
    );
    let alpha = layout.alpha && index + 1 == layout.components().len();
    let difference = layout.family == ColourFamily::Yuv && (index == 1 || index == 2);
    match (alpha, difference, format.range) {
        (true, ..) => (0.0, max),
        (_, true, Range::Full) => (128.0 * unit, max),
        (_, true, Range::Limited) => (128.0 * unit, 224.0 * unit),
        (_, false, Range::Full) => (0.0, max),
        (_, false, Range::Limited) => (16.0 * unit, 219.0 * unit),
    }
}

fn weights(matrix: Matrix) -> (f64, f64, f64) {
    let (r, b) = match matrix {
        Matrix::Bt601 => (0.299, 0.114),
        Matrix::Bt709 => (0.2126, 0.0722),
        Matrix::Fcc => (0.30, 0.11),
        Matrix::Smpte240M => (0.212, 0.087),
        Matrix::Bt2020 => (0.2627, 0.0593),
    };
    (r, 1.0 - r - b, b)
}

fn to_rgb(matrix: Matrix, [y, cb, cr]: [f64; 3]) -> [f64; 3] {
    let (kr, kg, kb) = weights(matrix);
    let (r, b) = (y + 2.0 * (1.0 - kr) * cr, y + 2.0 * (1.0 - kb) * cb);
    [r, (y - kr * r - kb * b) / kg, b]
}

fn to_yuv(matrix: Matrix, [r, g, b]: [f64; 3]) -> [f64; 3] {
    let (kr, kg, kb) = weights(matrix);
    let y = kr * r + kg * g + kb * b;
    [
        y,
        (b - y) / (2.0 * (1.0 - kb)),
        (r - y) / (2.0 * (1.0 - kr)),
    ]
}

fn keys(t: f64) -> f64 {
    let t = t.abs();
    if t <= 1.0 {
        1.5 * t.powi(3) - 2.5 * t * t + 1.0
    } else if t < 2.0 {
        -0.5 * t.powi(3) + 2.5 * t * t - 4.0 * t + 2.0
    } else {
        0.0
    }
}

/// Bicubic interpolation of `value` at `x`, `y`, in samples whose centres are whole numbers.
fn bicubic(x: f64, y: f64, value: impl Fn(isize, isize) -> f64) -> f64 {
    let (left, top) = (x.floor() as isize - 1, y.floor() as isize - 1);
    let mut sum = 0.0;
    for j in top..top + 4 {
        for i in left..left + 4 {
            sum += keys(x - i as f64) * keys(y - j as f64) * value(i, j);
        }
    }
    sum
}

/// The stand-in for a network: nothing is outside the frame.
fn network(x: usize, y: usize, size: Size, value: impl Fn(usize, usize) -> f64) -> f64 {
    let at = |v: usize| (v as f64 + 0.5) / 4.0 - 0.5;
    bicubic(at(x), at(y), |i, j| {
        let inside =
            (0..size.width as isize).contains(&i) && (0..size.height as isize).contains(&j);
        if inside {
            value(i as usize, j as usize)
        } else {
            0.0
        }
    })
}

/// Where pixel `v` lies between samples that `1 << shift` pixels share.
fn between(v: f64, shift: u32, on_first: bool) -> f64 {
    let side = f64::from(1u32 << shift);
    if on_first && shift > 0 {
        v / side
    } else {
        (v + 0.5) / side - 0.5
    }
}

/// Colours of an input pixel.
fn rgb_of(picture: &Picture, x: usize, y: usize) -> [f64; 3] {
    let (layout, site) = (picture.format.layout(), picture.format.site);
    let number = |index: usize| picture.number(index, picture.code(index, x as isize, y as isize));
    match layout.family {
        ColourFamily::Rgb => [number(0), number(1), number(2)],
        ColourFamily::Gray => [number(0); 3],
        ColourFamily::Yuv => {
            let shared = |index: usize| {
                let c = layout.components()[index];
                let (u, v) = (
                    between(x as f64, c.x_shift, site.left),
                    between(y as f64, c.y_shift, site.top),
                );
                let (i, j) = (u.floor(), v.floor());
                let code =
                    |di: f64, dj: f64| picture.code(index, (i + di) as isize, (j + dj) as isize);
                let row = |dj: f64| code(0.0, dj) + (u - i) * (code(1.0, dj) - code(0.0, dj));
                picture.number(index, row(0.0) + (v - j) * (row(1.0) - row(0.0)))
            };
            to_rgb(picture.format.matrix, [number(0), shared(1), shared(2)])
        }
    }
}

/// A component of the input at the place of a sample of the output, bicubic, the picture continued at its edges; as a code.
fn enlarged(
    picture: &Picture,
    index: usize,
    x: usize,
    y: usize,
    (x_shift, y_shift): (u32, u32),
    site: ChromaSite,
) -> f64 {
    let c = picture.format.layout().components()[index];
    let own = picture.format.site;
    let place = |v: usize, to: u32, to_first: bool, from: u32, from_first: bool| {
        let side = f64::from(1u32 << to);
        // In output pixels from the corner, then in input pixels.
        let pixel = if to_first && to > 0 {
            v as f64 * side + 0.5
        } else {
            (v as f64 + 0.5) * side
        };
        between(pixel / 4.0 - 0.5, from, from_first)
    };
    bicubic(
        place(x, x_shift, site.left, c.x_shift, own.left),
        place(y, y_shift, site.top, c.y_shift, own.top),
        |i, j| picture.code(index, i, j),
    )
}

/// Whether codes of the output are the input's but for the number of bits.
fn same(from: &Format, to: &Format) -> bool {
    let families = (from.layout().family, to.layout().family);
    from.range == to.range
        && (families.0 == ColourFamily::Rgb) == (families.1 == ColourFamily::Rgb)
        && (families != (ColourFamily::Yuv, ColourFamily::Yuv) || from.matrix == to.matrix)
}

/// Colours of an output pixel.
fn drawn_rgb(input: &Picture, luma: bool, x: usize, y: usize) -> [f64; 3] {
    let size = input.size;
    if !luma {
        return [0, 1, 2].map(|c| network(x, y, size, |i, j| rgb_of(input, i, j)[c]));
    }
    if input.format.layout().family == ColourFamily::Rgb {
        let yuv = |i: usize, j: usize| to_yuv(Matrix::Bt601, rgb_of(input, i, j));
        let clamped = |i: isize, j: isize, c: usize| {
            yuv(
                i.clamp(0, size.width as isize - 1) as usize,
                j.clamp(0, size.height as isize - 1) as usize,
            )[c]
        };
        let at = |v: usize| (v as f64 + 0.5) / 4.0 - 0.5;
        let difference = |c: usize| bicubic(at(x), at(y), |i, j| clamped(i, j, c));
        return to_rgb(
            Matrix::Bt601,
            [
                network(x, y, size, |i, j| yuv(i, j)[0]),
                difference(1),
                difference(2),
            ],
        );
    }
    let level = input.number(
        0,
        network(x, y, size, |i, j| input.code(0, i as isize, j as isize)),
    );
    if input.format.layout().family == ColourFamily::Gray {
        return [level; 3];
    }
    let difference =
        |c: usize| input.number(c, enlarged(input, c, x, y, (0, 0), ChromaSite::default()));
    to_rgb(input.format.matrix, [level, difference(1), difference(2)])
}

/// The code that component `index` of the output should have at its sample `x`, `y`, before it is rounded and cut.
fn expected(input: &Picture, to: &Format, luma: bool, index: usize, x: usize, y: usize) -> f64 {
    let (layout, from) = (to.layout(), input.format.layout());
    let component = layout.components()[index];
    let (offset, scale) = quantiser(to, index);
    if layout.alpha && index + 1 == layout.components().len() {
        if !from.alpha {
            return scale;
        }
        let source = from.components().len() - 1;
        return input.number(
            source,
            enlarged(input, source, x, y, (0, 0), ChromaSite::default()),
        ) * scale;
    }
    if luma && from.family != ColourFamily::Rgb && same(&input.format, to) {
        let size = input.size;
        if index == 0 {
            let code = network(x, y, size, |i, j| input.code(0, i as isize, j as isize));
            return input.number(0, code) * scale + offset;
        }
        if from.family == ColourFamily::Gray {
            return offset;
        }
        let code = enlarged(
            input,
            index,
            x,
            y,
            (component.x_shift, component.y_shift),
            to.site,
        );
        return input.number(index, code) * scale + offset;
    }
    let rgb = |x: usize, y: usize| drawn_rgb(input, luma, x, y);
    if layout.family == ColourFamily::Rgb {
        return rgb(x, y)[index] * scale + offset;
    }
    if index == 0 {
        return to_yuv(to.matrix, rgb(x, y))[0] * scale + offset;
    }
    // Means over the pixels that share the sample, or weighted around the one that it lies on.
    let taps = |v: usize, shift: u32, on_first: bool| -> Vec<(usize, f64)> {
        let side = 1isize << shift;
        let first = v as isize * side;
        if on_first && shift > 0 {
            let weight = |d: isize| (side - d.abs()) as f64 / (side * side) as f64;
            (1 - side..side)
                .map(|d| ((first + d).max(0) as usize, weight(d)))
                .collect()
        } else {
            (0..side)
                .map(|d| ((first + d) as usize, 1.0 / side as f64))
                .collect()
        }
    };
    let mut sum = 0.0;
    for (y, wy) in taps(y, component.y_shift, to.site.top) {
        for (x, wx) in taps(x, component.x_shift, to.site.left) {
            sum += wx * wy * to_yuv(to.matrix, rgb(x, y))[index];
        }
    }
    sum * scale + offset
}

/// Bars beside a ramp, with a pattern over them; within the range that codes may have.
fn bars(format: Format, size: Size) -> Picture {
    let layout = format.layout();
    Picture::new(format, size, |index, x, y| {
        let component = layout.components()[index];
        let max = f64::from((1u32 << component.depth) - 1);
        let width = component.width(size.width).max(2);
        let bar = [0.1, 0.9, 0.3, 0.7][(x * 4 / width + index) % 4];
        let ramp = (x + y) as f64 / (width + component.height(size.height)) as f64;
        let share = if y % 5 < 3 { bar } else { ramp };
        (share * max).round()
    })
}

fn upscaler(general: Bicubic, face: Option<Bicubic>, faces: &[BBox], tile: usize) -> Upscaler {
    let detections = faces
        .iter()
        .map(|&bbox| Detection {
            bbox,
            score: 0.9,
            points: None,
            mask: None,
        })
        .collect();
    let face = face.map(|face| Box::new(face) as Box<dyn Generator>);
    let found = Box::new(FixedFaces(detections));
    Upscaler::with_networks(Box::new(general), face, Some(found), tile, None).unwrap()
}

fn draw(upscaler: &mut Upscaler, input: &mut Picture, to: Format, number: u64) -> FrameMemory {
    let large = input.size.scaled(4);
    let mut output = FrameMemory::default();
    output.fit(&to, large);
    let info = FrameInfo {
        pts: Some(Duration::from_millis(40 * number)),
        faces: None,
        ..FrameInfo::default()
    };
    let frame = input.bytes.frame(input.format, input.size).unwrap();
    upscaler
        .process(
            frame.as_frame(),
            &info,
            &mut output.frame(to, large).unwrap(),
        )
        .unwrap();
    output
}

/// The largest distance of a sample from what it should be, in levels of its own.
fn worst(input: &mut Picture, to: Format, luma: bool, tile: usize) -> f64 {
    let stand_in = if luma {
        Bicubic::luma(0.0)
    } else {
        Bicubic::new(0.0)
    };
    let mut upscaler = upscaler(stand_in, None, &[], tile);
    let mut output = draw(&mut upscaler, input, to, 0);
    let large = input.size.scaled(4);
    let output = output.frame(to, large).unwrap();
    let mut worst = 0.0f64;
    for (index, component) in to.layout().components().iter().enumerate() {
        let (width, height) = (component.width(large.width), component.height(large.height));
        let mut row = vec![0.0; width];
        for y in 0..height {
            output.as_frame().read(index, y, 0, &mut row);
            for (x, found) in row.iter().enumerate() {
                let code =
                    expected(input, &to, luma, index, x, y).clamp(0.0, f64::from(component.max()));
                worst = worst.max((code.round() - f64::from(*found)).abs());
            }
        }
    }
    worst
}

const MATRICES: [Matrix; 5] = [
    Matrix::Bt601,
    Matrix::Bt709,
    Matrix::Bt2020,
    Matrix::Fcc,
    Matrix::Smpte240M,
];
const SITES: [ChromaSite; 3] = [
    ChromaSite {
        left: false,
        top: false,
    },
    ChromaSite {
        left: true,
        top: false,
    },
    ChromaSite {
        left: true,
        top: true,
    },
];

fn format(pixels: PixelFormat, matrix: Matrix, range: Range, site: ChromaSite) -> Format {
    Format {
        pixels,
        matrix,
        range,
        site,
    }
}

/// The format that goes in comes out, every sample within one level of the equations; docs/formats.md has what was found.
#[test]
fn every_format_is_within_a_level() {
    let mut turn = 0;
    let mut rows = Vec::new();
    for pixels in PixelFormat::all() {
        // Of networks of colours, and of luma.
        let mut found = [0.0f64; 2];
        for range in [Range::Full, Range::Limited] {
            for (kind, luma) in [false, true].into_iter().enumerate() {
                let format = format(pixels, MATRICES[turn % 5], range, SITES[turn % 3]);
                let (size, tile) = [
                    (Size::new(13, 9), 0),
                    (Size::new(19, 17), 14),
                    (Size::new(1, 1), 0),
                ][turn % 3];
                let worst = worst(&mut bars(format, size), format, luma, tile);
                assert!(
                    worst <= 1.0,
                    "{format:?}, luma {luma}, {size}: {worst} levels"
                );
                found[kind] = found[kind].max(worst);
                turn += 1;
            }
        }
        let layout = pixels.layout();
        if PixelFormat::Rgb48Le == pixels {
            // The command's own, for pictures.
            continue;
        }
        let family = match layout.family {
            ColourFamily::Rgb => "red, green, blue".to_owned(),
            ColourFamily::Gray => "luma".to_owned(),
            ColourFamily::Yuv => {
                let (x, y) = layout.subsampling();
                format!("luma, differences for {}x{} pixels", 1 << x, 1 << y)
            }
        };
        let alpha = if layout.alpha { "bicubic" } else { "" };
        rows.push(format!(
            "| `{}` | {} | {family} | {alpha} | {} | {} |",
            layout.name,
            layout.depth(),
            found[0],
            found[1]
        ));
    }
    let page = std::fs::read_to_string("docs/formats.md").unwrap();
    let table: Vec<_> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    assert!(
        table == rows,
        "the table of docs/formats.md should be:\n{}",
        rows.join("\n")
    );
}

/// Every matrix, range and place for the formats that cameras and encoders speak.
#[test]
fn every_colorimetry_is_within_a_level() {
    for pixels in [
        PixelFormat::Nv12,
        PixelFormat::P010Le,
        PixelFormat::Y42b,
        PixelFormat::Yuy2,
    ] {
        for matrix in MATRICES {
            for range in [Range::Full, Range::Limited] {
                for site in SITES {
                    for luma in [false, true] {
                        let format = format(pixels, matrix, range, site);
                        let worst = worst(&mut bars(format, Size::new(12, 10)), format, luma, 0);
                        assert!(worst <= 1.0, "{format:?}, luma {luma}: {worst} levels");
                    }
                }
            }
        }
    }
}

/// From any format to any other, with other colours, at the same edge.
#[test]
fn any_format_becomes_any_other() {
    let mut random = Random(0x0005_eed0_fc01_04a5);
    let all: Vec<_> = PixelFormat::all().collect();
    for round in 0..160 {
        let mut any = || {
            let range = [Range::Full, Range::Limited][random.below(2)];
            format(
                all[random.below(all.len())],
                MATRICES[random.below(5)],
                range,
                SITES[random.below(3)],
            )
        };
        let (from, to) = (any(), any());
        let (luma, tile) = (round % 2 == 0, [0, 14][round / 2 % 2]);
        let worst = worst(&mut bars(from, Size::new(21, 9)), to, luma, tile);
        assert!(
            worst <= 1.0,
            "{from:?} to {to:?}, luma {luma}: {worst} levels"
        );
    }
}

/// What is kept is, to the byte, what would be drawn anew: for every kind of format, where colours alone change too, whole frames and
/// faces, networks of colours and of luma.
#[test]
fn what_is_kept_is_what_would_be_drawn() {
    let mut random = Random(0x0f0e_0d0c_0b0a_0908);
    let face = BBox {
        x0: 12.0,
        y0: 10.0,
        x1: 26.0,
        y1: 27.0,
    };
    let size = Size::new(53, 47);
    for (turn, pixels) in PixelFormat::all().enumerate() {
        let format = format(pixels, Matrix::Bt709, Range::Limited, SITES[turn % 3]);
        let to = if turn % 4 == 3 {
            Format {
                pixels: PixelFormat::I420,
                ..format
            }
        } else {
            format
        };
        let stand_in = |luma: bool, offset: f32| {
            if luma {
                Bicubic::luma(offset)
            } else {
                Bicubic::new(offset)
            }
        };
        let (general, expert) = (turn % 2 == 0, turn / 2 % 2 == 0);
        let make = |reuse: Reuse| {
            let mut made = upscaler(
                stand_in(general, 0.0),
                Some(stand_in(expert, 0.1)),
                std::slice::from_ref(&face),
                0,
            );
            made.set_parameters(Parameters {
                reuse,
                min_face_size: 1.0,
                fade_time: Duration::ZERO,
                detect_interval: 1,
                ..Parameters::default()
            })
            .unwrap();
            made
        };
        let (mut fresh, mut keeping) = (make(Reuse::None), make(Reuse::Exact));
        let mut picture = bars(format, size);
        for number in 0..5 {
            // A spot of one component changes.
            let index = random.below(format.layout().components().len());
            let component = format.layout().components()[index];
            let (x, y) = (
                random.below(component.width(size.width)),
                random.below(component.height(size.height)),
            );
            let width = component.width(size.width);
            picture.codes[index][y * width + x] = random.below(1 << component.depth) as f64;
            let codes = picture.codes.clone();
            picture = Picture::new(format, size, |index, x, y| {
                codes[index][y * format.layout().components()[index].width(size.width) + x]
            });
            let large = size.scaled(4);
            let mut one = draw(&mut fresh, &mut picture, to, number);
            let mut other = draw(&mut keeping, &mut picture, to, number);
            let (one, other) = (
                one.frame(to, large).unwrap(),
                other.frame(to, large).unwrap(),
            );
            let (one, other): (Frame<'_>, Frame<'_>) = (one.as_frame(), other.as_frame());
            for plane in 0..to.layout().planes {
                for y in 0..to.layout().rows(plane, large.height) {
                    assert!(
                        one.plane_row(plane, y) == other.plane_row(plane, y),
                        "{format:?} {number}: {plane} {y}"
                    );
                }
            }
        }
        assert!(keeping.stats().tiles_reused > 0);
    }
}
