//! The screen of `archctl top`: what is asked for it, what is known, how that is drawn, and what
//! keys do.

mod ask;
mod draw;
mod keys;
mod model;
mod terminal;

use std::{pin::pin, time::Duration};

use chrono::Utc;
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};

use self::{
    ask::{Asker, News},
    keys::Input,
    model::Model,
    terminal::Screen,
};
use crate::{connect::Session, exit::Exit, fault::Fault, globals::Globals, interrupt::told_to_end};

/// How often the screen is drawn when no key is pressed.
const REDRAW: Duration = Duration::from_millis(250);

/// Follows all that goes on until somebody quits.
pub(crate) async fn follow(
    session: &Session,
    globals: &Globals,
    every: Duration,
) -> Result<Exit, Fault> {
    let asker = Asker::new(session, globals);
    let mut model = Model::new(globals.endpoint.to_string());
    // An address at which nobody is, is told as by every other command.
    model.hear(asker.first().await?);
    let (sender, news) = mpsc::channel(1_024);
    // Before the terminal is taken, so that no signal leaves it taken.
    let ended = told_to_end();
    let mut screen = Screen::open()?;
    // All in one task, so that a panic anywhere ends the program.
    tokio::select! {
        end = show(&mut screen, &mut model, news, ended) => end,
        () = asker.figures(every, &sender) => Ok(Exit::Done),
        () = asker.events(&sender) => Ok(Exit::Done),
    }
}

async fn show(
    screen: &mut Screen,
    model: &mut Model,
    mut news: mpsc::Receiver<News>,
    ended: impl Future<Output = ()>,
) -> Result<Exit, Fault> {
    let mut keys = keys::listen();
    let mut ended = pin!(ended);
    let mut redraw = interval(REDRAW);
    redraw.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        model.now = Utc::now();
        screen.draw(|frame| draw::draw(frame, model))?;
        tokio::select! {
            biased;
            () = &mut ended => return Ok(Exit::Interrupted),
            input = keys.recv() => match input {
                Some(Input::Key(key)) if model.press(key).is_break() => return Ok(Exit::Done),
                Some(_) => {}
                // The terminal is gone.
                None => return Ok(Exit::Interrupted),
            },
            _ = redraw.tick() => {}
        }
        while let Ok(news) = news.try_recv() {
            model.hear(news);
        }
    }
}
