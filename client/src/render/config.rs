//! Settings, each with its value and where that comes from.

use super::grid;
use crate::globals::Origin;

/// A setting in force.
pub(crate) struct Setting {
    /// Its key in a profile, from which its flag and its variable have their names.
    pub(crate) name: &'static str,
    pub(crate) value: Option<String>,
    pub(crate) origin: Origin,
}

/// Settings, one a row, some of them from the profile of this name.
pub(crate) fn table(settings: &[Setting], profile: Option<&str>) -> String {
    let rows = settings.iter().map(|setting| {
        let value = setting.value.as_deref().unwrap_or("-");
        [
            setting.name.to_owned(),
            value.to_owned(),
            from(setting, profile.unwrap_or_default()),
        ]
    });
    grid::table(["SETTING", "VALUE", "FROM"], &[], rows)
}

fn from(setting: &Setting, profile: &str) -> String {
    let name = setting.name;
    match setting.origin {
        Origin::Flag => format!("flag --{}", name.replace('_', "-")),
        Origin::Variable => format!("variable ARCHCTL_{}", name.to_uppercase()),
        Origin::File if name == "profile" => "default_profile".to_owned(),
        Origin::File => format!("profile {profile}"),
        Origin::Default => "default".to_owned(),
    }
}
