//! In the steady state nothing of a frame's size is allocated: counted by an allocator of its own, with the shipped models.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use srfusion::{
    BBox, Canceller, Config, Detection, Frame, FrameInfo, FrameMut, NO_MODEL, Parameters, Provider,
    Reuse, Size, Upscaler,
};

mod support;
use support::{models, runtime};

/// Allocations of at least so many bytes are counted: one colour of the input frame below, a 48th of the output frame.
const LARGE: usize = 240 * 176;

struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);

fn note(size: usize) {
    if size >= LARGE {
        COUNT.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: hands every call on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn nothing_of_frame_size_per_frame() {
    if !runtime() {
        return;
    }
    let size = Size::new(240, 176);
    let out = size.scaled(4);
    let mut output = vec![0u8; 3 * out.area()];
    let mut data: Vec<u8> = (0..3 * size.area()).map(|i| (i * 7 % 251) as u8).collect();
    for reuse in Reuse::ALL {
        let config = Config {
            detector_model: NO_MODEL.to_owned(),
            models_dir: Some(models()),
            provider: Provider::Cpu,
            ..Config::default()
        };
        let mut upscaler = Upscaler::open(&config, &Canceller::new(), &mut |_| ()).unwrap();
        upscaler
            .set_parameters(Parameters {
                reuse,
                ..Parameters::default()
            })
            .unwrap();
        let mut counted = 0;
        for frame in 0..30u64 {
            // Everything changes in some frames, a part in others; the face stands still, moves and stands again.
            let part = if frame % 3 == 0 {
                data.len()
            } else {
                3 * 40 * 240
            };
            data[..part]
                .iter_mut()
                .for_each(|v| *v = v.wrapping_add(37));
            let x = 60.0 + (frame % 10) as f32 * 3.0;
            let faces = [Detection {
                bbox: BBox {
                    x0: x,
                    y0: 50.0,
                    x1: x + 50.0,
                    y1: 110.0,
                },
                score: 0.9,
                points: None,
                mask: None,
            }];
            let info = FrameInfo {
                pts: Some(Duration::from_millis(40 * frame)),
                faces: Some(&faces),
                ..FrameInfo::default()
            };
            let before = COUNT.load(Ordering::Relaxed);
            upscaler
                .process(
                    Frame::new(&data, size, size.width * 3).unwrap(),
                    &info,
                    &mut FrameMut::new(&mut output, out, out.width * 3).unwrap(),
                )
                .unwrap();
            // The first frames fill what is used again and again.
            if frame >= 15 {
                counted += COUNT.load(Ordering::Relaxed) - before;
            }
        }
        println!("{reuse:?}: {counted} allocations of {LARGE} bytes or more in 15 frames");
        assert_eq!(counted, 0, "{reuse:?}");
    }
}
