// Package dashboards holds what people look at: Grafana dashboards, alert rules, and data sources that lead from a point
// to its trace, from a trace to its lines, and back.
//
// Nouns: a dashboard is one file below grafana/, written by generate from Go so that variables, links and the words for
// the same thing are the same in all of them. alerts.yaml are Prometheus' alerting rules, alerts_test.yaml is what
// promtool tests them by, and every alert leads to its section of docs/runbook.md. provisioning/ is for Grafana's
// directory of the same name.
//
// Nothing here is compiled into braid. The tests hold that every query parses, names what some room of braid exports, and
// returns rows on a running demo.
package dashboards

//go:generate go run ./generate -dir grafana
