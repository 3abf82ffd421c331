"""The table of options: no row is empty, and every test that it names is there."""

import re
from pathlib import Path

HERE = Path(__file__).parent
TABLE = HERE.parent.parent / "docs" / "reference" / "stores" / "postgresql.md"


def test_every_option_has_a_test() -> None:
    rows = [line.strip("|").split(" | ") for line in TABLE.read_text().splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 15
    tests = "".join(path.read_text() for path in [*HERE.glob("test_*.py"), HERE.parent / "test_tls.py"])
    for row in rows:
        option, ours, named = row
        assert option.strip() and ours.strip(), row
        names = re.findall(r"`(?:tests/test_tls.py::)?(test_\w+)`", named)
        assert names, row
        for name in names:
            assert f"def {name}(" in tests, name
