//! What the marks of a study say: mean, deviation and confidence interval of each treatment. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::plan;
use super::store::Rater;

/// Probability with which an interval holds the mean.
const CONFIDENCE: f64 = 0.95;

/// The marks of one treatment in one data set, or in all of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// Data set; `None` for all together.
    pub data_set: Option<String>,
    /// Treatment.
    pub treatment: String,
    /// Number of marks.
    pub marks: usize,
    /// Raters who gave them.
    pub raters: usize,
    /// Mean of the marks, 1 to 5.
    pub mean: f64,
    /// Standard deviation of the marks, over their number less one; null for a single mark.
    pub deviation: Option<f64>,
    /// Half the width of the 95 % confidence interval of the mean, by Student's distribution over the raters' own means (marks of one rater
    /// are not independent); null for a single rater.
    pub interval: Option<f64>,
}

/// Whose marks do not count, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// The session's number.
    pub session: i64,
    /// What the rater typed as a name.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// Who counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Trapping questions that may be wrong.
    pub allowed_failures: u32,
    /// Whether unfinished sessions count.
    pub unfinished: bool,
}

/// Trapping questions that a rater got wrong.
fn failures(rater: &Rater) -> usize {
    let traps = rater.given.iter().filter(|given| given.question.trap);
    traps.filter(|given| !plan::passes(&given.marks)).count()
}

/// Parts raters into those who count and those who do not.
pub fn part(raters: Vec<Rater>, rule: Rule) -> (Vec<Rater>, Vec<LeftOut>) {
    let mut left_out = Vec::new();
    let counted = raters.into_iter().filter(|rater| {
        let wrong = failures(rater);
        let reason = if rater.given.is_empty() {
            "no question answered".to_owned()
        } else if !rater.finished && !rule.unfinished {
            "not finished".to_owned()
        } else if wrong > rule.allowed_failures as usize {
            format!("{wrong} trapping questions wrong")
        } else {
            return true;
        };
        left_out.push(LeftOut {
            session: rater.session,
            name: rater.name.clone(),
            reason,
        });
        false
    });
    let counted = counted.collect();
    (counted, left_out)
}

/// A data set, or all of them, and a treatment.
type Key<'a> = (Option<&'a str>, &'a str);

/// A line for each data set and treatment, and with more than one data set for each treatment in all; best first within each data set. Trapping
/// questions are left out.
pub fn lines(raters: &[Rater]) -> Vec<Line> {
    let mut marks: BTreeMap<Key<'_>, Vec<(i64, f64)>> = BTreeMap::new();
    let mut sets = BTreeSet::new();
    for rater in raters {
        for given in rater.given.iter().filter(|given| !given.question.trap) {
            let set = given.question.set.as_str();
            sets.insert(set);
            for (treatment, mark) in &given.marks {
                for key in [Some(set), None] {
                    let all = marks.entry((key, treatment)).or_default();
                    all.push((rater.session, f64::from(*mark)));
                }
            }
        }
    }
    let mut lines: Vec<_> = marks
        .into_iter()
        .filter(|((set, _), _)| set.is_some() || sets.len() > 1)
        .map(|((set, treatment), marks)| line(set, treatment, &marks))
        .collect();
    // Data sets by name, all together last.
    lines.sort_by(|a, b| {
        (a.data_set.is_none(), &a.data_set)
            .cmp(&(b.data_set.is_none(), &b.data_set))
            .then(b.mean.total_cmp(&a.mean))
            .then(a.treatment.cmp(&b.treatment))
    });
    lines
}

fn line(set: Option<&str>, treatment: &str, marks: &[(i64, f64)]) -> Line {
    let mut by_rater: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for (rater, mark) in marks {
        by_rater.entry(*rater).or_default().push(*mark);
    }
    let all: Vec<_> = marks.iter().map(|(_, mark)| *mark).collect();
    let means: Vec<_> = by_rater.values().map(|marks| mean(marks)).collect();
    Line {
        data_set: set.map(str::to_owned),
        treatment: treatment.to_owned(),
        marks: all.len(),
        raters: means.len(),
        mean: mean(&all),
        deviation: deviation(&all),
        interval: deviation(&means).and_then(|deviation| {
            let freedom = means.len() as f64 - 1.0;
            let student = StudentsT::new(0.0, 1.0, freedom).ok()?;
            let factor = student.inverse_cdf(0.5 + CONFIDENCE / 2.0);
            Some(factor * deviation / (means.len() as f64).sqrt())
        }),
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn deviation(values: &[f64]) -> Option<f64> {
    let middle = mean(values);
    let squares: f64 = values.iter().map(|value| (value - middle).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (values.len() as f64 - 1.0)).sqrt())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::super::plan::Question;
    use super::super::store::Given;
    use super::*;

    fn given(set: &str, picture: &str, marks: &[(&str, u8)], trap: bool) -> Given {
        Given {
            question: Question {
                set: set.into(),
                picture: picture.into(),
                slots: marks.iter().map(|(slot, _)| (*slot).into()).collect(),
                trap,
            },
            marks: marks
                .iter()
                .map(|(slot, mark)| ((*slot).into(), *mark))
                .collect(),
        }
    }

    fn rater(session: i64, given: Vec<Given>) -> Rater {
        Rater {
            session,
            name: format!("r{session}"),
            finished: true,
            given,
        }
    }

    #[test]
    fn known_numbers() {
        let raters = [
            rater(
                1,
                vec![
                    given("s", "p", &[("a", 2), ("b", 4)], false),
                    given("s", "q", &[("a", 3), ("b", 5)], false),
                ],
            ),
            rater(
                2,
                vec![
                    given("s", "p", &[("a", 1), ("b", 4)], false),
                    given("s", "q", &[("b", 3), ("a", 2)], false),
                ],
            ),
            rater(
                3,
                vec![
                    given("s", "p", &[("a", 3), ("b", 5)], false),
                    given("s", "q", &[("a", 1), ("b", 4)], false),
                ],
            ),
        ];
        let lines = lines(&raters);
        assert_eq!(
            lines
                .iter()
                .map(|l| l.treatment.as_str())
                .collect::<Vec<_>>(),
            ["b", "a"]
        );
        let a = &lines[1];
        assert_eq!((a.marks, a.raters, a.mean), (6, 3, 2.0));
        assert!((a.deviation.unwrap() - 0.8_f64.sqrt()).abs() < 1e-12);
        // Means 2.5, 1.5, 2: deviation 0.5; t for two degrees of freedom and 97.5 % is 4.302652729911275.
        assert!((a.interval.unwrap() - 4.302_652_729_911_275 * 0.5 / 3.0_f64.sqrt()).abs() < 1e-9);
    }

    #[test]
    fn sets_are_kept_apart_and_put_together() {
        let one = rater(
            1,
            vec![
                given("faces", "p", &[("a", 2), ("b", 4)], false),
                given("streets", "p", &[("a", 5), ("b", 1)], false),
                given("streets", "p", &[("a", 1), ("LR", 3), ("HR", 1)], true),
            ],
        );
        let lines = lines(&[one]);
        let shown: Vec<_> = lines
            .iter()
            .map(|l| (l.data_set.as_deref(), l.treatment.as_str(), l.mean))
            .collect();
        assert_eq!(
            shown,
            [
                (Some("faces"), "b", 4.0),
                (Some("faces"), "a", 2.0),
                (Some("streets"), "a", 5.0),
                (Some("streets"), "b", 1.0),
                (None, "a", 3.5),
                (None, "b", 2.5),
            ]
        );
        assert_eq!((lines[0].deviation, lines[0].interval), (None, None));
    }

    #[test]
    fn who_counts() {
        let good = || rater(1, vec![given("s", "p", &[("LR", 1), ("HR", 5)], true)]);
        let careless = || Rater {
            session: 2,
            ..rater(2, vec![given("s", "p", &[("LR", 4), ("HR", 5)], true)])
        };
        let unfinished = || Rater {
            finished: false,
            session: 3,
            ..good()
        };
        let silent = || rater(4, Vec::new());
        let all = || vec![good(), careless(), unfinished(), silent()];
        let who = |rule: Rule| {
            part(all(), rule)
                .0
                .iter()
                .map(|r| r.session)
                .collect::<Vec<_>>()
        };
        let strict = Rule {
            allowed_failures: 0,
            unfinished: false,
        };
        assert_eq!(who(strict), [1]);
        assert_eq!(
            who(Rule {
                allowed_failures: 1,
                ..strict
            }),
            [1, 2]
        );
        assert_eq!(
            who(Rule {
                unfinished: true,
                ..strict
            }),
            [1, 3]
        );
        assert!(part(all(), strict).1[0].reason.contains("1 trapping"));
    }
}
