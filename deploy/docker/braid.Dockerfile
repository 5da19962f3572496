# braid: agent, aggregator and command line in one static program. Build it in the project's root:
#   docker build -f deploy/docker/braid.Dockerfile -t braidhq/braid .
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=unknown
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /out/braid ./cmd/braid
RUN mkdir /out/data && mkdir -m 0770 /out/data/braid

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build --chown=65534:65534 /out/data /var/lib
COPY --from=build /out/braid /braid
USER 65534:65534
ENTRYPOINT ["/braid"]
