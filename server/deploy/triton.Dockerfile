# NVIDIA's Triton, with its native ONNX Runtime backend, for the project's model repository.
#
#   docker build -f server/deploy/triton.Dockerfile -t twinshelf-triton .
#
# The image holds no models: mount the repository that `make export` filled, as compose.yaml does.
# A published version carries its preprocessing with it, so that all it needs here is what reads
# photos and texts. Same versions as in server/triton_backends/requirements.lock (a test compares
# them): another Pillow may resize to other pixels than training saw.
ARG TRITON_IMAGE=nvcr.io/nvidia/tritonserver:25.06-py3
FROM ${TRITON_IMAGE}

RUN pip install --no-cache-dir pillow==13.0.0 tokenizers==0.23.3

# The launcher of `make triton`, in an environment of its own: the models keep the numpy of the server.
WORKDIR /app
COPY pyproject.toml README.md LICENSE requirements.lock ./
COPY protos ./protos
COPY server ./server
RUN pip install --no-cache-dir uv \
    && uv venv --python /usr/bin/python3 /opt/twinshelf \
    && uv pip install --python /opt/twinshelf --no-cache --constraint requirements.lock ".[triton]" \
    && pip uninstall --yes uv

RUN useradd --create-home twinshelf
USER twinshelf
ENV PYTHONDONTWRITEBYTECODE=1
ENV TWINSHELF_TRITONSERVER=/opt/tritonserver/bin/tritonserver

ENV TWINSHELF_VERSION=1
# HTTP; gRPC and metrics take the two after it.
ENV TWINSHELF_FIRST_PORT=8000
# OTLP over HTTP, such as http://127.0.0.1:4318/v1/traces: takes what Triton adds to the traces of the
# service, and none of its own.
ENV TWINSHELF_TRACE_URL=
# The launcher compares every file with what was published, serves a copy of it in /tmp, closed to
# changes, and starts a server again that stands still or dies. Loopback alone: whoever is to reach it
# shares its network, as the matching service does in compose.yaml. The log of the server itself is
# in /tmp, too.
CMD ["sh", "-c", "exec /opt/twinshelf/bin/python -m twinshelf.server.triton \
    --model-repository=/models --version=$TWINSHELF_VERSION \
    --http-port=$TWINSHELF_FIRST_PORT --grpc-port=$((TWINSHELF_FIRST_PORT + 1)) \
    --metrics-port=$((TWINSHELF_FIRST_PORT + 2)) --trace-url=$TWINSHELF_TRACE_URL \
    --log-file=/tmp/triton-$TWINSHELF_FIRST_PORT.log"]
HEALTHCHECK --interval=5s --timeout=3s --start-period=120s --retries=3 \
    CMD curl --fail --silent http://127.0.0.1:$TWINSHELF_FIRST_PORT/v2/health/ready
