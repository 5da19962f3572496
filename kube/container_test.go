package kube

import (
	"fmt"
	"testing"
)

func TestDefaultContainer(t *testing.T) {
	pods := readSample(t)
	for _, test := range []struct{ pod, want, notice string }{
		{"longlines", "main", ""},
		{"pair-795dfcb7b5-nnt9b", "app", `Defaulted container "app" out of: app, sidecar, migrate (init)`},
	} {
		got, err := pods.Resolve("demo", test.pod)
		if err != nil {
			t.Fatal(err)
		}
		c, notice, err := got[0].DefaultContainer()
		if err != nil || c.Name != test.want || notice != test.notice {
			t.Errorf("%s: %v %q %v, want %s %q", test.pod, c, notice, err, test.want, test.notice)
		}
	}
	const spec = `"spec":{"initContainers":[{"name":"i"}],"containers":[{"name":"a"},{"name":"b"}],"ephemeralContainers":[{"name":"e"}]}}`
	for _, test := range []struct{ json, want, notice, err string }{
		{`{"kind":"Pod","metadata":{"name":"p","annotations":{"kubectl.kubernetes.io/default-container":"b"}},` + spec, "b", "", ""},
		{`{"kind":"Pod","metadata":{"name":"p","annotations":{"kubectl.kubernetes.io/default-container":"gone"}},` + spec, "a",
			`Defaulted container "a" out of: a, b, e (ephem), i (init)`, ""},
		{`{"kind":"Pod","metadata":{"name":"p"}}`, "", "", "pod default/p does not have any containers"},
	} {
		c, notice, err := read(t, test.json).In("")[0].DefaultContainer()
		if err != nil {
			if err.Error() != test.err {
				t.Errorf("error %q, want %q", err, test.err)
			}
			continue
		}
		if c.Name != test.want || notice != test.notice {
			t.Errorf("%s %q, want %s %q", c.Name, notice, test.want, test.notice)
		}
	}
}

func TestContainersStandInKubectlsOrder(t *testing.T) {
	p := read(t, `{"kind":"Pod","metadata":{"name":"p"},"spec":{"ephemeralContainers":[{"name":"e"}],"containers":[{"name":"a"}],"initContainers":[{"name":"i"}]}}`).In("")[0]
	got := ""
	for _, c := range p.Containers {
		got += c.Name
	}
	if got != "iae" {
		t.Errorf("containers in order %s, want iae", got)
	}
	if _, err := p.Container("x"); err == nil || err.Error() != "container x is not valid for pod p" {
		t.Errorf("error %v", err)
	}
}

func TestStaticPodsHaveAnotherUIDOnDisk(t *testing.T) {
	p := read(t, `{"kind":"Pod","metadata":{"name":"p","uid":"api","annotations":{"kubernetes.io/config.hash":"file"}}}`).In("")[0]
	if p.UID != "api" || p.DirectoryUID != "file" {
		t.Errorf("uid %s, on disk %s", p.UID, p.DirectoryUID)
	}
	if p := readSample(t).In("demo")[2]; p.UID == "" || p.DirectoryUID != p.UID {
		t.Errorf("uid %s, on disk %s", p.UID, p.DirectoryUID)
	}
}

func TestAttempt(t *testing.T) {
	const (
		terminated = `{"terminated":{"containerID":"containerd://%s"}}`
		none       = "none"
	)
	for _, test := range []struct{ name, status, current, previous string }{
		{"no status", "", `container "c" in pod "p" is not available`, `container "c" in pod "p" is not available`},
		{"running at first", `"restartCount":0,"containerID":"containerd://b","state":{"running":{}}`, "0", none},
		{"running again", `"restartCount":3,"containerID":"containerd://b","state":{"running":{}},"lastState":` + fmt.Sprintf(terminated, "a"), "3", "2"},
		{"crash loop", `"restartCount":5,"containerID":"containerd://a","state":{"waiting":{"reason":"CrashLoopBackOff"}},"lastState":` + fmt.Sprintf(terminated, "a"), "5", "5"},
		{"completed", `"restartCount":0,"containerID":"containerd://a","state":` + fmt.Sprintf(terminated, "a"), "0", none},
		{"completed after a restart", `"restartCount":1,"containerID":"containerd://b","state":` + fmt.Sprintf(terminated, "b") + `,"lastState":` + fmt.Sprintf(terminated, "a"), "1", "0"},
		{"could not start again", `"restartCount":2,"containerID":"containerd://b","state":{"terminated":{}},"lastState":` + fmt.Sprintf(terminated, "a"), "1", "1"},
		{"could never start", `"state":{"terminated":{"reason":"StartError"}}`, `container "c" in pod "p" is terminated`, none},
		{"was lost", `"state":{"waiting":{"reason":"X"}},"lastState":{"terminated":{}}`, `container "c" in pod "p" is terminated`, none},
		{"back off", `"state":{"waiting":{"reason":"ImagePullBackOff"}}`, `container "c" in pod "p" is waiting to start: trying and failing to pull image`, none},
		{"pulling failed", `"state":{"waiting":{"reason":"ErrImagePull"}}`, `container "c" in pod "p" is waiting to start: image can't be pulled`, none},
		{"creating", `"state":{"waiting":{"reason":"ContainerCreating"}}`, `container "c" in pod "p" is waiting to start: ContainerCreating`, none},
		{"no state", `"restartCount":0`, `container "c" in pod "p" is waiting to start - no logs yet`, none},
	} {
		for _, list := range []string{"containers", "initContainers", "ephemeralContainers"} {
			kind := list[:len(list)-1] + "Statuses"
			status := `"status":{"` + kind + `":[{"name":"c",` + test.status + `}]}`
			if test.status == "" {
				status = `"status":{}`
			}
			c := &read(t, `{"kind":"Pod","metadata":{"name":"p"},"spec":{"`+list+`":[{"name":"c"}]},`+status+`}`).In("")[0].Containers[0]
			for _, want := range []struct {
				previous bool
				text     string
			}{{false, test.current}, {true, test.previous}} {
				if want.text == none {
					want.text = `previous terminated container "c" in pod "p" not found`
				}
				var got string
				if n, err := c.Attempt(want.previous); err != nil {
					got = err.Error()
					want.text = "Error from server (BadRequest): " + want.text
				} else {
					got = fmt.Sprint(n)
				}
				if got != want.text {
					t.Errorf("%s in %s, previous %v: %q, want %q", test.name, list, want.previous, got, want.text)
				}
			}
		}
	}
}

func TestContainerID(t *testing.T) {
	p := readSample(t).In("demo")
	if got := p[0].Containers[0].ID(); got != "67aa90611c906ad17b7d5443d4956d7099345f39807b54e006cde620a5f27987" {
		t.Errorf("container id %s", got)
	}
	if got := p[3].Containers[0].ID(); got != "" {
		t.Errorf("id %q of a container that never ran", got)
	}
}
