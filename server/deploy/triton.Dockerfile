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

RUN useradd --create-home twinshelf
USER twinshelf
ENV PYTHONDONTWRITEBYTECODE=1

ENV TWINSHELF_VERSION=1
# HTTP; gRPC and metrics take the two after it.
ENV TWINSHELF_FIRST_PORT=8000
# OTLP over HTTP, such as http://127.0.0.1:4318/v1/traces: takes what Triton adds to the traces of the
# service, and none of its own.
ENV TWINSHELF_TRACE_URL=
# Loopback alone: whoever is to reach it shares its network, as the matching service does in
# compose.yaml. What could load models, read memory or write files needs a key that is drawn anew at
# each start and told to nobody. --model-config-name chooses the encoder version; a pair scorer of the
# same version is loaded beside it.
CMD ["sh", "-c", "key=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \\n') \
    && restricted=model-repository,shared-memory,trace,logging:twinshelf-key=$key \
    && scorer=$([ -f /models/pair_scorer/configs/v${TWINSHELF_VERSION}.pbtxt ] \
    && echo --load-model=pair_scorer || true) \
    && trace=${TWINSHELF_TRACE_URL:+--trace-config=mode=opentelemetry --trace-config=rate=0 \
    --trace-config=count=-1 --trace-config=level=TIMESTAMPS \
    --trace-config=opentelemetry,url=$TWINSHELF_TRACE_URL} \
    && exec tritonserver --model-repository=/models --model-control-mode=explicit \
    --load-model=product_encoder --load-model=image_encoder --load-model=text_encoder $scorer \
    --model-config-name=v${TWINSHELF_VERSION} --exit-timeout-secs=10 $trace \
    --grpc-restricted-protocol=$restricted --http-restricted-api=$restricted \
    --http-port=$TWINSHELF_FIRST_PORT --grpc-port=$((TWINSHELF_FIRST_PORT + 1)) \
    --metrics-port=$((TWINSHELF_FIRST_PORT + 2)) \
    --grpc-address=127.0.0.1 --http-address=127.0.0.1 --metrics-address=127.0.0.1"]
HEALTHCHECK --interval=5s --timeout=3s --start-period=120s --retries=3 \
    CMD curl --fail --silent http://127.0.0.1:$TWINSHELF_FIRST_PORT/v2/health/ready
