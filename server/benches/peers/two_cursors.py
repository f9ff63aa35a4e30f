"""Compares orders with their archive as one would by hand: two cursors in the order of `_id`, walked side by side.

Usage: two_cursors.py URI DATABASE. Prints how many delivered orders it compared and in how many seconds.
"""

import sys
import time

from pymongo import MongoClient


def main() -> None:
    database = MongoClient(sys.argv[1])[sys.argv[2]]
    begun = time.monotonic()
    orders = database["Commande"].find({"status": "livrée"}).sort("_id", 1)
    archived = iter(database["Historique"].find({}).sort("_id", 1))
    document = next(archived, None)
    compared = differ = 0
    for order in orders:
        while document is not None and document["_id"] < order["_id"]:
            document = next(archived, None)
        compared += 1
        missing = document is None or document["_id"] != order["_id"]
        if missing or any(name not in document or document[name] != value for name, value in order.items()):
            differ += 1
    print(compared, differ, time.monotonic() - begun)


if __name__ == "__main__":
    main()
