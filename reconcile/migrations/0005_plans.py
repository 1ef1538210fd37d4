import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("reconcile", "0004_inferred_deletions")]

    operations = [
        migrations.CreateModel(
            name="PlanRecord",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("hash", models.CharField(max_length=32)),
                ("planned_by", models.CharField(max_length=150)),
                (
                    "planned_at",
                    models.DateTimeField(db_index=True, default=django.utils.timezone.now),
                ),
                ("rows", models.JSONField(default=list)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("hash", "planned_by"), name="plan_once_per_person"
                    )
                ],
            },
        ),
    ]
