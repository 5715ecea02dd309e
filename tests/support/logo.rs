//! A models folder with a kind of objects of which no code knows, made of the tiny networks. For the tests of the element and of the command.

use std::fs;
use std::path::Path;

/// Puts the networks of the folder `tiny` into `to`, and the kind `logo` made of two of them, whose detector's entry says `own`, a line of TOML.
pub fn make_logo(tiny: &Path, to: &Path, own: &str) {
    let text = fs::read_to_string(tiny.join("models.toml")).unwrap();
    let mut toml = String::new();
    for (name, of, subject, own) in [
        ("bicubic-x4", "bicubic-x4", "general", ""),
        ("inverted-x4", "inverted-x4", "face", ""),
        ("centre-face", "centre-face", "face", ""),
        ("logo-x4", "inverted-x4", "logo", ""),
        ("logo-detector", "centre-face", "logo", own),
    ] {
        let is_it = |block: &&str| block.contains(&format!("name = \"{of}\"\n"));
        let block = text.split("[[model]]").find(is_it).unwrap();
        let block = block
            .replace(&format!("\"{of}\""), &format!("\"{name}\""))
            .replace(&format!("{of}.onnx"), &format!("{name}.onnx"))
            .replace(
                "subject = \"face\"",
                &format!("subject = \"{subject}\"\n{own}"),
            );
        toml += &format!("[[model]]{block}");
        fs::copy(
            tiny.join(format!("{of}.onnx")),
            to.join(format!("{name}.onnx")),
        )
        .unwrap();
    }
    fs::write(to.join("models.toml"), toml).unwrap();
}
