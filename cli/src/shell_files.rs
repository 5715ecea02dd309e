//! `srfusion shell-files`: manual pages and completions for shells, from the definition of what can be typed. Packages install them.

use std::fs;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::{Shell, generate_to};

use crate::arguments::{Arguments, ShellFilesOptions};
use crate::failure::{Failure, Result};

/// Shells that completions are written for, each with the name of its folder.
const SHELLS: [(Shell, &str); 3] = [
    (Shell::Bash, "bash"),
    (Shell::Zsh, "zsh"),
    (Shell::Fish, "fish"),
];

/// Writes them.
///
/// # Errors
/// [`Failure::Failed`] if the folder cannot be written.
pub fn run(options: &ShellFilesOptions) -> Result<()> {
    write(&options.folder).map_err(|error| {
        Failure::Failed(format!(
            "cannot write {}: {error}",
            options.folder.display()
        ))
    })
}

fn write(folder: &Path) -> std::io::Result<()> {
    let pages = folder.join("man1");
    fs::create_dir_all(&pages)?;
    // One page for each command; hidden ones have none.
    clap_mangen::generate_to(Arguments::command(), &pages)?;
    for (shell, name) in SHELLS {
        let folder = folder.join(name);
        fs::create_dir_all(&folder)?;
        generate_to(shell, &mut Arguments::command(), "srfusion", &folder)?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_and_every_shell_knows_it() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path()).unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        let completions = ["bash/srfusion.bash", "zsh/_srfusion", "fish/srfusion.fish"].map(read);
        let definition = Arguments::command();
        for command in definition
            .get_subcommands()
            .filter(|command| !command.is_hide_set())
        {
            let name = command.get_name();
            if name == "help" {
                continue;
            }
            let page = read(&format!("man1/srfusion-{name}.1"));
            assert!(page.contains(".SH SYNOPSIS"), "{name}");
            assert!(completions.iter().all(|text| text.contains(name)), "{name}");
        }
        assert!(read("man1/srfusion-upscale.1").contains("max\\-pixels"));
        assert!(read("man1/srfusion.1").contains(env!("CARGO_PKG_VERSION")));
    }
}
