//! ExplainOrder says of every order where it stands, why, and what to do; and never whose it is.

mod archived;
mod history;
mod limits;
mod not_archived;
mod traces;

use bson::{Document, doc};
use order_archiver_api::v1 as pb;
use pb::verification_service_client::VerificationServiceClient;
use prost::Message;
use tonic::Status;

use crate::support::{TestServer, order};

/// What no answer may hold.
const CANARY: &str = "canary";

async fn ask(
    server: &TestServer,
    request: pb::ExplainOrderRequest,
) -> Result<pb::ExplainOrderResponse, Status> {
    let mut client = VerificationServiceClient::new(server.channel.clone());
    let answer = client.explain_order(request).await;
    if let Ok(answer) = &answer {
        let bytes = answer.get_ref().encode_to_vec();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(CANARY), "{text}");
    }
    answer.map(tonic::Response::into_inner)
}

async fn explain(server: &TestServer, numero: &str) -> pb::ExplainOrderResponse {
    let request = pb::ExplainOrderRequest {
        numero_commande: numero.to_owned(),
        ..Default::default()
    };
    ask(server, request).await.unwrap()
}

/// A server whose references and orders hold what no answer may.
async fn server() -> TestServer {
    let server = TestServer::start().await;
    for (collection, document) in [
        (
            "Client",
            doc! { "id_client": 1, "Prénom": "canary-first", "Nom": "canary-last", "Email": "canary@example.fr" },
        ),
        (
            "Livreur",
            doc! { "id_livreur": 1, "Prénom": "canary-courier" },
        ),
        (
            "Restaurants",
            doc! { "id_restaurant": 1, "name": "canary-restaurant" },
        ),
        (
            "Menu",
            doc! { "id_menu": 1, "name": "canary-menu", "price": 12.5 },
        ),
    ] {
        server.insert(collection, [document]).await;
    }
    server
}

/// An order that holds what no answer may, beside what it usually does.
fn private(numero: &str) -> Document {
    let mut order = order(numero);
    order.extend(
        doc! { "adresse": "canary street", "note": { "deep": ["canary"] }, "nom_client": "canary" },
    );
    order
}

fn with(mut order: Document, field: &str, value: impl Into<bson::Bson>) -> Document {
    order.insert(field, value);
    order
}

async fn change(server: &TestServer, collection: &str, numero: &str, set: Document) {
    let changed = server
        .collection(collection)
        .update_one(doc! { "numero_commande": numero }, doc! { "$set": set })
        .await;
    assert_eq!(changed.unwrap().modified_count, 1);
}

async fn delete(server: &TestServer, collection: &str, numero: &str) {
    let deleted = server
        .collection(collection)
        .delete_one(doc! { "numero_commande": numero })
        .await;
    assert_eq!(deleted.unwrap().deleted_count, 1);
}
