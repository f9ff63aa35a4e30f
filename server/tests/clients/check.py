"""Plays one story against a running server with clients that know nothing of its code, and counts what holds.

    python check.py --server 127.0.0.1:50051 --mongodb mongodb://127.0.0.1:27017 --database scratch --buf buf

The server must run with the simulation profile on an empty database. The last line reads `N passed, N failed`.
"""

import argparse
import itertools
import sys
import unicodedata
from datetime import UTC, datetime

import bson
from bson import json_util
from bson.decimal128 import Decimal128
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pymongo import MongoClient

import archive
from cases import CASES, CLOCKS, DETAILS, REQUEST_ID, STREAMS, Stage
from report import Report, equal
from wire import PACKAGE, PATIENCE, Buf, Grpcio, Refused

ORDERS = 10_000
CANONICAL = json_util.JSONOptions(json_mode=json_util.JSONMode.CANONICAL, tz_aware=False)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("server", "mongodb", "database", "buf"):
        arguments.add_argument(f"--{name}", required=True)
    options = arguments.parse_args()
    report = Report()
    database = MongoClient(options.mongodb)[options.database]
    grpcio = Grpcio(options.server)
    buf = Buf(options.buf, options.server, grpcio.pool)
    methods = grpcio.methods()
    stage = Stage()
    began = now()

    every_method_has_a_case(report, grpcio, buf, methods)
    every_service_is_healthy(report, grpcio)
    seed(report, grpcio, methods, database, stage)
    orders_one_by_one(report, grpcio, buf, methods, database, stage)
    one_batch(report, grpcio, buf, methods, database, stage, began)
    every_unary_method(report, grpcio, buf, methods, stage)
    many_orders_on_one_stream(report, grpcio, methods, stage)
    one_repair(report, grpcio, buf, methods, database, stage)

    print(f"{report.passed} passed, {report.failed} failed")
    sys.exit(report.failed > 0)


def every_method_has_a_case(report, grpcio, buf, methods):
    with report.check("both versions of reflection list the same services"):
        equal(buf.services(), grpcio.services)
    with report.check("every unary method has a case, and every case a method"):
        equal({name for name, method in methods.items() if grpcio.unary(method)} ^ CASES.keys(), set(), "the difference")
    with report.check("the story plays every stream"):
        equal({name for name, method in methods.items() if not grpcio.unary(method)} ^ STREAMS, set(), "the difference")


def every_service_is_healthy(report, grpcio):
    health = health_pb2_grpc.HealthStub(grpcio.channel)
    for service in ["", *grpcio.services]:
        request = health_pb2.HealthCheckRequest(service=service)
        with report.check(f"health of {service or 'the whole server'}"):
            equal(health.Check(request, timeout=PATIENCE).status, health_pb2.HealthCheckResponse.SERVING, "Check")
            watch = health.Watch(request, timeout=PATIENCE)
            equal(next(watch).status, health_pb2.HealthCheckResponse.SERVING, "the first answer of Watch")
            watch.cancel()


def seed(report, grpcio, methods, database, stage):
    """Believable orders, then the ones that a join gets wrong most easily."""
    with report.check(f"SeedData writes {ORDERS:,} orders"):
        request = {"seed": 7, "orders": ORDERS, "dangling_share": 0.1}
        *_, last = grpcio.stream(methods["SeedService.SeedData"], request)
        equal(label(last, "phase"), "SEED_PHASE_WRITTEN")
        equal(database["Commande"].count_documents({}), ORDERS, "the count of orders")
        equal({status.status: status.orders for status in last.orders_by_status}, by_status(database), "orders by status")

    database["Client"].insert_many([
        {"id_client": None, "Prénom": "Nobody", "Nom": "Null", "Email": "null@example.fr"},
        {"Prénom": "Nobody", "Nom": "Absent", "Email": "absent@example.fr"},
        {"id_client": "C-1", "Prénom": " ", "Nom": "Martin", "Email": 12},
        {"id_client": 900_001.0, "Prénom": "Zoé", "Nom": ["not", "text"]},
    ])
    database["Menu"].insert_one({"id_menu": bson.Int64(900_001), "name": "Formule", "price": Decimal128("12.50")})
    order = {"status": archive.DELIVERED, "coût_commande": 9.5, "date_commande": datetime(2025, 1, 1), "note": "sans oignons"}
    strange = [
        {},
        {"id_client": None, "id_menu": None},
        {"id_client": "C-1", "id_menu": 900_001},
        {"id_client": 900_001, "id_menu": Decimal128("900001.0")},
        {"id_client": "900001", "id_menu": True},
        {"nom_client": "Carried Along", "incomplete": "yes", "prix_menu": 3},
        {"coût_commande": None, "date_commande": "yesterday", "deep": {"a.b": [1, bson.Int64(1), 1.0]}},
    ]
    database["Commande"].insert_many([order | fields | {"numero_commande": f"STRANGE-{at}"} for at, fields in enumerate(strange)])
    near = [unicodedata.normalize("NFD", archive.DELIVERED), "Livrée", " livrée", "livree", [archive.DELIVERED], None]
    database["Commande"].insert_many([order | {"status": status, "numero_commande": f"NEAR-{at}"} for at, status in enumerate(near)])
    database["Commande"].insert_many([order | fields for fields in ({}, {"numero_commande": ""}, {"numero_commande": 12})])
    stage.undelivered = "NEAR-0"


def orders_one_by_one(report, grpcio, buf, methods, database, stage):
    """One order through each client while a tail is open."""
    orders, _ = archive.delivered(database)
    first, second = itertools.islice(orders, 2)
    stage.archived = first
    with report.check("TailEvents begins with a heartbeat, then tells of the order that each client archives"):
        tail = grpcio.stream(methods["EventService.TailEvents"], {"heartbeat_interval": "3600s"})
        hello = next(tail)
        equal((label(hello, "kind"), bool(hello.cursor)), ("EVENT_KIND_HEARTBEAT", True))
        for client, number in ((grpcio, first), (buf, second)):
            answer = client.call(methods["ArchiveService.ArchiveOrder"], {"numero_commande": number})
            equal(label(answer.result, "outcome"), "ARCHIVE_OUTCOME_ARCHIVED", client.name)
            event = next(tail)
            wanted = "EVENT_KIND_INCOMPLETE" if answer.result.incomplete else "EVENT_KIND_ARCHIVED"
            equal((label(event, "kind"), event.order.numero_commande), (wanted, number))
        tail.cancel()


def one_batch(report, grpcio, buf, methods, database, stage, began):
    """A batch over everything that is left, held against a recomputation."""
    orders, unusable = archive.delivered(database)
    with report.check("StartBatch answers at once, and WatchBatch follows the batch to its end"):
        started = grpcio.call(methods["BatchService.StartBatch"], {"request_id": REQUEST_ID})
        equal(started.already_running, False, "already_running")
        stage.batch = started.batch.id
        *_, last = grpcio.stream(methods["BatchService.WatchBatch"], {"id": stage.batch})
        equal(label(last.batch, "state"), "BATCH_STATE_SUCCEEDED", last.batch.message)
        counts = last.batch.counts
        equal((counts.found, counts.duplicates, counts.errors), (len(orders) + unusable, 2, unusable), "found, duplicates, errors")
        equal(counts.archived, len(orders) - 2, "archived")
    with report.check("buf curl watches the same end"):
        found = buf.call(methods["BatchService.WatchBatch"], {"id": stage.batch})
        equal(found, last)

    with report.check("every delivered order is archived exactly once, as the data contract says, and nothing else is"):
        print(f"      {archive.compare(database, began, now()):,} archived orders recomputed")
    with report.check("a verification says so too, and WatchVerification follows it to its verdict"):
        request = {"request_id": REQUEST_ID, "options": {"settle": "0s"}}
        started = grpcio.call(methods["VerificationService.StartVerification"], request)
        stage.verification = started.verification.id
        *_, last = grpcio.stream(methods["VerificationService.WatchVerification"], {"id": stage.verification})
        equal(label(last.verification, "verdict"), "VERDICT_VERIFIED", last.verification.verdict_text or last.verification.message)
        equal(last.verification.counts.verified, len(orders), "verified")

    with report.check("GetArchivedOrder gives every byte of the document"):
        for number in itertools.chain(itertools.islice(orders, 50), (number for number in orders if number.startswith("STRANGE"))):
            answer = grpcio.call(methods["ArchiveService.GetArchivedOrder"], {"numero_commande": number})
            read = json_util.loads(answer.order.document_json, json_options=CANONICAL)
            stored = database["Historique"].find_one({"numero_commande": number})
            equal(bson.encode(read), bson.encode(stored), number)
    with report.check("StatsService.GetStats agrees with the database"):
        stats = grpcio.call(methods["StatsService.GetStats"], {"include_near_misses": True})
        incomplete = database["Historique"].count_documents({"incomplete": True})
        equal((stats.archive_size, stats.quarantine_size), (len(orders), unusable), "sizes")
        equal((stats.lifetime.archived, stats.lifetime.incomplete), (len(orders), incomplete), "lifetime")
        equal(sum(near.orders for near in stats.near_misses), 5, "near misses")
    with report.check("ListQuarantined shows the orders without a usable number"):
        entries = grpcio.call(methods["QuarantineService.ListQuarantined"], {}).entries
        equal({label(entry, "reason") for entry in entries}, {"QUARANTINE_REASON_NO_USABLE_NUMBER"})
        stage.quarantined = [entry.id for entry in entries]
        equal(len(stage.quarantined), unusable, "entries")


def every_unary_method(report, grpcio, buf, methods, stage):
    """Every case through both clients, which must hear the same."""
    for name, cases in CASES.items():
        for at, case in enumerate(cases, 1):
            with report.check(f"{name}, case {at} of {len(cases)}: {case.reason or case.code}"):
                by_grpcio, by_buf = (outcome(client, methods[name], case, stage) for client in (grpcio, buf))
                equal(by_buf, by_grpcio, "what buf curl hears")


def outcome(client, method, case, stage):
    """The answer without its clocks, or the message and details of the error that the case is about."""
    request = case.request(stage) if callable(case.request) else case.request
    try:
        answer = client.call(method, request)
    except Refused as refused:
        equal(refused.code, case.code, f"{client.name}: the code of {refused.message!r}")
        details = dict(refused.details)
        # Each call has an id of its own.
        equal(bool(details.pop("RequestInfo").request_id), True, "the call has an id")
        info = details["ErrorInfo"]
        equal((info.reason, info.domain), (case.reason, PACKAGE), "ErrorInfo")
        equal(details.keys(), {"ErrorInfo", *DETAILS.get(case.code, [])}, "the types of the details")
        violations = details["BadRequest"].field_violations if case.fields else []
        equal(sorted(violation.field for violation in violations), sorted(case.fields), "the fields of BadRequest")
        equal(all(violation.description for violation in violations), True, "every bad field is described")
        return refused.message, details
    equal("OK", case.code, f"{client.name}: the code")
    for path in CLOCKS.get(method.name, []):
        *lists, field = path.split(".")
        messages = [answer]
        for name in lists:
            messages = [member for message in messages for member in getattr(message, name)]
        for message in messages:
            message.ClearField(field)
    return answer


def many_orders_on_one_stream(report, grpcio, methods, stage):
    with report.check("ArchiveOrders answers each request in its turn, and a failure ends nothing"):
        numbers = [stage.archived, stage.undelivered, "CMD-nowhere", "", *[f"STRANGE-{at}" for at in range(7)]]
        requests = [{"numero_commande": number} for number in numbers]
        answers = grpcio.exchange(methods["ArchiveService.ArchiveOrders"], requests)
        wanted = [(stage.archived, "DUPLICATE"), (stage.undelivered, 9, "NOT_DELIVERED"), ("CMD-nowhere", 5, "NOT_FOUND"), ("", 3, "INVALID_FIELD")]
        wanted += [(number, "DUPLICATE") for number in numbers[4:]]
        equal([told(answer) for answer in answers], wanted)


def one_repair(report, grpcio, buf, methods, database, stage):
    with report.check("an order that is taken out of the archive is missed, RepairOrders archives it, and all is verified again"):
        database["Historique"].delete_one({"numero_commande": stage.archived})
        equal(verdict(grpcio, methods), "VERDICT_NOT_VERIFIED")
        request = {"verification_id": "latest", "numeros_commande": [stage.archived]}
        repaired = list(grpcio.stream(methods["VerificationService.RepairOrders"], request))
        outcomes = [(answer.numero_commande, label(answer, "outcome")) for answer in repaired]
        equal(outcomes, [(stage.archived, "REPAIR_OUTCOME_ARCHIVED")])
        equal(label(buf.call(methods["VerificationService.RepairOrders"], request), "outcome"), "REPAIR_OUTCOME_GONE")
    with report.check("an order that was dropped from quarantine is missed too, and its repair says why it can't be archived"):
        request = {"verification_id": "latest", "classes": ["DIFFERENCE_CLASS_MISSING"]}
        repaired = list(grpcio.stream(methods["VerificationService.RepairOrders"], request))
        equal({label(answer, "outcome") for answer in repaired if not answer.numero_commande}, {"REPAIR_OUTCOME_REFUSED"})
        equal(verdict(grpcio, methods), "VERDICT_VERIFIED")


def verdict(grpcio, methods):
    """What a new verification says."""
    started = grpcio.call(methods["VerificationService.StartVerification"], {"options": {"settle": "0s"}})
    request = {"id": started.verification.id}
    *_, last = grpcio.stream(methods["VerificationService.WatchVerification"], request)
    return label(last.verification, "verdict")


def told(answer):
    """What one answer of the stream says."""
    if answer.WhichOneof("answer") == "failure":
        return answer.failure.numero_commande, answer.failure.code, answer.failure.reason
    return answer.result.numero_commande, label(answer.result, "outcome").removeprefix("ARCHIVE_OUTCOME_")


def label(message, field):
    """The name of an enum's value."""
    values = message.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number
    return values[getattr(message, field)].name


def now():
    """This moment as the database keeps it: in UTC, to the millisecond."""
    moment = datetime.now(UTC).replace(tzinfo=None)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def by_status(database):
    rows = database["Commande"].aggregate([{"$group": {"_id": "$status", "orders": {"$sum": 1}}}])
    return {row["_id"]: row["orders"] for row in rows}


if __name__ == "__main__":
    main()
