package kube

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sample is what kubectl printed on a real node, beside that node's log tree.
const sample = "../logs/testdata/kubectl/pods.json"

func readSample(t testing.TB) *Pods {
	t.Helper()
	pods, err := ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	return pods
}

func read(t testing.TB, json string) *Pods {
	t.Helper()
	pods, err := Read(strings.NewReader(json))
	if err != nil {
		t.Fatal(err)
	}
	return pods
}

func names(pods []*Pod) string {
	var s []string
	for _, p := range pods {
		s = append(s, p.Name)
	}
	return strings.Join(s, " ")
}

func TestReadKnowsEveryShapeOfKubectlsJSON(t *testing.T) {
	const pod = `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"},"spec":{"containers":[{"name":"x"}]}}`
	for _, test := range []struct{ name, json, pods, err string }{
		{"a list", `{"kind":"List","items":[` + pod + `]}`, "a", ""},
		{"a typed list repeats no kind", `{"kind":"PodList","items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"}}]}`, "a b", ""},
		{"one pod", pod, "a", ""},
		{"no pods", `{"kind":"List","items":[]}`, "", ""},
		{"other kinds are passed by", `{"kind":"List","items":[{"kind":"Service","metadata":{"name":"s"}},` + pod + `]}`, "a", ""},
		{"an item without kind in an untyped list", `{"kind":"List","items":[{"metadata":{"name":"s"}}]}`, "", ""},
		{"a pod without name", `{"kind":"List","items":[{"kind":"Pod"}]}`, "", "cannot read pods: item 0: the pod has no name"},
		{"another kind", `{"kind":"Node"}`, "", `cannot read pods: kind is "Node", not Pod, PodList or List`},
		{"no JSON", `NAME READY`, "", "cannot read pods: it is no JSON of kubectl get pods -o json: invalid character 'N' looking for beginning of value"},
		{"cut off", `{"kind":"List","items":[`, "", "cannot read pods: it is no JSON of kubectl get pods -o json: unexpected end of JSON input"},
		{"a field of the wrong type", `{"kind":"Pod","metadata":{"name":1}}`, "", "cannot read pods: item 0: json: cannot unmarshal number into Go struct field ObjectMeta.metadata.name of type string"},
	} {
		t.Run(test.name, func(t *testing.T) {
			pods, err := Read(strings.NewReader(test.json))
			if err != nil {
				if err.Error() != test.err {
					t.Fatalf("error %q, want %q", err, test.err)
				}
				return
			}
			if got := names(pods.In("")); test.err != "" || got != test.pods {
				t.Fatalf("pods %q, want %q, error %q", got, test.pods, test.err)
			}
			for _, p := range pods.In("") {
				if p.Namespace != "default" {
					t.Errorf("namespace %q of a pod that names none, want default", p.Namespace)
				}
			}
		})
	}
}

func TestReadFileSaysWhich(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "pods.json")
	if _, err := ReadFile(missing); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("error %v does not name %s", err, missing)
	}
	if err := os.WriteFile(missing, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFile(missing); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("error %v does not name %s", err, missing)
	}
}

func TestSelect(t *testing.T) {
	pods := readSample(t)
	const web = "web-686fc4bc56-6vlr9 web-686fc4bc56-qvkzx web-686fc4bc56-s55r6"
	for _, test := range []struct{ namespace, selector, want string }{
		{"demo", "app=web", web},
		{"demo", "app==web,tier=front", web},
		{"", "app=web", web},
		{"default", "app=web", ""},
		{"demo", "app in (noisy, longlines)", "longlines noisy"},
		{"demo", "app!=web,app notin (batch,crasher,pair)", "longlines noimage noisy"},
		{"demo", "tier", web},
		{"demo", "!tier,pod-template-hash", "crasher-775449749c-shdf4 pair-795dfcb7b5-nnt9b"},
		{"demo", "app=nothing", ""},
	} {
		got, err := pods.Select(test.namespace, test.selector)
		if err != nil || names(got) != test.want {
			t.Errorf("-n %q -l %q: %q %v, want %q", test.namespace, test.selector, names(got), err, test.want)
		}
	}
	_, err := pods.Select("demo", "app in")
	const want = `Error from server (BadRequest): Unable to find "/v1, Resource=pods" that match label selector "app in", field selector "": `
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error %v, want %s…", err, want)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"kind":"List","items":[{"kind":"Pod","metadata":{"name":"a","ownerReferences":[{"kind":"Job","name":"j"}]},
		"spec":{"initContainers":[{"name":"i"}],"containers":[{"name":"x"}]},"status":{"initContainerStatuses":[{"name":"i",
		"restartCount":2,"containerID":"containerd://1","state":{"waiting":{"reason":"X"}},"lastState":{"terminated":{"containerID":"containerd://0"}}}]}}]}`))
	f.Add([]byte(`{"kind":"PodList","items":[{"metadata":{"name":"a"},"status":{"containerStatuses":[{"name":"x"}]}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		pods, err := Read(strings.NewReader(string(data)))
		if err != nil {
			return
		}
		for _, p := range pods.In("") {
			_, _, _ = p.DefaultContainer()
			for i := range p.Containers {
				for _, previous := range []bool{false, true} {
					if n, err := p.Containers[i].Attempt(previous); err == nil && n < 0 && p.Containers[i].status.RestartCount >= 0 {
						t.Fatalf("attempt %d", n)
					}
				}
			}
			if _, err := pods.Resolve(p.Namespace, "pod/"+p.Name); err != nil && !strings.Contains(p.Name, "/") {
				t.Fatal(err)
			}
		}
	})
}
