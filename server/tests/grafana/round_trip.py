"""Reads a dashboard from standard input into the types that Grafana publishes, and writes it again:
what is lost or changed on the way is no part of a dashboard. Defaults may be added."""

import json
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard


def differences(kept, told, path="$"):
    """What of a JSON value is lost or changed."""
    if isinstance(kept, dict) and isinstance(told, dict):
        for key, value in kept.items():
            here = f"{path}.{key}"
            if key in told:
                yield from differences(value, told[key], here)
            else:
                yield f"{here} is lost"
    elif isinstance(kept, list) and isinstance(told, list) and len(kept) == len(told):
        for index, pair in enumerate(zip(kept, told)):
            yield from differences(*pair, f"{path}[{index}]")
    elif kept != told:
        yield f"{path} is {kept!r} and becomes {told!r}"


def main():
    register_default_plugins()
    kept = json.load(sys.stdin)
    told = json.loads(json.dumps(Dashboard.from_json(kept), cls=JSONEncoder))
    found = list(differences(kept, told))
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
