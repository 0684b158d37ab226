import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from campaigns import recipes

CHUNK = 500


def remember(apps, schema_editor):
    """What every cell would be made from: the very thing that its versions were, as no brief could change until now."""
    campaigns = apps.get_model('campaigns', 'Campaign').objects.order_by('pk')
    cells = apps.get_model('campaigns', 'Cell').objects.order_by('pk')
    versions = apps.get_model('campaigns', 'CellRender').objects.order_by('pk')
    for campaign in campaigns.iterator(chunk_size=CHUNK):
        own = list(cells.filter(campaign=campaign).select_related('photo__upload'))
        recipes.write(campaign, own, photos={cell.photo_id: cell.photo for cell in own if cell.photo_id})
        cells.model.objects.bulk_update(own, ('recipe_hashes',), batch_size=CHUNK)
        hashes = {cell.pk: cell.recipe_hashes for cell in own}
        made = list(versions.filter(cell__campaign=campaign))
        for version in made:
            known = hashes[version.cell_id]
            version.made_from = known[version.image - 1] if version.image <= len(known) else ''
        versions.model.objects.bulk_update(made, ('made_from',), batch_size=CHUNK)


class Migration(migrations.Migration):

    dependencies = [
        ('campaigns', '0005_loras'),
        ('studio', '0003_notifications_seen'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='campaign',
            name='changes',
            field=models.PositiveIntegerField(default=0, help_text='counts whatever changed what its cells ask for: a brief, a photo, a hand edit'),
        ),
        migrations.AddField(
            model_name='campaign',
            name='has_set_aside',
            field=models.BooleanField(default=False, help_text='whether images were asked for that the brief no longer wants'),
        ),
        migrations.AddField(
            model_name='campaign',
            name='revision',
            field=models.PositiveIntegerField(default=1, help_text='counts the briefs that it was planned from'),
        ),
        migrations.AddField(
            model_name='cell',
            name='changed',
            field=models.PositiveIntegerField(default=0, help_text="the campaign's changes when these last differed"),
        ),
        migrations.AddField(
            model_name='cell',
            name='edit',
            field=models.JSONField(help_text='what a person wrote over the brief: prompt, negative_prompt, seed', null=True),
        ),
        migrations.AddField(
            model_name='cell',
            name='is_set_aside',
            field=models.BooleanField(default=False, help_text='the brief no longer asks for it; what was made stays'),
        ),
        migrations.AddField(
            model_name='cell',
            name='recipe_hashes',
            field=models.JSONField(default=list, help_text='one per image: what it would be made from today'),
        ),
        migrations.AddField(
            model_name='cellrender',
            name='axes',
            field=models.JSONField(help_text="what it shows, where the cell's axis values were changed since", null=True),
        ),
        migrations.AddField(
            model_name='cellrender',
            name='made_from',
            field=models.CharField(blank=True, help_text="the cell's recipe hash when it was asked for", max_length=64),
        ),
        migrations.AddField(
            model_name='cellrender',
            name='photo',
            field=models.ForeignKey(help_text='where the cell has another one since', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='campaigns.photo'),
        ),
        migrations.AddField(
            model_name='draft',
            name='revises',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='revisions', to='campaigns.campaign'),
        ),
        migrations.AddConstraint(
            model_name='draft',
            constraint=models.UniqueConstraint(condition=models.Q(('campaign', None)), fields=('revises',), name='draft_revises_once'),
        ),
        migrations.RunPython(remember, migrations.RunPython.noop),
    ]
