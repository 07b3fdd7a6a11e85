# The web page alone: it talks to the matching service as any client does.
#
#   docker build -f server/deploy/page.Dockerfile -t twinshelf-page .
FROM python:3.11-slim

WORKDIR /app
COPY pyproject.toml README.md LICENSE requirements.lock ./
COPY protos ./protos
COPY client ./client
RUN pip install --no-cache-dir uv \
    && uv pip install --system --no-cache --constraint requirements.lock ".[client,web]" \
    && pip uninstall --yes uv

RUN useradd --create-home twinshelf && mkdir /judgements && chown twinshelf /judgements
USER twinshelf
VOLUME /judgements
ENV TWINSHELF_ADDRESS=127.0.0.1:50051
EXPOSE 8080
CMD ["python", "-m", "twinshelf.client.web", "--judgements", "/judgements/judgements.sqlite", \
    "--listen", "0.0.0.0:8080"]
