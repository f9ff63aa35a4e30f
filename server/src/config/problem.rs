//! A setting that cannot be used, told so that it can be mended.

use std::fmt;

/// One bad setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problem {
    /// The name of the setting.
    pub name: String,
    /// Where its value was given, such as `--listen` or `environment`.
    pub origin: String,
    /// The value, unless it is a secret.
    pub value: Option<String>,
    /// What is wrong with it.
    pub wrong: String,
    /// What to do about it.
    pub mend: String,
}

/// One thing that is wrong with a value, said without repeating it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadValue {
    /// What is wrong, after the name of the setting.
    pub wrong: String,
    /// What to do about it.
    pub mend: String,
}

impl Problem {
    /// The part of a value that may be shown. A URI may have strayed into any setting, and its
    /// password with it; a long text only hides the rest.
    pub(super) fn shown(value: &str) -> Option<String> {
        (!value.contains("://")).then(|| value.chars().take(80).collect())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(value) = &self.value {
            // Quoted with escapes, so that a problem stays on its line.
            write!(f, "={value:?}")?;
        }
        write!(f, " ({}) {}; {}", self.origin, self.wrong, self.mend)
    }
}
