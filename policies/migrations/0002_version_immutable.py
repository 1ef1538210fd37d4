"""The database itself keeps versions as they were made."""

from django.db import migrations

COLUMNS = (
    "policy_set_id, number, rules, author, correlation_id, created_at"
)

SQLITE = f"""
CREATE TRIGGER policies_policyversion_immutable BEFORE UPDATE OF {COLUMNS} ON policies_policyversion
BEGIN SELECT RAISE(ABORT, 'A version never changes.'); END
"""
POSTGRESQL = f"""
CREATE FUNCTION policies_policyversion_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'A version never changes.' USING ERRCODE = '23000'; END $$;
CREATE TRIGGER policies_policyversion_immutable BEFORE UPDATE OF {COLUMNS} ON policies_policyversion
FOR EACH ROW EXECUTE FUNCTION policies_policyversion_immutable()
"""


def forbid(apps, schema_editor):
    """Make the trigger."""
    sqlite = schema_editor.connection.vendor == "sqlite"
    schema_editor.execute(SQLITE if sqlite else POSTGRESQL)


def allow(apps, schema_editor):
    """Drop the trigger."""
    if schema_editor.connection.vendor == "sqlite":
        schema_editor.execute("DROP TRIGGER policies_policyversion_immutable")
        return
    schema_editor.execute("DROP FUNCTION policies_policyversion_immutable() CASCADE")


class Migration(migrations.Migration):
    dependencies = [("policies", "0001_initial")]
    operations = [migrations.RunPython(forbid, allow)]
