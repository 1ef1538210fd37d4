"""The database itself keeps revisions as they were made; `healthy` alone is written later."""

from django.db import migrations

COLUMNS = (
    "app_id, number, spec, spec_hash, author, message, correlation_id, origin, created_at"
)

SQLITE = f"""
CREATE TRIGGER delivery_revision_immutable BEFORE UPDATE OF {COLUMNS} ON delivery_revision
BEGIN SELECT RAISE(ABORT, 'A revision never changes.'); END
"""
POSTGRESQL = f"""
CREATE FUNCTION delivery_revision_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'A revision never changes.' USING ERRCODE = '23000'; END $$;
CREATE TRIGGER delivery_revision_immutable BEFORE UPDATE OF {COLUMNS} ON delivery_revision
FOR EACH ROW EXECUTE FUNCTION delivery_revision_immutable()
"""


def forbid(apps, schema_editor):
    """Make the trigger."""
    sqlite = schema_editor.connection.vendor == "sqlite"
    schema_editor.execute(SQLITE if sqlite else POSTGRESQL)


def allow(apps, schema_editor):
    """Drop the trigger."""
    if schema_editor.connection.vendor == "sqlite":
        schema_editor.execute("DROP TRIGGER delivery_revision_immutable")
        return
    schema_editor.execute("DROP FUNCTION delivery_revision_immutable() CASCADE")


class Migration(migrations.Migration):
    dependencies = [("delivery", "0001_initial")]
    operations = [migrations.RunPython(forbid, allow)]
