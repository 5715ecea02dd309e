//! Which frames a report shows: those in which most can go wrong. Pure.

use super::record::FrameRow;

/// A frame to show and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Number of the frame.
    pub index: usize,
    /// Why it is shown.
    pub why: &'static str,
}

/// At most `count` frames of `rows` in order of time, apart from one another by a fortieth of the clip where there is room: the largest faces,
/// the strongest change and flicker, the first frames after cuts; what is left is spread evenly.
pub fn choose(rows: &[FrameRow], count: usize) -> Vec<Choice> {
    let apart = rows.len() / 40;
    let mut chosen: Vec<Choice> = Vec::new();
    let best = |chosen: &[Choice], value: &dyn Fn(&FrameRow) -> Option<f64>| {
        let free = |index: usize| {
            let near = |choice: &Choice| choice.index.abs_diff(index) <= apart;
            !chosen.iter().any(near)
        };
        rows.iter()
            .filter(|row| free(row.index))
            .filter_map(|row| Some((row.index, value(row)?)))
            .fold(
                None,
                |best: Option<(usize, f64)>, (index, value)| match best {
                    Some((_, most)) if most >= value => best,
                    _ => Some((index, value)),
                },
            )
            .map(|(index, _)| index)
    };
    // A face that only fades in, or is held without being found, says little.
    let face = |row: &FrameRow| {
        let found = row.faces.iter().filter(|face| !face.held);
        let heights = found.map(|face| f64::from(face.weight * (face.bbox[3] - face.bbox[1])));
        heights.reduce(f64::max)
    };
    let faces = |row: &FrameRow| (row.faces.len() > 1).then_some(row.faces.len() as f64);
    let change = |row: &FrameRow| if row.cut { None } else { row.numbers.change };
    let cut = |row: &FrameRow| row.cut.then_some(row.numbers.change.unwrap_or_default());
    let flicker = |row: &FrameRow| row.numbers.warping;
    type Measure<'a> = (&'static str, &'a dyn Fn(&FrameRow) -> Option<f64>);
    let order: [Measure<'_>; 8] = [
        ("largest face", &face),
        ("strongest change", &change),
        ("after a cut", &cut),
        ("most flicker", &flicker),
        ("most faces", &faces),
        ("largest face", &face),
        ("after a cut", &cut),
        ("strongest change", &change),
    ];
    for (why, value) in order {
        if chosen.len() < count
            && let Some(index) = best(&chosen, value)
        {
            chosen.push(Choice { index, why });
        }
    }
    // The frame that is farthest from all that are shown, until there are enough.
    while chosen.len() < count.min(rows.len()) {
        let distance = |row: &FrameRow| {
            let nearest = chosen
                .iter()
                .map(|choice| choice.index.abs_diff(row.index))
                .min();
            // The first to be taken is in the middle.
            let middle = rows.len() - (rows.len() / 2).abs_diff(row.index);
            Some(nearest.unwrap_or(middle) as f64).filter(|distance| *distance > 0.0)
        };
        let farthest = rows
            .iter()
            .filter_map(|row| Some((row.index, distance(row)?)))
            .fold(None, |best: Option<(usize, f64)>, next| match best {
                Some((_, most)) if most >= next.1 => best,
                _ => Some(next),
            });
        let Some((index, _)) = farthest else { break };
        chosen.push(Choice {
            index,
            why: "spread over the clip",
        });
    }
    chosen.sort_by_key(|choice| choice.index);
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::record::FaceRow;

    fn rows(count: usize) -> Vec<FrameRow> {
        (0..count)
            .map(|index| FrameRow {
                index,
                ..FrameRow::default()
            })
            .collect()
    }

    fn face(height: f32) -> FaceRow {
        FaceRow {
            bbox: [0.0, 0.0, 10.0, height],
            weight: 1.0,
            ..FaceRow::default()
        }
    }

    #[test]
    fn what_can_go_wrong_is_shown() {
        let mut rows = rows(200);
        rows[20].faces = vec![face(50.0)];
        rows[22].faces = vec![face(49.0)];
        rows[90].faces = vec![face(20.0), face(10.0)];
        rows[60].cut = true;
        rows[60].numbers.change = Some(80.0);
        rows[150].numbers.change = Some(9.0);
        rows[170].numbers.warping = Some(3.0);
        let chosen = choose(&rows, 6);
        let expected = [
            (20, "largest face"),
            (60, "after a cut"),
            (90, "most faces"),
            (150, "strongest change"),
            (170, "most flicker"),
        ];
        for (index, why) in expected {
            assert!(
                chosen.contains(&Choice { index, why }),
                "{index}: {chosen:?}"
            );
        }
        assert_eq!(chosen.len(), 6);
        assert!(chosen.is_sorted_by_key(|choice| choice.index));
        // A neighbour within a fortieth is as good as the same frame.
        assert!(!chosen.iter().any(|choice| choice.index == 22));
    }

    #[test]
    fn short_and_empty_clips() {
        assert!(choose(&[], 6).is_empty());
        assert_eq!(choose(&rows(1), 6).len(), 1);
        let three: Vec<_> = choose(&rows(3), 6).iter().map(|c| c.index).collect();
        assert_eq!(three, [0, 1, 2]);
        let spread: Vec<_> = choose(&rows(101), 3).iter().map(|c| c.index).collect();
        assert_eq!(spread, [0, 50, 100]);
    }
}
