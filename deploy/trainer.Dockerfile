# The trainer and the desk, with torch for CPUs. All else is pinned by hash; torch, which comes from
# another index, by version.
#
#   docker build -f deploy/trainer.Dockerfile -t tipstaff-trainer:0.1.0 .
#   docker run --user "$(id -u):$(id -g)" -v "$PWD:/work" tipstaff-trainer:0.1.0 \
#       train rows.csv --name faithfulness --out bundle
#   docker run --user "$(id -u):$(id -g)" -v "$PWD:/work" -p 8080:8080 tipstaff-trainer:0.1.0 \
#       desk workspace --host 0.0.0.0 --port 8080
#
# --user owns the mounted folder: the image's own user may not write there. With a read-only root it
# needs --tmpfs /tmp.
#
# BASE is any image with Python 3.11 or later as `python3`, and libstdc++; BUILD_BASE also needs its
# venv module. TORCH is a build for CPUs: PyPI's needs CUDA packages, which aren't in the lock.
# TORCH_INDEX is where it comes from; empty, it is pip's own index. A private index:
# docker build --secret id=pip,src=pip.conf ...

ARG BASE=python:3.11-slim-bookworm
ARG BUILD_BASE=${BASE}

FROM ${BUILD_BASE} AS build
ARG TORCH=torch==2.13.0+cpu
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /source
COPY deploy/locks/build.txt deploy/locks/trainer.txt deploy/locks/
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    python3 -m venv /build \
    && python3 -m venv --without-pip /opt/tipstaff \
    && /build/bin/pip install --require-hashes -r deploy/locks/build.txt \
    && /build/bin/pip wheel --no-deps --no-build-isolation --require-hashes --wheel-dir /locked \
        -r deploy/locks/trainer.txt \
    && /build/bin/pip --python /opt/tipstaff/bin/python install --no-deps --no-index /locked/*.whl \
    && /build/bin/pip --python /opt/tipstaff/bin/python install --no-deps \
        ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} "$TORCH"
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY client client
COPY server server
COPY trainer trainer
COPY gateway gateway
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    /build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /build/bin/pip --python /opt/tipstaff/bin/python install --no-deps /wheels/*.whl \
    && /build/bin/pip --python /opt/tipstaff/bin/python check

FROM ${BASE}
COPY --from=build /opt/tipstaff /opt/tipstaff
ENV PATH=/opt/tipstaff/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1 \
    HF_HUB_OFFLINE=1 \
    HOME=/tmp
USER 10001:10001
WORKDIR /work
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["tipstaff"]
CMD ["--help"]
