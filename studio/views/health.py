"""Whether the studio can answer: for load balancers and scripts."""

from django.db import connection
from django.http import JsonResponse

from studio.http import StudioRequest


def health(request: StudioRequest) -> JsonResponse:
    """200 when the database answers."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return JsonResponse({"status": "ok"})
