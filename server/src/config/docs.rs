//! Writes the documents about the settings from their table, and the manual from the command line, so
//! that none of them can be wrong.

use std::{io, path::Path};

use super::{cli::cli, setting::Setting, table::SETTINGS};

/// The table of settings for `docs/settings.md`.
pub fn markdown_table() -> String {
    let mut text = String::from("| setting | flag | default | |\n|---|---|---|---|\n");
    for setting in SETTINGS {
        let flag = code(
            &setting
                .flag
                .map(|flag| format!("--{flag}"))
                .unwrap_or_default(),
        );
        let name = code(setting.name);
        let file = match setting.file_name() {
            Some(file) => format!(" or {}", code(&file)),
            None => String::new(),
        };
        let default = code(setting.default);
        // A bar ends a cell, even inside code.
        let sentence = setting.sentence().replace('|', "\\|");
        text.push_str(&format!(
            "| {name}{file} | {flag} | {default} | {sentence} |\n"
        ));
    }
    text
}

/// The example of a `.env` file: every setting with its default, as a comment.
pub fn env_example() -> String {
    let mut text = String::from(
        "# Settings of archd: copy this file to .env and uncomment what you change.\n\
         # Flags and the environment win over it. Put a value that has a blank, a # or a $ into 'single quotes'.\n",
    );
    for setting in SETTINGS {
        text.push_str(&format!("\n# {}\n", setting.sentence()));
        if let Some(file) = setting.file_name() {
            text.push_str(&format!(
                "# Or {file}, the path of a file that holds it; it has no flag.\n"
            ));
        }
        text.push_str(&format!("#{}={}\n", setting.name, quoted(setting)));
    }
    text
}

/// Writes a manual page for each command into a folder that is there, over what is in it.
///
/// # Errors
///
/// When a file can't be written.
pub fn manual(folder: &Path) -> io::Result<()> {
    clap_mangen::generate_to(cli().disable_help_subcommand(true), folder)
}

fn code(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!("`{text}`")
    }
}

fn quoted(setting: &Setting) -> String {
    if setting.default.contains(char::is_whitespace) {
        format!("'{}'", setting.default)
    } else {
        setting.default.to_owned()
    }
}
