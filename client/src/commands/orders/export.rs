//! `archctl orders export`: the archive, or a part of it, page by page onto standard output.
//!
//! One page is held at a time, so a million orders take no more memory than a thousand.

use std::io::{self, BufWriter, Stdout, Write};

use clap::ValueEnum;
use indicatif::ProgressBar;
use order_archiver_api::{
    statistics::thousands,
    v1::{ArchivedOrder, ExtendedJson, ListArchivedOrdersRequest},
};

use super::filter::Filter;
use crate::{
    connect::Session,
    exit::Exit,
    fault::{Fault, Report},
    output::say,
    pages,
    render::export,
};

/// How many orders are named that could not be exported.
const NAMED: usize = 10;
const DOCUMENT: &str = "document_json";

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// What a line is: the whole document as JSON, or the fields of an archived order
    #[arg(long, value_name = "FORMAT", default_value = "ndjson")]
    format: Format,

    /// The form of MongoDB Extended JSON of ndjson: canonical keeps every type, relaxed has plain
    /// numbers and dates
    #[arg(long, value_name = "FORM", default_value = "canonical")]
    extended_json: Form,

    #[command(flatten)]
    filter: Filter,
}

const EXAMPLES: &str = "\
Examples:
  archctl orders export > archive.ndjson
  archctl orders export --extended-json relaxed --prefix CMD-2025-10 | jq -r .nom_restaurant
  archctl orders export --format csv --ordered-from 2025-10-01 --ordered-to 2025-11-01 > october.csv";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One document a line
    Ndjson,
    /// A header, then an order a line: its number, the eight fields, what is missing, and who
    /// archived it when
    Csv,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    Canonical,
    Relaxed,
}

pub(crate) async fn run(session: &Session, args: Args) -> Result<Exit, Fault> {
    let form = match args.extended_json {
        Form::Canonical => ExtendedJson::Canonical,
        Form::Relaxed => ExtendedJson::Relaxed,
    };
    let request = ListArchivedOrdersRequest {
        with_documents: args.format == Format::Ndjson,
        document_json_format: form.into(),
        ..args.filter.into()
    };
    let mut lines = Lines::new(args.format)?;
    let bar = ProgressBar::new_spinner();
    let mut client = session.archive();
    let fetch = async |page_size, page_token| {
        let request = ListArchivedOrdersRequest {
            page_size,
            page_token,
            ..request.clone()
        };
        let page = client.list_archived_orders(session.unary(request)).await?;
        let page = page.into_inner();
        Ok((page.orders, page.next_page_token))
    };
    pages::each(fetch, |orders| {
        lines.write(&orders)?;
        bar.set_message(format!("{} orders", thousands(lines.written)));
        bar.tick();
        Ok(())
    })
    .await?;
    bar.finish_and_clear();
    say(&format!("Exported {} orders.", thousands(lines.written)));
    lines.end()
}

/// Standard output, line by line, and what could not go there.
struct Lines {
    out: Out,
    written: i64,
    left_out: i64,
    named: Vec<String>,
}

enum Out {
    Ndjson(BufWriter<Stdout>),
    Csv(Box<csv::Writer<Stdout>>),
}

impl Lines {
    fn new(format: Format) -> Result<Self, Fault> {
        let out = match format {
            Format::Ndjson => Out::Ndjson(BufWriter::new(io::stdout())),
            Format::Csv => {
                let mut out = csv::Writer::from_writer(io::stdout());
                out.write_record(export::HEADER)?;
                Out::Csv(Box::new(out))
            }
        };
        Ok(Self {
            out,
            written: 0,
            left_out: 0,
            named: Vec::new(),
        })
    }

    /// Writes the orders of a page, and has them on their way before the next page is asked for.
    fn write(&mut self, orders: &[ArchivedOrder]) -> Result<(), Fault> {
        for order in orders {
            match &mut self.out {
                Out::Csv(out) => out.write_record(export::row(order))?,
                Out::Ndjson(_) if order.omitted_fields.iter().any(|name| name == DOCUMENT) => {
                    self.left_out += 1;
                    if self.named.len() < NAMED {
                        self.named.push(order.numero_commande.clone());
                    }
                    continue;
                }
                Out::Ndjson(out) => writeln!(out, "{}", order.document_json)?,
            }
            self.written += 1;
        }
        match &mut self.out {
            Out::Csv(out) => out.flush()?,
            Out::Ndjson(out) => out.flush()?,
        }
        Ok(())
    }

    /// An export that leaves orders out is none, and says which they are.
    fn end(self) -> Result<Exit, Fault> {
        match self.left_out {
            0 => Ok(Exit::Done),
            left_out => Err(Fault::Told(Report {
                exit: Exit::Failure,
                what: format!(
                    "{} orders are left out: as JSON each is over 3 MiB, more than an answer carries",
                    thousands(left_out)
                ),
                why: self.named,
                hint: Some("read these from MongoDB, for example with mongoexport".to_owned()),
            })),
        }
    }
}
