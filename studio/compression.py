"""Text leaves gzipped: pages, styles, scripts. Pictures and ZIPs, which would not shrink, leave as they are."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware

TEXTS = ("text/", "application/javascript", "application/json", "image/svg+xml")


class TextCompression(GZipMiddleware):
    """Django's own, with its bytes of random length against BREACH, for what is text and whole."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """The response, compressed where that is worth it and the browser takes it."""
        # A part of a file is told by its place in the plain file.
        is_text = response.get("Content-Type", "").startswith(TEXTS) and response.status_code != 206
        return super().process_response(request, response) if is_text else response
