//! The original of an archived order can be rebuilt byte for byte, whatever its fields are called
//! and hold.

use archd::bytes::raw::{self, ValueRef, Writer};
use bson::{Binary, Bson, Document, doc, oid::ObjectId, spec::BinarySubtype};
use order_archiver_api::v1 as pb;

use super::{all_get_their_due, cases, complete, decimal, good, nested, raw_of, with, with_text};
use crate::support::TestServer;

#[tokio::test]
async fn an_order_of_any_shape_is_rebuilt_byte_for_byte() {
    let server = TestServer::start().await.with_references().await;
    let helpers = doc! {
        "client": 1, "livreur": [2], "restaurant": { "x": 3 }, "menu": "m", "order": { "_id": 9 }, "key0": 4, "joined0": [5], "archived": [6],
    };
    let ours = doc! {
        "nom_client": "own", "email_client": 1, "nom_livreur": Bson::Null, "nom_restaurant": [], "nom_menu": {}, "prix_menu": 2.5,
        "incomplete": "maybe", "missing_fields": 3, "date_archivage": "never", "archived_by": { "deep": [1] }, "original_fields": [{ "at": 0, "name": "x", "value": 1 }],
    };
    let code = bson::JavaScriptCodeWithScope {
        code: "g()".into(),
        scope: doc! { "x": 1 },
    };
    let binary = |subtype, bytes: &[u8]| Binary {
        subtype,
        bytes: bytes.to_vec(),
    };
    let regex = bson::Regex {
        pattern: "^a".try_into().unwrap(),
        options: "ix".try_into().unwrap(),
    };
    let types = doc! {
        "double": f64::NAN, "minus": -0.0, "string": "nul\u{0}inside", "document": { "": {} }, "array": [[], 1, Bson::Null], "undefined": Bson::Undefined,
        "generic": binary(BinarySubtype::Generic, b"\0\xff"), "uuid": binary(BinarySubtype::Uuid, &[7; 16]), "md5": binary(BinarySubtype::Md5, &[8; 16]),
        "old": binary(BinarySubtype::BinaryOld, b"old"), "own": binary(BinarySubtype::UserDefined(0x80), b""), "id": ObjectId::new(), "yes": true, "no": false,
        "date": bson::DateTime::MIN, "later": bson::DateTime::MAX, "null": Bson::Null, "regex": regex, "code": Bson::JavaScriptCode("f()".into()), "scoped": code,
        "symbol": Bson::Symbol("s".into()), "int": i32::MIN, "long": i64::MIN, "timestamp": bson::Timestamp { time: 1, increment: 2 },
        "nothing": { "timestamp": bson::Timestamp { time: 0, increment: 0 } },
        "decimal": decimal("-1.10E-6000"), "nan": decimal("NaN"), "min": Bson::MinKey, "max": Bson::MaxKey,
    };
    let mut pointer = Writer::default();
    for element in raw::elements(with(types.clone()).as_bytes()) {
        pointer.value(element.key, element.value);
    }
    let target = ValueRef {
        kind: 0x0c,
        bytes: b"\x04\0\0\0a.b\0twelve bytes",
    };
    pointer.value("pointer", target);
    let many: Document = (0..10_000)
        .map(|at| (format!("f{at}"), Bson::from(at)))
        .collect();
    all_get_their_due(
        &server,
        cases(vec![
            ("names that the join uses", with(helpers), complete()),
            ("names that the archive uses", with(ours), complete()),
            ("every type", pointer.finish(), complete()),
            (
                "operators and dots for names",
                with(doc! { "$x": 5, "$set": { "a": 1 }, "a.b": 6, "": 7, "_ID": 8, " ": { "$a.b": 9 } }),
                complete(),
            ),
            ("90 levels", with(doc! { "deep": nested(90) }), complete()),
            (
                "150 levels under a name of ours",
                with(doc! { "incomplete": nested(150) }),
                complete(),
            ),
            ("10,000 fields", with(many), complete()),
            (
                "broken text",
                with_text(&raw_of(&good()), b"note", b"sans \xff\xfeoignons"),
                complete(),
            ),
            (
                "a broken name",
                with_text(&raw_of(&good()), b"no\xffte", b"x"),
                complete(),
            ),
            (
                "broken text under a name of ours",
                with_text(&raw_of(&good()), b"nom_menu", b"\xc3"),
                complete(),
            ),
            (
                "a broken `_id`",
                with_text(&raw_of(&good()), b"_id", b"\xff\xfe\xfd"),
                complete(),
            ),
        ]),
    )
    .await;
    for (numero, json) in [("note", "�"), ("no\u{fffd}te", "�")] {
        let listed = server
            .archive()
            .list_archived_orders(pb::ListArchivedOrdersRequest {
                with_documents: true,
                page_size: 1000,
                ..Default::default()
            })
            .await
            .unwrap()
            .into_inner();
        let shown = |order: &pb::ArchivedOrder| {
            order.document_json.contains(numero) && order.document_json.contains(json)
        };
        assert!(listed.orders.iter().any(shown), "{numero}");
    }
}
