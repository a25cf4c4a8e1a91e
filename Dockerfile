# One image for every role: `serve` (default), `api`, `worker`, `migrate`, `doctor`. The speech model is inside.
#   docker run -v ambient:/var/lib/ambient -p 127.0.0.1:8000:8000 -e AMBIENT_HTTP__HOST=0.0.0.0 \
#     -e AMBIENT_API__CLIENTS=… -e AMBIENT_EHR__BASE_URL=… ambient-fhir
# It listens on loopback unless told otherwise: beyond it, it wants API clients and a real EHR.
ARG BASE_IMAGE=python:3.12.12-slim

# The pinned dependencies, in a layer of their own that outlives changes of the code.
FROM ${BASE_IMAGE} AS dependencies
ENV UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy
WORKDIR /build
COPY requirements-build.lock ./
RUN pip install --no-cache-dir --require-hashes -r requirements-build.lock \
    && python -m venv --without-pip /opt/dependencies
COPY requirements.lock ./
RUN uv pip install --python /opt/dependencies/bin/python --require-hashes --only-binary :all: --compile-bytecode \
    -r requirements.lock \
    && rm -f /opt/dependencies/.lock

# The project itself, as a wheel built by the pinned hatchling of the stage above.
FROM dependencies AS project
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY service ./service
COPY adapters ./adapters
RUN python -m hatchling build --target wheel --directory dist \
    && uv pip install --python /opt/dependencies/bin/python --target /opt/ambient-fhir --no-deps --no-index \
       --compile-bytecode dist/*.whl \
    && rm -f /opt/ambient-fhir/.lock

FROM ${BASE_IMAGE} AS runtime
RUN python -m pip uninstall --yes pip \
    && groupadd --gid 10001 ambient \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/ambient --shell /usr/sbin/nologin ambient \
    && install --directory --owner=10001 --group=10001 --mode=0750 /var/lib/ambient /var/lib/ambient/blobs
COPY --from=dependencies /opt/dependencies /opt/dependencies
COPY --from=project /opt/ambient-fhir /opt/ambient-fhir
ENV PATH=/opt/ambient-fhir/bin:/opt/dependencies/bin:/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONPATH=/opt/ambient-fhir \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONFAULTHANDLER=1 \
    HF_HUB_OFFLINE=1
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="ambient-fhir" \
      org.opencontainers.image.description="A recorded consultation becomes a draft clinical note in the EHR" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# SQLite and audio of a single container go into var/ here; mount a volume to keep them. The chart mounts only blobs/.
WORKDIR /var/lib/ambient
USER 10001:10001
EXPOSE 8000 9000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --retries=3 CMD ["ambient-fhir", "doctor", "--quick"]
ENTRYPOINT ["ambient-fhir"]
CMD ["serve"]
