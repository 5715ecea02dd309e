//! One picture through the engine alone, without GStreamer.
//!
//!     cargo run -p srfusion-examples --bin picture -- INPUT.png OUTPUT.png
//!
//! Models are looked for as always (`SRFUSION_MODELS`, or a folder `models` above this program), and so is ONNX Runtime
//! (`ORT_DYLIB_PATH`, or what `scripts/setup` installed).

use std::error::Error;
use std::time::Duration;

use srfusion::{Canceller, Config, Frame, FrameInfo, FrameMut, Parameters, SCALE, Size, Upscaler};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output] = arguments.as_slice() else {
        return Err("usage: picture INPUT OUTPUT".into());
    };

    let picture = image::open(input)?.to_rgb8();
    let size = Size::new(picture.width() as usize, picture.height() as usize);
    let large = size.scaled(SCALE);

    let config = Config {
        near: std::env::current_exe().ok(),
        ..Config::default()
    };
    let mut upscaler = Upscaler::open(&config, &Canceller::new(), &mut |step| {
        eprintln!(
            "opening {} {} ({} of {})",
            step.role,
            step.model,
            step.index + 1,
            step.count
        );
    })?;
    // Faces fade in over time, and a picture has none.
    upscaler.set_parameters(Parameters {
        fade_time: Duration::ZERO,
        ..Parameters::default()
    })?;

    let mut data = vec![0; large.area() * 3];
    upscaler.process(
        Frame::new(picture.as_raw(), size, size.width * 3)?,
        &FrameInfo::default(),
        &mut FrameMut::new(&mut data, large, large.width * 3)?,
    )?;
    for face in upscaler.faces() {
        let b = face.bbox;
        println!(
            "face {:.2} at {:.0},{:.0} to {:.0},{:.0}",
            face.score, b.x0, b.y0, b.x1, b.y1
        );
    }
    let (width, height) = (u32::try_from(large.width)?, u32::try_from(large.height)?);
    image::RgbImage::from_raw(width, height, data)
        .ok_or("a buffer of the wrong size")?
        .save(output)?;
    println!("{output}: {large}");
    Ok(())
}
