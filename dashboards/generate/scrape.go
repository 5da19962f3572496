package main

func scrape() dashboard {
	const target = `cluster=~"$cluster",job=~"$job"`
	byJob := func(series string) dict { return query(sumBy("job", series+"{"+target+"}"), "{{job}}") }
	return dashboard{
		uid: "scrape", title: "Scraping",
		description: "Whether targets answer, how long they take and what they send. The agents scrape; these are Prometheus' own series of every scrape.",
		variables:   []dict{datasource, cluster, job},
		rows: []row{
			{"Now", []panel{
				stat("Targets", "short", "", 0, "count(up{"+target+"})").sized(4, 4),
				stat("Down", "short", "Targets that do not answer.", 1, orZero("count(up{"+target+"} == 0)")).sized(4, 4),
				stat("Samples a scrape", "short", "Of all targets together.", 0, "sum(scrape_samples_scraped{"+target+"})").sized(4, 4),
				stat("Dropped by relabelling", "short", "Samples of one scrape of all targets that metric_relabel_configs drop.", 0,
					"sum(scrape_samples_scraped{"+target+"} - scrape_samples_post_metric_relabeling{"+target+"})").sized(4, 4),
				stat("Lost", "short", "Samples in the time range that were scraped and could not be stored.", 1,
					"sum(increase(braid_scrape_samples_dropped_total{"+ofCluster+"}[$__range]))").sized(4, 4),
				stat("Series", "short", "Series that the agents remember from scrape to scrape.", 0, "sum(braid_scrape_series{"+ofCluster+"})").sized(4, 4),
			}},
			{"Targets", []panel{
				lines("Up", "percentunit", "Share of a job's targets that answer.", query(`avg by (job) (up{`+target+`})`, "{{job}}")),
				lines("Duration, the ten slowest", "s", "", query("topk(10, scrape_duration_seconds{"+target+"})", "{{job}} {{instance}}")),
				lines("Samples", "short", "Samples of one scrape, by job, as the targets send them.", byJob("scrape_samples_scraped")),
				lines("Samples after relabelling", "short", "What metric_relabel_configs leave of them.", byJob("scrape_samples_post_metric_relabeling")),
				lines("New series", "short", "Series that were not in the scrape before. A job that adds series all the time makes a store grow.", byJob("scrape_series_added")),
				lines("Duration by job", "s", "Mean of the targets.", query("avg by (job) (scrape_duration_seconds{"+target+"})", "{{job}}")),
				table("Targets", "Those that are down come first when sorted by Up.", nil,
					column{"Up", "short", "max by (job, instance, namespace, pod) (up{" + target + "})"},
					column{"Duration", "s", "max by (job, instance, namespace, pod) (scrape_duration_seconds{" + target + "})"},
					column{"Samples", "short", "max by (job, instance, namespace, pod) (scrape_samples_scraped{" + target + "})"},
					column{"After relabelling", "short", "max by (job, instance, namespace, pod) (scrape_samples_post_metric_relabeling{" + target + "})"},
					column{"New series", "short", "max by (job, instance, namespace, pod) (scrape_series_added{" + target + "})"},
				),
			}},
			{"Agents", []panel{
				lines("Samples", "cps", "Scraped and stored, staleness markers included, by agent.",
					query(sumBy("instance", rate("braid_scrape_samples_total{"+ofCluster+"}")), "{{instance}}")),
				lines("Refused samples", "cps", "Out of order: their series has one that is as new or newer. Lost: they could not be stored. 0 is what there should be.",
					query(sumBy("instance", rate("braid_scrape_out_of_order_samples_total{"+ofCluster+"}")), "{{instance}} out of order"),
					query(sumBy("instance", rate("braid_scrape_samples_dropped_total{"+ofCluster+"}")), "{{instance}} lost")),
				lines("Limits that were exceeded", "cps", "Scrapes that failed because the target sent more than its job allows. 0 is what there should be.",
					query("sum("+rate("prometheus_target_scrapes_exceeded_sample_limit_total{"+ofCluster+"}")+")", "samples"),
					query("sum("+rate("prometheus_target_scrapes_exceeded_body_size_limit_total{"+ofCluster+"}")+")", "body size"),
					query("sum("+rate("prometheus_target_scrape_pool_exceeded_label_limits_total{"+ofCluster+"}")+")", "labels")),
				lines("Discovered targets", "short", "By scrape job and agent.",
					query(sumBy("config, instance", "prometheus_sd_discovered_targets{"+ofCluster+"}"), "{{config}} {{instance}}")).sized(12, 7),
				lines("Interval, p99", "s", "Time between two scrapes of a target, by agent: longer than scrape_interval where an agent is short of CPU.",
					query(`max by (instance, interval) (prometheus_target_interval_length_seconds{quantile="0.99",`+ofCluster+`})`, "{{instance}} of {{interval}}")).sized(12, 7),
			}},
		},
	}
}
