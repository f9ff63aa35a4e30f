//! The source files that the promises of the house are about, and the modules that they are.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::imports::imports;

/// The files of a crate that are no tests, by their modules: `crate` is its root, `crate::a::b`
/// what is in `a/b.rs`.
pub(super) struct Crate(BTreeMap<String, PathBuf>);

impl Crate {
    /// The server, as a library.
    pub(super) fn server() -> Crate {
        Crate::read("server/src", "lib.rs")
    }

    /// `archctl`.
    pub(super) fn client() -> Crate {
        Crate::read("client/src", "main.rs")
    }

    fn read(folder: &str, root: &str) -> Crate {
        let folder = root_of_all().join(folder);
        let others = ["lib.rs", "main.rs"].map(|name| folder.join(name));
        let files = rust_files(&folder).into_iter();
        let files = files.filter(|file| *file == folder.join(root) || !others.contains(file));
        let modules = files.map(|file| (module_of(file.strip_prefix(&folder).unwrap()), file));
        Crate(modules.filter(|(module, _)| !holds_tests(module)).collect())
    }

    /// Every module with its file.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &Path)> {
        let files = self.0.iter();
        files.map(|(module, file)| (module.as_str(), file.as_path()))
    }

    /// The paths into this crate that each of its files names.
    pub(super) fn paths(&self) -> impl Iterator<Item = (&str, String)> {
        self.files().flat_map(|(module, file)| {
            let is_module = |module: &str| self.0.contains_key(module);
            let paths = imports(&text_of(file), module, &is_module).into_iter();
            paths.map(move |path| (module, path))
        })
    }

    /// The module whose file holds what a path leads to.
    pub(super) fn holder<'a>(&self, path: &'a str) -> &'a str {
        let mut module = path;
        while !self.0.contains_key(module) {
            module = module
                .rsplit_once("::")
                .map_or("crate", |(parent, _)| parent);
        }
        module
    }
}

/// The module that a file below `src` is.
fn module_of(file: &Path) -> String {
    let path = Path::new("crate").join(file.with_extension(""));
    let mut names: Vec<&str> = path.iter().map(|name| name.to_str().unwrap()).collect();
    names.pop_if(|name| ["mod", "lib", "main"].contains(name));
    names.join("::")
}

fn holds_tests(module: &str) -> bool {
    module.ends_with("::tests") || module.ends_with("_tests")
}

/// The folder of the repository.
pub(super) fn root_of_all() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Every Rust file below a folder, by name.
pub(super) fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The lines that are no comments, up to the tests.
pub(super) fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .take_while(|line| !line.starts_with("#[cfg(test)]"))
        .filter(|line| !line.trim_start().starts_with("//"))
}

pub(super) fn text_of(file: &Path) -> String {
    fs::read_to_string(file).unwrap()
}

/// A file as people call it.
pub(super) fn shown(file: &Path) -> String {
    file.strip_prefix(root_of_all())
        .unwrap()
        .display()
        .to_string()
}
