from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenancy", "0003_tenancy_complete")]

    operations = [
        migrations.AddField(
            model_name=model,
            name="chosen_adapter",
            field=models.CharField(blank=True, default="", editable=False, max_length=63),
        )
        for model in ("projectplacement", "tenantplacement")
    ]
