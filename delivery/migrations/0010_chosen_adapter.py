"""Apps that are on a cluster already were rendered for plain Kubernetes, and stay there."""

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

_NATIVE = "delivery.native"


def stay(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Note the adapter of every placement that there is."""
    apps.get_model("delivery", "AppPlacement").objects.update(chosen_adapter=_NATIVE)


class Migration(migrations.Migration):
    dependencies = [("delivery", "0009_rollouts")]

    operations = [
        *(
            migrations.AddField(model_name="appplacement", name=name, field=field)
            for name, field in {
                "chosen_adapter": models.CharField(
                    blank=True, default="", editable=False, max_length=63
                ),
                "publications": models.PositiveIntegerField(default=0, editable=False),
                "published": models.CharField(
                    blank=True, default="", editable=False, max_length=32
                ),
            }.items()
        ),
        migrations.RunPython(stay, migrations.RunPython.noop),
    ]
