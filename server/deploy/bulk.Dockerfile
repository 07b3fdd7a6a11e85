# `twinshelf embed` on a cluster of Ray: head, workers and driver run this one image.
#
#   docker build -f server/deploy/bulk.Dockerfile -t twinshelf-bulk .
#
# Ray's own image has what KubeRay starts a cluster and submits a job with; its version is that of
# tests/server/bulk/requirements.lock (a test compares them), for all processes must have the same.
FROM rayproject/ray:2.60.0-py311

WORKDIR /app
COPY pyproject.toml README.md LICENSE requirements.lock ./
COPY protos ./protos
COPY client ./client
COPY server ./server
RUN pip install --no-cache-dir uv \
    && uv pip install --system --no-cache --constraint requirements.lock ".[client,server,local]" \
    && pip uninstall --yes uv
