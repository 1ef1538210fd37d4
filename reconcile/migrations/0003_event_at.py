"""Events happen when they happen, not when they are written down."""

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    """`at` is given by whoever makes the event."""

    dependencies = [("reconcile", "0002_drift_and_decisions")]

    operations = [
        migrations.AlterField(
            model_name="event",
            name="at",
            field=models.DateTimeField(
                db_index=True, default=django.utils.timezone.now, editable=False
            ),
        ),
    ]
