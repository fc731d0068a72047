# syntax=docker/dockerfile:1

# --- build: the toolchain of Cargo.toml's rust-version, on the Debian release of the runtime stage
FROM rust:1.95-bookworm AS build
WORKDIR /src
# The system's zlib would have to be in the runtime image too.
ENV LIBZ_SYS_STATIC=1
COPY . .
# Downloads and compiled dependencies are kept from build to build. Cargo tells by times what has changed, and the files
# of an older checkout may be older than the kept build: hence the touch.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    find . -path ./target -prune -o -type f -exec touch {} + \
    && cargo build --release --locked --package tinygen \
    && install -D --mode=0755 target/release/tinygen /out/tinygen

# --- runtime: the program and the certificates it trusts
FROM debian:bookworm-slim AS runtime
LABEL org.opencontainers.image.title="tinygen" \
      org.opencontainers.image.description="Git repository URL and a prompt in, unified diff out" \
      org.opencontainers.image.licenses="MIT"
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 10001 tinygen \
    && useradd --system --uid 10001 --gid 10001 --home-dir /var/lib/tinygen --no-create-home \
        --shell /usr/sbin/nologin tinygen \
    && install -d --owner=10001 --group=10001 --mode=0700 /var/lib/tinygen
COPY --from=build /out/tinygen /usr/local/bin/tinygen
# The only folder that the program may write to, beside /tmp. `serve` keeps its SQLite file here: mount a volume on it.
# Not a VOLUME, which would leave a nameless volume behind for every worker.
ENV TINYGEN_DATA_DIR=/var/lib/tinygen
WORKDIR /var/lib/tinygen
USER 10001:10001
EXPOSE 8000
# The API listens on loopback unless TINYGEN_LISTEN says otherwise; it has no HEALTHCHECK because workers share this image.
ENTRYPOINT ["tinygen"]
CMD ["serve"]
