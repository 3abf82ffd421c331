"""One of several processes that write to one Lance store: ``writer.py ADDRESS NAME SECONDS``.

It writes spans of its own and spans that all write, twice each (running, then ended), and counts in a thread that all
count in. On its last line it says what was acknowledged.
"""

import json
import sys
import time
from typing import Any

import colonnade
from colonnade.schemas.records import Record

START = "2026-01-31T12:00:00Z"
END = "2026-01-31T12:00:01Z"


def main(address: str, name: str, seconds: float) -> None:
    """Write until the time is over."""
    own: list[str] = []
    shared: list[str] = []
    counted = round_ = 0
    with colonnade.open(address) as store:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            spans = [(f"{name}-{round_}", f"{name}-{round_}-{place}") for place in range(5)]
            spans += [(f"all-{round_ % 40}", f"all-{round_ % 40}-{place}") for place in range(3)]
            store.observability.batch_create_spans(records=[_span(*each) for each in spans])
            own += [span for _, span in spans[:5]]
            store.observability.batch_create_spans(records=[_span(*each, endedAt=END) for each in reversed(spans)])
            shared += [span for _, span in spans[5:]]

            store.memory.update_resource(resource_id="counter", metadata={f"{name}-{counted}": counted})
            counted += 1
            store.memory.save_messages(
                messages=[_message("all", f"m{round_ % 40}"), _message(name, f"{name}-{round_}")]
            )
            round_ += 1
    report = {"own": own, "shared": sorted(set(shared)), "counted": counted, "rounds": round_}
    sys.stdout.write(json.dumps(report) + "\n")


def _span(trace: str, span: str, **more: Any) -> Record:
    return {"traceId": trace, "spanId": span, "name": "step", "startedAt": START, **more}


def _message(thread: str, id: str) -> Record:
    return {
        "id": id,
        "threadId": thread,
        "resourceId": "ada",
        "role": "user",
        "createdAt": START,
        "content": {"format": 2, "parts": []},
    }


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
