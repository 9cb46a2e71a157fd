# syntax=docker/dockerfile:1
# A static binary in an image that holds nothing else: no shell, no package
# manager, no root. Run it with a read-only root and one writable volume:
#
#   docker run --read-only --cap-drop=ALL --security-opt=no-new-privileges \
#     -v wxnotify-data:/data -v ./wxnotify.yaml:/etc/wxnotify.yaml:ro \
#     -v ./keys:/run/secrets:ro -e WXNOTIFY_CONFIG=/etc/wxnotify.yaml -p 8080:8080 wxnotify
#
# Put a TLS proxy in front of port 8080. The private door (/metrics, /healthz,
# /readyz) listens on 127.0.0.1:9090, which in a container nobody reaches: set
# WXNOTIFY_PRIVATE__LISTEN=:9090 and publish it on a private network only.

FROM golang:1.26.8-bookworm AS build
# Another module proxy, where the default one cannot be reached.
ARG GOPROXY=
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY service ./service
ARG RELEASE=
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -ldflags="-s -w${RELEASE:+ -X main.release=$RELEASE}" -o /out/wxnotify ./service \
 && mkdir -p /out/data /out/etc /out/secrets /out/database

# Distroless has no version tags; a release adds the digest that it was tested with.
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/wxnotify /wxnotify
# A new volume takes owner and mode from here: 65532 is the image's nonroot.
COPY --from=build --chown=65532:65532 --chmod=0700 /out/data /data
COPY --from=build --chown=65532:65532 --chmod=0700 /out/etc /etc/wxnotify
# What another container of the demo may read.
COPY --from=build --chown=65532:65532 --chmod=0755 /out/secrets /run/secrets
COPY --from=build --chown=65532:65532 --chmod=0755 /out/database /run/database
COPY LICENSE /LICENSE
USER 65532:65532
# The database and the spool are relative paths by default: they land here. So
# do SQLite's temporary files, as /tmp is read-only.
WORKDIR /data
ENV TMPDIR=/data
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
# There is no shell or curl to ask with: the program asks itself. Not for an
# orchestrator that asks /readyz over HTTP; and not on another private.listen than
# port 9090, for which the address goes behind `ready`.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["/wxnotify", "ready"]
ENTRYPOINT ["/wxnotify"]
CMD ["serve"]
