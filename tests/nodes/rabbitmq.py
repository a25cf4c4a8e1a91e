"""A private RabbitMQ node on loopback: own folder, own Erlang name and cookie, own epmd, and a port for TLS with
certificates of its own authority. Runs as root or as anyone.

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

from tests.nodes.certificates import Authority
from tests.nodes.loopback import answers, free_port, own_folder, remove_folder, wait_until

BINARIES = Path("/usr/lib/rabbitmq/bin")  # Debian's; the wrappers in /usr/sbin would change user and folders
CONFIGURATION = """\
listeners.tcp.1 = 127.0.0.1:{port}
listeners.ssl.1 = 127.0.0.1:{tls_port}
ssl_options.cacertfile = {certificates}/ca.pem
ssl_options.certfile = {certificates}/server.pem
ssl_options.keyfile = {certificates}/server.key
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
log.console = false
log.file.level = warning
vm_memory_high_watermark.absolute = 1GB
disk_free_limit.absolute = 50MB
"""


class RabbitNode:
    def __init__(self) -> None:
        self.folder = own_folder("rabbitmq", self.stop)
        self.port, self.tls_port, self._distribution, self._epmd = (free_port() for _ in range(4))
        self.authority = Authority(self.folder / "certificates")
        self._server: subprocess.Popen[bytes] | None = None
        self._environment = self._write_configuration()

    def _write_configuration(self) -> dict[str, str]:
        folder = self.folder
        for name in ("mnesia", "log"):
            (folder / name).mkdir()
        for name in ("server", "client"):
            self.authority.sign(name)
        cookie = folder / ".erlang.cookie"
        cookie.write_text(secrets.token_hex(12))
        cookie.chmod(0o400)
        addresses = {"port": self.port, "tls_port": self.tls_port, "certificates": self.authority.folder}
        (folder / "rabbitmq.conf").write_text(CONFIGURATION.format(**addresses))
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

    def tls_url(self, vhost: str = "", **files: object) -> str:
        """Over TLS, where the node demands a client certificate of its own authority; `files` are the URL's parameters."""
        query = "&".join(f"{name}={value}" for name, value in files.items())
        return f"amqps://guest:guest@127.0.0.1:{self.tls_port}/{vhost}?{query}"

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

    def add_users(self, vhost: str, **rights: tuple[str, str, str]) -> None:
        """Each with the password `secret`, and what it may configure, write and read in the vhost."""
        wanted = ",".join(
            "{" + ",".join(f'<<"{word}">>' for word in (name, *may)) + "}" for name, may in rights.items()
        )
        escaped = wanted.replace("\\", "\\\\")
        self.ctl(
            "eval",
            'lists:foreach(fun({U, C, W, R}) -> rabbit_auth_backend_internal:add_user(U, <<"secret">>, <<>>), '
            f'rabbit_auth_backend_internal:set_permissions(U, <<"{vhost}">>, C, W, R, <<>>) end, [{escaped}]).',
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
