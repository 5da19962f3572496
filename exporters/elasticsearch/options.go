package elasticsearch

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
)

// Options configure an [Exporter] and a [Reader] alike.
type Options struct {
	URLs     []string // base URLs of nodes of one cluster
	Username string
	Password string
	APIKey   string // base64; goes before Username and Password
	// Transport carries TLS settings and time-outs (an *http.Transport); nil: one that verifies against the system's
	// authorities.
	Transport http.RoundTripper

	LogsDataStream       string // default logs-braid-default
	TracesDataStream     string // default traces-braid-default
	DeadLetterDataStream string // default logs-braid.deadletter-default

	Compression  telemetry.Compression // of bulk bodies: Gzip, or Identity
	MaxBulkBytes int                   // of a bulk body before compression, default 5 MB; a larger document goes alone
	Retention    time.Duration         // data_retention of data streams made from now on; 0: for ever

	// StateDir keeps what the exporter must remember over a restart; one exporter, one directory.
	StateDir string
	FS       disk.FS // default disk.OS

	Registerer prometheus.Registerer // may be nil
	Logger     *slog.Logger          // may be nil; hears of changes of state only
}

const defaultBulkBytes = 5 << 20

func (o Options) withDefaults() (Options, error) {
	if len(o.URLs) == 0 {
		return o, errors.New("elasticsearch: no URL")
	}
	for _, stream := range []*string{&o.LogsDataStream, &o.TracesDataStream, &o.DeadLetterDataStream} {
		if err := checkDataStream(*stream); err != nil {
			return o, err
		}
	}
	setDefault(&o.LogsDataStream, "logs-braid-default")
	setDefault(&o.TracesDataStream, "traces-braid-default")
	setDefault(&o.DeadLetterDataStream, "logs-braid.deadletter-default")
	if o.LogsDataStream == o.TracesDataStream || o.LogsDataStream == o.DeadLetterDataStream || o.TracesDataStream == o.DeadLetterDataStream {
		return o, errors.New("elasticsearch: logs, traces and dead letter need a data stream each")
	}
	if o.Compression != telemetry.Gzip && o.Compression != telemetry.Identity {
		return o, fmt.Errorf("elasticsearch takes gzip and identity, not %s", o.Compression)
	}
	if o.MaxBulkBytes <= 0 {
		o.MaxBulkBytes = defaultBulkBytes
	}
	if o.FS == nil {
		o.FS = disk.OS
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Transport == nil {
		o.Transport = &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout:   10 * time.Second,
			MaxIdleConnsPerHost:   8,
			IdleConnTimeout:       90 * time.Second,
			ForceAttemptHTTP2:     true,
			ExpectContinueTimeout: time.Second,
		}
	}
	return o, nil
}

func setDefault(s *string, value string) {
	if *s == "" {
		*s = value
	}
}

// checkDataStream refuses names that Elasticsearch refuses or that would mean several data streams in a path.
func checkDataStream(name string) error {
	if strings.ContainsAny(name, `\/*?"<>| ,#:`) || strings.ToLower(name) != name ||
		strings.HasPrefix(name, "-") || strings.HasPrefix(name, "_") || strings.HasPrefix(name, "+") || strings.HasPrefix(name, ".") {
		return fmt.Errorf("elasticsearch: %q cannot name a data stream", name)
	}
	return nil
}
