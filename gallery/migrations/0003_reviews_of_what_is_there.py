"""Assets of before get their prompt, their payer and their review."""

from django.db import migrations

def fill(apps, schema_editor):
    Asset, Review = apps.get_model("gallery", "Asset"), apps.get_model("gallery", "Review")
    for asset in Asset.objects.select_related("render__generation").iterator(chunk_size=500):
        render = getattr(asset, "render", None)
        asset.prompt = asset.recipe.get("request", {}).get("prompt", "")
        if render is not None:
            asset.hold_line_id, asset.created_by_id = render.hold_line_id, render.generation.created_by_id
        asset.save(update_fields=("prompt", "hold_line", "created_by"))
        Review.objects.create(
            workspace_id=asset.workspace_id, asset=asset, content_hash=asset.sha256, recipe_hash=asset.recipe_hash
        )


def empty(apps, schema_editor):
    apps.get_model("gallery", "Review").objects.all().delete()


class Migration(migrations.Migration):
    # The payer of an asset of before is known to its render only.
    dependencies = [("gallery", "0002_projects_renditions_reviews"), ("inference", "0001_initial")]
    operations = [migrations.RunPython(fill, empty)]
