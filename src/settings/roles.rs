//! What the models of a configuration are for, as reports and messages say it.

use std::collections::BTreeSet;

use parking_lot::Mutex;

use super::kinds::FACES;

/// Role of the general generator in reports and messages.
pub const GENERAL: &str = "general model";
/// Role of the generator for what the general one has no time for.
pub const FAST: &str = "fast general model";
/// Role of the face generator in reports and messages.
pub const FACE: &str = "face model";
/// Role of the face detector in reports and messages.
pub const DETECTOR: &str = "detector model";
/// Role of the face embedding network in reports and messages.
pub const IDENTITY: &str = "identity model";

/// Role of the generator of the kind `subject`: [`FACE`] of faces, `text model` of text.
pub fn generator_role(subject: &str) -> &'static str {
    if subject == FACES {
        FACE
    } else {
        known(format!("{subject} model"))
    }
}

/// Role of the detector of the kind `subject`: [`DETECTOR`] of faces, `text detector model` of text.
pub fn detector_role(subject: &str) -> &'static str {
    if subject == FACES {
        DETECTOR
    } else {
        known(format!("{subject} {DETECTOR}"))
    }
}

/// Whether `role` is a detector's, of whatever kind.
pub fn is_detector(role: &str) -> bool {
    role.ends_with(DETECTOR)
}

/// The one copy of `role`, which stays: there are no more roles than kinds that models.toml files name.
fn known(role: String) -> &'static str {
    static ROLES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut roles = ROLES.lock();
    if let Some(known) = roles.get(role.as_str()) {
        return known;
    }
    let role: &'static str = role.leak();
    roles.insert(role);
    role
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_two_roles() {
        assert_eq!(
            (generator_role("face"), detector_role("face")),
            (FACE, DETECTOR)
        );
        assert_eq!(generator_role("text"), "text model");
        assert_eq!(detector_role("text"), "text detector model");
        assert!(std::ptr::eq(generator_role("text"), generator_role("text")));
        assert!(is_detector(DETECTOR) && is_detector(detector_role("text")));
        assert!(
            ![GENERAL, FAST, FACE, IDENTITY, generator_role("text")]
                .map(is_detector)
                .contains(&true)
        );
    }
}
