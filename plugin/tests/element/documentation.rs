//! The table of properties in docs/element.md, made from the table of settings.

use std::path::Path;

use gst::prelude::*;
use srfusion::settings::{Change, Kind, SETTINGS, Setting, Value};

use crate::common::init;

const BEGIN: &str = "<!-- properties: begin -->\n";
const END: &str = "<!-- properties: end -->";

/// With this in the environment the table is written instead of compared.
const UPDATE: &str = "SRFUSION_UPDATE_DOCS";

/// `text` with what is typed set as code: names of files, variables, properties and their values.
fn marked(text: &str) -> String {
    let is_code = |word: &str| {
        word.contains('_')
            || (word.contains('=') && word.len() > 1)
            || word == "models.toml"
            || word == "scripts/setup"
            || SETTINGS
                .iter()
                .any(|setting| setting.name == word && word.contains('-'))
    };
    let words: Vec<_> = text
        .split(' ')
        .map(|word| {
            let bare = word.trim_matches(|c: char| ",;:.()".contains(c));
            if is_code(bare) {
                word.replace(bare, &format!("`{bare}`"))
            } else {
                word.to_owned()
            }
        })
        .collect();
    words.join(" ")
}

fn line(setting: &Setting) -> String {
    let default = match setting.default() {
        Value::Text(_) | Value::Choice(_) => format!("`{}`", setting.default()),
        value => value.text(),
    };
    let range = match setting.kind {
        Kind::Count(0, high) | Kind::Integer(0, high) if high > 65_536 => "0 and more".to_owned(),
        Kind::Nanoseconds(..) => "-1, 0 or a time in ns".to_owned(),
        Kind::Integer(-1, _) => "-1 and more".to_owned(),
        Kind::Count(low, high) | Kind::Integer(low, high) => format!("{low} to {high}"),
        Kind::Number(low, high) if high > 65_536.0 => format!("{low} and more"),
        Kind::Number(low, high) => format!("{low} to {high}"),
        Kind::Time => "time in ns".to_owned(),
        Kind::Switch => "true, false".to_owned(),
        Kind::Choice(choices) => {
            let names: Vec<_> = choices
                .iter()
                .map(|choice| format!("`{}`", choice.name))
                .collect();
            names.join(", ")
        }
        Kind::Model => "name or file".to_owned(),
        Kind::Objects => "kinds, joined by commas".to_owned(),
        Kind::File => "file".to_owned(),
        Kind::Folder => "folder".to_owned(),
    };
    let change = match setting.change {
        Change::Ready => "at the start",
        Change::Playing => "next frame",
    };
    let mut blurb = marked(setting.blurb);
    if let Kind::Choice(choices) = setting.kind {
        let meanings: Vec<_> = choices
            .iter()
            .map(|choice| format!("`{}`: {}", choice.name, choice.blurb))
            .collect();
        blurb = format!("{blurb}. {}", meanings.join("; "));
    }
    format!(
        "| `{}` | {range} | {default} | {change} | {blurb} |\n",
        setting.name
    )
}

fn table() -> String {
    init();
    let mut table =
        "| property | values | default | holds from | what it sets |\n|---|---|---|---|---|\n"
            .to_owned();
    table.extend(SETTINGS.iter().map(line));
    let element = gst::ElementFactory::make("srfusion").build().unwrap();
    for property in element.list_properties().iter() {
        let writable = property.flags().contains(gst::glib::ParamFlags::WRITABLE);
        if property.owner_type() == element.type_() && !writable {
            let blurb = property.blurb().unwrap();
            table += &format!("| `{}` | | | read only | {blurb} |\n", property.name());
        }
    }
    table
}

#[test]
fn table_of_properties_is_that_of_the_settings() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/element.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let begin = text.find(BEGIN).expect("the mark where the table begins") + BEGIN.len();
    let end = text.find(END).expect("the mark where the table ends");
    let table = table();
    if std::env::var_os(UPDATE).is_some() {
        let new = format!("{}{table}{}", &text[..begin], &text[end..]);
        std::fs::write(&path, new).unwrap();
        return;
    }
    assert!(
        text[begin..end] == table,
        "docs/element.md is not up to date: run this test with {UPDATE}=1"
    );
}
