//! Which archived orders: the flags that `list` and `export` share.

use order_archiver_api::v1::ListArchivedOrdersRequest;
use prost_types::Timestamp;

use crate::values;

#[derive(clap::Args, Debug)]
pub(super) struct Filter {
    /// Only orders archived at or after this: RFC 3339, or a date, which means midnight UTC
    #[arg(long, value_name = "TIME", value_parser = values::moment)]
    from: Option<Timestamp>,

    /// Only orders archived before this: RFC 3339, or a date, which means midnight UTC
    #[arg(long, value_name = "TIME", value_parser = values::moment)]
    to: Option<Timestamp>,

    /// Only orders ordered (`date_commande`) at or after this
    #[arg(long, value_name = "TIME", value_parser = values::moment)]
    ordered_from: Option<Timestamp>,

    /// Only orders ordered (`date_commande`) before this
    #[arg(long, value_name = "TIME", value_parser = values::moment)]
    ordered_to: Option<Timestamp>,

    /// Only orders with this `id_client`: a number, or else a text; Extended JSON says more, such
    /// as '"42"' for the text
    #[arg(long, value_name = "ID", value_parser = values::id)]
    client: Option<String>,

    /// Only orders with this `id_restaurant`
    #[arg(long, value_name = "ID", value_parser = values::id)]
    restaurant: Option<String>,

    /// Only orders with this `id_menu`
    #[arg(long, value_name = "ID", value_parser = values::id)]
    menu: Option<String>,

    /// Only orders with fields missing
    #[arg(long, conflicts_with = "complete")]
    incomplete: bool,

    /// Only orders with all their fields
    #[arg(long)]
    complete: bool,

    /// Only orders whose number begins with this
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    prefix: String,
}

impl From<Filter> for ListArchivedOrdersRequest {
    fn from(filter: Filter) -> Self {
        Self {
            archived_from: filter.from,
            archived_to: filter.to,
            incomplete: (filter.incomplete || filter.complete).then_some(filter.incomplete),
            numero_prefix: filter.prefix,
            ordered_from: filter.ordered_from,
            ordered_to: filter.ordered_to,
            id_client_json: filter.client.unwrap_or_default(),
            id_restaurant_json: filter.restaurant.unwrap_or_default(),
            id_menu_json: filter.menu.unwrap_or_default(),
            ..Self::default()
        }
    }
}
