"""The process between the owner and the server: it stops the server when the owner ends, SIGKILL included.

Run as a script: `watcher.py IDENTITY LOCK_FD COMMAND...`. Standard input is a pipe whose only writer is the
owner, so the kernel itself reports the owner's end: end of file means *stop the server*, the word `detach`
means *leave it running*. The watcher is the server's parent, so it never signals a program that merely got
the server's old process id. It imports nothing of kaquan: it starts in milliseconds and holds little memory.
"""

import json
import os
import signal
import subprocess
import sys
import threading

DETACH = b"detach"


def watch(identity_json: str, lock_fd: str, *command: str) -> int:
    """Run `command` until it ends or the owner does; return its exit code.

    `identity_json` holds the user arguments of `Popen`. The server inherits the locked descriptor `lock_fd`,
    which keeps the folder locked for as long as any process of the server lives.
    """
    server = subprocess.Popen(  # noqa: S603 - the command is ours
        command, stdin=subprocess.DEVNULL, pass_fds=(int(lock_fd),), umask=0o077, **json.loads(identity_json)
    )
    # A service manager or a closing terminal signals every process it knows. The owner finishes its work
    # first, so only its end may stop the server.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)

    def obey_owner() -> None:
        if sys.stdin.buffer.read() == DETACH:
            os._exit(0)
        server.send_signal(signal.SIGINT)  # fast shutdown: roll back what runs, write a checkpoint, end

    threading.Thread(target=obey_owner, daemon=True).start()
    return server.wait()


if __name__ == "__main__":
    sys.exit(watch(*sys.argv[1:]))
