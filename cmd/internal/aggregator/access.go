package aggregator

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/braidhq/braid/cmd/internal/run"
	"github.com/braidhq/braid/config"
	"github.com/braidhq/braid/kube"
	"github.com/braidhq/braid/query"
)

// access is who is let in, what they may read, and what is written down of it.
type access struct {
	reviewer *kube.Reviewer // nil: the API server is not asked
	reads    query.Access
	audit    *slog.Logger // nil: nothing is written down
	file     *os.File     // of the audit log, if it is one of its own
}

func openAccess(cfg *config.Aggregator, version string, registry prometheus.Registerer, logger *slog.Logger) (*access, error) {
	a := &access{reads: query.Everything{}}
	if cfg.UsesKubernetes() {
		var err error
		a.reviewer, err = kube.NewReviewer(kube.ReviewerOptions{
			Kubeconfig: cfg.Kubernetes.KubeconfigFile, UserAgent: "braid/" + version, Registerer: registry,
			Away: func(err error) {
				if err != nil {
					logger.Error("cannot ask Kubernetes who is who and who may read what: nobody new is let in", "err", err)
					return
				}
				logger.Info("Kubernetes says again who is who")
			},
		})
		if err != nil {
			return nil, err
		}
	}
	if cfg.Web.Access.Kubernetes {
		a.reads = a.reviewer
	}
	switch cfg.Web.AuditLog {
	case "":
	case "stderr":
		a.audit = slog.New(slog.NewJSONHandler(os.Stderr, nil))
	default:
		var err error
		if a.file, err = os.OpenFile(cfg.Web.AuditLog, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
			return nil, fmt.Errorf("cannot open the audit log: %w", err)
		}
		a.audit = slog.New(slog.NewJSONHandler(a.file, nil))
	}
	return a, nil
}

func (a *access) listenOptions(registry prometheus.Registerer, logger *slog.Logger) run.ListenOptions {
	o := run.ListenOptions{Registerer: registry, Logger: logger}
	if a.reviewer != nil {
		o.Review = a.reviewer.Token
	}
	if a.audit != nil {
		o.Refused = query.AuditRefusal(a.audit)
	}
	return o
}

// serve puts what guards and what writes down in front of mux.
func (a *access) serve(mux *run.Mux) http.Handler {
	mux.Guard = func(next http.Handler) http.Handler { return query.Guard(a.reads, next) }
	if a.audit == nil {
		return mux
	}
	return query.Audit(a.audit, mux, run.HealthyPath, run.ReadyPath)
}

func (a *access) close() error {
	if a.reviewer != nil {
		a.reviewer.Close()
	}
	if a.file != nil {
		return a.file.Close()
	}
	return nil
}
