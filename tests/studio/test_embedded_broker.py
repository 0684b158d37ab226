"""The broker of files: whole messages in order, each to one reader, whatever dies meanwhile."""

import itertools
import multiprocessing
import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection, Exchange, Queue

from studio import embedded_broker

MESSAGES = 60


def connect(folder: Path) -> Connection:
    embedded_broker.register()
    messages, control = folder / "messages", folder / "control"
    messages.mkdir(parents=True, exist_ok=True)
    options = {"data_folder_in": str(messages), "data_folder_out": str(messages), "control_folder": str(control)}
    return Connection("embedded://", transport_options=options)


@pytest.fixture
def broker(tmp_path):
    # kombu remembers for the whole process what it has bound; each test here has a broker of its own.
    embedded_broker.Transport.global_state.clear()
    with connect(tmp_path) as connection:
        yield connection


def read_all(connection: Connection, name: str = "gpu") -> list[Any]:
    """Every message that waits, taken and acknowledged."""
    waiting = connection.SimpleQueue(name)
    bodies: list[Any] = []
    while True:
        try:
            message = waiting.get_nowait()
        except queue.Empty:
            return bodies
        bodies.append(message.payload)
        message.ack()


def test_messages_come_in_the_order_in_which_they_were_sent_each_once(broker, tmp_path):
    with broker.SimpleQueue("gpu") as sending:
        for number in range(MESSAGES):
            sending.put({"n": number})
    with connect(tmp_path) as reader:
        assert read_all(reader) == [{"n": number} for number in range(MESSAGES)]
        assert read_all(reader) == []


def test_a_queue_gets_only_its_own_messages(broker):
    broker.SimpleQueue("gpu").put("for gpu")
    broker.SimpleQueue("default").put("for default")
    assert read_all(broker, "default") == ["for default"]
    assert read_all(broker, "gpu") == ["for gpu"]


def test_a_message_that_is_still_being_written_is_not_seen(broker, tmp_path):
    broker.SimpleQueue("gpu").put("whole")
    [whole] = (tmp_path / "messages").iterdir()
    half = whole.with_name(f".{whole.name}.abc.part")
    half.write_bytes(whole.read_bytes()[:10])
    assert read_all(broker) == ["whole"]
    assert half.exists()


def test_a_reader_meets_only_whole_messages_while_others_write(broker, tmp_path):
    body = "x" * 300_000
    broker.SimpleQueue("gpu").close()  # bound, before two threads of this process try to at once

    def write() -> None:
        with connect(tmp_path) as connection, connection.SimpleQueue("gpu") as sending:
            for _ in range(20):
                sending.put(body)

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    read: list[Any] = []
    with connect(tmp_path) as connection:
        while any(writer.is_alive() for writer in writers):
            read += read_all(connection)
        read += read_all(connection)
    assert len(read) == 40
    assert set(read) == {body}


def test_no_message_reaches_two_readers(broker, tmp_path):
    with broker.SimpleQueue("gpu") as sending:
        for number in range(MESSAGES):
            sending.put(number)
    read: list[list[Any]] = [[], [], []]
    ready = threading.Barrier(len(read))

    def take(mine: list[Any]) -> None:
        with connect(tmp_path) as connection:
            ready.wait(timeout=30)
            mine += read_all(connection)

    readers = [threading.Thread(target=take, args=(mine,)) for mine in read]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(timeout=30)
    assert sorted(itertools.chain(*read)) == list(range(MESSAGES))


def bind(folder: Path, number: int) -> None:
    with connect(folder) as connection:
        exchange = Exchange("news", type="fanout")
        for part in range(5):
            Queue(f"reader-{number}-{part}", exchange=exchange, channel=connection.default_channel).declare()


def test_processes_that_bind_at_the_same_time_all_stand_in_the_table(broker, tmp_path):
    processes = [
        multiprocessing.get_context("fork").Process(target=bind, args=(tmp_path, number)) for number in range(6)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=30)
        assert process.exitcode == 0
    bound = {queue_name for _, _, queue_name in broker.default_channel.get_table("news")}
    assert bound == {f"reader-{number}-{part}" for number in range(6) for part in range(5)}


TAKE_ONE_AND_HANG = """
import sys, time
from pathlib import Path
from typing import Any
from tests.studio.test_embedded_broker import connect
message = connect(Path(sys.argv[1])).SimpleQueue("gpu").get_nowait()
print(message.payload, flush=True)
time.sleep(60)
"""


def test_a_worker_killed_with_a_message_in_hand_loses_that_one_only(broker, tmp_path):
    with broker.SimpleQueue("gpu") as sending:
        for number in range(3):
            sending.put(number)
    worker = subprocess.Popen([sys.executable, "-c", TAKE_ONE_AND_HANG, str(tmp_path)], stdout=subprocess.PIPE)
    assert worker.stdout is not None
    assert worker.stdout.readline() == b"0\n"
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    worker.stdout.close()
    assert read_all(broker) == [1, 2]


PUT_ON_A_FULL_DISK = """
import resource, sys
from pathlib import Path
from tests.studio.test_embedded_broker import connect
with connect(Path(sys.argv[1])).SimpleQueue("gpu") as sending:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    try:
        sending.put("x" * 100_000)
    except OSError as error:
        print(error.strerror)
"""


def test_a_message_that_did_not_fit_on_the_disk_is_not_there_at_all(broker, tmp_path):
    sending = [sys.executable, "-c", PUT_ON_A_FULL_DISK, str(tmp_path)]
    assert subprocess.run(sending, capture_output=True, text=True, check=True).stdout == "File too large\n"
    assert list((tmp_path / "messages").iterdir()) == []
    assert read_all(broker) == []


def test_a_message_that_cannot_be_written_leaves_no_rubbish(broker, tmp_path):
    sending = broker.SimpleQueue("gpu")
    with pytest.raises(TypeError):
        sending.channel._put("gpu", {"body": object()})
    assert list((tmp_path / "messages").iterdir()) == []
