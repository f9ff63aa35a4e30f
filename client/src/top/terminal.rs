//! The terminal: taken as a whole, and given back as it was, whatever happens.

use std::{io, thread};

use ratatui::{DefaultTerminal, Frame};

/// The whole screen, until it is dropped; a panic gives it back, too, before it is told.
pub(super) struct Screen(DefaultTerminal);

impl Screen {
    pub(super) fn open() -> io::Result<Self> {
        match ratatui::try_init() {
            Ok(terminal) => Ok(Self(terminal)),
            Err(fault) => {
                ratatui::restore();
                Err(fault)
            }
        }
    }

    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.0.draw(draw)?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // After a panic it was given back already, and what was told of that would be overwritten.
        if !thread::panicking() {
            // A terminal that is gone can't be given back.
            let _ = ratatui::try_restore();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{env, process::Command};

    use super::*;

    #[test]
    #[ignore = "a part in another test"]
    fn panics_with_the_screen() {
        let mut screen = Screen::open().unwrap();
        screen
            .draw(|frame| frame.render_widget("drawn", frame.area()))
            .unwrap();
        panic!("a fault of the program");
    }

    #[test]
    fn a_panic_gives_the_terminal_back_before_it_is_told() {
        let program = env::current_exe().unwrap();
        let name = "top::terminal::tests::panics_with_the_screen";
        let line = format!(
            "stty cols 80 rows 24; {} --exact {name} --ignored --nocapture; stty -a",
            program.display()
        );
        let output = Command::new("script")
            .args(["-qec", &line, "/dev/null"])
            .env("TERM", "xterm")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let place = |words: &str| {
            said.find(words)
                .unwrap_or_else(|| panic!("no {words:?}: {said}"))
        };
        let (drawn, left) = (place("drawn"), place("\u{1b}[?1049l"));
        let (told, shown) = (place("a fault of the program"), place("\u{1b}[?25h"));
        assert!(
            place("\u{1b}[?1049h") < drawn && drawn < left && left < told,
            "{said}"
        );
        assert!(shown > drawn, "{said}");
        assert_eq!(said.matches("\u{1b}[?1049l").count(), 1, "{said}");
        // As a terminal is that nobody has touched.
        assert!(place("icanon") > left, "{said}");
        for mode in ["-icanon", "-isig", "-echo ", "-opost"] {
            assert!(!said.contains(mode), "{mode}: {said}");
        }
    }
}
