//! NVIDIA's libraries that `scripts/setup` puts beside ONNX Runtime's, loaded before its CUDA provider asks the system for them.

use std::path::{Path, PathBuf};

/// How the names of the libraries begin, each after those that it needs.
const ORDER: [&str; 8] = [
    "libcudart.so",
    "libnvJitLink.so",
    "libcublasLt.so",
    "libcublas.so",
    "libnvrtc.so",
    "libcurand.so",
    "libcufft.so",
    "libcudnn",
];

/// Loads what lies in `nvidia/*/lib` beside the folder `onnxruntime` that holds `library`, if anything does. What cannot be loaded is
/// left to the system's loader; returns what there is to say of it.
pub(in crate::runtime) fn preload(library: &Path) -> Vec<String> {
    let failed = |path: PathBuf| {
        let error = ort::util::preload_dylib(path.as_os_str()).err()?;
        Some(format!("{} cannot be loaded: {error}", path.display()))
    };
    beside(library).into_iter().filter_map(failed).collect()
}

/// The libraries in the order in which they are to be loaded.
fn beside(library: &Path) -> Vec<PathBuf> {
    // RUNTIME/onnxruntime/capi/libonnxruntime.so.1.x
    let Some(root) = library.ancestors().nth(3) else {
        return Vec::new();
    };
    let entries = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        entries.filter_map(|entry| Some(entry.ok()?.path()))
    };
    let mut files: Vec<PathBuf> = entries(&root.join("nvidia"))
        .flat_map(|package| entries(&package.join("lib")).collect::<Vec<_>>())
        .collect();
    files.sort();
    let named = |start: &'static str| {
        let is = move |path: &&PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(start) && name.contains(".so")
        };
        files.iter().filter(is).cloned()
    };
    ORDER.into_iter().flat_map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_come_after_those_that_they_need() {
        let folder = tempfile::tempdir().unwrap();
        let library = folder
            .path()
            .join("onnxruntime/capi/libonnxruntime.so.1.31.1");
        assert!(beside(&library).is_empty());
        for file in [
            "cudnn/lib/libcudnn.so.9",
            "cudnn/lib/libcudnn_graph.so.9",
            "cu13/lib/libcublas.so.13",
            "cu13/lib/libcublasLt.so.13",
            "cu13/lib/libcudart.so.13",
            "cu13/lib/readme.txt",
        ] {
            let path = folder.path().join("nvidia").join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "rubbish").unwrap();
        }
        let names: Vec<_> = beside(&library)
            .iter()
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(
            names,
            [
                "libcudart.so.13",
                "libcublasLt.so.13",
                "libcublas.so.13",
                "libcudnn.so.9",
                "libcudnn_graph.so.9"
            ]
        );
        assert_eq!(preload(&library).len(), names.len());
    }
}
