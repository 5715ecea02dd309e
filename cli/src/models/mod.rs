//! `srfusion models`: the catalogue as a table, a look into an ONNX file, the check of the files' sums, and public models fetched.

mod get;

use std::path::Path;

use serde_json::json;
use srfusion::Canceller;
use srfusion::models::{self, Catalogue, Entry, Role};
use srfusion::open::{prebuild, probe};
use srfusion::runtime::{Build, cache};

use crate::arguments::{
    CatalogueOptions, ModelsCommand, ModelsOptions, PrebuildOptions, ProbeOptions, config_here,
};
use crate::failure::{Failure, Result};

/// Runs the command.
///
/// # Errors
/// What cannot be read; [`Failure::Refused`] if a file does not match or a model cannot be used.
pub fn run(options: &ModelsOptions) -> Result<()> {
    match &options.command {
        ModelsCommand::List(options) => list(options),
        ModelsCommand::Probe(options) => probe(options),
        ModelsCommand::Verify(options) => verify(options),
        ModelsCommand::Prebuild(options) => prebuild(options),
        ModelsCommand::Get(options) => get::get(options),
        ModelsCommand::Convert(options) => get::convert(options),
    }
}

/// The catalogue that `explicit` or this machine's set-up names.
pub fn catalogue(explicit: Option<&Path>) -> srfusion::Result<Catalogue> {
    Catalogue::load(&models::find_models_dir(
        explicit,
        config_here().near.as_deref(),
    )?)
}

/// The catalogue of what was added to the user's folder, if that is another and there is anything.
fn added(own: &Catalogue) -> Result<Option<Catalogue>> {
    let dir = models::added_dir().filter(|dir| dir != own.dir());
    let dir = dir.filter(|dir| dir.join(models::CATALOGUE_FILE).is_file());
    Ok(dir.map(|dir| Catalogue::load(&dir)).transpose()?)
}

/// Size of a model's file in bytes, if it is there.
fn size(catalogue: &Catalogue, entry: &Entry) -> Option<u64> {
    Some(
        std::fs::metadata(catalogue.dir().join(&entry.file))
            .ok()?
            .len(),
    )
}

fn role(entry: &Entry) -> String {
    match entry.role {
        Role::Generator => format!("{} generator", entry.subject.name()),
        Role::Detector => {
            let kind = match entry.subject.is_faces() {
                true => String::new(),
                false => format!("{} ", entry.subject.name()),
            };
            format!(
                "{kind}detector{}",
                entry
                    .family
                    .map(|family| format!(" ({})", family.name()))
                    .unwrap_or_default()
            )
        }
    }
}

/// Prints `value` on one line of standard output.
fn print(value: &serde_json::Value) {
    println!("{value}");
}

fn list(options: &CatalogueOptions) -> Result<()> {
    let catalogue = catalogue(options.models_dir.as_deref())?;
    let added = added(&catalogue)?;
    if options.json {
        let entries = |catalogue: &Catalogue| -> Vec<_> {
            let entries = catalogue.entries().iter();
            entries
                .map(|entry| {
                    let mut value = serde_json::to_value(entry).unwrap_or_default();
                    value["size"] = json!(size(catalogue, entry));
                    value
                })
                .collect()
        };
        let mut said = json!({ "models_dir": catalogue.dir(), "models": entries(&catalogue) });
        if let Some(added) = &added {
            said["added_dir"] = json!(added.dir());
            said["added"] = json!(entries(added));
        }
        print(&said);
        return Ok(());
    }
    list_table(&catalogue);
    if let Some(added) = &added {
        println!();
        list_table(added);
    }
    Ok(())
}

/// Prints a folder and its models.
fn list_table(catalogue: &Catalogue) {
    println!("{}", catalogue.dir().display());
    let header = ["NAME", "ROLE", "FILE", "SIZE", "PARAMETERS", "LICENCE"].map(str::to_owned);
    let rows = catalogue.entries().iter().map(|entry| {
        [
            entry.name.clone(),
            role(entry),
            entry.file.clone(),
            size(catalogue, entry).map_or_else(
                || "missing".to_owned(),
                |size| format!("{} KiB", size.div_ceil(1024)),
            ),
            entry
                .parameters
                .map_or_else(|| "unknown".to_owned(), |number| number.to_string()),
            entry.licence.clone(),
        ]
    });
    table(std::iter::once(header).chain(rows).collect());
}

/// Prints rows with their columns below one another.
fn table<const N: usize>(rows: Vec<[String; N]>) {
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: [usize; N] = std::array::from_fn(width);
    for row in &rows {
        let cells: Vec<_> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        println!("{}", cells.join("  ").trim_end());
    }
}

fn verify(options: &CatalogueOptions) -> Result<()> {
    let catalogue = catalogue(options.models_dir.as_deref())?;
    let results: Vec<_> = catalogue
        .entries()
        .iter()
        .map(|entry| {
            (
                entry,
                models::verify(catalogue.dir(), entry)
                    .and_then(|()| models::verify_int8(catalogue.dir(), entry))
                    .map_err(|error| error.to_string()),
            )
        })
        .collect();
    if options.json {
        let models: Vec<_> = results
            .iter()
            .map(|(entry, result)| json!({ "name": entry.name, "ok": result.is_ok(), "error": result.as_ref().err() }))
            .collect();
        print(&json!({ "models_dir": catalogue.dir(), "models": models }));
    } else {
        println!("{}", catalogue.dir().display());
        for (entry, result) in &results {
            match result {
                Ok(()) => println!("{}: ok", entry.name),
                Err(error) => println!("{}: {error}", entry.name),
            }
        }
    }
    if results.is_empty() {
        return Err(Failure::Failed(format!(
            "{}: the catalogue has no model",
            catalogue.dir().display()
        )));
    }
    if results.iter().any(|(_, result)| result.is_err()) {
        return Err(Failure::Refused);
    }
    Ok(())
}

fn probe(options: &ProbeOptions) -> Result<()> {
    let mut config = config_here();
    options.runtime.apply(&mut config);
    let probe = probe::probe(&options.file, &config)?;
    if options.json {
        print(&serde_json::to_value(&probe).map_err(|error| Failure::Failed(error.to_string()))?);
    } else {
        print!("{probe}");
    }
    if probe.unusable.is_some() || probe.role.is_none() {
        Err(Failure::Refused)
    } else {
        Ok(())
    }
}

/// The configured models, compiled where their provider compiles.
fn prebuild(options: &PrebuildOptions) -> Result<()> {
    let mut config = config_here();
    options.models.apply(&mut config);
    options.runtime.apply(&mut config);
    // On standard error: it may take minutes, and standard output is for the result.
    let mut progress = |role: &'static str, name: &str| eprintln!("{role} {name} ...");
    let done = prebuild::prebuild(&config, &options.sizes, &Canceller::new(), &mut progress)?;
    let folder = cache::dir(&config);
    if options.json {
        let models: Vec<_> = done
            .iter()
            .map(|model| {
                let refused: Vec<_> = model
                    .refused
                    .iter()
                    .map(|(provider, reason)| json!({ "provider": provider.name(), "reason": reason }))
                    .collect();
                json!({
                    "role": model.role,
                    "name": model.name,
                    "provider": model.provider.name(),
                    "transfer": model.transfer.to_string(),
                    "build": match model.build {
                        Build::Nothing => "nothing",
                        Build::Kept => "kept",
                        Build::Compiled => "compiled",
                    },
                    "seconds": model.time.as_secs_f64(),
                    "refused": refused,
                })
            })
            .collect();
        print(&json!({ "cache_dir": folder, "models": models }));
        return Ok(());
    }
    for model in &done {
        let what = match model.build {
            Build::Nothing => "nothing to build".to_owned(),
            Build::Kept => "was built before".to_owned(),
            Build::Compiled => format!("built in {:.1} s", model.time.as_secs_f64()),
        };
        println!(
            "{} {} on {} ({}): {what}",
            model.role, model.name, model.provider, model.transfer
        );
        for (provider, reason) in &model.refused {
            println!("    not {provider}: {reason}");
        }
    }
    if let Some(folder) = folder {
        println!("cache folder: {}", folder.display());
    }
    Ok(())
}
