"""Counts what holds and what does not, and says each as it is found."""

import traceback
from contextlib import contextmanager


class Report:
    """What was checked so far."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    @contextmanager
    def check(self, what):
        """Passes when the block ends; any exception in it is one failure and stops nothing else."""
        try:
            yield
        except Exception as error:
            self.failed += 1
            place = "" if isinstance(error, Unequal) else f" (line {traceback.extract_tb(error.__traceback__)[-1].lineno})"
            print(f"FAIL  {what}: {type(error).__name__}: {error}{place}", flush=True)
        else:
            self.passed += 1
            print(f"ok    {what}", flush=True)


class Unequal(Exception):
    """Two values that were to be the same."""


def equal(found, wanted, of="value"):
    """Fails, and shows both, unless the two are the same."""
    if found != wanted:
        raise Unequal(f"{of} is {found!r}, not {wanted!r}")
