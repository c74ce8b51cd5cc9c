"""User code in worker processes: results, limits, deaths, and nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest
from scoreproof.validation.isolation import Pool, TimeLimit, WorkerDied, call_isolated
from scoreproof.validation.isolation_errors import CannotPickle
from scoreproof.validation.pickling import dumps

FACTOR = 3


class Refusal(ValueError):
    def __init__(self, first: str, second: str) -> None:  # does not survive pickling by arguments
        super().__init__(f"{first} and {second}")


def triple(x: float) -> float:
    return FACTOR * x


def hang() -> None:
    time.sleep(1000)


def leave_grandchild() -> None:
    child = subprocess.Popen(["sleep", "1000"])
    print(child.pid, flush=True)
    os._exit(5)


def gone(pid: int) -> bool:
    """Whether a process is gone, waiting for its end a little; a zombie of init counts as gone."""
    for _ in range(500):
        try:
            with open(f"/proc/{pid}/stat") as stream:
                if stream.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except FileNotFoundError:
            return True
        time.sleep(0.01)
    return False


def test_result_and_own_process() -> None:
    assert call_isolated(triple, 1.5) == 4.5
    assert call_isolated(os.getpid) != os.getpid()


def test_workers_are_reused() -> None:
    assert call_isolated(os.getpid) == call_isolated(os.getpid)


def test_code_of_this_module_goes_by_value() -> None:
    payload = dumps((triple, (2,)))
    code = f"import pickle; f, a = pickle.loads({payload!r}); print(f(*a))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/")
    assert done.stdout == "6\n", done.stderr


def test_exceptions_come_back_with_the_traceback_of_the_worker() -> None:
    def fail() -> None:
        raise KeyError("missing")

    with pytest.raises(KeyError, match="missing") as caught:
        call_isolated(fail)
    assert "in fail" in "".join(caught.value.__notes__)


def test_exceptions_that_cannot_be_sent_keep_their_words() -> None:
    def fail() -> None:
        raise Refusal("this", "that")

    with pytest.raises(RuntimeError, match="Refusal: this and that"):
        call_isolated(fail)


def test_exit_of_user_code_is_an_error_and_not_our_exit() -> None:
    with pytest.raises(RuntimeError, match="SystemExit"):
        call_isolated(sys.exit, 7)
    assert call_isolated(triple, 1) == 3


def test_time_limit_stops_the_worker() -> None:
    with pytest.raises(TimeLimit, match=r"time limit of 0\.2 s"):
        call_isolated(hang, timeout=0.2)
    assert call_isolated(triple, 2, timeout=60) == 6


@pytest.mark.skipif(sys.platform != "linux", reason="address space is capped on Linux")
@pytest.mark.skipif(os.path.exists("/dev/nvidiactl"), reason="no cap beside a CUDA device")
def test_memory_limit_is_an_error_of_the_task_only() -> None:
    def huge() -> int:
        return len(bytearray(2 << 30))

    with pytest.raises(MemoryError):
        call_isolated(huge, memory=256 << 20)
    assert call_isolated(len, bytes(1 << 20), memory=256 << 20) == 1 << 20


def test_death_names_status_and_last_words() -> None:
    def die() -> None:
        print("about to go")
        os._exit(3)

    with pytest.raises(WorkerDied, match=r"exit status 3.*about to go"):
        call_isolated(die)


def test_segmentation_fault_is_survived() -> None:
    def crash() -> None:
        import ctypes

        ctypes.string_at(0)

    with pytest.raises(WorkerDied, match=r"SIGSEGV.*Fatal Python error"):
        call_isolated(crash)
    assert call_isolated(triple, 1) == 3


def test_output_of_user_code_stays_off_the_protocol() -> None:
    def noisy() -> str:
        print("\0" * 100_000)
        os.write(1, b"raw bytes" * 1000)
        subprocess.run(["echo", "from a child"], check=True)
        print("more", file=sys.stderr)
        return sys.stdin.read()

    assert call_isolated(noisy) == ""


def test_fork_that_comes_back_does_not_answer() -> None:
    def fork() -> int:
        return os.fork()

    assert call_isolated(fork) > 0
    assert call_isolated(triple, 1) == 3


def test_death_takes_the_grandchildren_along() -> None:
    with pytest.raises(WorkerDied) as caught:
        call_isolated(leave_grandchild)
    assert gone(int(str(caught.value).rpartition(" ")[2]))


def test_what_cannot_be_pickled_runs_here_and_says_so() -> None:
    lock = threading.Lock()
    with pytest.raises(CannotPickle, match="lock"):
        dumps(lambda: lock)
    with pytest.warns(UserWarning, match="runs in process"):
        assert call_isolated(lambda: (lock.locked(), os.getpid())) == (False, os.getpid())


def test_one_thread_a_worker() -> None:
    def threads() -> tuple[set[int], str]:
        import numpy
        import scipy.linalg
        import threadpoolctl

        assert numpy and scipy.linalg
        found = {library["num_threads"] for library in threadpoolctl.threadpool_info()}
        return found, os.environ["OMP_NUM_THREADS"]

    assert call_isolated(threads) == ({1}, "1")


def test_pool_survives_the_death_of_a_worker() -> None:
    def task(k: int) -> int:
        if k == 1:
            os._exit(9)
        if k == 3:
            os.kill(os.getpid(), 9)
        return k

    with Pool(2) as pool:
        futures = [pool.submit(task, k) for k in range(6)]
        errors = [future.exception() for future in futures]
    assert [k for k, e in enumerate(errors) if e is not None] == [1, 3]
    assert "exit status 9" in str(errors[1])
    assert "SIGKILL" in str(errors[3])
    assert [f.result() for f, e in zip(futures, errors, strict=True) if e is None] == [0, 2, 4, 5]


def test_pool_leaves_no_process_behind() -> None:
    pool = Pool(2)
    pids = {pool.submit(os.getpid).result() for _ in range(4)}
    busy = pool.submit(hang)
    queued = [pool.submit(hang) for _ in range(3)]
    while not busy.running():
        time.sleep(0.01)
    pool.shutdown(wait=False)
    assert isinstance(busy.exception(), WorkerDied)
    for future in queued:
        assert future.cancelled() or isinstance(future.exception(), WorkerDied)
    for pid in pids:
        with pytest.raises(ProcessLookupError):  # not even a zombie
            os.kill(pid, 0)
    with pytest.raises(RuntimeError, match="shut down"):
        pool.submit(triple, 1)


@pytest.mark.parametrize("end", ["pass", "os.kill(os.getpid(), 9)", "raise KeyboardInterrupt"])
def test_workers_end_with_their_parent(end: str) -> None:
    code = f"""
import os, threading, time
from scoreproof.validation.isolation import Pool
pool = Pool(1)
print(pool.submit(os.getpid).result(), flush=True)
future = pool.submit(time.sleep, 1000)
while not future.running():
    time.sleep(0.01)
time.sleep(0.1)
{end}
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert gone(int(done.stdout)), done.stderr


def test_packages_of_other_folders_are_not_the_users(tmp_path, monkeypatch) -> None:
    folder = tmp_path / "lib" / "site-packages"
    folder.mkdir(parents=True)
    for place, name in ((folder, "packaged"), (tmp_path, "own")):
        (place / f"{name}.py").write_text("def one():\n    return 1\n")
        monkeypatch.syspath_prepend(str(place))
    import own  # pyright: ignore[reportMissingImports]
    import packaged  # pyright: ignore[reportMissingImports]

    for module, by_value in ((own, True), (packaged, False)):
        # By reference only the name of the module and of the function is written.
        assert (len(dumps(module.one)) > 200) == by_value
        monkeypatch.delitem(sys.modules, module.__name__)
