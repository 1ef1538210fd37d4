"""What each cluster is to run; so far all of them ran the current revision."""

from django.db import migrations, models
from django.db.models import OuterRef, Subquery


def aim(apps, schema_editor):
    """Let every placement run what it ran: the current revision of its app."""
    app = apps.get_model("delivery", "App")
    current = app.objects.filter(pk=OuterRef("app_id")).values("revision")
    apps.get_model("delivery", "AppPlacement").objects.update(target=Subquery(current))


class Migration(migrations.Migration):
    dependencies = [("delivery", "0003_repair_modes")]
    operations = [
        migrations.AddField(
            model_name="appplacement",
            name="target",
            field=models.PositiveIntegerField(default=0, editable=False),
        ),
        migrations.RunPython(aim, migrations.RunPython.noop),
    ]
