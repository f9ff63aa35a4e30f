//! Random pairs of collections, with every fault that there is a class for.

use archd::{
    domain::{
        enrich::{Stamp, enrich},
        judge::fields,
        order::{Bundle, Order},
    },
    store::quarantine::record::entry_id,
};
use bson::{Bson, DateTime, Document, RawDocumentBuf, doc, oid::ObjectId};
use rand::{RngExt, rngs::StdRng};

use super::{Ground, naive::Platform, one_of, with};

/// What the references of [`references`] say.
pub(crate) fn references() -> Document {
    doc! {
        "Client": { "id_client": 1, "Prénom": "Zoé", "Nom": "Martin", "Email": "zoe@example.fr" },
        "Livreur": { "id_livreur": 1, "Prénom": "Ali", "Nom": "Benali" },
        "Restaurants": { "id_restaurant": 1, "name": "Le Bistrot" },
        "Menu": { "id_menu": 1, "name": "Menu du jour", "price": 12.5 },
    }
}

/// An order as archd archives it, with these references.
pub(crate) fn archived(order: &Document, references: &Document) -> Document {
    let raw = |document: &Document| RawDocumentBuf::try_from(document).unwrap();
    let names = ["Client", "Livreur", "Restaurants", "Menu"];
    let bundle = Bundle {
        order: Order::new(raw(order)),
        references: names.map(|name| {
            let reference = references.get_document(name).ok()?;
            Some(raw(reference).into())
        }),
        archived: None,
    };
    let stamp = Stamp {
        date_archivage: DateTime::now(),
        archived_by: "archd".to_owned(),
    };
    let document = enrich(&bundle.order, &fields(&bundle), &stamp).document;
    Document::try_from(document.as_ref()).unwrap()
}

/// An `_id` that no other has, of any type.
fn id(dice: &mut StdRng, at: i32) -> Bson {
    match dice.random_range(0..7) {
        0 => at.into(),
        1 => f64::from(at).into(),
        2 => i64::from(at).into(),
        3 => format!("id-{at}").into(),
        4 => doc! { "n": at }.into(),
        5 if at == 7 => one_of(dice, &[Bson::MaxKey, Bson::MinKey, Bson::Null]).clone(),
        _ => {
            let mut bytes: [u8; 12] = dice.random();
            bytes[11] = at as u8;
            ObjectId::from_bytes(bytes).into()
        }
    }
}

/// The same `_id` with another type, where there is one.
fn retyped(id: &Bson) -> Bson {
    match id {
        Bson::Int32(number) => f64::from(*number).into(),
        Bson::Double(number) => (*number as i64).into(),
        Bson::Document(inner) => match inner.get("n") {
            Some(Bson::Int32(number)) => doc! { "n": f64::from(*number) }.into(),
            _ => id.clone(),
        },
        id => id.clone(),
    }
}

fn order(dice: &mut StdRng, at: i32) -> Document {
    let moment = bson::Timestamp {
        time: 1,
        increment: 0,
    };
    let number: Bson = match dice.random_range(0..20) {
        0 => format!("CMD-{:04}", at / 2).into(),
        1 => one_of(
            dice,
            &[Bson::Null, "".into(), 5.into(), vec!["CMD-0001"].into()],
        )
        .clone(),
        _ => format!("CMD-{at:04}").into(),
    };
    let status: Bson = match dice.random_range(0..12) {
        0 => "en_cours".into(),
        1 => vec!["livrée"].into(),
        2 => one_of(
            dice,
            &[Bson::Symbol("livrée".into()), "livre\u{301}e".into()],
        )
        .clone(),
        _ => "livrée".into(),
    };
    let cost: Bson = match dice.random_range(0..6) {
        0 => Bson::Null,
        1 => moment.into(),
        _ => f64::from(at).into(),
    };
    let mut order = doc! { "_id": id(dice, at), "numero_commande": number, "status": status };
    if dice.random_bool(0.8) {
        order.insert("coût_commande", cost);
    }
    if dice.random_bool(0.8) {
        order.insert("date_commande", DateTime::from_millis(i64::from(at)));
    }
    order.insert("items", vec![doc! { "menu": 1, "quantité": at }]);
    for (name, value) in [
        ("nom_client", Bson::from("own")),
        ("incomplete", 5.into()),
        ("original_fields", vec![1].into()),
        ("quand", moment.into()),
    ] {
        if dice.random_bool(0.07) {
            order.insert(name, value);
        }
    }
    order
}

/// Changes a document somewhere where archd would not.
fn harm(dice: &mut StdRng, document: &mut Document) {
    match dice.random_range(0..12) {
        0 => drop(document.insert("items", vec![doc! { "menu": 1, "quantité": -1 }])),
        1 => drop(document.insert("items", vec![doc! { "quantité": 1, "menu": 1 }])),
        2 => drop(document.insert("note", 1)),
        3 => drop(document.remove("items")),
        4 => {
            let status = document.remove("status").unwrap_or(Bson::Null);
            document.insert("status", status);
        }
        5 => drop(document.insert("missing_fields", vec!["prix_menu"])),
        6 => {
            let wrong = one_of(dice, &[Bson::Null, true.into(), false.into(), 1.into()]).clone();
            document.insert("incomplete", wrong);
        }
        7 => drop(document.remove("date_archivage")),
        8 => drop(document.insert("archived_by", 7)),
        9 => drop(document.insert("missing_fields", Bson::Null)),
        10 => drop(document.insert("prix_menu", Bson::Null)),
        _ => {
            let id = retyped(document.get("_id").unwrap());
            document.insert("_id", id);
        }
    }
}

/// As the script before archd would have left it.
fn by_script(dice: &mut StdRng, document: &mut Document) {
    document.remove("missing_fields");
    document.remove("original_fields");
    if dice.random_bool(0.7) {
        document.insert("_id", ObjectId::new());
    }
    if dice.random_bool(0.5) {
        document.remove("items");
    }
    if dice.random_bool(0.1) {
        document.insert("status", "autre");
    }
}

/// Orders and an archive, by chance. With `doubles` a number may stand twice.
pub(crate) fn platform(dice: &mut StdRng, doubles: bool) -> Platform {
    let count = dice.random_range(0..=40);
    let share = *one_of(dice, &[0.0, 0.5, 0.9, 1.0]);
    let harmed = *one_of(dice, &[0.0, 0.1, 0.5]);
    let purged = *one_of(dice, &[0.0, 0.1, 0.9]);
    let mut platform = Platform::default();
    for at in 0..count {
        let order = order(dice, at);
        let id = order.get("_id").unwrap().clone();
        if dice.random_bool(share) {
            let mut document = archived(&order, &references());
            match dice.random_range(0..10) {
                0 => by_script(dice, &mut document),
                _ if dice.random_bool(harmed) => harm(dice, &mut document),
                _ => {}
            }
            if dice.random_bool(0.05) {
                document.insert("numero_commande", format!("CMD-9{at:03}"));
            }
            if dice.random_bool(0.05) {
                let number: Bson = match doubles {
                    true => document
                        .get("numero_commande")
                        .unwrap_or(&Bson::Null)
                        .clone(),
                    false => format!("COPIE-{at}").into(),
                };
                let copy = doc! { "_id": ObjectId::new(), "numero_commande": number };
                platform.archive.push(with(document.clone(), copy));
            }
            platform.archive.push(document);
        } else if dice.random_bool(0.3) {
            platform.quarantined.push(id);
        }
        if dice.random_bool(0.03) {
            let ghost =
                doc! { "_id": format!("ghost-{at}"), "numero_commande": format!("FANTOME-{at}") };
            platform.archive.push(ghost);
        }
        if !dice.random_bool(purged) {
            platform.orders.push(order);
        }
    }
    // An archived document whose order has got another number, and another one under that.
    if doubles && dice.random_bool(0.3) && platform.orders.len() > 1 {
        let at = dice.random_range(0..platform.orders.len());
        platform.orders[at].insert("numero_commande", "CMD-0003");
    }
    if !doubles {
        keep_numbers_apart(&mut platform.archive);
    }
    platform
}

/// Leaves one document of each number, as the unique index does; to it all without a number, or
/// with an empty list, have one.
fn keep_numbers_apart(archive: &mut Vec<Document>) {
    let mut taken: Vec<Bson> = Vec::new();
    archive.retain(|document| {
        let number = document.get("numero_commande").unwrap_or(&Bson::Null);
        let keys = match number {
            Bson::Array(members) => members.clone(),
            number => vec![number.clone()],
        };
        let free = keys.iter().all(|key| !taken.contains(key));
        taken.extend(keys);
        free
    });
}

impl Ground {
    /// Puts all of it into the database, in the place of what is there.
    pub(crate) async fn plant(&self, platform: &Platform) {
        for name in ["Commande", "Historique", "archd_quarantine"] {
            self.collection(name).delete_many(doc! {}).await.unwrap();
        }
        let raw = |document: &Document| RawDocumentBuf::try_from(document).unwrap();
        let entries = platform.quarantined.iter().map(|id| {
            let document = raw(&doc! { "_id": id.clone() });
            let id = archd::bytes::raw::find(&document, "_id").unwrap();
            doc! { "_id": entry_id(id) }
        });
        for (name, documents) in [
            ("Commande", platform.orders.clone()),
            ("Historique", platform.archive.clone()),
            ("archd_quarantine", entries.collect()),
        ] {
            if !documents.is_empty() {
                let planted = self.collection(name).insert_many(documents).await;
                planted.unwrap_or_else(|error| panic!("{name}: {error}"));
            }
        }
    }
}
