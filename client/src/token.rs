//! The token that says who asks: read from a file, so that it is in no shell's history and in no
//! list of processes.

use std::{fs, path::Path};

use tonic::metadata::{Ascii, MetadataValue};

use crate::{exit::Exit, fault::Fault, globals::Globals, output::say};

/// The token that goes with every call, as the value of `authorization`; none where no file is named.
pub(crate) fn of(globals: &Globals) -> Result<Option<MetadataValue<Ascii>>, Fault> {
    let Some(path) = &globals.token_file else {
        return Ok(None);
    };
    let endpoint = &globals.endpoint;
    if !endpoint.is_tls() && !endpoint.is_of_this_machine() {
        return Err(Fault::told(
            Exit::Usage,
            format!(
                "a token is not sent in plain text to {endpoint}: whoever is on its way could use it"
            ),
            "write https:// before the address, or ask without --token-file",
        ));
    }
    read(path).map(Some)
}

fn read(path: &Path) -> Result<MetadataValue<Ascii>, Fault> {
    let unusable = |why: String| {
        Fault::told(
            Exit::Usage,
            format!("the token file {} {why}", path.display()),
            "`archctl auth token new --out FILE` writes one",
        )
    };
    let text =
        fs::read_to_string(path).map_err(|error| unusable(format!("can't be read: {error}")))?;
    if is_readable_by_all(path) {
        say(&format!(
            "warning: anybody on this machine can read the token in {}; `chmod 600` it",
            path.display()
        ));
    }
    let token = text.trim();
    let is_token = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    let value = match is_token {
        true => format!("Bearer {token}").parse().ok(),
        false => None,
    };
    let mut value: MetadataValue<Ascii> =
        value.ok_or_else(|| unusable("does not hold a token and nothing else".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(unix)]
fn is_readable_by_all(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn is_readable_by_all(_: &Path) -> bool {
    false
}
