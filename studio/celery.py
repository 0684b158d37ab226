"""The Celery app: which queue each task goes to, and what beat starts. The database holds the truth, not a message."""

import os
import threading

from celery import Celery
from celery.signals import beat_init, worker_init
from django.conf import settings
from kombu import Queue

from studio import embedded_broker, lifeline

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "studio.settings")
embedded_broker.register()

SWEEP_INTERVAL_S = 5.0

app = Celery("studio")


def _configure() -> None:
    is_embedded = settings.STUDIO_BROKER_URL == "embedded"
    if is_embedded:
        for folder in ("messages", "control"):
            (settings.BROKER_DIR / folder).mkdir(parents=True, exist_ok=True)
    app.conf.update(
        broker_url=f"{embedded_broker.SCHEME}://localhost" if is_embedded else settings.STUDIO_BROKER_URL,
        broker_transport_options={
            "data_folder_in": str(settings.BROKER_DIR / "messages"),
            "data_folder_out": str(settings.BROKER_DIR / "messages"),
            "control_folder": str(settings.BROKER_DIR / "control"),
            "polling_interval": 0.2,
        }
        if is_embedded
        else {},
        broker_connection_retry_on_startup=True,
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        # Redelivery is the sweeper's work: with late acks Celery redelivers for ever what kills its worker.
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        task_default_queue="default",
        task_queues=[Queue("gpu"), Queue("default")],
        task_routes={"inference.drain": {"queue": "gpu"}},
        beat_schedule={
            "sweep": {"task": "inference.sweep", "schedule": SWEEP_INTERVAL_S},
            "reconcile": {"task": "inference.reconcile", "schedule": SWEEP_INTERVAL_S * 12},
            "masks": {"task": "campaigns.make_missing_masks", "schedule": SWEEP_INTERVAL_S * 6},
            "loras": {"task": "inference.check_waiting_loras", "schedule": SWEEP_INTERVAL_S * 6},
            "renditions": {"task": "gallery.make_missing_renditions", "schedule": SWEEP_INTERVAL_S * 6},
        },
        beat_schedule_filename=str(settings.STUDIO_DATA / "beat"),
        timezone="UTC",
    )


_configure()
app.autodiscover_tasks()


@beat_init.connect
def _sweep_at_once(**_: object) -> None:
    # Beat counts from its own start: killed again and again, it would never come to it.
    app.send_task("inference.sweep")


@worker_init.connect
@beat_init.connect
def _hold_lifeline(**_: object) -> None:
    threading.Thread(target=lifeline.hold, daemon=True, name="lifeline").start()
