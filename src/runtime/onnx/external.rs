//! Weights that lie in other files than the model's own: which files those are, and whether they are where they may be.

use std::path::{Component, Path, PathBuf};

use super::protobuf::{
    ATTRIBUTE, ATTRIBUTE_GRAPH, ATTRIBUTE_TENSOR, EXTERNAL_DATA, Field, Fields, GRAPH, INITIALIZER,
    NODE, SPARSE_INITIALIZER,
};
use crate::bounded::MODEL_BYTES;

/// Fields of a model, a function, an attribute, a sparse tensor and an entry that only this file reads.
const TRAINING: u64 = 20;
const FUNCTION: u64 = 25;
const FUNCTION_NODE: u64 = 7;
const FUNCTION_ATTRIBUTE: u64 = 11;
const ATTRIBUTE_TENSORS: u64 = 10;
const ATTRIBUTE_GRAPHS: u64 = 11;
const ATTRIBUTE_SPARSE: [u64; 2] = [22, 23];
const ENTRY_KEY: u64 = 1;
const ENTRY_VALUE: u64 = 2;

/// Deepest nesting of graphs: beyond any network, and far from exhausting the stack.
const DEEPEST: usize = 16;

/// What a message is, as far as weights may lie in it.
#[derive(Clone, Copy)]
enum Kind {
    Model,
    Graph,
    Function,
    Training,
    Node,
    Attribute,
    Sparse,
    Tensor,
}

/// What field `number` of a message of `kind` is, if weights may lie in it.
fn inner(kind: Kind, number: u64) -> Option<Kind> {
    Some(match (kind, number) {
        (Kind::Model, GRAPH) => Kind::Graph,
        (Kind::Model, FUNCTION) => Kind::Function,
        (Kind::Model, TRAINING) => Kind::Training,
        // How training begins, and what it does.
        (Kind::Training, 1 | 2) => Kind::Graph,
        (Kind::Graph, NODE) | (Kind::Function, FUNCTION_NODE) => Kind::Node,
        (Kind::Graph, INITIALIZER) => Kind::Tensor,
        (Kind::Graph, SPARSE_INITIALIZER) => Kind::Sparse,
        (Kind::Node, ATTRIBUTE) | (Kind::Function, FUNCTION_ATTRIBUTE) => Kind::Attribute,
        (Kind::Attribute, ATTRIBUTE_TENSOR | ATTRIBUTE_TENSORS) => Kind::Tensor,
        (Kind::Attribute, ATTRIBUTE_GRAPH | ATTRIBUTE_GRAPHS) => Kind::Graph,
        (Kind::Attribute, number) if ATTRIBUTE_SPARSE.contains(&number) => Kind::Sparse,
        // Values and places.
        (Kind::Sparse, 1 | 2) => Kind::Tensor,
        _ => return None,
    })
}

/// Adds to `found` the names of the files that `message` has weights in.
fn walk<'a>(
    message: &'a [u8],
    kind: Kind,
    depth: usize,
    found: &mut Vec<&'a str>,
) -> Result<(), String> {
    let mut fields = Fields(message);
    while !fields.0.is_empty() {
        // The runtime's reader passes over some of what this one does not know, so that nothing may be hidden behind it.
        let Some((number, field)) = fields.next() else {
            return Err("a file that is damaged".to_owned());
        };
        let Field::Bytes(bytes) = field else { continue };
        if matches!(kind, Kind::Tensor) && number == EXTERNAL_DATA {
            let part = |wanted: u64| {
                Fields(bytes).find_map(|(number, field)| match field {
                    Field::Bytes(text) if number == wanted => Some(text),
                    _ => None,
                })
            };
            if part(ENTRY_KEY) == Some(b"location") {
                let name = std::str::from_utf8(part(ENTRY_VALUE).unwrap_or_default());
                found.push(name.map_err(|_| "the name of a file that is no text".to_owned())?);
            }
        } else if let Some(kind) = inner(kind, number) {
            let depth = depth + usize::from(matches!(kind, Kind::Graph));
            if depth > DEEPEST {
                return Err(format!("graphs in graphs, deeper than {DEEPEST}"));
            }
            walk(bytes, kind, depth, found)?;
        }
    }
    Ok(())
}

/// Checks that the weights of `model`, the content of the file at `path`, lie in it or in regular files of its own folder, or of one below,
/// each of at most 2 GiB. Links count as what they lead to; a link to the model leads to its folder.
///
/// # Errors
/// What was found instead.
pub(in crate::runtime) fn check_external(model: &[u8], path: &Path) -> Result<(), String> {
    let mut names = Vec::new();
    walk(model, Kind::Model, 0, &mut names)?;
    names.sort_unstable();
    names.dedup();
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    for name in names {
        let outside = || format!("weights in {name}, which lies outside of the model's folder");
        let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        if !Path::new(name).components().all(plain) {
            return Err(outside());
        }
        let missing = |error: std::io::Error| format!("weights in {name}: {error}");
        let file = folder.join(name).canonicalize().map_err(missing)?;
        let real = path.canonicalize().ok();
        let own = [Some(folder), real.as_deref().and_then(Path::parent)];
        let homes: Vec<PathBuf> = own
            .into_iter()
            .flatten()
            .filter_map(|home| home.canonicalize().ok())
            .collect();
        if !homes.iter().any(|home| file.starts_with(home)) {
            return Err(outside());
        }
        let about = file.metadata().map_err(missing)?;
        if !about.is_file() || about.len() > MODEL_BYTES {
            return Err(format!(
                "weights in {name}, which is no regular file of at most {MODEL_BYTES} bytes"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::protobuf::put_message;
    use super::*;

    fn message(fields: &[(u64, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (number, bytes) in fields {
            put_message(&mut out, *number, bytes);
        }
        out
    }

    /// A tensor whose values lie in the file `name`.
    fn tensor(name: &str) -> Vec<u8> {
        let length = message(&[(ENTRY_KEY, b"length"), (ENTRY_VALUE, b"64")]);
        let place = message(&[(ENTRY_KEY, b"location"), (ENTRY_VALUE, name.as_bytes())]);
        message(&[(EXTERNAL_DATA, &length), (EXTERNAL_DATA, &place)])
    }

    /// Models with `tensor` in every place that a file may have one.
    fn everywhere(tensor: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
        let graph = message(&[(INITIALIZER, tensor)]);
        let of_graph = |graph: &[u8]| message(&[(GRAPH, graph)]);
        let of_node = |attribute: &[u8]| {
            let node = message(&[(ATTRIBUTE, attribute)]);
            of_graph(&message(&[(NODE, &node)]))
        };
        let sparse = message(&[(1, tensor)]);
        let attribute = message(&[(ATTRIBUTE_TENSOR, tensor)]);
        let node = message(&[(ATTRIBUTE, &attribute)]);
        vec![
            ("initializer", of_graph(&graph)),
            ("constant", of_node(&attribute)),
            (
                "constants",
                of_node(&message(&[(ATTRIBUTE_TENSORS, tensor)])),
            ),
            ("branch", of_node(&message(&[(ATTRIBUTE_GRAPH, &graph)]))),
            ("branches", of_node(&message(&[(ATTRIBUTE_GRAPHS, &graph)]))),
            (
                "sparse",
                of_graph(&message(&[(SPARSE_INITIALIZER, &sparse)])),
            ),
            (
                "sparse constant",
                of_node(&message(&[(ATTRIBUTE_SPARSE[0], &sparse)])),
            ),
            ("training", message(&[(TRAINING, &message(&[(2, &graph)]))])),
            (
                "function",
                message(&[(FUNCTION, &message(&[(FUNCTION_NODE, &node)]))]),
            ),
        ]
    }

    #[test]
    fn weights_lie_in_the_model_s_folder_or_nowhere() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("models");
        std::fs::create_dir_all(folder.join("deep")).unwrap();
        for file in ["models/own", "models/deep/own", "outside"] {
            std::fs::write(outer.path().join(file), [0; 64]).unwrap();
        }
        let path = folder.join("model.onnx");
        std::fs::write(&path, "").unwrap();
        for own in ["own", "./own", "deep/own"] {
            for (place, model) in everywhere(&tensor(own)) {
                assert_eq!(check_external(&model, &path), Ok(()), "{own} {place}");
            }
        }
        let absolute = folder.join("own").display().to_string();
        let long = format!("{}{}", "../".repeat(40), "etc/passwd");
        for other in [
            "../outside",
            "deep/../../outside",
            "/etc/passwd",
            &absolute,
            &long,
            "none",
            "deep",
            "",
        ] {
            for (place, model) in everywhere(&tensor(other)) {
                let found = check_external(&model, &path).unwrap_err();
                assert!(found.contains("weights in"), "{other} {place}: {found}");
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_count_as_what_they_lead_to() {
        let outer = tempfile::tempdir().unwrap();
        let (store, folder) = (outer.path().join("store"), outer.path().join("models"));
        for made in [&store, &folder] {
            std::fs::create_dir(made).unwrap();
        }
        std::fs::write(store.join("data"), [0; 64]).unwrap();
        std::fs::write(store.join("model"), "").unwrap();
        let link = |from: &Path, to: &Path| std::os::unix::fs::symlink(from, to).unwrap();
        let path = folder.join("model.onnx");
        link(&store.join("data"), &folder.join("data"));
        std::fs::write(&path, "").unwrap();
        let (_, model) = everywhere(&tensor("data")).swap_remove(0);
        assert!(
            check_external(&model, &path)
                .unwrap_err()
                .contains("outside")
        );
        // As caches of downloads have them: both are links into one store.
        std::fs::remove_file(&path).unwrap();
        link(&store.join("model"), &path);
        assert_eq!(check_external(&model, &path), Ok(()));
    }

    #[test]
    fn nothing_hides_behind_what_is_not_understood() {
        let path = Path::new("model.onnx");
        let (_, mut model) = everywhere(&tensor("/etc/passwd")).swap_remove(0);
        // A group, which protocol buffers' own reader passes over.
        let group = [
            (30 << 3 | 3_u64) as u8 | 0x80,
            1,
            (30 << 3 | 4_u64) as u8 | 0x80,
            1,
        ];
        model.splice(..0, group);
        assert!(
            check_external(&model, path)
                .unwrap_err()
                .contains("damaged")
        );
        // A graph in a graph in a graph.
        let mut graph = Vec::new();
        for _ in 0..200 {
            let attribute = message(&[(ATTRIBUTE_GRAPH, &graph)]);
            let node = message(&[(ATTRIBUTE, &attribute)]);
            graph = message(&[(NODE, &node)]);
        }
        let model = message(&[(GRAPH, &graph)]);
        assert!(
            check_external(&model, path)
                .unwrap_err()
                .contains("deeper than")
        );
    }
}
