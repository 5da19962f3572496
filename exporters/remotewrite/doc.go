// Package remotewrite sends samples by Prometheus remote-write 1.0 or 2.0 (2.0-rc.4).
//
// Noun: an [Exporter] is a telemetry.Appender for frames of samples. A frame of the version that the endpoint speaks is
// sent on unchanged; others, and all frames when there are write_relabel_configs, are converted.
//
// It is configured by Prometheus' own remote_write section. The queue in front of it is braid's, so queue_config and
// metadata_config have no effect, and send_exemplars and send_native_histograms do not either: a frame goes on with
// what it came with. What braid does not have (sigv4, azuread, google_iam, round_robin_dns) is refused by [New].
//
// An endpoint that turns out to speak 1.0 only gets 1.0 from then on. The answer decides, in one place (see
// verdict.go), whether a frame may be sent again.
package remotewrite
