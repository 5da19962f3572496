package kube

import "testing"

func TestResolveSample(t *testing.T) {
	pods := readSample(t)
	const web = "web-686fc4bc56-6vlr9 web-686fc4bc56-qvkzx web-686fc4bc56-s55r6"
	for _, test := range []struct{ namespace, arg, want, err string }{
		{"demo", "longlines", "longlines", ""},
		{"demo", "pod/longlines", "longlines", ""},
		{"demo", "po/longlines", "longlines", ""},
		{"demo", "PODS/longlines", "longlines", ""},
		{"", "longlines", "longlines", ""},
		{"demo", "job/batch", "batch-kf2qb", ""},
		{"demo", "deployment/web", web, ""},
		{"demo", "deployments.apps/web", web, ""},
		{"demo", "deploy/pair", "pair-795dfcb7b5-nnt9b", ""},
		{"demo", "rs/web-686fc4bc56", web, ""},
		{"demo", "deploy/we", "", `error from server (NotFound): deployments.apps "we" not found in namespace "demo"`},
		{"demo", "rs/web", "", `error from server (NotFound): replicasets.apps "web" not found in namespace "demo"`},
		{"demo", "sts/web", "", `error from server (NotFound): statefulsets.apps "web" not found in namespace "demo"`},
		{"demo", "x", "", `error from server (NotFound): pods "x" not found in namespace "demo"`},
		{"default", "longlines", "", `error from server (NotFound): pods "longlines" not found in namespace "default"`},
		{"demo", "foo/bar", "", `the server doesn't have a resource type "foo" that owns pods ` +
			`(known: pod, deployment, replicaset, statefulset, daemonset, job, replicationcontroller)`},
		{"demo", "pod/", "", "arguments in resource/name form must have a single resource and name"},
		{"demo", "pod/a/b", "", "arguments in resource/name form must have a single resource and name"},
	} {
		got, err := pods.Resolve(test.namespace, test.arg)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if names(got) != test.want || text != test.err {
			t.Errorf("-n %q %s: %q, error %q; want %q, error %q", test.namespace, test.arg, names(got), text, test.want, test.err)
		}
	}
}

func TestResolveByOwner(t *testing.T) {
	pods := read(t, `{"kind":"List","items":[
		{"kind":"Pod","metadata":{"name":"db-0","ownerReferences":[{"kind":"StatefulSet","name":"db"}]}},
		{"kind":"Pod","metadata":{"name":"node-x","ownerReferences":[{"kind":"DaemonSet","name":"node"}]}},
		{"kind":"Pod","metadata":{"name":"old-y","ownerReferences":[{"kind":"ReplicationController","name":"old"}]}},
		{"kind":"Pod","metadata":{"name":"db-0-z","ownerReferences":[{"kind":"ReplicaSet","name":"db-"}]}}]}`)
	for arg, want := range map[string]string{
		"sts/db": "db-0", "statefulset/db": "db-0", "ds/node": "node-x", "rc/old": "old-y", "deploy/db": "", "job/db": "",
	} {
		if got, _ := pods.Resolve("default", arg); names(got) != want {
			t.Errorf("%s: %q, want %q", arg, names(got), want)
		}
	}
}

// The order is kubectl's choice of the one pod whose log it prints.
func TestResolveRanksPods(t *testing.T) {
	pod := func(name, spec, status, created string) string {
		return `{"kind":"Pod","metadata":{"name":"` + name + `","creationTimestamp":"` + created + `",
			"ownerReferences":[{"kind":"ReplicaSet","name":"r"}]},"spec":{` + spec + `},"status":{` + status + `}}`
	}
	ready := func(since string) string {
		return `"phase":"Running","conditions":[{"type":"Ready","status":"True","lastTransitionTime":"` + since + `"}]`
	}
	const old, young, node = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", `"nodeName":"n"`
	for _, test := range []struct{ name, first, second string }{
		{"assigned", pod("z", node, `"phase":"Pending"`, young), pod("a", "", `"phase":"Running"`, old)},
		{"running before pending", pod("z", node, `"phase":"Running"`, young), pod("a", node, `"phase":"Pending"`, old)},
		{"unknown before pending", pod("z", node, `"phase":"Unknown"`, young), pod("a", node, `"phase":"Pending"`, old)},
		{"ready", pod("z", node, ready(young), young), pod("a", node, `"phase":"Running"`, old)},
		{"ready for longer", pod("z", node, ready(old), young), pod("a", node, ready(young), old)},
		{"restarted more often", pod("z", node, `"containerStatuses":[{"restartCount":3}]`, young), pod("a", node, `"containerStatuses":[{"restartCount":1}]`, old)},
		{"older", pod("z", node, "", old), pod("a", node, "", young)},
		{"by name", pod("a", node, "", old), pod("z", node, "", old)},
	} {
		for _, order := range []string{test.first + "," + test.second, test.second + "," + test.first} {
			pods := read(t, `{"kind":"List","items":[`+order+`]}`)
			first := read(t, test.first).In("")[0].Name
			got, err := pods.Resolve("default", "rs/r")
			if err != nil || got[0].Name != first {
				t.Errorf("%s: %q first of %q, %v", test.name, got[0].Name, names(got), err)
			}
		}
	}
}
