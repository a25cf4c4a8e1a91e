"""Several URLs, and TLS with client certificates."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from adapters.rabbitmq.broker import RabbitBroker
from service.errors import BadConfiguration
from service.workflow.ports import Consumer, ConsumerDown, PublishFailed
from tests.integration.taking_in import Intake, connect, eventually, send
from tests.nodes.certificates import Authority
from tests.nodes.forwarder import Forwarder
from tests.nodes.rabbitmq import RabbitNode


async def test_consumer_and_publisher_come_back_through_the_next_url(rabbitmq, rabbitmq_node: RabbitNode):
    intake = Intake()
    async with Forwarder.to(rabbitmq_node.port) as first, Forwarder.to(rabbitmq_node.port) as last:
        ports = (first.port, 1, last.port)
        urls = [rabbitmq.replace(f":{rabbitmq_node.port}/", f":{port}/") + "?reconnect_interval=0.2" for port in ports]
        last.close()
        async with connect(",".join(urls)) as broker, broker.consume(intake) as consumer:
            for gone, back in [(first, last), (last, first)]:
                await back.open()
                gone.close()
                with pytest.raises((ConsumerDown, PublishFailed)):
                    await _work_on(broker, consumer)
                await eventually(consumer.check)
                await eventually(lambda: send(broker, b"back"))
            await intake.wait_for({b"back"})


async def _work_on(broker: RabbitBroker, consumer: Consumer) -> None:
    while True:
        await consumer.check()
        await send(broker, b"back")


@pytest.fixture
def files(rabbitmq_node: RabbitNode) -> dict[str, Path]:
    folder = rabbitmq_node.authority.folder
    return {"cafile": folder / "ca.pem", "certfile": folder / "client.pem", "keyfile": folder / "client.key"}


@pytest.fixture
def another(tmp_path: Path) -> dict[str, Path]:
    authority = Authority(tmp_path / "another")
    authority.sign("client")
    folder = authority.folder
    return {"cafile": folder / "ca.pem", "certfile": folder / "client.pem", "keyfile": folder / "client.key"}


async def test_over_tls_with_a_client_certificate(rabbitmq, rabbitmq_node: RabbitNode, files):
    intake = Intake()
    url = rabbitmq_node.tls_url(rabbitmq.rpartition("/")[2], **files)
    async with connect(url, watch_every=1) as broker, broker.consume(intake) as consumer:
        await send(broker, b"1")
        await asyncio.to_thread(rabbitmq_node.close_connections)
        await eventually(consumer.check)
        await intake.wait_for({b"1"})


async def test_another_authority_is_not_trusted(rabbitmq_node: RabbitNode, files, another):
    with pytest.raises(BadConfiguration, match=r"certificate that is not trusted .* set .cafile="):
        async with connect(rabbitmq_node.tls_url(**{**files, "cafile": another["cafile"]})):
            pass


async def test_without_the_client_certificate_it_says_what_to_set(rabbitmq_node: RabbitNode, files):
    with pytest.raises(BadConfiguration, match=r"client certificate, set .certfile= and &keyfile="):
        async with connect(rabbitmq_node.tls_url(cafile=files["cafile"])):
            pass


async def test_a_client_certificate_of_another_authority_is_refused(rabbitmq_node: RabbitNode, files, another):
    with pytest.raises(BadConfiguration, match="no broker let us in"):
        async with connect(rabbitmq_node.tls_url(**{**another, "cafile": files["cafile"]})):
            pass


async def test_a_file_that_is_not_there_is_told(rabbitmq_node: RabbitNode, files):
    with pytest.raises(BadConfiguration, match="cafile, certfile and keyfile can be read"):
        async with connect(rabbitmq_node.tls_url(**{**files, "keyfile": "/nowhere.key"})):
            pass


async def test_verification_is_never_switched_off(rabbitmq_node: RabbitNode):
    with pytest.raises(BadConfiguration, match=r"remove it, and set .cafile="):
        async with connect(rabbitmq_node.tls_url(no_verify_ssl=1)):
            pass
