//! Model files: the catalogue models.toml, checksums, and the choice of a file for each role. Reads files; runs nothing.

mod catalogue;
mod kinds;
mod resolve;

pub use catalogue::{
    CATALOGUE_FILE, CATALOGUE_FORMAT, Catalogue, Entry, InputKind, Layout, Role, Subject,
};
pub use resolve::*;
