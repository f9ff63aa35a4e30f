//! Tampering: spoils an archive in known ways, so that whoever looks for differences can be held to
//! find exactly these.
//!
//! It works on what `archd` has made of seeded orders, in a database with the default collection
//! names, and shares no code with it.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use bson::{Bson, Document, doc, oid::ObjectId, rawdoc};
use futures::TryStreamExt;
use mongodb::{Collection, Database};

/// How many documents are spoiled in each way.
#[derive(Clone, Copy, Debug)]
pub struct Amounts {
    /// Archived documents that are deleted.
    pub missing: usize,
    /// Archived documents of which the order's part is changed, in five ways by turns: a byte in a
    /// nested field, a whole number that becomes a float, the order of two fields, a field more, a
    /// field less.
    pub altered: usize,
    /// Archived documents that get a twin with the same number under another `_id`; the unique
    /// index is dropped for it.
    pub doubled: usize,
    /// Archived documents whose `missing_fields` name a field that is there.
    pub damaged: usize,
    /// Live orders that are changed.
    pub amended: usize,
    /// Documents without any order.
    pub ghosts: usize,
    /// Archived documents that are copied under another number and `_id`.
    pub copies: usize,
    /// Archived documents that are put as the script before archd left them: without the ids of the
    /// order's references and without `missing_fields`, every second one under another `_id`.
    pub of_the_script: usize,
}

impl Amounts {
    /// All of them together need so many archived orders.
    pub fn orders(&self) -> usize {
        self.missing
            + self.altered
            + self.doubled
            + self.damaged
            + self.amended
            + self.copies
            + self.of_the_script
    }
}

/// The numbers of what was spoiled, by the class of difference that it must be found in.
pub type Spoiled = BTreeMap<&'static str, Vec<String>>;

/// Spoils an archive: orders are taken evenly out of all that is archived, beginning with the one
/// that `seed` says.
///
/// # Errors
///
/// When the archive holds fewer orders than are to be spoiled, or the database can't be written to.
pub async fn spoil(database: &Database, amounts: Amounts, seed: u64) -> Result<Spoiled> {
    let archive: Collection<Document> = database.collection("Historique");
    let orders: Collection<Document> = database.collection("Commande");
    let mut chosen = chosen(&archive, amounts.orders(), seed).await?.into_iter();
    let mut next = || chosen.next().context("too few orders are archived");
    let mut spoiled = Spoiled::new();
    let mut note = |class: &'static str, numero: &str| {
        spoiled.entry(class).or_default().push(numero.to_owned());
    };

    for _ in 0..amounts.missing {
        let (numero, _) = next()?;
        archive
            .delete_one(doc! { "numero_commande": &numero })
            .await?;
        note("missing", &numero);
    }
    for turn in 0..amounts.altered {
        let (numero, archived) = next()?;
        let changed = altered(&archived, turn)?;
        archive
            .replace_one(doc! { "_id": archived.get("_id") }, changed)
            .await?;
        note("altered", &numero);
    }
    for _ in 0..amounts.damaged {
        let (numero, _) = next()?;
        let lie = doc! { "$push": { "missing_fields": "date_commande" } };
        archive
            .update_one(doc! { "numero_commande": &numero }, lie)
            .await?;
        note("damaged", &numero);
    }
    for _ in 0..amounts.amended {
        let (numero, _) = next()?;
        let refund = doc! { "$set": { "coût_commande": 0.0, "remboursée": true } };
        orders
            .update_one(doc! { "numero_commande": &numero }, refund)
            .await?;
        note("amended", &numero);
    }
    for _ in 0..amounts.copies {
        let (numero, mut copy) = next()?;
        let numero = format!("{numero}-COPY");
        copy.insert("_id", ObjectId::new());
        copy.insert("numero_commande", &numero);
        archive.insert_one(copy).await?;
        note("orphaned", &numero);
    }
    for number in 0..amounts.ghosts {
        let numero = format!("CMD-GHOST-{seed}-{number}");
        let ghost = doc! {
            "numero_commande": &numero, "status": "livrée", "nom_client": "Nobody", "email_client": "nobody@example.fr",
            "nom_livreur": "Nobody", "nom_restaurant": "Nowhere", "nom_menu": "Nothing", "prix_menu": 1.0, "coût_commande": 1.0,
            "date_commande": bson::DateTime::now(), "incomplete": false, "missing_fields": Bson::Array(Vec::new()),
            "date_archivage": bson::DateTime::now(), "archived_by": "script v2.0",
        };
        archive.insert_one(ghost).await?;
        note("orphaned", &numero);
    }
    for number in 0..amounts.of_the_script {
        let (numero, mut document) = next()?;
        let id = document.get("_id").cloned();
        for field in [
            "id_client",
            "id_livreur",
            "id_restaurant",
            "id_menu",
            "missing_fields",
        ] {
            document.remove(field);
        }
        if number % 2 == 1 {
            document.insert("_id", ObjectId::new());
        }
        archive.delete_one(doc! { "_id": id }).await?;
        archive.insert_one(document).await?;
        note("not_rebuildable", &numero);
    }
    if amounts.doubled > 0 {
        drop_unique_index(database).await?;
    }
    for _ in 0..amounts.doubled {
        let (numero, mut twin) = next()?;
        twin.insert("_id", ObjectId::new());
        archive.insert_one(twin).await?;
        note("doubled", &numero);
    }
    for numbers in spoiled.values_mut() {
        numbers.sort();
    }
    Ok(spoiled)
}

/// Archived orders with their numbers, evenly spread.
async fn chosen(
    archive: &Collection<Document>,
    amount: usize,
    seed: u64,
) -> Result<Vec<(String, Document)>> {
    let there = archive.estimated_document_count().await?;
    let amount = u64::try_from(amount)?;
    ensure!(
        there >= amount,
        "{there} orders are archived, {amount} are to be spoiled"
    );
    let stride = there / amount.max(1);
    let mut chosen = Vec::new();
    for place in 0..amount {
        let at = place * stride + seed % stride.max(1);
        let found = archive
            .find_one(doc! {})
            .sort(doc! { "_id": 1 })
            .skip(at)
            .await?;
        let document = found.context("an archived order is gone")?;
        let numero = document.get_str("numero_commande")?.to_owned();
        chosen.push((numero, document));
    }
    Ok(chosen)
}

/// The same document with one change in the order's part.
fn altered(archived: &Document, turn: usize) -> Result<Document> {
    let mut changed = archived.clone();
    match turn % 5 {
        0 => {
            let address = changed.get_document_mut("adresse_livraison")?;
            let (name, text) = address
                .iter()
                .find_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
                .context("an address without text")?;
            let last = text.chars().last().context("a text without a character")?;
            let other = if last == 'x' { 'y' } else { 'x' };
            let text = format!("{}{other}", &text[..text.len() - last.len_utf8()]);
            address.insert(name, text);
        }
        1 => {
            let amount = changed.get_i32("quantité")?;
            changed.insert("quantité", f64::from(amount));
        }
        2 => {
            let moved = changed.remove("quantité").context("no quantity")?;
            let mut reordered = Document::new();
            for (name, value) in &changed {
                reordered.insert(name, value);
                if name == "frais_livraison" {
                    reordered.insert("quantité", &moved);
                }
            }
            changed = reordered;
        }
        3 => {
            let mut longer = Document::new();
            for (name, value) in &changed {
                if name == "coût_commande" {
                    longer.insert("remise", 1);
                }
                longer.insert(name, value);
            }
            changed = longer;
        }
        _ => {
            changed.remove("frais_livraison").context("no fee")?;
        }
    }
    Ok(changed)
}

/// Drops whichever index keeps numbers unique.
async fn drop_unique_index(database: &Database) -> Result<()> {
    let archive: Collection<Document> = database.collection("Historique");
    let indexes: Vec<_> = archive.list_indexes().await?.try_collect().await?;
    for index in indexes {
        if index.keys == doc! { "numero_commande": 1 } {
            let name = index.options.and_then(|options| options.name);
            let name = name.context("an index without a name")?;
            let drop = rawdoc! { "dropIndexes": "Historique", "index": name };
            database.run_raw_command(drop).await?;
        }
    }
    Ok(())
}
