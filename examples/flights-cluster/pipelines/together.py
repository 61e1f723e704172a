"""Run a script in several processes that train one model together, by torchrun.

All of them run on this machine and meet in files, so that no port is open to others. On a cluster each machine runs
torchrun itself: `--nnodes`, and an address as `--rdzv-endpoint`.
"""

import os
import subprocess
import sys
import tempfile

from files import StageError, params, run


def main() -> None:
    """One that fails ends all."""
    (settings,) = params("train")
    if len(sys.argv) != 2:
        raise StageError("usage: python pipelines/together.py SCRIPT")
    count = settings["processes"]
    if type(count) is not int or count < 1:
        raise StageError(f"train.processes is {count!r}: write how many processes train together")
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "torch.distributed.run", "--nnodes=1", f"--nproc-per-node={count}"]
        words += ["--max-restarts=0", "--rdzv-backend=c10d", "--rdzv-conf=store_type=file", "--rdzv-id=train"]
        words += [f"--rdzv-endpoint={folder}/launchers", sys.argv[1]]
        # Sums of floats depend on how threads share the work: one for each process.
        env = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "MEETING": f"file://{folder}/workers"}
        # Else the launcher opens a port to all machines, for processes that meet over it. Ours do not.
        env["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
        done = subprocess.run(words, env=env, check=False)
    if done.returncode:
        raise StageError(f"{sys.argv[1]} failed in one of {count} processes; what it printed says why")


if __name__ == "__main__":
    run(main)
