"""Whether the studio can answer and take work: for load balancers, orchestrators and scripts."""

from django.db import connection
from django.http import JsonResponse
from django.views.decorators.cache import never_cache

from studio import readiness
from studio.http import StudioRequest


@never_cache
def health(request: StudioRequest) -> JsonResponse:
    """200 when the database answers."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return JsonResponse({"status": "ok"})


@never_cache
def live(request: StudioRequest) -> JsonResponse:
    """200 while this process answers at all; asks nobody else."""
    return JsonResponse({"status": "ok"})


@never_cache
def ready(request: StudioRequest) -> JsonResponse:
    """200 when work can be taken, 503 with what is missing when not."""
    found = readiness.checks()
    is_ready = all(told == readiness.OK for told in found.values())
    answer = {"status": "ready" if is_ready else "not ready", "checks": dict(found)}
    return JsonResponse(answer, status=200 if is_ready else 503)
