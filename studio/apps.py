from django.apps import AppConfig


class StudioConfig(AppConfig):
    name = "studio"

    def ready(self) -> None:
        from studio import celery, checks  # noqa: F401  (registers tasks' app and the system checks)
