//! Statuses that look like the delivered one and are not: what sets each apart, and what mends it.

use order_archiver_api::{
    statistics::thousands,
    v1::{MoreNearMisses, NearMiss},
};

use super::{grid, text::one_line};

/// A row a status, what there is beyond, and the commands that mend them.
pub(crate) fn near_misses(misses: &[NearMiss], more: Option<&MoreNearMisses>) -> String {
    let header = ["NEAR MISS", "ORDERS", "DIFFERENCE", "EXAMPLES"];
    let rows = misses.iter().map(|miss| {
        [
            status(miss).to_owned(),
            thousands(miss.orders),
            miss.difference.clone(),
            miss.examples.join(", "),
        ]
    });
    let mut text = grid::table(header, &["ORDERS"], rows);
    if let Some(more) = more {
        let (orders, statuses) = (thousands(more.orders), thousands(more.statuses));
        text.push_str(&format!("\nand {orders} more of {statuses} other statuses"));
    }
    let mut mends = misses
        .iter()
        .filter(|miss| !miss.mend.is_empty())
        .peekable();
    if mends.peek().is_some() {
        text.push_str("\n\nEach is mended by a command for mongosh; look at the orders first. Then the watcher archives them,\nor the next batch, or `archctl archive`:");
    }
    for miss in mends {
        text.push_str(&format!("\n  {}", one_line(&miss.mend)));
    }
    text
}

/// The status with whatever can't be seen as escapes, unless the server is older than that.
fn status(miss: &NearMiss) -> &str {
    match miss.status_escaped.as_str() {
        "" => &miss.status_json,
        escaped => escaped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_says_what_sets_it_apart_and_what_mends_it() {
        let decomposed = NearMiss {
            status_json: "\"livre\u{301}e\"".to_owned(),
            status_escaped: r#""livre\u0301e""#.to_owned(),
            difference: "decomposed accent: e + U+0301".to_owned(),
            mend: "db.a.updateMany()".to_owned(),
            orders: 1_200,
            examples: vec!["CMD-1".to_owned(), "CMD-2".to_owned()],
            ..NearMiss::default()
        };
        let of_before = NearMiss {
            status_json: "\"Livrée\"".to_owned(),
            orders: 3,
            ..NearMiss::default()
        };
        let more = MoreNearMisses {
            statuses: 59_000,
            orders: 60_000,
        };
        assert_eq!(
            near_misses(&[decomposed, of_before.clone()], Some(&more)),
            r#"NEAR MISS       ORDERS  DIFFERENCE                     EXAMPLES
"livre\u0301e"   1,200  decomposed accent: e + U+0301  CMD-1, CMD-2
"Livrée"             3
and 60,000 more of 59,000 other statuses

Each is mended by a command for mongosh; look at the orders first. Then the watcher archives them,
or the next batch, or `archctl archive`:
  db.a.updateMany()"#
        );
        assert!(near_misses(&[of_before], None).ends_with("\"Livrée\"        3"));
    }
}
