
import delivery.models.allowing
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('delivery', '0014_freeze'),
    ]

    operations = [
        migrations.AddField(
            model_name='publication',
            name='mark',
            field=models.CharField(blank=True, default='', max_length=32),
        ),
        migrations.AddField(
            model_name='publisheddefinition',
            name='deletion_requested_at',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='publisheddefinition',
            name='parameters',
            field=models.JSONField(blank=True, help_text='The JSON schema of its properties; empty: not known.', null=True),
        ),
        migrations.AddField(
            model_name='typelist',
            name='workflow_steps',
            field=models.JSONField(blank=True, null=True, validators=[delivery.models.allowing.validate_steps_listed]),
        ),
    ]
