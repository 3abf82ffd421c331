"""The TDS double is strict where SQL Server is, so that a store that works on it has a chance on the real one."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest

pymssql = pytest.importorskip("pymssql")

BIN2 = "COLLATE Latin1_General_100_BIN2"
UTF8 = "COLLATE Latin1_General_100_BIN2_UTF8"


class Client:
    """A connection of a real driver."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.cursor = connection.cursor()

    def run(self, sql: str, *values: Any) -> Any:
        """Run a batch: its rows, or how many it changed."""
        self.cursor.execute(sql, values or None)
        return self.cursor.fetchall() if self.cursor.description else self.cursor.rowcount

    def error(self, sql: str, *values: Any) -> int:
        """The number of the error that a batch gives."""
        with pytest.raises(pymssql.Error) as refused:
            self.run(sql, *values)
        return int(refused.value.args[0])


@pytest.fixture
def connect(tds_double: Any, request: pytest.FixtureRequest) -> Iterator[Callable[..., Client]]:
    made: list[Client] = []

    def connected(**options: Any) -> Client:
        made.append(Client(tds_double.connect(request.node.originalname, **options)))
        return made[-1]

    yield connected
    for each in made:
        each.connection.close()


@pytest.fixture
def client(connect: Callable[..., Client]) -> Client:
    return connect()


def test_it_says_what_it_is(client: Client) -> None:
    ((version,),) = client.run("SELECT @@VERSION")
    assert "double" in version
    assert "not Microsoft SQL Server" in version


def test_types_come_back_as_they_were(client: Client) -> None:
    client.run(
        "CREATE TABLE t (id INT NOT NULL, big BIGINT, f FLOAT, b BIT, ts DATETIME2(6), raw VARBINARY(MAX), "
        f"wide NVARCHAR(MAX) {BIN2}, narrow VARCHAR(MAX) {UTF8}, CONSTRAINT pk PRIMARY KEY (id))"
    )
    long = "😀é'x" * 250_000
    moment = datetime(1969, 12, 31, 23, 59, 59, 999999)
    rows: list[tuple[Any, ...]] = [
        (1, 2**63 - 1, 0.1, True, moment, b"\0\xff", "", "x"),
        (2, -(2**63), -0.0, False, datetime(9999, 12, 31, 23, 59, 59, 999999), b"", long, long),
        (3, *[None] * 7),
    ]
    for row in rows:
        ts = row[4].isoformat() if row[4] else None
        raw = row[5]
        client.run("INSERT INTO t VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", *row[:4], ts, raw, *row[6:])
    found = client.run("SELECT * FROM t ORDER BY id")
    assert found == rows
    assert str(found[1][2]) == "-0.0"
    assert client.run("SELECT id FROM t WHERE narrow = %s", long) == [(2,)]


def test_a_backslash_before_a_line_end_is_lost(client: Client) -> None:
    assert client.run("SELECT N'a\\\nb' AS x, N'a\\b' AS y") == [("ab", "a\\b")]


def test_equal_texts_may_differ_in_spaces_and_in_case(client: Client) -> None:
    client.run(f"CREATE TABLE t (id NVARCHAR(50) {BIN2} NOT NULL, any_case NVARCHAR(50), PRIMARY KEY (id))")
    client.run("INSERT INTO t VALUES (N'a', N'Text')")
    assert client.error("INSERT INTO t VALUES (N'a ', N'')") == 2627
    assert client.error("INSERT INTO t VALUES (NULL, N'')") == 515
    assert client.run("SELECT id FROM t WHERE id = N'a  '") == [("a",)]
    assert client.run("SELECT id FROM t WHERE id = N'A'") == []
    assert client.run("SELECT id FROM t WHERE any_case = N'tEXT '") == [("a",)]
    assert client.run("SELECT LEN(N'a ') AS n, DATALENGTH(N'a ') AS b") == [(1, 4)]
    assert client.run("UPDATE t SET id = N'a ' WHERE id = N'a'") == 1  # the same row
    client.run("CREATE UNIQUE INDEX u ON t (any_case)")
    assert client.error("INSERT INTO t VALUES (N'b', N'TEXT')") == 2601


def test_bytes_are_equal_but_for_zeros_at_their_end(client: Client) -> None:
    assert client.run("SELECT 1 AS x WHERE CAST(0x61 AS VARBINARY(MAX)) = 0x6100") == [(1,)]
    assert client.run("SELECT 1 AS x WHERE CAST(0x61 AS VARBINARY(MAX)) = 0x6200") == []


def test_order_of_texts_and_nulls(client: Client) -> None:
    client.run(f"CREATE TABLE t (wide NVARCHAR(50) {BIN2}, narrow VARCHAR(50) {UTF8})")
    for text in ("\uffee", "😀", "Z", "a", None, "a\t", "a"):
        client.run("INSERT INTO t VALUES (%s, %s)", text, text)
    by_unit = [text for (text,) in client.run("SELECT wide FROM t ORDER BY wide")]
    assert by_unit == [None, "Z", "a\t", "a", "a", "😀", "\uffee"]
    assert [text for (text,) in client.run("SELECT narrow FROM t ORDER BY narrow DESC")][:2] == ["😀", "\uffee"]
    assert client.error("SELECT 1 AS x FROM t WHERE wide = narrow") == 468


@pytest.mark.parametrize(
    ("sql", "number"),
    [
        ("SELECT id FROM missing", 208),
        ("SELECT nothing FROM t", 207),
        ("SELECT id FROM t LIMIT 1", 102),
        ("SELECT id FROM t ORDER BY id NULLS LAST", 102),
        ("SELECT id FROM t OFFSET 1 ROWS", 102),
        ("SELECT id FROM t ORDER BY id, id", 169),
        ("SELECT id FROM (SELECT id FROM t ORDER BY id) AS x", 1033),
        ("SELECT id, COUNT(*) AS c FROM t", 8120),
        ("SELECT n, COUNT(*) AS c FROM t GROUP BY id", 8120),
        ("SELECT COUNT(*) AS c FROM t GROUP BY 1", 164),
        ("SELECT id FROM t WHERE n", 4145),
        ("SELECT id FROM t WHERE CASE WHEN n = 1 THEN 1 ELSE 0 END", 4145),
        ("SELECT CASE WHEN n = 1 THEN n = 2 END AS x FROM t", 102),
        ("SELECT CAST(NULL AS BOOLEAN) AS x", 102),
        ("SELECT id FROM t WHERE (id, n) IN (SELECT id, n FROM t)", 102),
        ("CREATE TABLE IF NOT EXISTS u (id INT)", 102),
        ("INSERT INTO t (id) VALUES (1) RETURNING id", 102),
        ("INSERT INTO t (id) VALUES " + ", ".join(["(1)"] * 1001), 10738),
        ("INSERT INTO t (id, n) VALUES (1, 3000000000)", 8115),
        ("INSERT INTO t (id, n) VALUES (N'123456', 1)", 2628),
        ("SELECT SUM(n) AS s FROM (SELECT CAST(2147483647 AS INT) AS n UNION ALL SELECT 1) AS v", 8115),
        ("SELECT 1 / (SELECT COUNT(*) FROM t) AS x", 8134),
        ("SELECT JSON_VALUE(N'{', N'$.a') AS x", 13609),
        ("SELECT 1 AS x; CREATE SCHEMA y", 111),
        ("COMMIT", 3902),
        ("ROLLBACK", 3903),
        ("EXEC sp_nothing", 2812),
        ("THROW 50001, N'mine', 1", 50001),
    ],
)
def test_errors_have_the_numbers_of_sql_server(client: Client, sql: str, number: int) -> None:
    client.run(f"IF OBJECT_ID(N'dbo.t') IS NULL CREATE TABLE t (id NVARCHAR(5) {BIN2}, n INT)")
    assert client.error(sql) == number


def test_keys_have_at_most_900_bytes(client: Client) -> None:
    client.run(f"CREATE TABLE t (id NVARCHAR(500) {BIN2} NOT NULL, CONSTRAINT pk PRIMARY KEY CLUSTERED (id))")
    assert client.run("INSERT INTO t VALUES (%s)", "x" * 450) == 1
    assert client.error("INSERT INTO t VALUES (%s)", "x" * 451) == 1946
    assert client.error("CREATE TABLE u (id NVARCHAR(MAX) NOT NULL, PRIMARY KEY (id))") == 1919


def test_computed_keys_ask_for_settings_of_everybody(client: Client) -> None:
    computed = "k AS CAST(HASHBYTES('SHA2_256', id) AS VARBINARY(32)) PERSISTED NOT NULL, PRIMARY KEY (k)"
    client.run(f"CREATE TABLE t (id VARCHAR(MAX) {UTF8} NOT NULL, {computed})")
    assert client.run("INSERT INTO t (id) VALUES (N'é')") == 1
    assert client.error("INSERT INTO t (id) VALUES (N'é')") == 2627
    assert client.run("SELECT id FROM t WHERE k = HASHBYTES('SHA2_256', CAST(N'é' AS VARCHAR(9)))") == [("é",)]
    assert client.error("UPDATE t SET k = 0x00") == 271
    client.run("SET ARITHABORT OFF")
    assert client.error("INSERT INTO t (id) VALUES (N'x')") == 1934
    assert client.run("SELECT COUNT(*) AS n FROM t") == [(1,)]


def test_json_value_gives_no_long_text(client: Client) -> None:
    for length, found in ((4000, 4000), (4001, None)):
        text = '{"a": "' + "x" * length + '"}'
        assert client.run("SELECT LEN(JSON_VALUE(%s, N'$.a')) AS n", text) == [(found,)]
    rows = client.run(
        "SELECT [key], [value], [type] FROM OPENJSON(%s)", '{"a": 1.50, "b": null, "c": [1], "d": true, "e": "x"}'
    )
    assert rows == [("a", "1.50", 2), ("b", None, 0), ("c", "[1]", 4), ("d", "true", 3), ("e", "x", 1)]
    typed = client.run(
        "SELECT n, s FROM OPENJSON(%s) WITH (n BIGINT '$.n', s NVARCHAR(9) '$.s')",
        '[{"n": 9007199254740993, "s": "é"}]',
    )
    assert typed == [(9007199254740993, "é")]
    assert client.run("SELECT ISJSON(N'{}') AS a, ISJSON(N'{') AS b, ISJSON(N'1') AS c") == [(1, 0, 0)]


def test_counts_of_rows_and_output(client: Client) -> None:
    client.run("CREATE TABLE t (id INT NOT NULL, n INT, PRIMARY KEY (id))")
    assert client.run("INSERT INTO t VALUES (1, 1), (2, 1), (3, NULL)") == 3
    assert client.run("UPDATE t SET n = 2 WHERE n = 1; SELECT @@ROWCOUNT AS changed") == [(2,)]
    assert client.run("UPDATE t SET n = 3 OUTPUT inserted.id WHERE id > 1") == [(2,), (3,)]
    merge = (
        "MERGE t WITH (HOLDLOCK) AS s USING (VALUES (3, 7), (4, 8)) AS i (id, n) ON s.id = i.id "
        "WHEN MATCHED THEN UPDATE SET n = i.n WHEN NOT MATCHED THEN INSERT (id, n) VALUES (i.id, i.n);"
    )
    assert client.run(merge) == 2
    assert client.run("SELECT n FROM t ORDER BY id") == [(2,), (3,), (7,), (8,)]
    twice = merge.replace("(3, 7), (4, 8)", "(3, 7), (3, 8)")
    assert client.error(twice) == 8672
    assert client.run("DELETE FROM t WHERE n > 2") == 3


def test_a_failed_statement_ends_the_batch_only_with_xact_abort(client: Client) -> None:
    client.run("CREATE TABLE t (id INT NOT NULL, PRIMARY KEY (id))")
    failing = (
        "BEGIN TRANSACTION; INSERT INTO t VALUES (%d); INSERT INTO t VALUES (%d); INSERT INTO t VALUES (%d); COMMIT"
    )
    with pytest.raises(pymssql.IntegrityError):
        client.run(failing, 1, 1, 2)
    assert client.run("SELECT id FROM t ORDER BY id") == [(1,), (2,)]
    client.run("SET XACT_ABORT ON")
    with pytest.raises(pymssql.IntegrityError):
        client.run(failing, 3, 3, 4)
    assert client.run("SELECT id, @@TRANCOUNT AS n FROM t ORDER BY id") == [(1, 0), (2, 0)]


def test_transactions_of_the_driver_are_undone_and_kept(connect: Callable[..., Client]) -> None:
    one, other = connect(autocommit=False), connect()
    one.run("CREATE TABLE t (id INT NOT NULL)")
    one.connection.commit()
    one.run("INSERT INTO t VALUES (1)")
    assert other.run("SELECT id FROM t") == []  # READ COMMITTED SNAPSHOT, as Azure has it
    one.connection.rollback()
    one.run("INSERT INTO t VALUES (2)")
    one.connection.commit()
    one.run("INSERT INTO t VALUES (3)")
    one.connection.close()  # which undoes what is not committed
    assert other.run("SELECT id FROM t") == [(2,)]


def test_read_committed_keeps_nobody_from_changing_what_was_read(connect: Callable[..., Client]) -> None:
    one, other = connect(), connect()
    one.run("CREATE TABLE t (id INT NOT NULL, n INT); INSERT INTO t VALUES (1, 0)")
    one.run("BEGIN TRANSACTION")
    assert one.run("SELECT n FROM t") == [(0,)]
    other.run("UPDATE t SET n = n + 1")
    one.run("UPDATE t SET n = 1")  # as was read: the other's change is lost
    one.run("COMMIT")
    assert one.run("SELECT n FROM t") == [(1,)]
    one.run("BEGIN TRANSACTION")
    one.run("SELECT n FROM t WITH (UPDLOCK, HOLDLOCK)")
    other.run("SET LOCK_TIMEOUT 50")
    assert other.error("UPDATE t SET n = n + 1") == 1222
    one.run("ROLLBACK")


def test_application_locks(connect: Callable[..., Client]) -> None:
    one, other = connect(), connect()
    take = (
        "DECLARE @got INT; EXEC @got = sp_getapplock @Resource = N'x', @LockMode = N'Exclusive', "
        "@LockOwner = N'Transaction', @LockTimeout = {}; SELECT @got AS got"
    )
    assert one.run(take.format(0)) == [(-999,)]  # there is no transaction
    one.run("BEGIN TRANSACTION")
    other.run("BEGIN TRANSACTION")
    assert one.run(take.format(0)) == [(0,)]
    assert other.run(take.format(20)) == [(-1,)]
    waiting = threading.Timer(0.1, lambda: one.run("COMMIT"))
    waiting.start()
    assert other.run(take.format(10_000)) == [(1,)]
    waiting.join()
    other.run("COMMIT")


def test_who_closes_a_circle_of_waiting_is_told(connect: Callable[..., Client]) -> None:
    one, other = connect(), connect()
    one.run("CREATE TABLE t (id INT)")
    take = (
        "DECLARE @g INT; EXEC @g = sp_getapplock @Resource = N'y', @LockMode = N'Exclusive', @LockTimeout = 9000; "
        "SELECT @g AS g"
    )
    one.run("BEGIN TRANSACTION; INSERT INTO t VALUES (1)")
    other.run("BEGIN TRANSACTION")
    other.run(take)
    waiting = threading.Thread(target=lambda: one.run(take))
    waiting.start()
    while waiting.is_alive() and not (number := _victim(other)):
        pass
    assert number == 1205
    waiting.join()
    assert one.run("SELECT @@TRANCOUNT AS n") == [(1,)]


def _victim(client: Client) -> int:
    try:
        client.run("SET LOCK_TIMEOUT 0; INSERT INTO t VALUES (2)")
    except pymssql.Error as refused:
        return int(refused.args[0]) if refused.args[0] == 1205 else 0
    return 0


def test_parameters_of_sp_executesql(client: Client) -> None:
    batch = (
        "DECLARE @p1 NVARCHAR(MAX) = N'it''s', @p2 VARBINARY(200) = 0x61, @p3 FLOAT(53) = CAST(CAST(3 AS BIGINT) AS "
        "FLOAT(53)) * POWER(CAST(2 AS FLOAT(53)), -1);\n"
        "EXEC sp_executesql N'SELECT @p1 AS a, @p2 AS b, @p3 AS c, N''x'' AS d', "
        "N'@p1 NVARCHAR(MAX), @p2 VARBINARY(200), @p3 FLOAT(53)', @p1, @p2, @p3"
    )
    assert client.run(batch) == [("it's", b"a", 1.5, "x")]
    assert client.error("EXEC sp_executesql N'SELECT @p AS a', N'@p INT'") == 8178
    many = ", ".join(f"@p{n} INT" for n in range(2101))
    given = ", ".join(["1"] * 2101)
    assert client.error(f"EXEC sp_executesql N'SELECT 1 AS a', N'{many}', {given}") == 8003


def test_catch_and_throw(client: Client) -> None:
    client.run("CREATE TABLE t (id INT NOT NULL, PRIMARY KEY (id)); INSERT INTO t VALUES (1)")
    caught = (
        "BEGIN TRY BEGIN TRANSACTION; INSERT INTO t VALUES (2); INSERT INTO t VALUES (1); COMMIT; END TRY "
        "BEGIN CATCH IF @@TRANCOUNT > 0 ROLLBACK; THROW; END CATCH"
    )
    assert client.error(caught) == 2627
    assert client.run("SELECT id FROM t") == [(1,)]


@pytest.mark.parametrize(("options", "number"), [({"database": "missing_one"}, 4060), ({"password": "wrong"}, 18456)])
def test_logins_that_are_refused(tds_double: Any, options: dict[str, str], number: int) -> None:
    given = {"user": tds_double.user, "password": tds_double.password, "port": str(tds_double.port)} | options
    # In a process of its own: pymssql remembers the severest login that failed, and tells of it again and again.
    code = f"import pymssql; pymssql.connect(server='127.0.0.1', **{given!r})"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stderr
    assert f"OperationalError: ({number}," in said


def test_what_it_does_not_know_it_says(client: Client) -> None:
    with pytest.raises(pymssql.Error, match="The TDS double does not know"):
        client.run("SELECT SOUNDEX(N'x') AS x")
