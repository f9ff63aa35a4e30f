//! `archctl archive`: archiving orders by their number.

mod lines;

use std::{
    io,
    sync::{Arc, OnceLock},
    thread,
};

use futures::{Stream, StreamExt, stream};
use order_archiver_api::v1::{
    ArchiveFailure, ArchiveOrderRequest, ArchiveOrderResponse, ArchiveOrdersRequest,
    ArchiveOrdersResponse, archive_orders_response::Answer,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::{connect::Session, exit::Exit, fault::Fault, render};

#[derive(clap::Args, Debug)]
#[command(arg_required_else_help = true, after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Numbers of delivered orders, or `-` to read them from standard input, one per line
    #[arg(required = true, value_name = "NUMERO|-")]
    numbers: Vec<String>,
}

const EXAMPLES: &str = "\
Asking again is always safe: an order is archived once. With several orders, one that fails does not stop the others.

Examples:
  archctl archive CMD-2025-000001
  archctl archive CMD-2025-000001 CMD-2025-000002
  archctl archive - < numbers.txt
  archctl archive - --output ndjson < numbers.txt | jq 'select(.failure)'";

pub(crate) async fn run(session: &Session, args: Args) -> Result<Exit, Fault> {
    match <[String; 1]>::try_from(args.numbers) {
        Ok([dash]) if dash == "-" => from_stdin(session).await,
        Ok([number]) => one(session, number).await,
        Err(numbers) if numbers.iter().any(|number| number == "-") => Err(Fault::told(
            Exit::Usage,
            "- stands alone",
            "put every number on standard input, or none",
        )),
        Err(numbers) => {
            let nothing = mpsc::channel(1).1;
            many(session, stream::iter(numbers), nothing).await
        }
    }
}

async fn one(session: &Session, numero_commande: String) -> Result<Exit, Fault> {
    let request = session.unary(ArchiveOrderRequest { numero_commande });
    let answer: ArchiveOrderResponse = session.archive().archive_order(request).await?.into_inner();
    let line = render::archive::result(
        answer
            .result
            .as_ref()
            .ok_or_else(|| Fault::left_out("result"))?,
    );
    session.output.one(&answer, |_| line)?;
    Ok(Exit::Done)
}

async fn from_stdin(session: &Session) -> Result<Exit, Fault> {
    let (sender, numbers) = mpsc::channel(256);
    let (refuse, refused) = mpsc::channel(256);
    let fault = Arc::new(OnceLock::new());
    // A thread of its own, never joined: a read that waits for a person can't be called off when
    // the server goes away.
    thread::spawn({
        let fault = Arc::clone(&fault);
        move || {
            let read = lines::each(io::stdin().lock(), |line| match line {
                Ok(number) => sender.blocking_send(number).is_ok(),
                Err(failure) => refuse.blocking_send(failure).is_ok(),
            });
            if let Err(error) = read {
                let _ = fault.set(error);
            }
        }
    });
    let exit = many(session, ReceiverStream::new(numbers), refused).await?;
    match Arc::into_inner(fault).and_then(OnceLock::into_inner) {
        Some(fault) => Err(fault.into()),
        None => Ok(exit),
    }
}

/// Prints each answer as it comes, also what was refused before it got to the server; but a JSON
/// array is printed whole.
async fn many(
    session: &Session,
    numbers: impl Stream<Item = String> + Send + 'static,
    mut refused: mpsc::Receiver<ArchiveFailure>,
) -> Result<Exit, Fault> {
    let requests = numbers.map(|numero_commande| ArchiveOrdersRequest { numero_commande });
    let mut answers = session
        .archive()
        .archive_orders(requests)
        .await?
        .into_inner();
    let mut exit = Exit::Done;
    let mut kept: Vec<ArchiveOrdersResponse> = Vec::new();
    let mut end = None;
    loop {
        let refusal = |failure| ArchiveOrdersResponse {
            answer: Some(Answer::Failure(failure)),
        };
        let answer = tokio::select! {
            Some(failure) = refused.recv() => refusal(failure),
            answer = answers.message(), if end.is_none() => match answer {
                Ok(Some(answer)) => answer,
                ended => {
                    end = Some(ended.map(drop));
                    continue;
                }
            },
            else => break,
        };
        if !matches!(answer.answer, Some(Answer::Result(_))) {
            exit = Exit::Failure;
        }
        if session.output.is_json() {
            kept.push(answer);
        } else {
            session.output.line(&answer, render::archive::answer)?;
        }
        if matches!(end, Some(Err(_))) {
            break;
        }
    }
    // What was archived before the stream broke was archived all the same.
    if session.output.is_json() {
        session.output.all(&kept, |_| String::new())?;
    }
    end.unwrap_or(Ok(()))?;
    Ok(exit)
}
