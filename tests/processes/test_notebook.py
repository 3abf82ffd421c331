"""A real Jupyter kernel: cells that open the store, while another process writes to it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from colonnade.testing.processes import Elsewhere

WHEN = "2026-01-01T00:00:00Z"


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BlockingKernelClient]:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    manager = KernelManager()
    manager.start_kernel(cwd=str(tmp_path))
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel()


def cell(kernel: BlockingKernelClient, code: str) -> str:
    """Run a cell; what it showed."""
    shown: list[str] = []

    def output(message: dict[str, Any]) -> None:
        content = message["content"]
        if message["msg_type"] == "stream":
            shown.append(content["text"])
        elif message["msg_type"] == "execute_result":
            shown.append(content["data"]["text/plain"])
        elif message["msg_type"] == "error":
            shown.append("\n".join(content["traceback"]))

    reply = kernel.execute_interactive(code, output_hook=output, timeout=60)
    assert reply["content"]["status"] == "ok", "".join(shown)
    return "".join(shown)


def span(trace: str) -> dict[str, Any]:
    return {"traceId": trace, "spanId": "s", "name": "n", "startedAt": WHEN, "endedAt": WHEN}


def test_cells_follow_what_another_process_writes(
    kernel: BlockingKernelClient, opened: Callable[..., list[Elsewhere]], tmp_path: Path
) -> None:
    (agent,) = opened(1, seal_often=True)
    agent.observability.create_span(span=span("first"))

    cell(kernel, f"import colonnade\nstore = colonnade.open({str(tmp_path / 'agent')!r})")
    assert cell(kernel, "store.observability.list_traces()['pagination']['total']") == "1"

    agent.begin("calls", [("observability.create_span", {"span": span(f"{n}")}) for n in range(200)])
    counts = [int(cell(kernel, "print(len(store.sql('select * from spans').arrow()))")) for _ in range(5)]
    agent.answer()
    assert counts == sorted(counts)
    assert cell(kernel, "store.observability.list_traces()['pagination']['total']") == "201"

    # Run once more, as people do: the name is bound anew, and the old store is still open.
    cell(kernel, f"store = colonnade.open({str(tmp_path / 'agent')!r})")
    cell(kernel, "store.memory.save_thread(thread={'id': 't', 'resourceId': 'r'})")
    assert agent.memory.get_thread_by_id(thread_id="t")["id"] == "t"

    # Cells that await run in the kernel's own event loop.
    cell(kernel, f"notes = colonnade.aopen({str(tmp_path / 'agent')!r})")
    assert "'t'" in cell(kernel, "async with notes:\n    print(await notes.memory.list_threads())")
    agent.optimize()
    assert cell(kernel, "store.sql('select count(*) as n from spans').rows()") == "[{'n': 201}]"
