"""What each unary method is asked and has to answer. A method without a case fails the check: write its case here.

A request may be a function of the stage: what the story before has put into the database.
"""

from dataclasses import dataclass, field
from typing import Callable


@dataclass
class Case:
    """One call: its request, and the code, reason and bad fields of the error it has to meet, if any."""

    request: dict | Callable
    code: str = "OK"
    reason: str | None = None
    fields: tuple = ()


@dataclass
class Stage:
    """What the calls can refer to."""

    archived: str = ""
    undelivered: str = ""
    batch: str = ""
    # Entries of the quarantine, of which each call that drops one takes the last.
    quarantined: list = field(default_factory=list)


def bad(request, *fields, reason="INVALID_FIELD"):
    return Case(request, "INVALID_ARGUMENT", reason, fields)


def unknown(request):
    return Case(request, "NOT_FOUND", "NOT_FOUND")


# The story needs orders that nobody archives behind its back, so no instance watches.
OFF = [Case({}, "FAILED_PRECONDITION", "WATCHER_OFF")]
REQUEST_ID = "independent-clients"

CASES = {
    "ArchiveService.ArchiveOrder": [
        Case(lambda stage: {"numero_commande": stage.archived}),
        bad({}, "numero_commande"),
        bad({"numero_commande": "é" * 129}, "numero_commande"),
        unknown({"numero_commande": "CMD-nowhere"}),
        Case(lambda stage: {"numero_commande": stage.undelivered}, "FAILED_PRECONDITION", "NOT_DELIVERED"),
    ],
    "ArchiveService.GetArchivedOrder": [
        Case(lambda stage: {"numero_commande": stage.archived}),
        bad({}, "numero_commande"),
        unknown(lambda stage: {"numero_commande": stage.undelivered}),
    ],
    "ArchiveService.ListArchivedOrders": [
        Case({}),
        Case({"page_size": 3, "incomplete": True, "with_documents": True}),
        Case(lambda stage: {"numero_prefix": stage.archived}),
        bad(
            {"page_size": -1, "numero_prefix": "x" * 257, "archived_from": "2025-01-02T00:00:00Z", "archived_to": "2025-01-01T00:00:00Z"},
            "page_size", "archived_to", "numero_prefix",
        ),
        bad({"page_token": "made up"}, "page_token", reason="INVALID_PAGE_TOKEN"),
    ],
    "BatchService.StartBatch": [
        Case({"request_id": REQUEST_ID}),
        Case({"request_id": REQUEST_ID, "options": {"limit": 7}}, "ALREADY_EXISTS", "REQUEST_ID_REUSED"),
        bad({"request_id": "x" * 65, "options": {"limit": -1}}, "options.limit", "request_id"),
        bad(
            {"options": {"validate_only": True, "create_indexes": True, "max_runtime": "-1s", "max_orders_per_second": -1, "max_replication_lag": "0s",
                         "max_write_latency": "0.0001s"}},
            "options.create_indexes", "options.max_runtime", "options.max_orders_per_second", "options.max_replication_lag", "options.max_write_latency",
        ),
    ],
    "BatchService.GetBatch": [
        Case(lambda stage: {"id": stage.batch}),
        bad({}, "id"),
        unknown({"id": "nowhere"}),
    ],
    "BatchService.ListBatches": [
        Case({}),
        Case({"states": ["BATCH_STATE_SUCCEEDED"], "page_size": 1}),
        bad({"page_size": -1, "states": [99]}, "page_size", "states"),
        bad({"page_token": "made up"}, "page_token", reason="INVALID_PAGE_TOKEN"),
    ],
    "BatchService.CancelBatch": [
        Case(lambda stage: {"id": stage.batch}, "FAILED_PRECONDITION", "BATCH_ENDED"),
        unknown({"id": "nowhere"}),
    ],
    "BatchService.TuneBatch": [
        Case(lambda stage: {"id": stage.batch, "max_orders_per_second": 0}, "FAILED_PRECONDITION", "BATCH_ENDED"),
        bad({"max_orders_per_second": -1, "max_replication_lag": "0s", "max_write_latency": "-1s"}, "id", "max_orders_per_second",
            "max_replication_lag", "max_write_latency"),
        bad(lambda stage: {"id": stage.batch}, "max_orders_per_second"),
        unknown({"id": "nowhere", "max_write_latency": "0.5s"}),
    ],
    "WatcherService.GetWatcher": OFF,
    "WatcherService.PauseWatcher": OFF,
    "WatcherService.ResumeWatcher": OFF,
    "InstanceService.ListInstances": [Case({})],
    "InstanceService.GetInstance": [Case({})],
    "StatsService.GetStats": [
        Case({}),
        Case({"window": "3600s", "include_near_misses": True}),
        Case({"window": "3600s", "series_step": "86400s"}),
        bad({"window": "59s"}, "window"),
        bad({"window": "172800s", "series_step": "60s"}, "series_step"),
    ],
    "VerificationService.StartVerification": [
        Case({"request_id": REQUEST_ID, "options": {"settle": "0s"}}),
        Case({"request_id": REQUEST_ID, "options": {"depth": "VERIFICATION_DEPTH_PRESENCE"}}, "ALREADY_EXISTS", "REQUEST_ID_REUSED"),
        bad(
            {"request_id": "x" * 65, "options": {"depth": 99, "scope": 99, "settle": "3601s", "max_orders_per_second": -1, "max_replication_lag": "0s"}},
            "options.depth", "options.scope", "options.settle", "options.max_orders_per_second", "options.max_replication_lag", "request_id",
        ),
    ],
    "VerificationService.GetVerification": [
        Case(lambda stage: {"id": stage.verification}),
        Case({"id": "latest"}),
        bad({}, "id"),
        unknown({"id": "nowhere"}),
    ],
    "VerificationService.ListVerifications": [
        Case({}),
        Case({"states": ["VERIFICATION_STATE_SUCCEEDED"], "page_size": 1}),
        bad({"page_size": -1, "states": [99]}, "page_size", "states"),
        bad({"page_token": "made up"}, "page_token", reason="INVALID_PAGE_TOKEN"),
    ],
    "VerificationService.CancelVerification": [
        Case(lambda stage: {"id": stage.verification}, "FAILED_PRECONDITION", "VERIFICATION_ENDED"),
        unknown({"id": "nowhere"}),
    ],
    "VerificationService.ListDifferences": [
        Case(lambda stage: {"verification_id": stage.verification}),
        Case({"verification_id": "latest", "classes": ["DIFFERENCE_CLASS_QUARANTINED"], "page_size": 1}),
        bad({}, "verification_id"),
        bad({"verification_id": "latest", "page_size": -1, "classes": [99]}, "page_size", "classes"),
        unknown({"verification_id": "nowhere"}),
    ],
    "VerificationService.ExplainOrder": [
        Case(lambda stage: {"numero_commande": stage.archived}),
        Case(lambda stage: {"numero_commande": stage.undelivered, "with_history": True}),
        bad({"history_limit": "61s"}, "numero_commande", "history_limit"),
        unknown({"numero_commande": "CMD-nowhere"}),
    ],
    "VerificationService.AcknowledgeDifference": [
        bad({"by": "x" * 257}, "numero_commande", "reason", "by"),
        unknown({"numero_commande": "CMD-nowhere", "reason": "looked into"}),
    ],
    "VerificationService.ListAcknowledgements": [
        Case({}),
        bad({"page_size": -1}, "page_size"),
        bad({"page_token": "made up"}, "page_token", reason="INVALID_PAGE_TOKEN"),
    ],
    "VerificationService.ListLedger": [
        Case({}),
        bad({"page_size": -1}, "page_size"),
        bad({"page_token": "made up"}, "page_token", reason="INVALID_PAGE_TOKEN"),
    ],
    "QuarantineService.ListQuarantined": [
        Case({}),
        Case({"reasons": ["QUARANTINE_REASON_NO_USABLE_NUMBER"], "with_documents": True}),
        bad({"page_size": -1, "reasons": [99], "id": "x" * 65}, "page_size", "reasons", "id"),
        bad({"page_token": "made up"}, "page_token", reason="INVALID_PAGE_TOKEN"),
    ],
    "QuarantineService.RetryQuarantined": [
        Case(lambda stage: {"ids": stage.quarantined[:1]}),
        bad({}, "ids"),
        unknown({"ids": ["nowhere"]}),
    ],
    "QuarantineService.DropQuarantined": [
        Case(lambda stage: {"ids": [stage.quarantined.pop()]}),
        bad({"ids": [""]}, "ids"),
        unknown({"ids": ["nowhere"]}),
    ],
}

# The story in check.py plays these.
STREAMS = {"ArchiveService.ArchiveOrders", "BatchService.WatchBatch", "EventService.TailEvents", "SeedService.SeedData",
           "VerificationService.RepairOrders", "VerificationService.WatchVerification"}

# Fields of an answer that tell the time, and so differ from one call to the next; of the members of a list, behind its name.
CLOCKS = {"GetStats": ["read_time", "archived_per_hour"], "ListInstances": ["instances.alive_time"],
          "ExplainOrder": ["read_time", "history"]}

# What each code has to carry beside the ErrorInfo and the RequestInfo that every error carries.
DETAILS = {"INVALID_ARGUMENT": ["BadRequest"], "NOT_FOUND": ["ResourceInfo"], "FAILED_PRECONDITION": ["PreconditionFailure"]}
