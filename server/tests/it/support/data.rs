//! Orders and what they refer to, and what the collections of a test's database hold.

use archd::bytes::raw::{ValueRef, Writer, kind};
use bson::{Bson, Document, RawDocumentBuf, doc, oid::ObjectId};
use futures::TryStreamExt;
use mongodb::{Collection, options::ReadConcern};

use super::{TestServer, eventually};

impl TestServer {
    pub(crate) fn collection(&self, name: &str) -> Collection<Document> {
        self.database.collection(name)
    }

    /// Puts documents into a collection.
    pub(crate) async fn insert(
        &self,
        collection: &str,
        documents: impl IntoIterator<Item = Document>,
    ) {
        let documents: Vec<Document> = documents.into_iter().collect();
        self.collection(collection)
            .insert_many(documents)
            .await
            .unwrap();
    }

    /// Puts documents into a collection whose names and strings may be any bytes.
    pub(crate) async fn insert_raw(
        &self,
        collection: &str,
        documents: impl IntoIterator<Item = RawDocumentBuf>,
    ) {
        for document in documents {
            let mut command = Writer::default();
            let member = ValueRef {
                kind: kind::DOCUMENT,
                bytes: document.as_bytes(),
            };
            command
                .string("insert", collection)
                .array("documents", [member]);
            let reply = self.database.run_raw_command(command.finish());
            let reply = reply.await.unwrap();
            assert_eq!(reply.get_i32("n").unwrap(), 1, "{reply}");
        }
    }

    /// Everything in a collection that a majority holds, by `_id`, whatever its bytes.
    pub(crate) async fn all_raw(&self, collection: &str) -> Vec<RawDocumentBuf> {
        let collection = self.database.collection::<RawDocumentBuf>(collection);
        let found = collection.find(doc! {}).sort(doc! { "_id": 1 });
        let found = found.read_concern(ReadConcern::majority());
        found.await.unwrap().try_collect().await.unwrap()
    }

    /// Everything in a collection that a majority holds, by `_id`: what the audit sees too.
    pub(crate) async fn all(&self, collection: &str) -> Vec<Document> {
        self.collection(collection)
            .find(doc! {})
            .sort(doc! { "_id": 1 })
            .read_concern(ReadConcern::majority())
            .await
            .unwrap()
            .try_collect()
            .await
            .unwrap()
    }

    /// Puts [`references`] where orders find them.
    pub(crate) async fn with_references(self) -> TestServer {
        for (collection, document) in references() {
            self.insert(collection, [document]).await;
        }
        self
    }

    /// Makes the index that batches page along when it is there.
    pub(crate) async fn index_status(&self) {
        let key = doc! { "status": 1, "_id": 1 };
        let index = mongodb::IndexModel::builder().keys(key).build();
        self.collection("Commande")
            .create_index(index)
            .await
            .unwrap();
    }

    /// Waits until the archive holds at least so many orders, and names them all.
    pub(crate) async fn archived(&self, at_least: usize) -> Vec<String> {
        eventually(async || {
            let archive = self.all("Historique").await;
            let numero = |order: &Document| {
                order
                    .get_str("numero_commande")
                    .unwrap_or("none")
                    .to_owned()
            };
            let mut numeros: Vec<String> = archive.iter().map(numero).collect();
            numeros.sort();
            (numeros.len() >= at_least).then_some(numeros)
        })
        .await
    }
}

/// A delivered order that refers to the documents of [`references`].
pub(crate) fn order(numero: impl Into<Bson>) -> Document {
    doc! {
        "_id": ObjectId::new(), "numero_commande": numero, "status": "livrée", "id_client": 1, "id_livreur": 1, "id_restaurant": 1, "id_menu": 1,
        "coût_commande": 24.9, "date_commande": bson::DateTime::from_millis(1_760_624_625_000),
    }
}

/// Delivered orders with the numbers CMD-2025-000001 and so on.
pub(crate) fn orders(count: usize) -> impl Iterator<Item = Document> {
    (1..=count).map(|number| order(format!("CMD-2025-{number:06}")))
}

/// One of each kind of document that an order refers to, by collection.
pub(crate) fn references() -> [(&'static str, Document); 4] {
    [
        (
            "Client",
            doc! { "id_client": 1, "Prénom": "Zoé", "Nom": "Martin", "Email": "zoe@example.fr" },
        ),
        (
            "Livreur",
            doc! { "id_livreur": 1, "Prénom": "Ali", "Nom": "Benali" },
        ),
        (
            "Restaurants",
            doc! { "id_restaurant": 1, "name": "Le Bistrot" },
        ),
        (
            "Menu",
            doc! { "id_menu": 1, "name": "Menu du jour", "price": 12.5 },
        ),
    ]
}
