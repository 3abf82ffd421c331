"""The first answer of a new process. Apart, so that nothing is loaded before it is counted."""

import time
from itertools import pairwise


def first_answer(store: str, trace: str) -> dict[str, float]:
    """Seconds to import colonnade and pyarrow, to load what opening needs, to open, and to a trace."""
    moments = [time.perf_counter()]
    import pyarrow  # noqa: F401

    import colonnade

    moments.append(time.perf_counter())
    import colonnade.engine.stores.embedded.store  # with the drivers; otherwise loaded by the first open

    moments.append(time.perf_counter())
    with colonnade.open(store) as opened:
        moments.append(time.perf_counter())
        if opened.observability.get_trace_light(trace_id=trace) is None:
            raise RuntimeError("the trace is not there")
        moments.append(time.perf_counter())
    took = (end - start for start, end in pairwise(moments))
    return dict(zip(("import", "load", "open", "answer"), took, strict=True))
