//! The questions of a session: every picture once with its treatments in shuffled order, and trapping questions in between. Pure.

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use super::sets::{LOW, Set, TRUE};

/// A question: the treatments of a picture, each to be given a mark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Name of the data set.
    pub set: String,
    /// Name of the picture.
    pub picture: String,
    /// What is shown in each place: treatments, and in a trapping question `LR` and `HR` too.
    pub slots: Vec<String>,
    /// Whether it is a trapping question.
    pub trap: bool,
}

/// Traps of a session where nobody said how many: one for every eight pictures.
pub fn usual_traps(sets: &[Set]) -> usize {
    sets.iter()
        .map(|set| set.pictures.len())
        .sum::<usize>()
        .div_ceil(8)
}

/// The questions of the session of this seed: pictures in shuffled order, `traps` trapping questions spread among them.
pub fn questions(sets: &[Set], traps: usize, seed: u64) -> Vec<Question> {
    let mut rng = Rng::with_seed(seed);
    let mut questions: Vec<_> = sets
        .iter()
        .flat_map(|set| set.pictures.iter().map(move |picture| (set, picture)))
        .map(|(set, picture)| Question {
            set: set.name.clone(),
            picture: picture.name.clone(),
            slots: set.treatments.clone(),
            trap: false,
        })
        .collect();
    let mut candidates = questions.clone();
    rng.shuffle(&mut candidates);
    let traps: Vec<_> = candidates
        .into_iter()
        .cycle()
        .take(if questions.is_empty() { 0 } else { traps })
        .map(|mut question| {
            rng.shuffle(&mut question.slots);
            // As many pictures as in any other question, so that nothing tells it apart.
            question
                .slots
                .truncate(question.slots.len().saturating_sub(2));
            question.slots.extend([LOW.to_owned(), TRUE.to_owned()]);
            question.trap = true;
            question
        })
        .collect();
    rng.shuffle(&mut questions);
    let (count, parts) = (questions.len(), traps.len());
    for (index, trap) in traps.into_iter().enumerate().rev() {
        // Somewhere in a part of the session that is this trap's own.
        let (first, end) = (count * index / parts, count * (index + 1) / parts);
        let mut at = rng.usize(first..=end);
        // Never beside the same picture, where there is another place.
        let same = |question: Option<&Question>| {
            question.is_some_and(|q| (&q.set, &q.picture) == (&trap.set, &trap.picture))
        };
        let near = |at: usize| same(questions.get(at)) || (at > 0 && same(questions.get(at - 1)));
        if near(at) {
            at = (first..=end).find(|at| !near(*at)).unwrap_or(at);
        }
        questions.insert(at, trap);
    }
    for question in &mut questions {
        rng.shuffle(&mut question.slots);
    }
    questions
}

/// Whether marks can be taken: one from 1 to 5 for each place, and not all the same where there is more than one.
///
/// # Errors
/// The rater's words for what is missing.
pub fn check(marks: &[u8], places: usize) -> Result<(), &'static str> {
    if marks.len() != places || !marks.iter().all(|mark| (1..=5).contains(mark)) {
        return Err("Give every picture a mark from 1 to 5.");
    }
    if places > 1 && marks.iter().all(|mark| *mark == marks[0]) {
        return Err(
            "All pictures have the same mark. Look for differences: at least one must have another.",
        );
    }
    Ok(())
}

/// Whether the marks of a trapping question show that the rater looked: HR has 4 or more, LR has 2 or less.
pub fn passes(slots: &[(String, u8)]) -> bool {
    let of = |name: &str| {
        slots
            .iter()
            .find(|(slot, _)| slot == name)
            .map(|(_, mark)| *mark)
    };
    of(TRUE).is_none_or(|mark| mark >= 4) && of(LOW).is_none_or(|mark| mark <= 2)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::sets::Item;
    use super::*;
    use std::collections::{BTreeMap, HashSet};

    fn sets(pictures: usize, treatments: &[&str]) -> Vec<Set> {
        let item = |name: String| Item {
            name,
            files: BTreeMap::new(),
        };
        ["photographs", "faces"]
            .map(|name| Set {
                name: name.into(),
                treatments: treatments.iter().map(|name| (*name).into()).collect(),
                pictures: (0..pictures).map(|i| item(format!("p{i}"))).collect(),
            })
            .to_vec()
    }

    #[test]
    fn everything_is_asked_once_and_shuffled() {
        let sets = sets(10, &["a", "b", "c", "d"]);
        let mut firsts = HashSet::new();
        for seed in 0..50 {
            let questions = questions(&sets, 3, seed);
            assert_eq!(questions.len(), 23);
            let asked: HashSet<_> = questions
                .iter()
                .filter(|q| !q.trap)
                .map(|q| (&q.set, &q.picture))
                .collect();
            assert_eq!(asked.len(), 20);
            for question in &questions {
                let mut slots = question.slots.clone();
                slots.sort();
                assert_eq!(slots.len(), 4);
                match question.trap {
                    false => assert_eq!(slots, ["a", "b", "c", "d"]),
                    true => assert!(slots.contains(&LOW.into()) && slots.contains(&TRUE.into())),
                }
            }
            for pair in questions.windows(2) {
                assert_ne!(
                    (&pair[0].set, &pair[0].picture),
                    (&pair[1].set, &pair[1].picture)
                );
            }
            firsts.insert((questions[0].picture.clone(), questions[0].slots.clone()));
            assert_eq!(questions, super::questions(&sets, 3, seed));
        }
        assert!(firsts.len() > 30, "{}", firsts.len());
    }

    #[test]
    fn traps_are_spread() {
        let sets = sets(20, &["a", "b"]);
        for seed in 0..20 {
            let places: Vec<_> = questions(&sets, 4, seed)
                .iter()
                .enumerate()
                .filter(|(_, q)| q.trap)
                .map(|(at, _)| at)
                .collect();
            for (index, at) in places.iter().enumerate() {
                assert!(
                    (10 * index..=10 * (index + 1) + index).contains(at),
                    "{places:?}"
                );
            }
        }
        assert_eq!(usual_traps(&sets), 5);
        // A single treatment: LR and HR stand for themselves.
        let one = questions(&self::sets(1, &["a"]), 1, 7);
        assert_eq!(one.iter().find(|q| q.trap).map(|q| q.slots.len()), Some(2));
        assert!(questions(&[], 3, 1).is_empty());
    }

    #[test]
    fn marks_are_checked() {
        assert!(check(&[1, 5, 3], 3).is_ok());
        assert!(check(&[4], 1).is_ok());
        assert!(
            check(&[1, 5], 3).is_err() && check(&[1, 6], 2).is_err() && check(&[0, 2], 2).is_err()
        );
        assert!(check(&[3, 3, 3], 3).unwrap_err().contains("same mark"));
        let slots =
            |low: u8, high: u8| [(LOW.to_owned(), low), ("a".into(), 3), (TRUE.into(), high)];
        assert!(passes(&slots(1, 5)) && passes(&slots(2, 4)));
        assert!(!passes(&slots(3, 5)) && !passes(&slots(1, 3)));
    }
}
