"""The installation's figures as Prometheus reads them."""

from django.http import HttpResponse
from django.views.decorators.cache import never_cache
from prometheus_client.exposition import choose_encoder

from studio.http import StudioRequest
from studio.metrics import REGISTRY


@never_cache
def metrics(request: StudioRequest) -> HttpResponse:
    """Every figure, in the format that the reader prefers."""
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(REGISTRY), content_type=content_type)
