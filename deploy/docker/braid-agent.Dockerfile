# braid-agent: the node agent alone, one static program. Build it in the project's root:
#   docker build -f deploy/docker/braid-agent.Dockerfile -t braidhq/braid-agent .
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
    go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /out/braid-agent ./cmd/braid-agent
RUN mkdir /out/data && mkdir -m 0770 /out/data/braid-agent

# Log files on a node are 0640 root:root in directories 0750: group 0, and no capability, is what it takes to read them.
FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build --chown=65534:0 /out/data /var/lib
COPY --from=build /out/braid-agent /braid-agent
USER 65534:0
ENTRYPOINT ["/braid-agent"]
