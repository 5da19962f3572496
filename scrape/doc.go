// Package scrape turns Prometheus targets into samples.
//
// Nouns: a [Source] is Prometheus' own scrape and discovery managers; what they scrape goes through an appender (one
// per scrape, made and pooled by the appendable) which collects the samples of that scrape; the table interns their
// series.
//
// In come scrape_configs as Prometheus reads them, out go batches of samples to a telemetry.Sink: one Write per scrape,
// at its commit. What is appended and what is refused follows Prometheus' agent mode: a sample that is not newer than
// the last one of its series is out of order. External labels are added here, where Prometheus adds them at its remote
// write, so that every exporter sees the same series.
//
// A scrape that cannot be stored is dropped and counted, as Prometheus does; a Sink that waits makes its targets wait.
// Discovery by static_configs, file_sd_configs and http_sd_configs is compiled in. Other kinds are known once their
// Prometheus package is imported by the program, so that each program weighs what it uses.
package scrape
