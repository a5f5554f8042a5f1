# One image for web, worker and migration; the command says which. No secret is in it.
FROM python:3.11.14-slim-bookworm AS build
WORKDIR /build
COPY requirements.lock ./
RUN python -m venv /opt/waybill \
    && /opt/waybill/bin/pip install --no-cache-dir --no-compile --disable-pip-version-check --require-hashes -r requirements.lock \
    && /opt/waybill/bin/pip uninstall --yes pip setuptools
COPY activities /app/activities
COPY api /app/api
COPY console /app/console
COPY db /app/db
COPY domain /app/domain
COPY integrations /app/integrations
COPY runtime /app/runtime
COPY templates /app/templates
COPY workflows /app/workflows
COPY server.py worker.py /app/
# The root file system is read-only when it runs, so bytecode is made now.
RUN /opt/waybill/bin/python -m compileall -q -j 0 /opt/waybill/lib /app

FROM python:3.11.14-slim-bookworm
RUN groupadd --gid 10001 waybill \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin waybill
COPY --from=build /opt/waybill /opt/waybill
COPY --from=build /app /app
ENV PATH=/opt/waybill/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 WEB_HOST=0.0.0.0 WORKER_HOST=0.0.0.0
WORKDIR /app
# The commit, under which workers ask Temporal for orders; last, so that it renews no layer.
ARG BUILD_ID
ENV BUILD_ID=$BUILD_ID
USER 10001:10001
EXPOSE 8000 8001
STOPSIGNAL SIGTERM
# For web; compose gives the worker its own port.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=3)"]
CMD ["python", "server.py"]
