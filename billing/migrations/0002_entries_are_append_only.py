"""An entry is never changed or deleted: the database itself refuses."""

from django.db import migrations

SQLITE = (
    "CREATE TRIGGER billing_entry_no_update BEFORE UPDATE ON billing_entry "
    "BEGIN SELECT RAISE(ABORT, 'ledger entries are append-only'); END",
    "CREATE TRIGGER billing_entry_no_delete BEFORE DELETE ON billing_entry "
    "BEGIN SELECT RAISE(ABORT, 'ledger entries are append-only'); END",
)
POSTGRESQL = (
    "CREATE FUNCTION billing_entry_refuse() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'ledger entries are append-only'; END $$",
    "CREATE TRIGGER billing_entry_append_only BEFORE UPDATE OR DELETE ON billing_entry "
    "FOR EACH ROW EXECUTE FUNCTION billing_entry_refuse()",
)


def add_triggers(apps, schema_editor):
    statements = POSTGRESQL if schema_editor.connection.vendor == "postgresql" else SQLITE
    for statement in statements:
        schema_editor.execute(statement, params=None)


def remove_triggers(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP FUNCTION billing_entry_refuse() CASCADE")
    else:
        schema_editor.execute("DROP TRIGGER billing_entry_no_update")
        schema_editor.execute("DROP TRIGGER billing_entry_no_delete")


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_initial")]
    operations = [migrations.RunPython(add_triggers, remove_triggers)]
