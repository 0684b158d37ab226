"""Decisions may belong to one act, and none is ever changed or deleted: the database itself refuses.

On SQLite every later change to this table drops its triggers, and has to add them again.
"""

from django.db import migrations, models

TABLE = "gallery_decision"
SQLITE = tuple(
    f"CREATE TRIGGER {TABLE}_no_{action.lower()} BEFORE {action} ON {TABLE} "
    "BEGIN SELECT RAISE(ABORT, 'decisions are append-only'); END"
    for action in ("UPDATE", "DELETE")
)
POSTGRESQL = (
    f"CREATE FUNCTION {TABLE}_refuse() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'decisions are append-only'; END $$",
    f"CREATE TRIGGER {TABLE}_append_only BEFORE UPDATE OR DELETE ON {TABLE} "
    f"FOR EACH ROW EXECUTE FUNCTION {TABLE}_refuse()",
)


def add_triggers(apps, schema_editor):
    statements = POSTGRESQL if schema_editor.connection.vendor == "postgresql" else SQLITE
    for statement in statements:
        schema_editor.execute(statement, params=None)


def remove_triggers(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP FUNCTION {TABLE}_refuse() CASCADE")
    else:
        for action in ("update", "delete"):
            schema_editor.execute(f"DROP TRIGGER {TABLE}_no_{action}")


class Migration(migrations.Migration):
    dependencies = [("gallery", "0003_reviews_of_what_is_there")]
    operations = [
        migrations.AddField(
            model_name="decision",
            name="act",
            field=models.CharField(
                blank=True,
                default="",
                help_text="the same for what was decided, and is undone, together",
                max_length=32,
            ),
            preserve_default=False,
        ),
        migrations.RunPython(add_triggers, remove_triggers),
    ]
