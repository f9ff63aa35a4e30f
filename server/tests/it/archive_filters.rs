//! The archive is listed by order date, client, restaurant and menu: every order that a filter
//! takes is found, once, and no page looks at more than ten thousand others.

use bson::{Bson, DateTime, Document, doc, oid::ObjectId};
use devkit::ReplicaSet;
use futures::{TryStreamExt, future::join_all};
use order_archiver_api::v1 as pb;
use pb::ListArchivedOrdersRequest as Request;
use tonic::Code;

use crate::{
    check::check,
    mongosh::mongosh,
    support::{TestServer, faults, order, within},
};

const ORDERS: usize = 25_000;
const DAY: i64 = 24 * 60 * 60 * 1_000;

fn numero(at: usize) -> String {
    format!("CMD-{at:06}")
}

/// An archived order, one a day.
fn archived(at: usize) -> Document {
    let id = i32::try_from(at).unwrap() + 100;
    doc! {
        "numero_commande": numero(at), "id_client": id, "id_restaurant": 5, "id_menu": format!("M-{}", at % 100),
        "date_commande": DateTime::from_millis(i64::from(id) * DAY), "incomplete": false, "missing_fields": [],
    }
}

/// Every page of a list: the numbers on each.
async fn pages(server: &TestServer, filter: Request) -> Vec<Vec<String>> {
    let (mut pages, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = Request {
            page_token,
            ..filter.clone()
        };
        let page = server.archive().list_archived_orders(request).await;
        let page = page.unwrap().into_inner();
        let numbers = page.orders.into_iter().map(|order| order.numero_commande);
        pages.push(numbers.collect());
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return pages;
        }
    }
}

fn by_client(id: &str) -> Request {
    Request {
        id_client_json: id.to_owned(),
        ..Request::default()
    }
}

fn day(at: usize) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp {
        seconds: (i64::try_from(at).unwrap() + 100) * DAY / 1_000,
        nanos: 0,
    })
}

/// The most documents and keys that a read of the archive has looked at since the database was told
/// to note that.
async fn most_looked_at(server: &TestServer) -> (i64, i64) {
    let notes = server.collection("system.profile");
    let ns = format!("{}.Historique", server.database.name());
    let notes = notes.find(doc! { "ns": ns, "op": "query" }).await.unwrap();
    let notes: Vec<Document> = notes.try_collect().await.unwrap();
    assert!(!notes.is_empty());
    let most = |name: &str| {
        let counts = notes.iter().map(|note| note.get(name).cloned());
        let counts = counts.map(|count| match count {
            Some(Bson::Int32(count)) => count.into(),
            Some(Bson::Int64(count)) => count,
            _ => 0,
        });
        counts.max().unwrap()
    };
    (most("docsExamined"), most("keysExamined"))
}

#[tokio::test]
async fn a_page_looks_at_ten_thousand_orders_and_the_pages_find_every_one() {
    let server = TestServer::start().await;
    server.insert("Historique", (0..ORDERS).map(archived)).await;
    let some = [24_900, 24_899, 12_000, 3].map(numero);
    let marked = doc! { "numero_commande": { "$in": &some[..] } };
    let mark = doc! { "$set": { "id_client": 7, "id_menu": 9.0 } };
    let orders = server.collection("Historique");
    orders.update_many(marked, mark).await.unwrap();
    let profile = doc! { "profile": 2 };
    server.database.run_command(profile).await.unwrap();

    let found = pages(&server, by_client("7")).await;
    assert_eq!(found, [&some[..2], &some[2..3], &some[3..]]);
    let two_pages_of_one = pages(
        &server,
        Request {
            page_size: 1,
            id_menu_json: "9".to_owned(),
            ..Request::default()
        },
    );
    let [first, second, third, fourth] = some;
    let wanted = [
        vec![first],
        vec![second.clone()],
        vec![third],
        vec![fourth.clone()],
    ];
    let two_pages_of_one = two_pages_of_one.await;
    let found: Vec<&Vec<String>> = two_pages_of_one
        .iter()
        .filter(|it| !it.is_empty())
        .collect();
    assert_eq!(found, wanted.iter().collect::<Vec<_>>());

    // Nothing, and nothing for long.
    assert_eq!(pages(&server, by_client("\"7\"")).await, [[""; 0]; 3]);
    let ordered = Request {
        ordered_from: day(1),
        ordered_to: day(4),
        ..Request::default()
    };
    let found = pages(&server, ordered.clone()).await;
    assert_eq!(
        found,
        [vec![], vec![], vec![numero(3), numero(2), numero(1)]]
    );
    let all = Request {
        id_client_json: "7".to_owned(),
        id_restaurant_json: "5.0".to_owned(),
        incomplete: Some(false),
        numero_prefix: "CMD-0000".to_owned(),
        ..ordered
    };
    assert_eq!(pages(&server, all).await, [[fourth]]);
    let of_moments = [
        Request {
            archived_from: day(1),
            ..Request::default()
        },
        Request {
            archived_to: day(1),
            ..Request::default()
        },
        Request {
            incomplete: Some(true),
            ..Request::default()
        },
    ];
    for filter in of_moments {
        assert_eq!(pages(&server, filter).await, [[""; 0]; 3]);
    }
    let complete = Request {
        incomplete: Some(false),
        page_size: 1_000,
        ..Request::default()
    };
    let complete = pages(&server, complete).await;
    assert_eq!(complete.concat().len(), ORDERS);
    assert!(complete.iter().all(|page| page.len() <= 1_000));
    let (documents, keys) = most_looked_at(&server).await;
    assert!(documents <= 10_000, "{documents}");
    assert!(keys <= 10_001, "{keys}");

    // With the index that the check names a page is all there is.
    let uri = ReplicaSet::shared().await.unwrap().uri();
    let checked = check(&uri, server.database.name()).await;
    let (_, commands) = checked.found("lists").split_once("makes one: ").unwrap();
    let commands: Vec<String> = commands.split("; ").map(str::to_owned).collect();
    assert_eq!(commands.len(), 3, "{commands:?}");
    mongosh(&uri, &commands).await;
    let found = pages(&server, by_client("7")).await;
    assert_eq!((found.len(), found[0].len()), (1, 4), "{found:?}");
    let checked = check(&uri, server.database.name()).await;
    assert!(checked.found("lists").ends_with("have their indexes"));
    let found = pages(&server, by_client("7")).await;
    assert_eq!(found[0][1], second);
    server.shut_down().await;
}

#[tokio::test]
async fn ids_are_equal_as_they_are_in_joins_and_a_token_belongs_to_its_filters() {
    let server = TestServer::start().await;
    let oid = ObjectId::from_bytes([7; 12]);
    let ids: [Bson; 6] = [
        42.into(),
        42_i64.into(),
        42.0.into(),
        "42".into(),
        oid.into(),
        Bson::Null,
    ];
    let orders = ids.into_iter().enumerate().map(|(at, id)| {
        let mut order = archived(at);
        order.insert("id_client", id);
        order
    });
    server.insert("Historique", orders).await;
    let text = format!("{{\"$oid\": \"{oid}\"}}");
    for (id, found) in [
        ("42", &[2, 1, 0][..]),
        ("4.2e1", &[2, 1, 0]),
        ("\"42\"", &[3]),
        (&text, &[4]),
    ] {
        let found: Vec<String> = found.iter().copied().map(numero).collect();
        assert_eq!(pages(&server, by_client(id)).await, [found], "{id}");
    }
    let first = Request {
        page_size: 2,
        ..by_client("42")
    };
    let page = server.archive().list_archived_orders(first.clone()).await;
    let page_token = page.unwrap().into_inner().next_page_token;
    let next = |request: Request| {
        let request = Request {
            page_token: page_token.clone(),
            ..request
        };
        let mut client = server.archive();
        async move { client.list_archived_orders(request).await }
    };
    let with_documents = Request {
        page_size: 7,
        with_documents: true,
        document_json_format: pb::ExtendedJson::Relaxed.into(),
        ..first.clone()
    };
    let orders = next(with_documents).await.unwrap().into_inner().orders;
    assert_eq!(orders.len(), 1);
    assert!(
        orders[0].document_json.contains("\"id_client\":42,"),
        "{orders:?}"
    );
    for other in [
        by_client("43"),
        by_client(""),
        Request {
            ordered_to: day(0),
            ..first
        },
    ] {
        let refused = next(other).await.unwrap_err();
        let fields = vec!["page_token".to_owned()];
        assert_eq!(faults(&refused), ("INVALID_PAGE_TOKEN".to_owned(), fields));
    }
    let bad = Request {
        ordered_from: day(2),
        ordered_to: day(1),
        id_client_json: "C-42".to_owned(),
        id_menu_json: "null".to_owned(),
        document_json_format: 7,
        ..Request::default()
    };
    let refused = server
        .archive()
        .list_archived_orders(bad)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let fields = [
        "ordered_to",
        "id_client_json",
        "id_menu_json",
        "document_json_format",
    ];
    assert_eq!(faults(&refused).1, fields);
    server.shut_down().await;
}

#[tokio::test]
async fn an_order_that_another_program_archived_says_what_is_absent_and_shows_odd_values() {
    let server = TestServer::start().await;
    let mut foreign = archived(1);
    foreign.remove("missing_fields");
    foreign.extend(doc! { "nom_client": "Zoé Martin", "email_client": Bson::Null, "prix_menu": "12,50", "archived_by": 2 });
    server.insert("Historique", [foreign]).await;
    let request = pb::GetArchivedOrderRequest {
        numero_commande: numero(1),
    };
    let shown = server.archive().get_archived_order(request).await.unwrap();
    let shown = shown.into_inner().order.unwrap();
    let listed = server
        .archive()
        .list_archived_orders(Request::default())
        .await;
    let listed = listed.unwrap().into_inner().orders.remove(0);
    for order in [shown, listed] {
        assert!(order.incomplete);
        assert_eq!(
            order.missing_fields,
            [
                "email_client",
                "nom_livreur",
                "nom_restaurant",
                "nom_menu",
                "coût_commande"
            ]
        );
        let others = order.other_values.iter();
        let others: Vec<(&str, &str)> = others
            .map(|other| (other.name.as_str(), other.value_json.as_str()))
            .collect();
        assert_eq!(others, [("prix_menu", "\"12,50\""), ("archived_by", "2")]);
        assert!(order.omitted_fields.is_empty(), "{order:?}");
    }
    server.shut_down().await;
}

#[tokio::test]
async fn what_an_order_of_another_program_misses_is_told_alike_by_every_call_and_event() {
    let server = TestServer::start().await.with_references().await;
    let tail = pb::TailEventsRequest {
        kinds: vec![
            pb::EventKind::Incomplete.into(),
            pb::EventKind::Archived.into(),
        ],
        ..Default::default()
    };
    let mut news = server.tail_events(tail).await;
    within(news.message()).await.unwrap().unwrap();
    let all = ["ALONE", "A", "B", "GONE"];
    for numero in all {
        let mut live = order(numero);
        if numero != "GONE" {
            server.insert("Commande", [live.clone()]).await;
        }
        live.extend(doc! { "nom_client": "Zoé Martin", "email_client": Bson::Null, "prix_menu": 0, "nom_menu": "" });
        live.remove("date_commande");
        server.insert("Historique", [live]).await;
    }
    let missing = [
        "email_client",
        "nom_livreur",
        "nom_restaurant",
        "date_commande",
    ];
    let numero_commande = all[0].to_owned();
    let request = pb::GetArchivedOrderRequest { numero_commande };
    let shown = server.archive().get_archived_order(request).await.unwrap();
    assert_eq!(shown.into_inner().order.unwrap().missing_fields, missing);

    let mut answers = vec![server.archive_order("ALONE").await.unwrap()];
    // Enough at once for a chunk of several.
    for answer in join_all(all.repeat(8).into_iter().map(|it| server.archive_order(it))).await {
        answers.push(answer.unwrap());
    }
    for answer in answers {
        assert_eq!(answer.outcome(), pb::ArchiveOutcome::Duplicate);
        assert_eq!(answer.missing_fields, missing, "{answer:?}");
        assert!(answer.incomplete);
    }
    for numero in all {
        let told = within(news.message()).await.unwrap().unwrap();
        assert_eq!(told.kind(), pb::EventKind::Incomplete);
        let Some(pb::tail_events_response::Event::Order(order)) = told.event else {
            panic!("{told:?}");
        };
        assert_eq!(order.numero_commande, numero);
        assert_eq!(order.missing_fields, missing);
    }
    server.shut_down().await;
}
