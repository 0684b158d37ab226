"""Which campaigns lie in which project. The arrow points down: a campaign knows its folder, a folder no campaigns."""

from collections.abc import Iterable

from django.db.models import Count

from campaigns.models import Campaign
from gallery.models import Project


def campaigns_in(project_ids: Iterable[int]) -> dict[int, int]:
    """Project id → how many campaigns lie in it."""
    rows = Campaign.objects.filter(project_id__in=list(project_ids)).values_list("project_id")
    return dict(rows.annotate(number=Count("pk")).order_by())


def move(campaign: Campaign, *, project: Project | None) -> None:
    """Lay a campaign into a project of its workspace, or take it out of the one that it lies in.

    :raises ValueError: the project is another workspace's.
    """
    if project is not None and project.workspace_id != campaign.workspace_id:
        raise ValueError(f"Project {project.pk} belongs to another workspace than campaign {campaign.pk}.")
    Campaign.objects.filter(pk=campaign.pk).update(project=project)
