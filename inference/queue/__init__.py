"""The queue of renders, and the only writer of a render's status.

The database holds the truth; a Celery message only says that there is work. Every transition is one conditional
UPDATE, guarded by the fence where a worker's attempt is concerned, so a late or doubled attempt changes nothing.
Rows are locked in one order everywhere: renders by id, then generation, then the ledger's.

asking.py puts renders in, nudges.py wakes workers, working.py claims and settles, stopping.py pauses and cancels,
sweeping.py takes back, expires and puts right; ends.py has the transitions that several of them need.
"""

from inference.queue.asking import KeyReusedError as KeyReusedError
from inference.queue.asking import QueuedRequest as QueuedRequest
from inference.queue.asking import enqueue as enqueue
from inference.queue.nudges import nudge as nudge
from inference.queue.nudges import nudge_on_commit as nudge_on_commit
from inference.queue.nudges import waiting as waiting
from inference.queue.stopping import cancel as cancel
from inference.queue.stopping import cancel_render as cancel_render
from inference.queue.stopping import cancel_workspace as cancel_workspace
from inference.queue.stopping import is_workspace_paused as is_workspace_paused
from inference.queue.stopping import pause as pause
from inference.queue.stopping import pause_workspace as pause_workspace
from inference.queue.stopping import resume as resume
from inference.queue.stopping import resume_workspace as resume_workspace
from inference.queue.sweeping import CLOCK_SLACK as CLOCK_SLACK
from inference.queue.sweeping import bury as bury
from inference.queue.sweeping import end_silent_workers as end_silent_workers
from inference.queue.sweeping import expire as expire
from inference.queue.sweeping import lend_anew as lend_anew
from inference.queue.sweeping import reap as reap
from inference.queue.sweeping import reconcile as reconcile
from inference.queue.sweeping import rein_in as rein_in
from inference.queue.working import FLAWED as FLAWED
from inference.queue.working import LEASE as LEASE
from inference.queue.working import MAX_ATTEMPTS as MAX_ATTEMPTS
from inference.queue.working import MAX_BACKOFF as MAX_BACKOFF
from inference.queue.working import MAX_GIVEN_BACK as MAX_GIVEN_BACK
from inference.queue.working import MEMORY as MEMORY
from inference.queue.working import SHUTDOWN as SHUTDOWN
from inference.queue.working import Claimed as Claimed
from inference.queue.working import ClaimedBatch as ClaimedBatch
from inference.queue.working import Finished as Finished
from inference.queue.working import StaleAttemptError as StaleAttemptError
from inference.queue.working import claim as claim
from inference.queue.working import complete as complete
from inference.queue.working import fail as fail
from inference.queue.working import finish_batch as finish_batch
from inference.queue.working import give_back as give_back
from inference.queue.working import heartbeat as heartbeat
from inference.queue.working import held as held
from inference.queue.working import loaded as loaded
from inference.queue.working import register as register
