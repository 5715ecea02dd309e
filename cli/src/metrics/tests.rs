//! The measures against known numbers and the Python evaluation.

#![allow(clippy::unwrap_used)]

use super::*;
use srfusion::Size;

/// Noise over waves, and numbers for it from the Python evaluation.
fn picture(size: Size, seed: u32) -> Picture {
    let mut state = seed;
    let mut samples = Vec::new();
    for y in 0..size.height as u32 {
        for x in 0..size.width as u32 {
            for c in 0..3 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let wave = (x * x / 7 + y * 5 + c * 60) % 200;
                samples.push((wave + (state >> 24) % 50) as u8);
            }
        }
    }
    Picture { size, samples }
}

fn sum(picture: &Picture) -> u64 {
    let weighted = picture.samples.iter().enumerate();
    weighted
        .map(|(i, v)| (i as u64 % 251 + 1) * u64::from(*v))
        .sum()
}

#[test]
fn equal_pictures_and_known_errors() {
    let picture = picture(Size::new(40, 30), 1);
    let frame = picture.frame().unwrap();
    let same = score(&frame, &frame, BORDER).unwrap();
    assert_eq!((same.psnr, same.ssim), (f64::INFINITY, 1.0));
    let mut none = Difference::default();
    none.add(&frame, &frame).unwrap();
    assert_eq!((none.psnr(), none.largest()), (f64::INFINITY, 0));

    let other = Picture {
        samples: picture.samples.iter().map(|v| v + 3).collect(),
        ..picture.clone()
    };
    let other = other.frame().unwrap();
    // Three levels of 255 everywhere are 3 * 219 / 255 of luma.
    let error: f64 = 3.0 * 219.0 / 255.0;
    let score = score(&other, &frame, BORDER).unwrap();
    assert!((score.psnr - 20.0 * (255.0 / error).log10()).abs() < 1e-9);
    let mut three = Difference::default();
    three.add(&other, &frame).unwrap();
    assert!((three.psnr() - 20.0 * 85f64.log10()).abs() < 1e-9);
    // As many samples again without a difference halve the mean square.
    three.add(&frame, &frame).unwrap();
    assert!((three.psnr() - 10.0 * (85.0f64.powi(2) * 2.0).log10()).abs() < 1e-9);
    assert_eq!(three.largest(), 3);
}

#[test]
fn sizes_are_checked() {
    let (a, b) = (picture(Size::new(40, 30), 1), picture(Size::new(30, 40), 1));
    let (a, b) = (a.frame().unwrap(), b.frame().unwrap());
    let message = score(&a, &b, 4).unwrap_err().to_string();
    assert!(
        message.contains("32x22") && message.contains("22x32"),
        "{message}"
    );
    assert!(Difference::default().add(&a, &b).is_err());
    assert!(score(&a, &a, 15).unwrap_err().to_string().contains("30"));
    assert!(score(&a, &a, 10).unwrap_err().to_string().contains("11x11"));
    assert!(crop(&a, Size::new(40, 31)).is_err());
    assert_eq!(crop_to_multiple(&a, 4).unwrap().size, Size::new(40, 28));
    assert!(resize(&a, 0.0).is_err() && resize(&a, f64::NAN).is_err());
}

#[test]
fn flat_pictures_stay_flat() {
    for (width, height) in [(4, 4), (17, 23), (1, 9)] {
        let flat = Picture {
            size: Size::new(width, height),
            samples: [200, 3, 255].repeat(width * height),
        };
        for scale in [0.25, 0.3, 1.0, 4.0] {
            let scaled = resize(&flat.frame().unwrap(), scale).unwrap();
            assert!(scaled.samples.chunks_exact(3).all(|p| p == [200, 3, 255]));
        }
    }
}

#[test]
fn same_as_the_python_evaluation() {
    let truth = picture(Size::new(64, 48), 7);
    let small = resize(&truth.frame().unwrap(), 0.25).unwrap();
    let large = resize(&small.frame().unwrap(), 4.0).unwrap();
    let odd = resize(&truth.frame().unwrap(), 0.37).unwrap();
    let score = score(&large.frame().unwrap(), &truth.frame().unwrap(), BORDER).unwrap();
    // From evaluate_generator.score and resize.resize_u8 of models/training for the same picture.
    assert_eq!(sum(&truth), 142_614_369);
    assert_eq!(sum(&small), 8_174_036);
    assert_eq!(sum(&large), 142_511_979);
    assert_eq!((odd.size, sum(&odd)), (Size::new(24, 18), 19_733_690));
    assert!((score.psnr - 22.664_089_236_996_286).abs() < 1e-9);
    assert!((score.ssim - 0.464_251_422_016_986_66).abs() < 1e-9);
}
