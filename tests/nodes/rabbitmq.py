"""A private RabbitMQ node on loopback: own folder, own Erlang name and cookie, own epmd. Runs as root or as anyone.

`kill()` is kill -9; `start()` on the same object brings the same node back with its durable data. A quorum queue
younger than about a second loses everything in a kill -9 (RabbitMQ 3.10): wait two seconds after declaring it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
from pathlib import Path

from tests.nodes.loopback import answers, free_port, own_folder, remove_folder, wait_until

BINARIES = Path("/usr/lib/rabbitmq/bin")  # Debian's; the wrappers in /usr/sbin would change user and folders
CONFIGURATION = """\
listeners.tcp.1 = 127.0.0.1:{port}
log.console = false
log.file.level = warning
vm_memory_high_watermark.absolute = 1GB
disk_free_limit.absolute = 50MB
"""


class RabbitNode:
    def __init__(self) -> None:
        self.folder = own_folder("rabbitmq", self.stop)
        self.port, self._distribution, self._epmd = free_port(), free_port(), free_port()
        self._server: subprocess.Popen[bytes] | None = None
        self._environment = self._write_configuration()

    def _write_configuration(self) -> dict[str, str]:
        folder = self.folder
        for name in ("mnesia", "log"):
            (folder / name).mkdir()
        cookie = folder / ".erlang.cookie"
        cookie.write_text(secrets.token_hex(12))
        cookie.chmod(0o400)
        (folder / "rabbitmq.conf").write_text(CONFIGURATION.format(port=self.port))
        (folder / "enabled_plugins").write_text("[].")
        return {
            **os.environ,
            "HOME": str(folder),
            "RABBITMQ_NODENAME": f"t{secrets.token_hex(4)}@localhost",
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "ERL_EPMD_PORT": str(self._epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +sbwt none",
        }

    def url(self, vhost: str = "") -> str:
        """The AMQP URL of a vhost, as the node's only user; without a name the default one."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/{vhost}"

    def start(self) -> None:
        """Returns once the node takes connections: 4 to 8 s on two cores."""
        with (self.folder / "out").open("ab") as out:
            self._server = subprocess.Popen(
                [BINARIES / "rabbitmq-server"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        server = self._server
        wait_until(lambda: answers(self.port), lambda: server.poll() is None, self.folder / "out")
        self.ctl("await_startup")

    def kill(self) -> None:
        """kill -9, as when the machine goes away."""
        self._signal(signal.SIGKILL)
        self._reap(10)

    def pause(self) -> None:
        """Stops the clock of the node: connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def ctl(self, *arguments: str) -> str:
        """`rabbitmqctl`, about one second a call."""
        done = subprocess.run(
            [BINARIES / "rabbitmqctl", "-q", *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"rabbitmqctl {arguments[0]}: {done.stdout}{done.stderr}")
        return done.stdout.strip()

    def add_vhosts(self, *names: str) -> None:
        """All in one call, because the call is what takes the time."""
        wanted = ",".join(f'<<"{name}">>' for name in names)
        self.ctl(
            "eval",
            f"lists:foreach(fun(V) -> rabbit_vhost:add(V, <<>>, <<>>, <<>>), rabbit_auth_backend_internal:set_permissions("
            f'<<"guest">>, V, <<".*">>, <<".*">>, <<".*">>, <<>>) end, [{wanted}]).',
        )

    def close_connections(self) -> None:
        """Drops every client's connection; the node keeps running."""
        self.ctl("close_all_connections", "--global", "the tests want it so")

    def stop(self) -> None:
        """Ends the node and its epmd and removes its folder. Safe to call twice."""
        if self._server is not None and self._server.poll() is None:
            self.resume()
            self._signal(signal.SIGTERM)
            if not self._reap(20):
                self.kill()
        subprocess.run(
            ["epmd", "-port", str(self._epmd), "-kill"], env=self._environment, capture_output=True, check=False
        )
        remove_folder(self.folder, self.stop)

    def _signal(self, number: signal.Signals) -> None:
        """To Erlang itself, whose pid is in the pid file; the shell script that started it is only its parent."""
        with contextlib.suppress(ProcessLookupError, FileNotFoundError, ValueError):
            os.kill(int((self.folder / "pid").read_text()), number)

    def _reap(self, timeout: float) -> bool:
        if self._server is None:
            return True
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._server.wait(timeout)
        return self._server.poll() is not None
