//! Model files: the catalogue models.toml, checksums, and the choice of a file for each role. Reads files, adds those that were
//! fetched and writes those that are mixed for detail; runs nothing.

mod added;
mod catalogue;
mod kinds;
mod mixture;
mod resolve;

pub use added::{NewModel, add, added_dir};
pub use catalogue::{
    CATALOGUE_FILE, CATALOGUE_FORMAT, Catalogue, Entry, InputKind, Layout, Role, Subject,
};
pub use mixture::resolve_all;
pub(crate) use mixture::{at_detail, lacking};
pub use resolve::*;
