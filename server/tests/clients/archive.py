"""The archive recomputed from the data contract, by a join of its own, and compared with what the server wrote."""

from datetime import datetime
from decimal import Decimal

import bson
from bson.decimal128 import Decimal128

from report import equal

DELIVERED = "livrée"
EIGHT = ["nom_client", "email_client", "nom_livreur", "nom_restaurant", "nom_menu", "prix_menu", "coût_commande", "date_commande"]
STAMP = ["incomplete", "missing_fields", "date_archivage", "archived_by", "original_fields"]
# The names that the archive takes for its own. It keeps what an order has under them in `original_fields`.
OURS = set(EIGHT[:6] + STAMP)


def delivered(database):
    """The delivered orders that can be archived, by number, and how many can't be."""
    orders = [order for order in database["Commande"].find() if order.get("status") == DELIVERED]
    usable = [order for order in orders if isinstance(order.get("numero_commande"), str) and order["numero_commande"]]
    by_number = {order["numero_commande"]: order for order in usable}
    equal(len(by_number), len(usable), "the count of different numbers")
    return by_number, len(orders) - len(usable)


class Join:
    """The documents that orders refer to."""

    def __init__(self, database):
        self.clients = by_id(database["Client"], "id_client")
        self.couriers = by_id(database["Livreur"], "id_livreur")
        self.restaurants = by_id(database["Restaurants"], "id_restaurant")
        self.menus = by_id(database["Menu"], "id_menu")

    def archived(self, order):
        """What the archive has to hold for an order, but for the time."""
        client, courier = self.clients(order), self.couriers(order)
        restaurant, menu = self.restaurants(order), self.menus(order)
        eight = [
            full_name(client) or order.get("nom_client"),
            client.get("Email"),
            full_name(courier) or order.get("nom_livreur"),
            restaurant.get("name"),
            menu.get("name"),
            menu.get("price"),
            order.get("coût_commande"),
            order.get("date_commande"),
        ]
        missing = [name for name, value in zip(EIGHT, eight) if value is None]
        document = {name: value for name, value in order.items() if name not in OURS}
        document |= dict(zip(EIGHT[:6], eight))
        document |= {"incomplete": bool(missing), "missing_fields": missing, "archived_by": "script v2.0"}
        displaced = [{"at": at, "name": name, "value": value} for at, (name, value) in enumerate(order.items()) if name in OURS]
        return document | ({"original_fields": displaced} if displaced else {})


def by_id(collection, field):
    """A function from an order to the document that it refers to by this field; an empty one when there is none."""
    found = {}
    for document in collection.find().sort("_id"):
        found.setdefault(key(document.get(field)), document)
    found[None] = {}
    return lambda order: found.get(key(order.get(field)), {})


def key(value):
    """An id so that equal ids are equal: numbers across their types, text as it is, and nothing else."""
    if isinstance(value, Decimal128):
        value = value.to_decimal()
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        return ("number", value)
    return ("text", value) if isinstance(value, str) else None


def full_name(person):
    parts = [person.get("Prénom"), person.get("Nom")]
    return " ".join(part for part in parts if isinstance(part, str) and part.strip()) or None


def compare(database, began, ended):
    """Fails unless the archive holds every delivered order exactly once, as the contract says, and nothing else."""
    orders, _ = delivered(database)
    found = list(database["Historique"].find())
    numbers = [document["numero_commande"] for document in found]
    equal(len(numbers), len(set(numbers)), "the count of different numbers in the archive")
    equal(set(numbers) ^ set(orders), set(), "what only one of orders and archive holds")
    join = Join(database)
    for document in found:
        number = document["numero_commande"]
        wanted = join.archived(orders[number])
        equal(bson.encode(original(document)) == bson.encode(orders[number]), True, f"{number}: the order can be rebuilt exactly")
        stamped = document.pop("date_archivage")
        equal(isinstance(stamped, datetime) and began <= stamped <= ended, True, f"{number}: {stamped} is within the run")
        names = document.keys() | wanted.keys()
        wrong = {name: (document.get(name), wanted.get(name)) for name in names if bytes_of(document, name) != bytes_of(wanted, name)}
        equal(wrong, {}, f"{number}: what is archived and what should be")
    return len(found)


def bytes_of(document, name):
    """A field with its type, so that 1 and 1.0 differ, and null and absent do."""
    return bson.encode({name: document[name]}) if name in document else b""


def original(archived):
    """The order as it was, rebuilt from its archive."""
    fields = [(name, value) for name, value in archived.items() if name not in OURS]
    for entry in archived.get("original_fields", []):
        fields.insert(entry["at"], (entry["name"], entry["value"]))
    return dict(fields)
