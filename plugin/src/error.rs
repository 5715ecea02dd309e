//! From the engine's errors to the error messages on a pipeline's bus. Decides the domain and code, never the words.

use srfusion::Error;

/// Makes the message for the bus: the engine's own sentence as the message, the error's structure as the debug text.
pub fn to_error_message(error: &Error) -> gst::ErrorMessage {
    let text = error.to_string();
    let debug = format!("{error:?}");
    match error {
        Error::NotFound { .. } => {
            gst::error_msg!(gst::ResourceError::NotFound, ("{text}"), ["{debug}"])
        }
        Error::Corrupt { .. } => gst::error_msg!(gst::ResourceError::Read, ("{text}"), ["{debug}"]),
        Error::Setting { .. } => {
            gst::error_msg!(gst::ResourceError::Settings, ("{text}"), ["{debug}"])
        }
        Error::Contract { .. } => {
            gst::error_msg!(gst::LibraryError::Settings, ("{text}"), ["{debug}"])
        }
        Error::Runtime(_) | Error::Provider { .. } => {
            gst::error_msg!(gst::LibraryError::Init, ("{text}"), ["{debug}"])
        }
        Error::Thread { .. } | Error::Memory { .. } => {
            gst::error_msg!(gst::ResourceError::NoSpaceLeft, ("{text}"), ["{debug}"])
        }
        Error::Shape { .. } => gst::error_msg!(gst::StreamError::Format, ("{text}"), ["{debug}"]),
        // The engine may grow kinds of error; what is not known here failed in the library.
        _ => gst::error_msg!(gst::LibraryError::Failed, ("{text}"), ["{debug}"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gst::prelude::*;

    type IsRight = fn(&gst::glib::Error) -> bool;

    fn posted(error: &Error) -> gst::glib::Error {
        gst::init().unwrap();
        let bin = gst::Bin::new();
        let bus = gst::Bus::new();
        bin.set_bus(Some(&bus));
        bin.post_error_message(to_error_message(error));
        let message = bus.pop().unwrap();
        bin.set_bus(None);
        match message.view() {
            gst::MessageView::Error(error) => error.error(),
            _ => panic!("not an error message"),
        }
    }

    #[test]
    fn every_kind_keeps_its_sentence_and_has_its_domain() {
        let text = || "anything".to_owned();
        let other = Error::Cancelled;
        // Spelt again, so that a kind that moves to another domain shows.
        let cases: [(Error, IsRight); 12] = [
            (
                Error::NotFound {
                    what: "general model".into(),
                    path: "x.onnx".into(),
                    reason: "no such file".into(),
                },
                |error| error.matches(gst::ResourceError::NotFound),
            ),
            (
                Error::Corrupt {
                    path: "x.onnx".into(),
                    expected: "aa".into(),
                    found: "bb".into(),
                },
                |error| error.matches(gst::ResourceError::Read),
            ),
            (
                Error::Setting {
                    name: "smoothing".into(),
                    expected: text(),
                    found: text(),
                },
                |error| error.matches(gst::ResourceError::Settings),
            ),
            (
                Error::Contract {
                    model: "x".into(),
                    expected: "float32".into(),
                    found: "float64".into(),
                },
                |error| error.matches(gst::LibraryError::Settings),
            ),
            (Error::Internal("it panicked".into()), |error| {
                error.matches(gst::LibraryError::Failed)
            }),
            (
                Error::Thread {
                    what: "drawing frames".into(),
                    reason: text(),
                },
                |error| error.matches(gst::ResourceError::NoSpaceLeft),
            ),
            (
                Error::Memory {
                    what: "a frame that is kept".into(),
                    bytes: 1,
                },
                |error| error.matches(gst::ResourceError::NoSpaceLeft),
            ),
            (Error::Runtime("no library".into()), |error| {
                error.matches(gst::LibraryError::Init)
            }),
            (
                Error::Provider {
                    model: "x".into(),
                    requested: "cuda".into(),
                    reasons: text(),
                },
                |error| error.matches(gst::LibraryError::Init),
            ),
            (
                Error::Shape {
                    what: "output frame".into(),
                    expected: text(),
                    found: text(),
                },
                |error| error.matches(gst::StreamError::Format),
            ),
            (
                Error::Inference {
                    model: "x".into(),
                    message: "not finite".into(),
                },
                |error| error.matches(gst::LibraryError::Failed),
            ),
            (other, |error| error.matches(gst::LibraryError::Failed)),
        ];
        for (case, is_right) in &cases {
            let error = posted(case);
            assert_eq!(error.message(), case.to_string());
            assert!(
                is_right(&error),
                "{case:?} is posted as {:?}",
                error.domain()
            );
        }
    }
}
