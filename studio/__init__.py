"""Every way in, every page out. Importing it makes the Celery app the current one."""
