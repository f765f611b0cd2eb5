# syntax=docker/dockerfile:1.7
#
# Images of a farm:
#
#   docker build --target scheduler -t gofarm/scheduler:0.1.0 .
#   docker build --target worker    -t gofarm/worker:0.1.0 .
#
# Base images are pinned by version; pin them by digest with --build-arg RUST_IMAGE=rust@sha256:... where that is the rule.
ARG RUST_IMAGE=rust:1.90.0-bookworm
ARG DEBIAN_IMAGE=debian:12.12-slim

FROM ${RUST_IMAGE} AS build
WORKDIR /src
COPY . .
# The caches outlive the build, so the programs are taken out of them in the same step.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --release --locked -p gofarm-scheduler -p gofarm-worker \
    && install -D -t /out target/release/gofarm-scheduler target/release/gofarm-worker

# curl is for health checks, tini reaps what orphaned processes leave.
FROM ${DEBIAN_IMAGE} AS base
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl tini \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 gofarm \
    && useradd --uid 10001 --gid gofarm --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin gofarm \
    && install -d -o gofarm -g gofarm /var/lib/gofarm /var/cache/gofarm

FROM base AS scheduler
COPY --from=build /out/gofarm-scheduler /usr/local/bin/
USER 10001:10001
VOLUME ["/var/lib/gofarm"]
EXPOSE 8980 8981
ENTRYPOINT ["tini", "--", "gofarm-scheduler"]
CMD ["--store=file:///var/lib/gofarm", "--listen=0.0.0.0:8980", "--http=0.0.0.0:8981"]

# No Go here: a worker takes the toolchain from the farm's store. The C compiler is for packages with cgo; workers of one
# image have the same one, and only workers with the same one share such packages' results.
FROM base AS worker
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc g++ libc6-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/gofarm-worker /usr/local/bin/
USER 10001:10001
VOLUME ["/var/cache/gofarm"]
ENTRYPOINT ["tini", "--", "gofarm-worker"]
CMD ["--cache-dir=/var/cache/gofarm"]
