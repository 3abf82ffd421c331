"""T-SQL's DDL as SQLite's, for the TDS double: tables with their keys, indexes, schemas and views."""

from __future__ import annotations

from pysqlbridge.tds.result import QueryError
from sqlglot import exp

from tests.servers.tds_double_catalog import ColumnInfo, TableInfo
from tests.servers.tds_double_changes import Compiled
from tests.servers.tds_double_indexes import THE_OBJECT, Indexes, literal
from tests.servers.tds_double_sources import quoted
from tests.servers.tds_double_typed import Typed, refuse
from tests.servers.tds_double_types import TEXTS, affinity, type_of
from tests.servers.tds_double_values import collation, error


class Tables(Indexes):
    """Statements that make, change and drop what is stored in."""

    def create(self, node: exp.Create) -> Compiled:
        """CREATE."""
        match node.kind.upper() if node.kind else "":
            case "SCHEMA":
                name = literal(node.this.db or node.this.name)
                sql = f'INSERT INTO "double.schemas" (name) VALUES ({name})'
                return Compiled("DDL", sql)
            case "TABLE" if isinstance(node.this, exp.Schema) and not node.args.get("exists"):
                return self._create_table(node)
            case "INDEX" if not node.args.get("exists"):
                return self.create_index(node)
            case "VIEW":
                return self._create_view(node)
        raise refuse(node.sql("tsql"))

    def _new_object(self, node: exp.Table, kind: str) -> list[str]:
        full, schema = self.full(node), node.db or "dbo"
        if full in self.tables:
            raise error(2714, f"There is already an object named '{node.name}' in the database.")
        found = f'(SELECT schema_id FROM "double.schemas" WHERE name = {literal(schema)})'
        names = f"{literal(node.name)}, '{kind}', {literal(full)}"
        # A schema that is not there is noticed by the function.
        where = f"SELECT known_schema({found}, {literal(schema)}), {names}"
        return [f'INSERT INTO "double.objects" (schema_id, name, type, full_name) {where}']

    def _create_table(self, node: exp.Create) -> Compiled:
        table = node.this.this
        full = self.full(table)
        info = TableInfo(full)
        lines, key, after, pk_name, clustered = [], [], self._new_object(table, "U"), f"PK_{table.name}", True
        for each in node.this.expressions:
            if isinstance(each, exp.ColumnDef):
                if any(isinstance(of.kind, exp.PrimaryKeyColumnConstraint) for of in each.constraints):
                    key = [(each.name, False)]
                lines.append(self._column_of_table(info, each, len(info.columns) + 1, after))
                continue
            parts = each.expressions if isinstance(each, exp.Constraint) else [each]
            terms = [term for part in parts for term in self._key_terms(part)]
            if not terms or (isinstance(parts[0], exp.UniqueColumnConstraint)):
                raise refuse(each.sql("tsql"))
            pk_name = each.name if isinstance(each, exp.Constraint) else pk_name
            clustered = not any(isinstance(part, exp.NonClusteredColumnConstraint) for part in parts)
            key = [(self.key_name(term), bool(term.args.get("desc"))) for term in terms]
        if not lines:
            raise refuse(node.sql("tsql"))
        sql = f"CREATE TABLE {quoted(full)} (\n  " + ",\n  ".join(lines) + "\n)"
        if key:
            after += self.index(info, pk_name, key, [], unique=True, primary=True, clustered=clustered, where=None)
        return Compiled("DDL", sql, after=tuple(after))

    def _key_terms(self, part: exp.Expr) -> list[exp.Expr]:
        """The columns of a key: PRIMARY KEY, or CLUSTERED after it."""
        if isinstance(part, exp.PrimaryKey):
            return list(part.expressions)
        if isinstance(part, exp.ClusteredColumnConstraint | exp.NonClusteredColumnConstraint):
            return list(part.this)
        return []

    def _column_of_table(self, info: TableInfo, node: exp.ColumnDef, place: int, after: list[str]) -> str:
        kinds = [each.kind for each in node.constraints]
        collated = next((each.this.name for each in kinds if isinstance(each, exp.CollateColumnConstraint)), None)
        computed = next((each for each in kinds if isinstance(each, exp.ComputedColumnConstraint)), None)
        required = any(
            isinstance(each, exp.NotNullColumnConstraint) and not each.args.get("allow_null") for each in kinds
        )
        line = quoted(node.name)
        self.computed = self.computed or computed is not None
        if computed is not None:
            self.scopes.append(
                {"": {n: Typed(quoted(c.name), c.kind, c.size, c.collation) for n, c in info.columns.items()}}
            )
            value = self.value(computed.this)
            self.scopes.pop()
            kind, size = value.kind or "nvarchar", value.size
            stored = "STORED" if computed.args.get("persisted") else "VIRTUAL"
            required = required or bool(computed.args.get("not_null"))
            line += f" {affinity(kind)} GENERATED ALWAYS AS ({value.sql}) {stored}"
        else:
            assert node.kind is not None
            kind, size = type_of(node.kind)
            line += f" {affinity(kind)}"
        if kind in TEXTS:
            line += f" COLLATE {collation(collated, kind)}"
        for each in kinds:
            if isinstance(each, exp.DefaultColumnConstraint):
                self.scopes.append({})
                line += f" DEFAULT ({self.value(each.this).sql})"
        line += " NOT NULL" if required else ""
        by = collation(collated, kind) if kind in TEXTS else None
        info.columns[node.name.lower()] = ColumnInfo(node.name, kind, size, by, not required, computed is not None)
        values = f"{place}, {literal(node.name)}, '{kind}', {size}, {literal(collated)}, {int(not required)}"
        after.append(
            f'INSERT INTO "double.columns" VALUES ({THE_OBJECT.format(name=literal(info.name))}, {values}, '
            f"{int(computed is not None)})"
        )
        return line

    def _create_view(self, node: exp.Create) -> Compiled:
        if node.args.get("replace"):
            raise refuse("CREATE OR ALTER")
        self.scopes.append({})
        text, columns = self.query(node.expression)
        after = self._new_object(node.this, "V")
        for place, column in enumerate(columns, 1):
            the = THE_OBJECT.format(name=literal(self.full(node.this)))
            kind = column.kind or "nvarchar"
            name = {"code_points": "Latin1_General_100_BIN2_UTF8", "code_units": "Latin1_General_100_BIN2"}
            by = literal(name.get(column.collation or ""))
            values = f"{the}, {place}, {literal(column.name)}, '{kind}', {column.size}, {by}, 1, 0"
            after.append(f'INSERT INTO "double.columns" VALUES ({values})')
        return Compiled("DDL", f"CREATE VIEW {quoted(self.full(node.this))} AS {text}", after=tuple(after))

    def alter(self, node: exp.Alter) -> Compiled:
        """ALTER TABLE ... ADD columns."""
        full = self.full(node.this)
        info = self.tables.get(full)
        if info is None:
            raise error(4902, f'Cannot find the object "{full}".')
        statements: list[str] = []
        for action in node.args["actions"]:
            if not isinstance(action, exp.ColumnDef):
                raise refuse(node.sql("tsql"))
            if action.name.lower() in info.columns:
                raise error(2705, f"Column names in each table must be unique: '{action.name}'.")
            after: list[str] = []
            line = self._column_of_table(info, action, len(info.columns) + 1, after)
            line = line.replace(") STORED", ") VIRTUAL")  # SQLite adds no stored column
            statements += [f"ALTER TABLE {quoted(full)} ADD COLUMN {line}", *after]
        return Compiled("DDL", statements[0], after=tuple(statements[1:]))

    def drop(self, node: exp.Drop) -> Compiled:
        """DROP TABLE, VIEW, INDEX or SCHEMA."""
        table = node.args["tables"][0]
        kind, full = (
            node.args["kind"].upper(),
            self.full(node.args["cluster"].this if node.args.get("cluster") else table),
        )
        the = THE_OBJECT.format(name=literal(full))
        if kind == "SCHEMA":
            return Compiled("DDL", f'DELETE FROM "double.schemas" WHERE name = {literal(table.name)}')
        if kind == "INDEX":
            sql = f"DROP INDEX {quoted(f'{full}.{table.name}')}"
            return Compiled(
                "DDL",
                sql,
                after=(f'DELETE FROM "double.indexes" WHERE object_id = {the} AND name = {literal(table.name)}',),
            )
        if full not in self.tables:
            if node.args.get("exists"):
                return Compiled("DDL", "SELECT 1")
            raise QueryError(
                f"Cannot drop the {kind.lower()} '{table.sql('tsql')}', because it does not exist.", number=3701
            )
        names = ("columns", "indexes", "index_columns", "objects")
        after = tuple(f'DELETE FROM "double.{name}" WHERE object_id = {the}' for name in names)
        return Compiled("DDL", f"DROP {kind} {quoted(full)}", after=after)

    def truncate(self, node: exp.TruncateTable) -> Compiled:
        """TRUNCATE TABLE."""
        info = self._target(node.expressions[0])
        return Compiled("DDL", f"DELETE FROM {quoted(info.name)}")
