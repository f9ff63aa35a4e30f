//! `archctl verify differences`: what a verification found, all of it where a program reads it.

use order_archiver_api::v1::{DifferenceClass, ListDifferencesRequest};

use super::class::Class;
use crate::{connect::Session, exit::Exit, fault::Fault, pages, render};

/// The most differences that are listed unless somebody says otherwise.
const USUAL: u32 = 100;

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The verification that found them: its id, the first characters of it, or `latest`
    #[arg(value_name = "ID", default_value = "latest")]
    id: String,

    /// Only differences of this class; may be given more than once
    #[arg(long = "class", value_name = "CLASS")]
    classes: Vec<Class>,

    /// The most differences to list; 100 unless given, and all of them with --output ndjson
    #[arg(long, value_name = "DIFFERENCES", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

const EXAMPLES: &str = "\
Examples:
  archctl verify differences
  archctl verify differences latest --class missing --class altered
  archctl verify differences --output ndjson | jq -r .numero_commande";

pub(crate) async fn run(session: &Session, args: Args) -> Result<Exit, Fault> {
    let classes: Vec<i32> = args
        .classes
        .into_iter()
        .map(|class| DifferenceClass::from(class).into())
        .collect();
    let mut client = session.verification();
    let fetch = async |page_size, page_token| {
        let request = ListDifferencesRequest {
            verification_id: args.id.clone(),
            classes: classes.clone(),
            page_size,
            page_token,
        };
        let page = client.list_differences(session.unary(request)).await?;
        let page = page.into_inner();
        Ok((page.differences, page.next_page_token))
    };
    let output = session.output;
    match args.limit {
        None if output.is_ndjson() => {
            pages::each(fetch, |differences| {
                let mut differences = differences.iter();
                differences.try_for_each(|difference| output.line(difference, |_| String::new()))
            })
            .await?;
        }
        limit => {
            let limit = limit.unwrap_or(USUAL);
            pages::print(output, limit, render::difference::table, fetch).await?;
        }
    }
    Ok(Exit::Done)
}
