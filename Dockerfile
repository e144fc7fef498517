# One image for the three services: `docker run churnwatch services.ingest`. Not built here: no engine is at hand.
FROM python:3.12-slim-bookworm AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /app
RUN python -m venv /opt/churnwatch
ENV PATH=/opt/churnwatch/bin:$PATH
COPY deploy/image.lock deploy/image.lock
RUN pip install --require-hashes --no-deps -r deploy/image.lock
COPY pyproject.toml README.md ./
COPY shared shared
COPY services services
COPY lab lab
COPY deploy/__init__.py deploy/__init__.py
COPY config config
RUN pip install --no-deps --no-build-isolation --no-index -e . \
    && python -m compileall -q services shared lab

FROM python:3.12-slim-bookworm

RUN groupadd --gid 10001 churnwatch \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /app --shell /usr/sbin/nologin churnwatch \
    && mkdir /data && chown 10001:10001 /data
COPY --from=build /opt/churnwatch /opt/churnwatch
COPY --from=build /app /app
ENV PATH=/opt/churnwatch/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    CHURNWATCH_DATA=/data \
    CHURNWATCH_INGEST_HOST=0.0.0.0 \
    CHURNWATCH_SCORER_HOST=0.0.0.0 \
    CHURNWATCH_ALERTS_HOST=0.0.0.0
WORKDIR /app
USER 10001:10001
EXPOSE 8801 8802 8803
ENTRYPOINT ["python", "-m"]
CMD ["services.ingest"]
