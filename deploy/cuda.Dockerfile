# The server on an NVIDIA GPU. Tests lint this file, but the image was never built: `make image` has
# neither its base image nor a GPU.
#
#   docker build -f deploy/cuda.Dockerfile -t tipstaff-server-gpu:0.1.0 .
#   docker run --gpus all -p 50051:50051 -v "$PWD/repository:/repository:ro" tipstaff-server-gpu:0.1.0
#
# BASE has the CUDA and the cuDNN that onnxruntime-gpu was built for, and Ubuntu's Python.

ARG BASE=nvidia/cuda:12.8.1-cudnn-runtime-ubuntu24.04

FROM ${BASE} AS python
# Ubuntu's security updates matter more here than one version for all time.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*

FROM python AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /source
COPY deploy/locks/build.txt deploy/locks/server-gpu.txt deploy/locks/
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    python3 -m venv /build \
    && python3 -m venv --without-pip /opt/tipstaff \
    && /build/bin/pip install --require-hashes -r deploy/locks/build.txt \
    && /build/bin/pip --python /opt/tipstaff/bin/python install --require-hashes \
        -r deploy/locks/server-gpu.txt
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY client client
COPY server server
COPY trainer trainer
COPY gateway gateway
RUN /build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /build/bin/pip --python /opt/tipstaff/bin/python install --no-index --no-deps /wheels/*.whl

FROM python
COPY --from=build /opt/tipstaff /opt/tipstaff
ENV PATH=/opt/tipstaff/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1 \
    TIPSTAFF_DEVICE=cuda \
    TIPSTAFF_LISTEN=[::]:50051 \
    TIPSTAFF_METRICS_LISTEN=0.0.0.0:9464 \
    TIPSTAFF_LOG_FORMAT=json
USER 10001:10001
EXPOSE 50051 9464
STOPSIGNAL SIGTERM
ENTRYPOINT ["tipstaff"]
CMD ["serve", "--repository", "/repository"]
