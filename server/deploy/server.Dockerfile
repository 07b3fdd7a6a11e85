# The matching service, without Triton, models or torch.
#
#   docker build -f server/deploy/server.Dockerfile -t twinshelf-server .
#
# Every option of `python -m twinshelf.server --help` has an environment variable; compose.yaml sets a few.
FROM python:3.11-slim

# docker build --build-arg EXTRAS=server,milvus ... for a catalogue on Milvus; server,local for
# `--encoder local`, without Triton (2.4 GB more, most of it libraries of CUDA).
ARG EXTRAS=server

WORKDIR /app
COPY pyproject.toml README.md LICENSE requirements.lock ./
COPY protos ./protos
COPY server ./server
# The lock pins what the extra asks for, with hashes.
RUN pip install --no-cache-dir uv \
    && uv pip install --system --no-cache --constraint requirements.lock ".[${EXTRAS}]" \
    && pip uninstall --yes uv

RUN useradd --create-home twinshelf && mkdir /catalogue && chown twinshelf /catalogue
USER twinshelf
VOLUME /catalogue
ENV TWINSHELF_ADDRESS=0.0.0.0:50051 \
    TWINSHELF_CATALOGUE=/catalogue
EXPOSE 50051
# SIGTERM drains: running requests are answered before the process ends.
CMD ["python", "-m", "twinshelf.server"]
HEALTHCHECK --interval=5s --timeout=4s --start-period=30s --retries=3 CMD ["python", "-c", "\
import grpc; from grpc_health.v1 import health_pb2 as h, health_pb2_grpc as s; \
c = grpc.insecure_channel('127.0.0.1:50051'); \
assert s.HealthStub(c).Check(h.HealthCheckRequest(), timeout=3).status == 1"]
