//! A status character by character.

/// How many characters are told.
const TOLD: usize = 64;

/// The characters of a text as `U+006C U+0069`, or its bytes as `6C FF` where they are no UTF-8, and
/// an ellipsis where there are more than are told.
pub(crate) fn code_points(text: &[u8]) -> String {
    let units: Vec<String> = match str::from_utf8(text) {
        Ok(text) => {
            let characters = text.chars().take(TOLD + 1);
            characters
                .map(|it| format!("U+{:04X}", u32::from(it)))
                .collect()
        }
        Err(_) => {
            let bytes = text.iter().take(TOLD + 1);
            bytes.map(|byte| format!("{byte:02X}")).collect()
        }
    };
    match units.len() > TOLD {
        true => format!("{} …", units[..TOLD].join(" ")),
        false => units.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_character_is_told_and_each_byte_of_what_is_no_text() {
        assert_eq!(code_points("e\u{301} ".as_bytes()), "U+0065 U+0301 U+0020");
        assert_eq!(code_points(b"l\xff"), "6C FF");
        assert_eq!(code_points(b""), "");
        let long = code_points("x".repeat(65).as_bytes());
        assert!(long.ends_with("U+0078 …") && long.split(' ').count() == TOLD + 1);
    }
}
