"""The reference pages are what the code says, and the code says something about every operation."""

import importlib.util
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

import colonnade
from colonnade.engine.operation import operation
from colonnade.engine.questions import Questions
from colonnade.schemas import DOMAINS

DOCS = Path(__file__).parent.parent / "docs"

CONTRACT = {
    "memory": """getThreadById saveThread updateThread deleteThread listThreads listThreadsByResourceId cloneThread
        listMessages listMessagesById listMessagesByResourceId saveMessages updateMessages deleteMessages
        getResourceById saveResource updateResource init dangerouslyClearAll""",
    "workflows": """persistWorkflowSnapshot loadWorkflowSnapshot updateWorkflowResults updateWorkflowState
        listWorkflowRuns getWorkflowRunById deleteWorkflowRunById supportsConcurrentUpdates init dangerouslyClearAll""",
    "scores": """saveScore getScoreById listScoresByScorerId listScoresByRunId listScoresByEntityId listScoresBySpan
        init dangerouslyClearAll""",
    "observability": """createSpan batchCreateSpans updateSpan batchUpdateSpans batchDeleteTraces getSpan getRootSpan
        getTrace listTraces tracingStrategy init dangerouslyClearAll""",
    "agents": "getAgentById createAgent updateAgent deleteAgent listAgents init dangerouslyClearAll",
}
"""What the storage API asks of each domain, by the names that it has on the wire."""


def _generator() -> ModuleType:
    said = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert said is not None
    assert said.loader is not None
    module = importlib.util.module_from_spec(said)
    said.loader.exec_module(module)
    return module


generate = _generator()

OPERATIONS = {
    f"{name}.{method}": each
    for name, domain in {**{name: generate.domain_named(name) for name in DOMAINS}, "queries": Questions}.items()
    for method, each in generate.operations(domain).items()
}


def test_the_page_of_methods_is_what_the_code_says() -> None:
    assert (DOCS / "reference" / "methods.md").read_text() == generate.methods(), "run: python docs/generate.py"


def test_there_is_a_page_for_each_table_and_no_other() -> None:
    pages = {page.stem: page.read_text() for page in (DOCS / "reference" / "tables").iterdir()}
    assert pages == generate.tables(), "run: python docs/generate.py"


def test_the_page_of_dtypes_is_what_frames_have() -> None:
    assert (DOCS / "reference" / "dtypes.md").read_text() == generate.dtypes(), "run: python docs/generate.py"


def test_the_page_of_stores_is_what_they_declare() -> None:
    assert (DOCS / "reference" / "stores.md").read_text() == generate.stores(), "run: python docs/generate.py"


OPTIONS = [
    (page.name, line)
    for page in sorted((DOCS / "reference" / "stores").glob("*.md"))
    for line in page.read_text().splitlines()
    if line.startswith("|") and not line.startswith("|---")
]
"""The rows of the pages of each store: option in the source documents, ours, test."""


@pytest.mark.parametrize(("page", "line"), OPTIONS, ids=[f"{page}-{at}" for at, (page, _) in enumerate(OPTIONS)])
def test_every_option_is_ours_and_named_tests_exist(page: str, line: str) -> None:
    option, ours, tests = (cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|")))
    assert option, page
    assert ours, page
    if tests == "test":
        return
    named = re.findall(r"`([^`]+)`", tests)
    assert named, f"{page}: no test is named"
    for each in named:
        path, _, name = each.rpartition("::") if "::" in each else ("", "", each)
        if each.endswith(".py"):
            assert (DOCS.parent / each).is_file(), each
            continue
        files = [DOCS.parent / path] if path else sorted((DOCS.parent / "tests").rglob("test_*.py"))
        found = any(f"def {name.partition('[')[0]}(" in file.read_text() for file in files)
        assert found, f"{page} names {each}, which is no test"


def test_every_page_of_a_store_has_rows() -> None:
    assert {page.name for page in (DOCS / "reference" / "stores").iterdir()} == {page for page, _ in OPTIONS}


@pytest.mark.parametrize("each", OPERATIONS.values(), ids=list(OPERATIONS))
def test_every_operation_is_documented_in_full_sentences(each: operation) -> None:  # type: ignore[type-arg]
    said = inspect.getdoc(each.steps)
    assert said, "a docstring is missing"
    assert said.split("\n\n")[0].endswith(".")
    assert said.endswith(".")


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_domain_has_all_that_the_storage_api_asks_for(domain: str) -> None:
    with colonnade.open(":memory:") as store:
        names = {generate.wire(name) for name in dir(getattr(store, domain)) if not name.startswith("_")}
    assert set(CONTRACT[domain].split()) <= names


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name.split(".")[1] not in generate.EVERY_DOMAIN])
def test_every_operation_has_an_example_that_is_run(name: str) -> None:
    """``tests/test_docs.py`` runs them; here it is whether there is one."""
    domain, method = name.split(".")
    page = DOCS / "how-to" / ("questions.md" if domain == "queries" else "domains.md")
    assert f"store.{domain}.{method}(" in page.read_text()


@pytest.mark.parametrize(
    ("python", "wired"),
    [("init", "init"), ("get_thread_by_id", "getThreadById"), ("include_total", "includeTotal"), ("id", "id")],
)
def test_names_on_the_wire(python: str, wired: str) -> None:
    assert generate.wire(python) == wired


@pytest.mark.parametrize(
    ("said", "first"),
    [
        ("A thread, or None.", "A thread, or None."),
        ("One thing.\n\nAnother thing.", "One thing."),
        ("``id`` and such.\n    Second line.", "`id` and such."),
        ("By ``content.metadata`` of it. More.", "By `content.metadata` of it."),
    ],
)
def test_the_first_sentence_of_a_docstring(said: str, first: str) -> None:
    assert generate.first_sentence(said) == first
