# syntax=docker/dockerfile:1

# Builds the executable with the version of Bun that package.json pins; the commit can be told from
# outside, since the image has no .git:  docker build --build-arg BUILD_COMMIT=$(git rev-parse HEAD) .
FROM node:22-bookworm-slim AS build
WORKDIR /src
COPY . .
ARG BUILD_COMMIT=""
RUN BUILD_COMMIT="$BUILD_COMMIT" npm run build -- host && mkdir -p /folders/data /folders/plugins

# glibc and certificate authorities, and no shell.
FROM gcr.io/distroless/base-debian12:nonroot
COPY --from=build --chown=65532:65532 /folders/data /data
COPY --from=build --chown=65532:65532 /folders/plugins /plugins
COPY --from=build /src/dist/bellhop /usr/local/bin/bellhop
ENV DATA_DIR=/data \
    PLUGINS_DIR=/plugins \
    LOG_FORMAT=json
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8883 8443
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=6s --start-period=20s --retries=3 \
    CMD ["/usr/local/bin/bellhop", "health"]
ENTRYPOINT ["/usr/local/bin/bellhop"]
