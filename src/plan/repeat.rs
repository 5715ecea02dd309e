//! Whether a frame shows what the one before it showed, sample by sample: then it need not be drawn, nor even copied. Pure.

use super::planner::Plan;
use crate::keep::regions::Part;
use crate::mask::Mask;
use crate::settings::View;

/// What the last planned frame showed of what is kept.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    view: View,
    mask: Mask,
    parts: Vec<Part>,
    /// Whether it was on the way from what was kept to what is.
    blended: bool,
}

impl Shown {
    /// Notes `plan`, the next frame's, and marks it if it repeats the one before: everything is kept, nothing is run, and the same is fused
    /// in under the same mask. Views that show the input itself are never repeats, as its noise is not kept.
    pub fn note(&mut self, plan: &mut Plan) {
        let holds = plan.epoch.is_some_and(|epoch| !epoch.begins)
            && plan.general.is_empty()
            && plan.fast.is_empty()
            && plan.experts.iter().all(Vec::is_empty)
            && plan.interpolated.count() == 0
            && !plan.area.is_empty();
        let same_parts = self.parts.len() == plan.parts.len()
            && self.parts.iter().zip(&plan.parts).all(|(before, now)| {
                !now.fresh
                    && (before.kind, before.support, before.place, before.rect)
                        == (now.kind, now.support, now.place, now.rect)
            });
        plan.repeats = holds
            && same_parts
            && matches!(plan.view, View::Fused | View::General)
            && !self.blended
            && self.view == plan.view
            && self.mask == plan.mask;
        self.blended = plan.raised.count() > 0;
        if !plan.repeats {
            self.view = plan.view;
            self.mask.clone_from(&plan.mask);
            self.parts.clone_from(&plan.parts);
        }
    }
}
