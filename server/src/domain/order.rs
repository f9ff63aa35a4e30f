//! An order as the platform stores it, and the bundle of everything that hangs off it.

use std::sync::Arc;

use bson::{RawDocument, RawDocumentBuf};

use crate::bytes::raw::{self, ValueRef};

/// The most orders that are read, enriched and written together.
pub(crate) const LARGEST_CHUNK: u32 = 1_000;

/// The longest `_id` of an order that is archived, in bytes. It travels in resume tokens, which
/// hold it twice over and share 16 MiB with the rest of an event, in the positions of batches and
/// in the filters that pages are asked for with.
pub(crate) const LONGEST_ID: usize = 1024 * 1024;

/// The order's own number, unique in the archive.
pub const NUMERO: &str = "numero_commande";
/// The order's status.
pub const STATUS: &str = "status";

/// The four kinds of document that an order refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    /// Who ordered.
    Client,
    /// Who delivered.
    Livreur,
    /// Who cooked.
    Restaurant,
    /// What was cooked.
    Menu,
}

impl Reference {
    /// All four, in the order of the bundle's fields.
    pub const ALL: [Reference; 4] = [
        Reference::Client,
        Reference::Livreur,
        Reference::Restaurant,
        Reference::Menu,
    ];

    /// The field that holds the id, in the order and in the document it refers to.
    pub(crate) fn id_field(self) -> &'static str {
        match self {
            Reference::Client => "id_client",
            Reference::Livreur => "id_livreur",
            Reference::Restaurant => "id_restaurant",
            Reference::Menu => "id_menu",
        }
    }

    /// The fields of the document that the archive takes.
    pub fn fields(self) -> &'static [&'static str] {
        match self {
            Reference::Client => &["Prénom", "Nom", "Email"],
            Reference::Livreur => &["Prénom", "Nom"],
            Reference::Restaurant => &["name"],
            Reference::Menu => &["name", "price"],
        }
    }
}

/// An order, as its bytes in the database. Clones share them.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    document: Arc<RawDocumentBuf>,
    is_whole: bool,
}

impl Order {
    /// Wraps a document of the orders' collection.
    pub fn new(document: RawDocumentBuf) -> Order {
        Order {
            document: Arc::new(document),
            is_whole: true,
        }
    }

    /// Wraps the head of an order that is too large to be read without need: its `_id`, its number
    /// and its status.
    pub fn head(document: RawDocumentBuf) -> Order {
        Order {
            is_whole: false,
            ..Order::new(document)
        }
    }

    /// Whether this is all of the order, and not its head alone.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// The order's bytes.
    pub fn document(&self) -> &RawDocument {
        &self.document
    }

    /// The size of the order, in bytes.
    pub fn size(&self) -> usize {
        self.document.as_bytes().len()
    }

    /// The order's `_id`, which the database gives to every document.
    pub fn id(&self) -> ValueRef<'_> {
        self.get("_id").unwrap_or(ValueRef::NULL)
    }

    /// The order's number, if it is usable: a string that is not empty.
    pub fn numero(&self) -> Option<&str> {
        self.get(NUMERO)?
            .as_str()
            .filter(|numero| !numero.is_empty())
    }

    /// A field of the order.
    pub fn get(&self, field: &str) -> Option<ValueRef<'_>> {
        raw::find(&self.document, field)
    }
}

/// What the archive holds already under an order's `_id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlreadyArchived {
    /// The number it was archived under, if that is a string.
    pub numero: Option<String>,
    /// Its missing fields.
    pub missing: Vec<String>,
}

/// An order with everything that hangs off it, as gathered at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Bundle {
    /// The order itself.
    pub order: Order,
    /// The documents that the order refers to, in the order of [`Reference::ALL`]; absent when its
    /// id points at nobody.
    pub references: [Option<Arc<RawDocumentBuf>>; 4],
    /// The order's place in the archive, if it has one.
    pub archived: Option<AlreadyArchived>,
}

impl Bundle {
    /// A field of a document that the order refers to; null counts as absent.
    pub(crate) fn referred(&self, reference: Reference, field: &str) -> Option<ValueRef<'_>> {
        let document = self.references[reference as usize].as_ref()?;
        raw::find(document, field).filter(|value| !value.is_null())
    }
}
