"""A process of two that waits outside of any sum: run by `test_shards`.

Address, number of this one, and what it does after a while: `dies` (SIGKILL), `aborts`, `stops` (SIGTERM) or `waits`.
"""

import os
import signal
import sys
import time

from gradmc.run import peers


def main() -> None:
    """Join, do it, and wait."""
    place, process, what = sys.argv[1:4]
    peers.HEARTBEAT = 10
    with peers.joined(place, 2, int(process)):
        print("joined", flush=True)
        time.sleep(0.5)
        if what == "aborts":
            os.abort()
        if what != "waits":
            os.kill(os.getpid(), {"dies": signal.SIGKILL, "stops": signal.SIGTERM}[what])
        time.sleep(100)


if __name__ == "__main__":
    main()
