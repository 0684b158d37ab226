"""Thousands of rows of one table that differ in a few columns, written at once. Knows nothing of what they mean.

bulk_create makes an object of each row and prepares each of its columns anew: seconds for a launch of 10,000 images.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection
from django.db.models import Field, JSONField, Model


def insert(model: type[Model], names: Sequence[str], rows: Iterable[Sequence[object]], **common: object) -> None:
    """Insert rows in their order, so that their ids rise.

    :param names: the fields in which they differ, a relation's as "hold_line_id".
    :param rows: a number or text for each of these; for a JSON field its text.
    :param common: what all of them have in the other fields, where that is not the field's default.
    :raises django.db.IntegrityError: a constraint refuses one of them; none is written.
    """
    by_name = {field.attname: field for field in model._meta.concrete_fields if not field.primary_key}
    varying = [by_name.pop(name) for name in names]
    fixed = list(by_name.values())
    alike = model(**common)
    tail = tuple(_value(field, alike) for field in fixed)
    columns = [connection.ops.quote_name(str(field.column)) for field in (*varying, *fixed)]
    target = f"{connection.ops.quote_name(model._meta.db_table)} ({', '.join(columns)})"
    _write(target, ((*row, *tail) for row in rows), len(columns))


def _value(field: "Field[Any, Any]", of: Model) -> Any:
    value = field.pre_save(of, add=True)
    if isinstance(field, JSONField) and value is not None:
        # As text: else it would be written out anew for every row.
        return json.dumps(value, cls=field.encoder)
    return field.get_db_prep_save(value, connection)


def _write(target: str, rows: Iterable[tuple[Any, ...]], columns: int) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # Row by row as they come: the server takes them in while the next ones are made.
            with connection.wrap_database_errors, cursor.copy(f"COPY {target} FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            # The names are the models' own.
            cursor.executemany(f"INSERT INTO {target} VALUES ({', '.join(['%s'] * columns)})", list(rows))  # noqa: S608
