"""Workflows, versions and runs; the database keeps what was declared and asked for as it was."""

import delivery.rules.running
import django.core.serializers.json
import django.db.models.deletion
import reconcile.grammar
import reconcile.values
import uuid
from django.db import migrations, models


TABLES = {
    "delivery_workflowversion": (
        "workflow_id, number, spec, spec_hash, author, correlation_id, created_at"
    ),
    "delivery_workflowrun": (
        "workflow_id, number, version, spec, message, parameters, asked_by, created_at"
    ),
}

SQLITE = """
CREATE TRIGGER {table}_immutable BEFORE UPDATE OF {columns} ON {table}
BEGIN SELECT RAISE(ABORT, 'This never changes.'); END
"""
POSTGRESQL = """
CREATE FUNCTION {table}_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'This never changes.' USING ERRCODE = '23000'; END $$;
CREATE TRIGGER {table}_immutable BEFORE UPDATE OF {columns} ON {table}
FOR EACH ROW EXECUTE FUNCTION {table}_immutable()
"""


def forbid(apps, schema_editor):
    """Make the triggers."""
    statement = SQLITE if schema_editor.connection.vendor == "sqlite" else POSTGRESQL
    for table, columns in TABLES.items():
        schema_editor.execute(statement.format(table=table, columns=columns))


def allow(apps, schema_editor):
    """Drop the triggers."""
    for table in TABLES:
        if schema_editor.connection.vendor == "sqlite":
            schema_editor.execute(f"DROP TRIGGER {table}_immutable")
        else:
            schema_editor.execute(f"DROP FUNCTION {table}_immutable() CASCADE")


class Migration(migrations.Migration):

    dependencies = [
        ('delivery', '0010_chosen_adapter'),
        ('tenancy', '0006_onboarding'),
    ]

    operations = [
        migrations.CreateModel(
            name='Workflow',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('uid', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('phase', models.CharField(choices=[(reconcile.values.Phase['PENDING'], reconcile.values.Phase['PENDING']), (reconcile.values.Phase['APPLYING'], reconcile.values.Phase['APPLYING']), (reconcile.values.Phase['DEPLOYED'], reconcile.values.Phase['DEPLOYED']), (reconcile.values.Phase['DRIFTED'], reconcile.values.Phase['DRIFTED']), (reconcile.values.Phase['ERROR'], reconcile.values.Phase['ERROR'])], db_index=True, default=reconcile.values.Phase['PENDING'], editable=False, max_length=8)),
                ('conditions', models.JSONField(blank=True, default=list, editable=False, encoder=django.core.serializers.json.DjangoJSONEncoder)),
                ('observed_generation', models.PositiveIntegerField(default=0, editable=False)),
                ('deletion_requested_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('generation', models.PositiveIntegerField(default=0, editable=False)),
                ('declared_by', models.CharField(blank=True, default='', editable=False, max_length=150)),
                ('correlation_id', models.CharField(blank=True, default='', editable=False, max_length=64)),
                ('name', models.CharField(max_length=63, validators=[reconcile.grammar.validate_name])),
                ('description', models.CharField(blank=True, default='', max_length=300)),
                ('mode', models.CharField(choices=[(delivery.rules.running.Mode['STEP_BY_STEP'], delivery.rules.running.Mode['STEP_BY_STEP']), (delivery.rules.running.Mode['DAG'], delivery.rules.running.Mode['DAG'])], default=delivery.rules.running.Mode['STEP_BY_STEP'], max_length=10)),
                ('steps', models.JSONField(default=list)),
                ('version', models.PositiveIntegerField(default=0, editable=False)),
                ('project', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='workflows', to='tenancy.project')),
            ],
            options={
                'ordering': ['project__tenant__name', 'project__name', 'name'],
            },
        ),
        migrations.CreateModel(
            name='WorkflowRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('uid', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('phase', models.CharField(choices=[(reconcile.values.Phase['PENDING'], reconcile.values.Phase['PENDING']), (reconcile.values.Phase['APPLYING'], reconcile.values.Phase['APPLYING']), (reconcile.values.Phase['DEPLOYED'], reconcile.values.Phase['DEPLOYED']), (reconcile.values.Phase['DRIFTED'], reconcile.values.Phase['DRIFTED']), (reconcile.values.Phase['ERROR'], reconcile.values.Phase['ERROR'])], db_index=True, default=reconcile.values.Phase['PENDING'], editable=False, max_length=8)),
                ('conditions', models.JSONField(blank=True, default=list, editable=False, encoder=django.core.serializers.json.DjangoJSONEncoder)),
                ('observed_generation', models.PositiveIntegerField(default=0, editable=False)),
                ('deletion_requested_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('number', models.PositiveIntegerField()),
                ('version', models.PositiveIntegerField()),
                ('spec', models.JSONField()),
                ('message', models.CharField(blank=True, default='', max_length=300)),
                ('parameters', models.JSONField(blank=True, default=dict)),
                ('asked_by', models.CharField(max_length=150)),
                ('correlation_id', models.CharField(blank=True, default='', max_length=64)),
                ('state', models.CharField(choices=[(delivery.rules.running.RunState['RUNNING'], delivery.rules.running.RunState['RUNNING']), (delivery.rules.running.RunState['SUSPENDING'], delivery.rules.running.RunState['SUSPENDING']), (delivery.rules.running.RunState['SUCCEEDED'], delivery.rules.running.RunState['SUCCEEDED']), (delivery.rules.running.RunState['FAILED'], delivery.rules.running.RunState['FAILED']), (delivery.rules.running.RunState['TERMINATED'], delivery.rules.running.RunState['TERMINATED'])], db_index=True, default=delivery.rules.running.RunState['RUNNING'], max_length=10)),
                ('progress', models.JSONField(default=dict)),
                ('suspended_by', models.CharField(blank=True, default='', max_length=150)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('workflow', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='runs', to='delivery.workflow')),
            ],
            options={
                'ordering': ['-number'],
            },
        ),
        migrations.CreateModel(
            name='WorkflowVersion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('spec', models.JSONField()),
                ('spec_hash', models.CharField(max_length=32)),
                ('author', models.CharField(max_length=150)),
                ('correlation_id', models.CharField(blank=True, default='', max_length=64)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('workflow', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='versions', to='delivery.workflow')),
            ],
            options={
                'ordering': ['-number'],
            },
        ),
        migrations.AddConstraint(
            model_name='workflow',
            constraint=models.UniqueConstraint(fields=('project', 'name'), name='workflow_once_per_project'),
        ),
        migrations.AddConstraint(
            model_name='workflowrun',
            constraint=models.UniqueConstraint(fields=('workflow', 'number'), name='workflow_run_once_per_workflow'),
        ),
        migrations.AddConstraint(
            model_name='workflowversion',
            constraint=models.UniqueConstraint(fields=('workflow', 'number'), name='workflow_version_once_per_workflow'),
        ),
        migrations.RunPython(forbid, allow),
    ]
