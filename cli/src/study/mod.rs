//! `srfusion study`: the subjective test of the source (its Table 2) as a program. Raters see a picture at low resolution, which stands for mark
//! 1, the true one, which stands for 5, and the treatments, and give each of these a mark.
//!
//! [`sets`] reads the pictures, [`plan`] makes a session's questions, [`store`] keeps sessions and marks, [`serve`] shows the page, [`statistics`]
//! and [`export`] read the marks.

mod export;
mod plan;
mod serve;
mod sets;
mod statistics;
mod store;

use serde::Serialize;

use crate::arguments::{RaterOptions, ResultsOptions, StudyCommand, StudyOptions};
use crate::failure::{Failure, Result};
use crate::table;

use statistics::{LeftOut, Line, Rule};
use store::{Rater, Store};

/// What `results --json` prints.
#[derive(Debug, Serialize)]
struct Results {
    raters: usize,
    left_out: Vec<LeftOut>,
    treatments: Vec<Line>,
}

/// Raters who count, and those who do not.
fn raters(store: &Store, options: RaterOptions) -> Result<(Vec<Rater>, Vec<LeftOut>)> {
    let rule = Rule {
        allowed_failures: options.allowed_failures,
        unfinished: options.unfinished,
    };
    Ok(statistics::part(store.raters()?, rule))
}

fn results(options: &ResultsOptions) -> Result<()> {
    let store = Store::read(&options.database)?;
    let (raters, left_out) = raters(&store, options.raters)?;
    let results = Results {
        raters: raters.len(),
        left_out,
        treatments: statistics::lines(&raters),
    };
    if options.json {
        return table::print_json(&results);
    }
    let header = [
        "DATA SET",
        "TREATMENT",
        "MEAN",
        "DEVIATION",
        "95 %",
        "MARKS",
    ];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for line in &results.treatments {
        let number = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.3}"));
        rows.push(vec![
            line.data_set.clone().unwrap_or_else(|| "all".into()),
            line.treatment.clone(),
            format!("{:.3}", line.mean),
            number(line.deviation),
            line.interval
                .map_or("-".into(), |half| format!("±{half:.3}")),
            line.marks.to_string(),
        ]);
    }
    table::print(&rows);
    println!("{} raters count", results.raters);
    for rater in &results.left_out {
        let name = if rater.name.is_empty() {
            String::new()
        } else {
            format!(" ({})", rater.name)
        };
        println!(
            "left out: session {}{name}: {}",
            rater.session, rater.reason
        );
    }
    Ok(())
}

/// Runs the command.
///
/// # Errors
/// Pictures that do not belong together, a database that cannot be read or written, an address that cannot be served.
pub fn run(options: &StudyOptions) -> Result<()> {
    match &options.command {
        StudyCommand::Serve(options) => serve::run(options),
        StudyCommand::Results(options) => results(options),
        StudyCommand::Export(options) => {
            let store = Store::read(&options.database)?;
            let (raters, _) = raters(&store, options.raters)?;
            if raters.is_empty() {
                return Err(Failure::Failed(format!(
                    "{}: expected marks of at least one rater who counts, found none (srfusion study results says who is left out and why)",
                    options.database.display()
                )));
            }
            let written = export::write(&store.sets()?, &raters, &options.output)?;
            if options.json {
                return table::print_json(&written);
            }
            println!("{}: {}", options.output.display(), written.text());
            Ok(())
        }
    }
}
