# The program in an image with nothing but what it needs: no shell, no package manager, no root.
#
#   docker build --build-arg COMMIT="$(git describe --always --dirty --abbrev=12 --exclude='*')" -t mc-proxy .

FROM --platform=$BUILDPLATFORM denoland/deno:2.9.6 AS build
WORKDIR /src
COPY deno.json deno.lock package.json main.ts ./
COPY lib lib
COPY scripts/program.ts scripts/program.ts
COPY scripts/compile scripts/compile
ARG TARGETARCH=amd64
ARG COMMIT=unknown
RUN case "$TARGETARCH" in arm64) machine=aarch64 ;; *) machine=x86_64 ;; esac \
  && MC_PROXY_COMMIT="$COMMIT" deno task -q compile --target "$machine-unknown-linux-gnu" --output /out/mc-proxy \
  && mkdir /data

# It has libssl, of OpenSSL 3.5: with X25519MLKEM768.
FROM gcr.io/distroless/cc-debian13:nonroot
COPY --from=build /out/mc-proxy /usr/local/bin/mc-proxy
# A new volume has the owner of the folder that it takes the place of.
COPY --from=build --chown=nonroot:nonroot /data /srv/mc-proxy
USER nonroot
VOLUME /srv/mc-proxy
EXPOSE 443
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
  CMD ["/usr/local/bin/mc-proxy", "ctl", "health", "-c", "/etc/mc-proxy/config.toml"]
ENTRYPOINT ["/usr/local/bin/mc-proxy"]
CMD ["server", "-c", "/etc/mc-proxy/config.toml"]
