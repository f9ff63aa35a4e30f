//! Keys, as the terminal tells them.

use std::thread;

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Quit,
    /// Leaves the help, or else the program.
    Escape,
    Help,
    Pause,
    Sort,
    Reverse,
    List(usize),
    NextList,
    PreviousList,
    Up,
    Down,
    PageUp,
    PageDown,
    Top,
}

/// What comes from the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    Key(Key),
    /// Its size is another.
    Resized,
}

/// All that comes from the terminal until that is gone.
pub(super) fn listen() -> mpsc::Receiver<Input> {
    let (sender, inputs) = mpsc::channel(64);
    // A thread of its own, never joined: a read that waits for a person can't be called off.
    thread::spawn(move || {
        while let Ok(event) = event::read() {
            if let Some(input) = input(&event)
                && sender.blocking_send(input).is_err()
            {
                return;
            }
        }
    });
    inputs
}

fn input(event: &Event) -> Option<Input> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => meaning(key).map(Input::Key),
        Event::Resize(..) => Some(Input::Resized),
        _ => None,
    }
}

fn meaning(key: &KeyEvent) -> Option<Key> {
    Some(match key.code {
        // A raw terminal makes no signals of these.
        KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => Key::Quit,
        KeyCode::Char(_)
            if key
                .modifiers
                .intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) =>
        {
            return None;
        }
        KeyCode::Char('q' | 'Q') => Key::Quit,
        KeyCode::Esc => Key::Escape,
        KeyCode::Char('?' | 'h') | KeyCode::F(1) => Key::Help,
        KeyCode::Char('p' | ' ') => Key::Pause,
        KeyCode::Char('s') => Key::Sort,
        KeyCode::Char('r') => Key::Reverse,
        KeyCode::Char(digit @ '1'..='4') => Key::List(digit as usize - '1' as usize),
        KeyCode::Tab | KeyCode::Right => Key::NextList,
        KeyCode::BackTab | KeyCode::Left => Key::PreviousList,
        KeyCode::Up | KeyCode::Char('k') => Key::Up,
        KeyCode::Down | KeyCode::Char('j') => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home | KeyCode::Char('g') => Key::Top,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_mean_what_the_help_says() {
        let key = |code, modifiers| input(&Event::Key(KeyEvent::new(code, modifiers)));
        let plain = |code| key(code, KeyModifiers::NONE);
        for (code, wanted) in [
            (KeyCode::Char('q'), Key::Quit),
            (KeyCode::Char('?'), Key::Help),
            (KeyCode::Char('p'), Key::Pause),
            (KeyCode::Char(' '), Key::Pause),
            (KeyCode::Char('s'), Key::Sort),
            (KeyCode::Char('4'), Key::List(3)),
            (KeyCode::Tab, Key::NextList),
            (KeyCode::Down, Key::Down),
        ] {
            assert_eq!(plain(code), Some(Input::Key(wanted)), "{code:?}");
        }
        assert_eq!(plain(KeyCode::Char('x')), None);
        let control = |c| key(KeyCode::Char(c), KeyModifiers::CONTROL);
        assert_eq!(control('c'), Some(Input::Key(Key::Quit)));
        assert_eq!(control('s'), None);
        assert_eq!(input(&Event::Resize(80, 24)), Some(Input::Resized));
    }
}
