"""Checks the ledger of verifications against what `docs/ledger.md` says of it, and the archive of today against its digests.

    python ledger.py --mongodb mongodb://127.0.0.1:27017 --database scratch [--prefix archd_] [--expect HASH]

Ends with 0 when every entry is as it was sealed and nobody has touched what the archive held of each day since. It knows nothing of the
server's code.
"""

import argparse
import hashlib
import json
import sys
from datetime import UTC, datetime, timedelta

from bson import DatetimeMS
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument
from pymongo import ASCENDING, MongoClient
from pymongo.read_concern import ReadConcern

# Documents as the bytes that they are; dates as milliseconds, since those of the database reach further than Python's.
RAW = CodecOptions(document_class=RawBSONDocument, datetime_conversion=DatetimeConversion.DATETIME_MS)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--mongodb", required=True)
    arguments.add_argument("--database", required=True)
    arguments.add_argument("--prefix", default="archd_")
    arguments.add_argument("--expect", help="a hash that was noted elsewhere: the ledger has to hold it")
    options = arguments.parse_args()
    database = MongoClient(options.mongodb).get_database(options.database, read_concern=ReadConcern("majority"))

    records, faults = chain(database[options.prefix + "ledger"])
    hashes = {digest for _, digest in records}
    if options.expect and options.expect not in hashes:
        faults.append(f"no entry has the hash {options.expect}")
    with_days = [record for record, _ in records if record["days"]]
    if with_days:
        faults += days(database, with_days[-1])
    for fault in faults:
        print(fault)
    print(f"{len(records)} entries, newest {records[-1][1] if records else 'none'}, {len(faults)} faults")
    sys.exit(bool(faults))


def chain(collection):
    """The records with their hashes, and what is wrong with the chain of them."""
    records, faults, previous = [], [], ""
    for expected, entry in enumerate(collection.find().sort("_id", ASCENDING), 1):
        text, number = entry["record"], entry["_id"]
        record, digest = json.loads(text), hashlib.sha256(text.encode()).hexdigest()
        if number != expected:
            faults.append(f"entry {expected} is missing")
            return records, faults
        if entry["hash"] != digest:
            faults.append(f"entry {number} is not what was sealed")
        if record["previous"] != previous:
            faults.append(f"entry {number} was not made after the one before it")
        if (record["sequence"], record["verification"]) != (number, entry["verification"]):
            faults.append(f"entry {number} says that it is another one")
        records.append((record, digest))
        previous = digest
    return records, faults


def days(database, record):
    """What differs between the digests of a record and the archive of today."""
    archive = database.get_collection(record["archive"], codec_options=RAW)
    found = {}
    for document in archive.find().sort("_id", ASCENDING):
        day = day_of(document.get("date_archivage"))
        count, running = found.get(day, (0, bytes(32)))
        one = hashlib.sha256(document.raw).digest()
        found[day] = count + 1, hashlib.sha256(running + one).digest()
    found = {day: (count, running.hex()) for day, (count, running) in found.items()}
    sealed = {day: (count, digest) for day, count, digest in record["days"]}
    differing = sorted(day for day in found.keys() | sealed.keys() if found.get(day) != sealed.get(day))
    return [f"the archive of {day} is not what entry {record['sequence']} says of it" for day in differing]


def day_of(date):
    """The day of a date in UTC; `none` for whatever is no date."""
    if not isinstance(date, DatetimeMS):
        return "none"
    return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(date)):%Y-%m-%d}"


if __name__ == "__main__":
    main()
